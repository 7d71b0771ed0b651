"""Clients and workers of other libraries, every one with every other, through the real `manage.py runjobserver`."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gearjobs.client.client import Client
from gearjobs.errors import JobFailed
from tests.support.eventually import eventually
from tests.support.foreign_peers import FOREIGN_PEERS, ForeignWorker, running_foreign_worker, talk
from tests.support.job_server import JobServerProcess
from tests.support.terminal_programs import Ran, at, run_stock

pytestmark = [pytest.mark.interop, pytest.mark.slow]

#: Seconds a job of these tests may take.
SOON_S = 20.0
#: Every byte, and longer than one read of anybody's: 3 MiB.
LARGE_PAYLOAD = bytes(range(256)) * (3 * 4096)

EACH_WORKER = pytest.mark.parametrize("worker", list(FOREIGN_PEERS), indirect=True)
EACH_CLIENT = pytest.mark.parametrize("client_name", list(FOREIGN_PEERS))


@pytest.fixture(scope="module")
def server(migrated_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobServerProcess]:
    """One job server for all: each worker's functions are its own."""
    server = JobServerProcess(tmp_path_factory.mktemp("interop"))
    shutil.copy(migrated_database, server.database)
    server.start()
    yield server
    server.clean_up()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="module")
def worker(request: pytest.FixtureRequest, server: JobServerProcess, directory: Path) -> Iterator[ForeignWorker]:
    """The library's worker, which must outlive all that is done with it."""
    peer = FOREIGN_PEERS[request.param]
    peer.require()
    with running_foreign_worker(peer, directory, server=server.address, prefix=peer.name) as worker:
        yield worker
        worker.assert_alive()


@pytest.fixture
def ours(server: JobServerProcess) -> Iterator[Client]:
    with Client([server.address]) as client:
        yield client


@EACH_CLIENT
@EACH_WORKER
def test_client_hears_all_that_the_worker_says(client_name, worker, server, directory):
    peer = FOREIGN_PEERS[client_name]
    peer.require()

    *heard, background, end = talk(peer, directory, server=server.address, prefix=worker.prefix)

    assert heard == [
        "status 1/4",
        "data part",
        "warning careful",
        "complete HELLO",
        "exception it broke",
        "fail",
    ]
    assert (background.split()[0], end) == ("background", "ended")


@EACH_CLIENT
@EACH_WORKER
def test_background_job_and_its_result_are_in_the_job_table(client_name, worker, server, directory):
    peer = FOREIGN_PEERS[client_name]
    peer.require()

    *_, background, _ = talk(peer, directory, server=server.address, prefix=worker.prefix)

    row = server.job(background.removeprefix("background ").encode())
    assert (row["status"], row["status_detail"], row["result"]) == ("SUCCESSFUL", "succeeded", b"HELLO")
    assert (row["function"], row["payload"], row["attempt"]) == (f"{worker.prefix}-shout", b"hello", 1)
    assert (row["progress_numerator"], row["progress_denominator"]) == (1.0, 4.0)


@EACH_WORKER
def test_worker_is_given_every_byte_of_a_large_payload_and_hands_every_byte_in(worker, ours):
    assert ours.do(f"{worker.prefix}-shout", LARGE_PAYLOAD, timeout_s=SOON_S) == LARGE_PAYLOAD.upper()


@EACH_WORKER
@pytest.mark.parametrize(
    ("function", "message"), [("raise", "it broke"), ("refuse", "the worker reported WORK_FAIL without a reason")]
)
def test_failed_background_job_is_in_the_job_table(function, message, worker, server, ours):
    handle = ours.submit_background(f"{worker.prefix}-{function}", b"hello")

    def ended() -> dict[str, object]:
        row = server.job(handle.encode())
        return row if row["finished_at"] else {}

    row = eventually(ended, SOON_S, f"the end of {handle}")
    assert (row["status"], row["status_detail"]) == ("FAILED", "failed")
    assert row["error_message"] == message


