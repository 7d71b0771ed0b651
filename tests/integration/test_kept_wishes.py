"""What submitters and clients want of jobs holds at a real server and its database, through a kill."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from gearjobs.client.client import Client
from gearjobs.core.submission import CancelVerdict
from gearjobs.protocol.attributes import CANCELLED, FailureReport, SubmitAttributes, decode_assign, encode
from tests.support.eventually import eventually
from tests.support.job_server import JobServerProcess
from tests.support.wire_peer import T, WirePeer

#: Seconds until an outcome is in the table.
COMMIT_TIMEOUT_S = 20.0
HANDLE = b"H:wishes:1"


@pytest.fixture
def server(new_job_server: Callable[..., JobServerProcess]) -> JobServerProcess:
    # A worker may take its time to come back.
    server = new_job_server("--reattach", "20")
    server.start()
    return server


@pytest.fixture
def client(server):
    with server.peer() as peer:
        peer.use_extensions()
        yield peer


def new_worker(server, *, name=b"press"):
    peer = server.peer()
    peer.use_extensions()
    peer.say(T.SET_CLIENT_ID, name)
    peer.can_do(b"resize")
    return peer


def submit(client, **terms):
    client.say(T.SUBMIT_JOB_EXT, HANDLE, b"resize", b"", encode(SubmitAttributes(terms=terms)), b"photo")
    client.expect(T.JOB_CREATED)


def grab(worker: WirePeer) -> int:
    """Take the job that must be there, and return the number of the run."""
    worker.say(T.GRAB_JOB_EXT)
    return decode_assign(worker.expect_body(T.JOB_ASSIGN_EXT).split(b"\0", 4)[3]).attempt


def outcome_of(server):
    return eventually(
        lambda: (row := server.job(HANDLE))["finished_at"] and row, COMMIT_TIMEOUT_S, "the outcome in the table"
    )


def test_failed_job_runs_again_though_its_server_is_killed_meanwhile(server, client):
    # Given: a run that failed, and is to be tried again; its worker was told that this is kept.
    submit(client)
    with new_worker(server) as worker:
        assert grab(worker) == 1
        worker.say(T.WORK_FAIL_EXT, HANDLE, encode(FailureReport("shop.NoPaper", "empty", retry_in_s=2.0)))
        assert worker.expect(T.OUTCOME_SETTLED) == [HANDLE]
        failed_at = time.time()
        assert server.job(HANDLE)["status_detail"] == "retrying"

        # When
        server.kill9()
    server.restart()

    # Then: it runs again when its time has come.
    with new_worker(server) as worker:
        worker.say(T.PRE_SLEEP)
        worker.expect(T.NOOP)
        assert (grab(worker), time.time() - failed_at >= 1.9) == (2, True)
        worker.say(T.WORK_COMPLETE, HANDLE, b"thumb")
        worker.expect(T.OUTCOME_SETTLED)
    assert (outcome_of(server)["status_detail"], server.job(HANDLE)["attempt"]) == ("succeeded", 2)
    attempts = server.rows("SELECT number, outcome, error_class FROM gearjobs_jobattempt")
    assert attempts == [{"number": 1, "outcome": "failed", "error_class": "shop.NoPaper"}]


def test_running_job_is_still_to_stop_after_its_server_was_killed(server, client):
    # Given: a running job whose client was told that its worker was asked to stop it.
    submit(client)
    with new_worker(server) as worker, Client([server.address]) as canceller:
        grab(worker)
        assert canceller.cancel(HANDLE) is CancelVerdict.ASKED
        assert worker.expect(T.CANCEL_NOTICE) == [HANDLE, b"0"]
        assert server.job(HANDLE)["cancel_asked_at"] is not None

        # When
        server.kill9()
    server.restart()

    # Then: the worker hears it again, and the job ends as it says.
    with new_worker(server) as worker:
        worker.say(T.RESUME_JOB, HANDLE, b"1")
        assert worker.expect(T.RESUME_RES) == [HANDLE, b"1", b"accepted"]
        assert worker.expect(T.CANCEL_NOTICE) == [HANDLE, b"0"]
        worker.say(T.WORK_FAIL_EXT, HANDLE, encode(FailureReport(message="stopped", outcome=CANCELLED)))
        worker.expect(T.OUTCOME_SETTLED)
    assert server.job(HANDLE)["status_detail"] == "cancelled"


def test_job_that_was_cancelled_does_not_run_after_a_kill(server, client):
    submit(client)
    with Client([server.address]) as canceller:
        assert canceller.cancel(HANDLE) is CancelVerdict.CANCELLED

    server.kill9()
    server.restart()

    with new_worker(server) as worker:
        assert worker.grab_or_none() is None
    assert server.job(HANDLE)["status_detail"] == "cancelled"


def test_job_that_expires_while_no_server_is_there_is_never_started(server, client):
    submit(client, expires_at=time.time() + 0.5)
    server.kill9()
    eventually(lambda: server.job(HANDLE)["status"] == "READY", COMMIT_TIMEOUT_S, "the row")

    server.restart()

    with new_worker(server) as worker:
        assert eventually(lambda: worker.grab_or_none() is None, COMMIT_TIMEOUT_S, "an answer")
    assert outcome_of(server)["status_detail"] == "expired"


def test_poison_job_takes_so_many_workers_and_no_more_and_says_why(server, client):
    submit(client, max_lost=2)
    for number in (1, 2):
        worker = new_worker(server)
        if number == 2:
            worker.say(T.PRE_SLEEP)
            worker.expect(T.NOOP)
        assert grab(worker) == number
        worker.close()
    row = outcome_of(server)
    client.say(T.LOSS_REPORT, HANDLE, b"2", b"killed by SIGSEGV")

    assert row["status_detail"] == "dead"
    eventually(lambda: "SIGSEGV" in server.job(HANDLE)["error_message"], COMMIT_TIMEOUT_S, "the cause in the table")
    with new_worker(server) as worker:
        assert worker.grab_or_none() is None


def test_job_that_must_not_run_twice_is_lost_with_its_worker(server, client):
    submit(client, on_lost="fail")
    worker = new_worker(server)
    grab(worker)
    worker.close()

    assert outcome_of(server)["status_detail"] == "lost"


def test_run_that_its_worker_does_not_end_is_taken_from_it(server, client):
    submit(client, timeout_s=0.2)
    with new_worker(server) as worker:
        grab(worker)

        assert worker.expect(T.CANCEL_NOTICE, timeout_s=20.0) == [HANDLE, b"1"]
    assert outcome_of(server)["status_detail"] == "timed_out"
