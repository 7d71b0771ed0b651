"""What the admin lines do to the job table of a real server, and to the server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.eventually import eventually
from tests.support.job_server import JobServerProcess
from tests.support.wire_peer import WirePeer

SOON_S = 10.0


@pytest.fixture
def peer(job_server: JobServerProcess) -> Iterator[WirePeer]:
    """A peer on the server's own machine."""
    peer = job_server.peer()
    yield peer
    peer.close()


def say(peer: WirePeer, line: bytes) -> bytes:
    peer.say_raw(line + b"\n")
    return peer.expect_line()


def test_cancelled_job_says_so_in_its_row(job_server: JobServerProcess, peer: WirePeer):
    handle = peer.submit_background(b"resize")

    assert say(peer, b"cancel job " + handle) == b"OK\r\n"

    row = eventually(lambda: (row := job_server.job(handle))["finished_at"] and row, SOON_S, "the row to be written")
    assert (row["status"], row["status_detail"]) == ("FAILED", "cancelled")
    assert row["error_class"] == "gearjobs.errors.JobCancelled"


def test_cancelled_job_does_not_come_back_with_a_restart(job_server: JobServerProcess, peer: WirePeer):
    handle = peer.submit_background(b"resize")
    say(peer, b"cancel job " + handle)

    job_server.terminate()
    job_server.restart()

    again = job_server.peer()
    again.can_do(b"resize")
    assert say(again, b"show jobs") == b".\n"
    again.close()


def test_dropped_function_leaves_no_rows(job_server: JobServerProcess, peer: WirePeer):
    for _ in range(3):
        peer.submit_background(b"resize")
    kept = peer.submit_background(b"mail")

    assert say(peer, b"drop function resize") == b"OK\r\n"

    def handles() -> list[str]:
        return [row["handle"] for row in job_server.rows("SELECT handle FROM gearjobs_job")]

    eventually(lambda: handles() == [kept.decode()], SOON_S, "the rows to be deleted")


def test_shutdown_ends_the_server_without_an_error(job_server: JobServerProcess, peer: WirePeer):
    assert say(peer, b"shutdown") == b"OK\n"

    assert job_server.wait() == 0


def test_graceful_shutdown_ends_the_server_with_its_last_connection(job_server: JobServerProcess, peer: WirePeer):
    worker = job_server.peer()
    worker.can_do(b"resize")
    handle = peer.submit_background(b"resize")
    assert say(peer, b"shutdown graceful") == b"OK\n"
    peer.close()

    assert worker.grab() == (handle, b"payload")
    worker.close()

    assert job_server.wait() == 0