@EACH_WORKER
def test_worker_goes_on_after_a_job_that_raised(worker, ours):
    with pytest.raises(JobFailed):
        ours.do(f"{worker.prefix}-raise", b"hello", timeout_s=SOON_S)

    assert ours.do(f"{worker.prefix}-shout", b"hello", timeout_s=SOON_S) == b"HELLO"


@EACH_WORKER
def test_empty_result_is_a_result(worker, ours):
    # Perl's worker may leave the argument out.
    assert ours.do(f"{worker.prefix}-shout", b"", timeout_s=SOON_S) == b""


@EACH_WORKER
def test_gearmands_tool_hears_all_that_the_worker_says(worker, server):
    words = [*at(server.address), "-f"]

    assert run_stock("gearman", [*words, f"{worker.prefix}-shout", "hello"]) == Ran(
        0, b"partHELLO25% Complete\n", b"careful"
    )
    for function in ("raise", "refuse"):
        assert run_stock("gearman", [*words, f"{worker.prefix}-{function}", "hello"]) == Ran(1, b"", b"Job failed\n")


@EACH_WORKER
@pytest.mark.parametrize(("function", "end"), [("shout", "succeeded"), ("raise", "failed"), ("refuse", "failed")])
def test_background_job_of_gearmands_tool_is_in_the_job_table(function, end, worker, server):
    words = [*at(server.address), "-b", "-v", "-f", f"{worker.prefix}-{function}"]

    handle = run_stock("gearman", [*words, "hello"]).stdout.removeprefix(b"Task created: ").strip()

    row = eventually(lambda: (row := server.job(handle))["finished_at"] and row, SOON_S, f"the end of {handle!r}")
    assert (row["status_detail"], row["payload"]) == (end, b"hello")


@pytest.fixture(scope="module")
def tool_worker(server: JobServerProcess) -> Iterator[str]:
    """Work with gearmand's tool: a command for each function; returns the beginning of their names."""
    commands = {"shout": ["tr", "a-z", "A-Z"], "raise": ["false"], "refuse": ["false"]}
    run_stock("gearman", ["-H"])
    processes = [
        subprocess.Popen(
            ["gearman", *at(server.address), "-w", "-f", f"tool-{name}", "--", *command], stderr=subprocess.DEVNULL
        )
        for name, command in commands.items()
    ]
    yield "tool"
    for process in processes:
        process.kill()
        process.wait(SOON_S)


@EACH_CLIENT
def test_gearmands_tool_works_for_every_client(client_name, tool_worker, server, directory):
    peer = FOREIGN_PEERS[client_name]
    peer.require()

    *heard, background, end = talk(peer, directory, server=server.address, prefix=tool_worker)

    assert (heard, end) == (["complete HELLO", "fail", "fail"], "ended")
    row = server.job(background.removeprefix("background ").encode())
    assert (row["status_detail"], row["result"]) == ("succeeded", b"HELLO")


def test_failed_background_job_of_gearmands_tool_is_in_the_job_table(tool_worker, server, ours):
    handle = ours.submit_background(f"{tool_worker}-refuse", b"hello").encode()

    row = eventually(lambda: (row := server.job(handle))["finished_at"] and row, SOON_S, f"the end of {handle!r}")
    assert (row["status_detail"], row["error_message"]) == ("failed", "the worker reported WORK_FAIL without a reason")


@pytest.mark.parametrize("name", list(FOREIGN_PEERS))
def test_job_of_a_killed_worker_runs_in_the_next(name, new_job_server: Callable[..., JobServerProcess], tmp_path):
    peer = FOREIGN_PEERS[name]
    peer.require()
    server = new_job_server()
    server.start()
    with server.peer() as lost:
        lost.can_do(f"{name}-shout".encode())
        handle = lost.submit_background(f"{name}-shout".encode(), b"hello")
        lost.grab()

    with running_foreign_worker(peer, tmp_path, server=server.address, prefix=name):
        eventually(lambda: server.job(handle)["result"] == b"HELLO", SOON_S, "the result")

    assert server.job(handle)["attempt"] == 2
