"""Our client against real job servers, with our worker or Debian's doing the jobs."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gearjobs.client.admin_client import AdminClient
from gearjobs.client.client import Client
from gearjobs.client.in_flight import JobCreated, JobData, JobEvent, JobProgress, JobWarning
from gearjobs.errors import DeadlineExceeded, JobFailed, ServerUnavailable
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


@contextmanager
def working(server: ServerAddress, **runs: Run) -> Iterator[None]:
    """Have a worker do these functions."""
    worker = Worker([server], client_id="w1", regrab_s=0.1)
    for function, run in runs.items():
        worker.register(function, run)
    with running(worker):
        yield


def test_submitted_job_waits_for_a_worker(client, any_server):
    handle = client.submit_background("resize", b"p")

    status = client.get_status(handle)
    assert (status.known, status.running) == (True, False)
    with AdminClient(any_server) as admin:
        assert [(line.function, line.total, line.running) for line in admin.status()] == [(b"resize", 1, 0)]


def test_jobs_of_one_unique_are_one_job(client):
    first = client.submit_background("resize", b"p", unique="u")

    assert client.submit_background("resize", b"p", unique="u") == first
    assert client.submit_background("crop", b"p", unique="u") != first
    assert client.get_status_unique("u").known


def test_job_of_a_higher_priority_runs_first(client, any_server):
    order: list[bytes] = []
    for priority in (-10, 0, 10):
        client.submit_background("note", b"%d" % priority, priority=priority)

    def note(job: RunningJob) -> bytes:
        order.append(job.payload)
        return b""

    with working(any_server, note=note):
        eventually(lambda: len(order) == 3, SOON_S, "three jobs to be run")

    assert order == [b"10", b"0", b"-10"]


@pytest.mark.slow
def test_job_does_not_run_before_its_time(client, any_server):
    ran_at: list[float] = []
    run_at = time.time() + 0.5

    def note(_job: RunningJob) -> bytes:
        ran_at.append(time.time())
        return b""

    with working(any_server, note=note):
        client.submit_background("note", b"", run_at=run_at)
        eventually(lambda: ran_at, SOON_S, "the job to be run")

    assert ran_at[0] >= run_at


def test_foreground_job_tells_what_happens_and_returns_its_result(client, any_server):
    heard: list[JobEvent] = []

    def report(job: RunningJob) -> bytes:
        job.send_progress(1, 2, "half")
        job.send_data(b"a\0b")
        job.send_warning(b"hm")
        return job.payload[::-1]

    with working(any_server, report=report):
        assert client.do("report", b"abc", timeout_s=SOON_S, on_event=heard.append) == b"cba"

    created, *others = heard
    assert isinstance(created, JobCreated)
    handle = created.handle
    assert others == [JobProgress(handle, 1, 2), JobData(handle, b"a\0b"), JobWarning(handle, b"hm")]


def test_foreground_job_that_fails_names_class_and_message(client, any_server):
    def fail(_job: RunningJob) -> bytes:
        raise ValueError("größe")

    with working(any_server, fail=fail):
        for _ in range(3):
            with pytest.raises(JobFailed) as failure:
                client.do("fail", b"", timeout_s=SOON_S)

    assert (failure.value.class_path, failure.value.message) == ("builtins.ValueError", "größe")


def test_running_job_tells_how_far_it_is(client, any_server):
    finish = threading.Event()

    def wait(job: RunningJob) -> bytes:
        job.send_progress(3, 10)
        assert finish.wait(SOON_S)
        return b""

    with working(any_server, wait=wait):
        handle = client.submit_background("wait", b"")
        status = eventually(
            lambda: (found := client.get_status(handle)).denominator and found, SOON_S, "progress to be known"
        )
        finish.set()
        eventually(lambda: not client.get_status(handle).known, SOON_S, "the job to be forgotten")

    assert (status.running, status.numerator, status.denominator) == (True, 3, 10)


def test_large_payloads_come_back_as_they_went(client, any_server):
    payload = bytes(range(256)) * 20_000

    with working(any_server, echo=lambda job: job.payload):
        assert client.do("echo", payload, timeout_s=SOON_S) == payload
    assert client.echo(payload) == payload


def test_threads_share_a_client(client, any_server):
    wrong: list[bytes] = []

    def ask(name: bytes) -> None:
        for count in range(25):
            payload = b"%s %d" % (name, count)
            if client.do("echo", payload, timeout_s=SOON_S) != payload:
                wrong.append(payload)

    with working(any_server, echo=lambda job: job.payload):
        threads = [threading.Thread(target=ask, args=(b"%d" % index,)) for index in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SOON_S)

    assert not any(thread.is_alive() for thread in threads)
    assert not wrong


def test_foreground_job_nobody_does_is_given_up(client):
    with pytest.raises(DeadlineExceeded):
        client.do("nobody", b"", timeout_s=0.1)

    assert client.echo(b"x") == b"x"


def test_admin_client_sees_workers_and_their_functions(any_server):
    def functions() -> list[set[bytes]]:
        with AdminClient(any_server) as admin:
            return [set(line.functions) for line in admin.workers() if line.client_id == b"w1"]

    with working(any_server, resize=lambda job: b"", crop=lambda job: b""):
        eventually(lambda: functions() == [{b"resize", b"crop"}], SOON_S, "the worker to be listed")


def test_admin_client_reads_every_list(client, any_server):
    handle = client.submit_background("resize", b"p", priority=1)

    with AdminClient(any_server) as admin:
        assert [(line.high, line.normal, line.low) for line in admin.priority_status()] == [(1, 0, 0)]
        assert [line.handle.decode() for line in admin.jobs()] == [handle]
        assert admin.version()
        assert admin.command("no-such-command").startswith(b"ERR UNKNOWN_COMMAND")


@pytest.mark.interop
def test_stock_server_has_no_extensions_and_makes_its_own_handles(gearmand):
    with Client([gearmand]) as client:
        assert not client.has_extensions
        assert not client.adopt_jobs()
        assert client.submit_background("resize", b"p", handle="H:mine:1").startswith("H:")


@pytest.mark.interop
def test_client_finds_its_server_again_after_a_restart(tmp_path: Path):
    port = free_port()
    with Client([ServerAddress("127.0.0.1", port)]) as client:
        with running_gearmand(tmp_path / "first.log", port=port):
            client.submit_background("resize", b"p")
        with pytest.raises(ServerUnavailable):
            client.submit_background("resize", b"p")
        with running_gearmand(tmp_path / "second.log", port=port):
            handle = client.submit_background("resize", b"p")
            assert client.get_status(handle).known


@pytest.mark.interop
def test_job_is_done_by_debians_worker(client, any_server):
    program = shutil.which("gearman")
    if program is None:
        pytest.skip("gearman is not installed (Debian: gearman-tools), so its worker was not tried")
    command = [program, "-h", any_server.host, "-p", str(any_server.port), "-w", "-c", "1", "-f", "copy", "cat"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as worker:
        try:
            assert client.do("copy", b"12345", timeout_s=SOON_S) == b"12345"
        finally:
            worker.kill()
