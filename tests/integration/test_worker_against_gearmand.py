"""Our worker against real job servers, with our client or Debian's giving it jobs."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gearjobs.client.admin_client import AdminClient
from gearjobs.client.client import Client
from gearjobs.servers import ServerAddress
from gearjobs.worker.function_runner import Run
from gearjobs.worker.running_job import RunningJob
from gearjobs.worker.worker import Worker
from tests.support.eventually import eventually
from tests.support.gearmand import free_port, running_gearmand
from tests.support.running_worker import running

#: Seconds anything here may take.
SOON_S = 10.0


@pytest.fixture
def client(any_server: ServerAddress) -> Iterator[Client]:
    with Client([any_server]) as client:
        yield client


def worker_of(*servers: ServerAddress, run: Run, **options) -> Worker:
    worker = Worker(servers, client_id="w1", **options)
    worker.register("f", run)
    return worker


def workers_of(server: ServerAddress) -> int:
    """How many workers can do the function."""
    with AdminClient(server) as admin:
        return sum(line.workers for line in admin.status() if line.function == b"f")


def jobs_of(server: ServerAddress) -> int:
    with AdminClient(server) as admin:
        return sum(line.total for line in admin.status())


def test_waiting_jobs_are_run_one_after_the_other(client, any_server):
    for count in range(100):
        client.submit_background("f", b"%d" % count)
    seen: list[bytes] = []

    def run(job: RunningJob) -> bytes:
        seen.append(job.payload)
        return b""

    with running(worker_of(any_server, run=run)):
        eventually(lambda: jobs_of(any_server) == 0, SOON_S, "every job to be done")

    assert seen == [b"%d" % count for count in range(100)]


def test_sleeping_worker_is_called_for_every_job(client, any_server):
    """Each job finds it asleep; the question it asks by itself, after 10 s, would come too late."""
    with running(worker_of(any_server, run=lambda job: job.payload)):
        for count in range(5):
            assert client.do("f", b"%d" % count, timeout_s=SOON_S / 2) == b"%d" % count


def test_running_job_ends_before_the_worker_stops(client, any_server):
    started, finish = threading.Event(), threading.Event()

    def run(_job: RunningJob) -> bytes:
        started.set()
        assert finish.wait(SOON_S)
        return b"done"

    results: list[bytes] = []
    asking = threading.Thread(target=lambda: results.append(client.do("f", b"", timeout_s=SOON_S)))
    worker = worker_of(any_server, run=run)
    with running(worker):
        asking.start()
        assert started.wait(SOON_S)
        worker.stop()
        finish.set()
        asking.join(SOON_S)

    assert results == [b"done"]


def test_job_given_back_is_run_by_another_worker(client, any_server):
    def give_back(_job: RunningJob) -> bytes:
        raise SystemExit

    results: list[bytes] = []
    asking = threading.Thread(target=lambda: results.append(client.do("f", b"", timeout_s=SOON_S)))
    asking.start()
    with pytest.raises(SystemExit):
        worker_of(any_server, run=give_back).work()
    with running(worker_of(any_server, run=lambda _job: b"done")):
        asking.join(SOON_S)

    assert results == [b"done"]


def test_stopped_worker_is_gone_from_the_server(any_server):
    with running(worker_of(any_server, run=lambda _job: b"")):
        eventually(lambda: workers_of(any_server) == 1, SOON_S, "the worker to be registered")

    eventually(lambda: workers_of(any_server) == 0, SOON_S, "the worker to be gone")


@pytest.mark.interop
def test_worker_serves_two_servers(tmp_path: Path):
    with (
        running_gearmand(tmp_path / "a.log") as a,
        running_gearmand(tmp_path / "b.log") as b,
        running(worker_of(a, b, run=lambda job: job.payload)),
        Client([a]) as client_a,
        Client([b]) as client_b,
    ):
        for count in range(5):
            assert client_a.do("f", b"a%d" % count, timeout_s=SOON_S) == b"a%d" % count
            assert client_b.do("f", b"b%d" % count, timeout_s=SOON_S) == b"b%d" % count


@pytest.mark.interop
def test_worker_outlives_its_server(tmp_path: Path):
    port = free_port()
    address = ServerAddress("127.0.0.1", port)
    with running(worker_of(address, run=lambda job: job.payload)):
        for log in ("first.log", "second.log"):
            with running_gearmand(tmp_path / log, port=port), Client([address]) as client:
                assert client.do("f", b"x", timeout_s=SOON_S) == b"x"


@pytest.mark.interop
@pytest.mark.slow
def test_job_that_takes_longer_than_allowed_is_taken_back(gearmand, caplog):
    runs: list[str] = []
    second = threading.Event()

    def run(job: RunningJob) -> bytes:
        runs.append(job.handle)
        if len(runs) == 1:
            assert second.wait(SOON_S)
        return b"done"

    slow = Worker([gearmand], client_id="slow")
    slow.register("f", run, timeout_s=1.0)
    with Client([gearmand]) as client, running(slow):
        handle = client.submit_background("f", b"")
        eventually(lambda: runs, SOON_S, "the job to be run")
        eventually(lambda: not client.get_status(handle).running, SOON_S, "the job to be taken back")
        second.set()
        eventually(lambda: not client.get_status(handle).known, SOON_S, "the job to be done")

    assert runs == [handle, handle]
    assert "JOB_NOT_FOUND" in caplog.text


@pytest.mark.interop
def test_job_of_debians_client_is_done(any_server):
    program = shutil.which("gearman")
    if program is None:
        pytest.skip("gearman is not installed (Debian: gearman-tools), so its client was not tried")
    command = [program, "-h", any_server.host, "-p", str(any_server.port), "-f", "f", "abc"]

    with running(worker_of(any_server, run=lambda job: job.payload[::-1])):
        done = subprocess.run(command, capture_output=True, timeout=SOON_S)

    assert (done.returncode, done.stdout) == (0, b"cba")
