"""CANCEL_JOB at a real server: who is told what, and when; and the notice that reaches the job's worker."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import Accepted, CancelAsked, Finished, Outcome
from gearjobs.protocol.attributes import CANCELLED, FailureReport, encode
from tests.support.eventually import eventually
from tests.support.wire_peer import T


@pytest.fixture
def running(client, worker):
    """A background job that the worker runs, and may come back to."""
    client.submit_background(b"resize")
    worker.say(T.GRAB_JOB_EXT)
    return worker.expect_body(T.JOB_ASSIGN_EXT).partition(b"\0")[0]


def cancel(client, handle, force=b"0"):
    client.say(T.CANCEL_JOB, handle, force)
    return client.expect(T.CANCEL_RES)


def outcome_of(store, handle):
    return eventually(lambda: store.finished.get(handle), 5.0, "the outcome in the store").outcome


def wait_for_try(store, kind):
    """Wait until a change of this kind is on its way to the store."""
    eventually(lambda: any(isinstance(one, kind) for batch in list(store.batches) for one in batch), 5.0, kind.__name__)


def expect_no_answer(client, other):
    """Prove that the server, which answers somebody else, has not answered this client."""
    other.expect_quiet()
    with pytest.raises(AssertionError, match="waited in vain"):
        client.next(timeout_s=0.0)


def cut_off_worker_of(server, handle):
    """Let the server close the connection of the worker that runs the job."""
    number = server.server._queue.get_status(handle).worker
    server.server._connections[number].close()


def test_job_that_waits_is_cancelled(store, client, worker):
    handle = client.submit_background(b"resize")

    assert cancel(client, handle) == [handle, b"cancelled"]
    assert (store.finished[handle].outcome, worker.grab_or_none()) == (Outcome.CANCELLED, None)


def test_worker_of_a_running_job_is_told_to_stop(store, client, worker, running):
    assert cancel(client, running) == [running, b"asked"]

    assert worker.expect(T.CANCEL_NOTICE) == [running, b"0"]
    assert store.unfinished[running].is_cancel_asked


def test_job_ends_as_its_worker_says(store, client, worker, running):
    cancel(client, running)
    worker.expect(T.CANCEL_NOTICE)

    worker.say(T.WORK_FAIL_EXT, running, encode(FailureReport(message="stopped", outcome=CANCELLED)))

    assert worker.expect(T.OUTCOME_SETTLED) == [running]
    assert outcome_of(store, running) is Outcome.CANCELLED


def test_forced_cancel_ends_a_run_at_once(store, client, worker, running):
    assert cancel(client, running, b"1") == [running, b"cancelled"]

    assert worker.expect(T.CANCEL_NOTICE) == [running, b"1"]
    assert store.finished[running].outcome is Outcome.CANCELLED


def test_worker_without_the_extensions_is_told_nothing(store, server, client):
    handle = client.submit_background(b"resize")
    with server.peer() as stock:
        stock.can_do(b"resize")
        stock.grab()

        assert cancel(client, handle) == [handle, b"cancelled"]
        stock.expect_quiet()


@pytest.mark.parametrize("handle", [b"H:nobody", b""])
def test_job_that_nobody_knows_is_unknown(client, handle):
    assert cancel(client, handle) == [handle, b"unknown"]


def test_answer_that_a_job_is_cancelled_waits_for_its_commit(store, client, worker):
    # It ran after all: its server was lost before it had committed what the client was told already.
    handle = client.submit_background(b"resize")
    store.gate.clear()

    client.say(T.CANCEL_JOB, handle, b"0")
    wait_for_try(store, Finished)
    expect_no_answer(client, worker)
    store.gate.set()

    assert client.expect(T.CANCEL_RES) == [handle, b"cancelled"]


def test_answer_that_a_worker_was_asked_waits_for_the_commit_of_that(store, client, worker, running):
    eventually(lambda: store.unfinished[running].was_running, 5.0, "the start in the store")
    store.gate.clear()

    client.say(T.CANCEL_JOB, running, b"0")
    wait_for_try(store, CancelAsked)
    worker.expect(T.CANCEL_NOTICE)
    expect_no_answer(client, worker)
    store.gate.set()

    assert client.expect(T.CANCEL_RES) == [running, b"asked"]


def test_client_is_not_told_of_a_cancel_that_the_store_did_not_take(server, store, client):
    # It was told `cancelled`; the row was there all the same when the server ended, and the job ran.
    with server.peer() as submitter:
        store.gate.clear()
        submitter.say(T.SUBMIT_JOB_BG, b"resize", b"u1", b"photo")
        wait_for_try(store, Accepted)
        (handle,) = [view.handle for view in server.server._queue.jobs()]

        client.say(T.CANCEL_JOB, handle, b"0")

        # Not before the submitter has waited for as long as it may.
        assert client.expect(T.ERROR)[0] == b"QUEUE_ERROR"
        assert submitter.expect(T.ERROR)[0] == b"QUEUE_ERROR"
        store.gate.set()


def test_wish_that_is_committed_already_is_answered_at_once(client, worker, running):
    cancel(client, running)
    worker.expect(T.CANCEL_NOTICE)

    assert cancel(client, running) == [running, b"asked"]
    assert worker.expect(T.CANCEL_NOTICE) == [running, b"0"]


def test_two_wishes_are_answered_with_one_commit(store, client, worker, running):
    store.gate.clear()
    client.say(T.CANCEL_JOB, running, b"0")
    client.say(T.CANCEL_JOB, running, b"0")
    worker.expect(T.CANCEL_NOTICE)
    store.gate.set()

    assert [client.expect(T.CANCEL_RES), client.expect(T.CANCEL_RES)] == [[running, b"asked"]] * 2


def test_foreground_job_is_cancelled_and_its_client_hears_that_it_failed(server, client):
    with server.peer() as waiting:
        handle = waiting.submit(b"resize")

        assert cancel(client, handle) == [handle, b"cancelled"]
        assert waiting.expect(T.WORK_FAIL) == [handle]


def test_worker_that_comes_back_to_a_job_that_is_to_stop_is_told_so(server, client, worker, running):
    cancel(client, running)
    server.do(lambda: cut_off_worker_of(server, running))
    with server.peer() as again:
        again.use_extensions()
        again.say(T.RESUME_JOB, running, b"1")

        assert again.expect(T.RESUME_RES) == [running, b"1", b"accepted"]
        assert again.expect(T.CANCEL_NOTICE) == [running, b"0"]


def test_peer_without_the_extensions_cannot_cancel(server, client):
    handle = client.submit_background(b"resize")
    with server.peer() as stock:
        stock.say(T.CANCEL_JOB, handle, b"0")

        assert stock.expect(T.ERROR)[0] == b"INVALID_COMMAND"


@pytest.mark.parametrize(
    ("sent", "kept"), [(b"wrong customer", "wrong customer"), (b"a\0b\xff", "a\ufffdb\ufffd"), (b"", "")]
)
def test_reason_for_cancelling_is_recorded(store, client, sent, kept):
    handle = client.submit_background(b"resize")

    client.say(T.CANCEL_FOR_REASON, handle, b"0", sent)

    assert client.expect(T.CANCEL_RES) == [handle, b"cancelled"]
    assert store.finished[handle].cancel_reason == kept


def test_reason_for_stopping_a_run_is_recorded(store, client, running):
    client.say(T.CANCEL_FOR_REASON, running, b"0", b"wrong customer")

    assert client.expect(T.CANCEL_RES) == [running, b"asked"]
    asked = [one for batch in list(store.batches) for one in batch if isinstance(one, CancelAsked)]
    assert [one.reason for one in asked] == ["wrong customer"]
