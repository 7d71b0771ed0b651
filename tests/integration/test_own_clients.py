"""The clients and workers of gearjobs, blocking and asyncio, at our job server and at gearmand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gearjobs import Client, JobData, JobProgress, Worker, background_request, job_request
from gearjobs.aio import AsyncAdminClient, AsyncClient, AsyncRunningJob, AsyncWorker
from gearjobs.errors import JobFailed
from gearjobs.servers import ServerAddress
from gearjobs.worker.running_job import RunningJob
from tests.support.event_loop import with_asyncio
from tests.support.eventually import eventually
from tests.support.gearmand import running_gearmand
from tests.support.job_server import JobServerProcess, running_memory_server
from tests.support.running_worker import running

#: Seconds anything here may take.
SOON_S = 20.0


@pytest.fixture(scope="module", params=["gearjobs", pytest.param("gearmand", marks=pytest.mark.interop)])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerAddress]:
    """A server for the whole module: each test has functions of its own."""
    if request.param == "gearmand":
        with running_gearmand(tmp_path_factory.mktemp("gearmand") / "log") as address:
            yield address
    else:
        with running_memory_server() as memory_server:
            yield memory_server.address


async def reverse(job: AsyncRunningJob) -> bytes:
    await asyncio.sleep(0)
    return job.payload[::-1]


def in_steps(job: RunningJob) -> bytes:
    for number in (1, 2):
        job.send_data(b"part %d" % number)
        job.send_progress(number, 2)
    return b"whole"


async def fail(_job: AsyncRunningJob) -> bytes:
    raise ValueError("no such thing")


@asynccontextmanager
async def working(server: ServerAddress, **runs) -> AsyncIterator[AsyncWorker]:
    worker = AsyncWorker([server], client_id="w", concurrency=3)
    for function, run in runs.items():
        worker.register(function, run)
    work = asyncio.create_task(worker.work())
    yield worker
    worker.stop()
    async with asyncio.timeout(SOON_S):
        await work


@with_asyncio
async def test_asyncio_client_and_worker_understand_each_other(server):
    async with working(server, areverse=reverse, afail=fail), AsyncClient([server]) as client:
        requests = [job_request("areverse", b"%d!" % number) for number in range(200)]

        assert await client.do_all(requests) == [request.payload[::-1] for request in requests]
        with pytest.raises(JobFailed, match="no such thing"):
            await client.do("afail", b"")


@with_asyncio
async def test_streamed_data_reaches_the_asyncio_client(server):
    async with (
        working(server, asteps=in_steps),
        AsyncClient([server]) as client,
        await client.start("asteps", b"") as job,
    ):
        events = [event async for event in job]

    assert [event.body for event in events if isinstance(event, JobData)] == [b"part 1", b"part 2"]
    assert [event.numerator for event in events if isinstance(event, JobProgress)] == [1, 2]


@with_asyncio
async def test_background_jobs_of_the_asyncio_client_are_done(server):
    async with AsyncClient([server]) as client, AsyncAdminClient(server) as admin:
        handles = await client.submit_all([background_request("aback", b"") for _ in range(700)])
        assert len(set(handles)) == 700
        assert (await client.get_status(str(handles[0]))).known

        async with working(server, aback=reverse), asyncio.timeout(SOON_S):
            while [line.total for line in await admin.status() if line.function == b"aback"] != [0]:  # noqa: ASYNC110 - the server tells no event
                await asyncio.sleep(0.01)


def test_batch_of_the_blocking_client_shares_one_connection(server):
    worker = Worker([server], client_id="w")
    worker.register("breverse", lambda job: job.payload[::-1])
    requests = [job_request("breverse", b"%d!" % number) for number in range(700)]

    with running(worker), Client([server]) as client:
        assert client.do_all(requests) == [request.payload[::-1] for request in requests]


def test_streamed_data_reaches_the_blocking_client(server):
    worker = Worker([server], client_id="w")
    worker.register("bsteps", in_steps)

    with running(worker), Client([server]) as client, client.start("bsteps", b"") as job:
        bodies = [event.body for event in job if isinstance(event, JobData)]

        assert (bodies, job.result()) == ([b"part 1", b"part 2"], b"whole")


def test_jobs_of_one_unique_meet_at_one_server_whoever_submits_them(server, tmp_path: Path):
    with running_memory_server() as other:
        clients = [Client(servers, balance="unique") for servers in ([server, other.address], [other.address, server])]
        uniques = [b"%d" % number for number in range(40)]
        handles = [[client.submit_background("meet", b"", unique=unique) for unique in uniques] for client in clients]
        found = [client.get_status_unique(b"7").known for client in clients]
        for client in clients:
            client.close()
        with Client([other.address]) as client:
            there = sum(client.get_status(handle).known for handle in handles[0])

    assert handles[0] == handles[1]
    assert found == [True, True]
    assert 5 < there < 35


@with_asyncio
async def test_run_of_the_asyncio_worker_outlives_its_killed_server(job_server: JobServerProcess):
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def wait(_job: AsyncRunningJob) -> bytes:
        begun.set()
        await may_end.wait()
        return b"done"

    async with AsyncClient([job_server.address]) as client:
        handle = await client.submit_background("wait", b"")
    async with working(job_server.address, wait=wait):
        await begun.wait()
        job_server.kill9()
        await asyncio.to_thread(job_server.restart)
        may_end.set()
        await asyncio.to_thread(
            eventually, lambda: job_server.job(handle.encode())["status"] == "SUCCESSFUL", SOON_S, "the outcome"
        )

    row = job_server.job(handle.encode())
    assert (row["attempt"], bytes(row["result"])) == (1, b"done")
