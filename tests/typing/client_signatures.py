"""What a type checker sees of the clients and workers: run by mypy, not by pytest; see `gear_task_signatures`."""

from __future__ import annotations

from typing import assert_type

from gearjobs import (
    AdminClient,
    Client,
    JobCreated,
    JobData,
    JobProgress,
    JobRequest,
    JobStatus,
    JobWarning,
    RunningJob,
    StartedJob,
    Worker,
    background_request,
    job_request,
)
from gearjobs.aio import AsyncAdminClient, AsyncClient, AsyncRunningJob, AsyncStartedJob, AsyncWorker
from gearjobs.core.submission import CancelVerdict
from gearjobs.errors import GearjobsError, ServerError
from gearjobs.protocol.admin_text import FunctionLine


def blocking_client(client: Client, admin: AdminClient) -> None:
    assert_type(client.do("f", b"", on_event=print), bytes)
    assert_type(client.submit_background("f", b"", unique="u", run_at=1.0), str)
    assert_type(job_request("f", b""), JobRequest)
    assert_type(client.submit_all([background_request("f", b"")]), list[str | ServerError])
    assert_type(client.do_all([job_request("f", b"")], timeout_s=1.0), list[bytes | GearjobsError])
    assert_type(client.get_status("H:1"), JobStatus)
    assert_type(client.cancel("H:1"), CancelVerdict)
    assert_type(admin.status(), list[FunctionLine])
    with client.start("f", b"") as job:
        assert_type(job, StartedJob)
        for event in job:
            assert_type(event, JobCreated | JobProgress | JobData | JobWarning)
        assert_type(job.result(1.0), bytes)


async def asyncio_client(client: AsyncClient, admin: AsyncAdminClient) -> None:
    assert_type(await client.do("f", b"", on_event=print), bytes)
    assert_type(await client.submit_background("f", b"", unique="u", run_at=1.0), str)
    assert_type(await client.submit_all([background_request("f", b"")]), list[str | ServerError])
    assert_type(await client.do_all([job_request("f", b"")], timeout_s=1.0), list[bytes | GearjobsError])
    assert_type(await client.get_status("H:1"), JobStatus)
    assert_type(await client.cancel("H:1"), CancelVerdict)
    assert_type(await admin.status(), list[FunctionLine])
    async with await client.start("f", b"") as job:
        assert_type(job, AsyncStartedJob)
        async for event in job:
            assert_type(event, JobCreated | JobProgress | JobData | JobWarning)
        assert_type(await job.result(1.0), bytes)


async def run_in_the_loop(job: AsyncRunningJob) -> bytes:
    await job.drain()
    return job.payload


def run_in_a_thread(job: AsyncRunningJob) -> bytes:
    return job.payload


def run_blocking(job: RunningJob) -> bytes:
    return job.payload


async def run_without_bytes(job: AsyncRunningJob) -> str:
    return job.handle


def workers(worker: Worker, async_worker: AsyncWorker) -> None:
    worker.register("f", run_blocking)
    worker.register("f", run_in_the_loop)  # type: ignore[arg-type]  # a coroutine needs a loop
    async_worker.register("f", run_in_the_loop)
    async_worker.register("f", run_in_a_thread)
    async_worker.register("f", run_blocking)
    async_worker.register("f", run_without_bytes)  # type: ignore[arg-type]  # results are bytes


def words_are_checked() -> None:
    Client(["a"], balance="unique")
    Client(["a"], balance="random")  # type: ignore[arg-type]  # no such word
    AsyncClient("a:4730", balance="unique")
    AsyncClient(["a"]).do("f", "text")  # type: ignore[arg-type, unused-coroutine]  # payloads are bytes
