"""CHANGE_JOB at a real server: what is answered, and when; what it takes for a number."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import Rescheduled
from tests.support.eventually import eventually
from tests.support.wire_peer import T


def change(client, handle, *, priority=b"", run_at=b"", function=b"", queue=b""):
    client.say(T.CHANGE_JOB, handle, priority, run_at, function, queue)
    return client.expect(T.CHANGE_RES)


def test_job_that_waits_is_put_first(store, client, worker):
    first, second = client.submit_background(b"resize"), client.submit_background(b"resize")

    assert change(client, second, priority=b"70") == [second, b"changed"]

    assert store.unfinished[second].priority == 70
    assert [worker.grab()[0], worker.grab()[0]] == [second, first]


def test_job_is_put_off_and_brought_back(store, client, worker):
    handle = client.submit_background(b"resize")

    assert change(client, handle, run_at=b"4000000000.500000") == [handle, b"changed"]
    assert (store.unfinished[handle].run_at, worker.grab_or_none()) == (4_000_000_000.5, None)
    assert change(client, handle, run_at=b"0") == [handle, b"changed"]

    assert worker.grab()[0] == handle


def test_job_moves_to_another_function(store, client, worker):
    handle = client.submit_background(b"elsewhere")

    assert change(client, handle, function=b"resize", queue="früh".encode()) == [handle, b"changed"]

    assert worker.grab()[0] == handle
    moved = [one for batch in list(store.batches) for one in batch if isinstance(one, Rescheduled)]
    assert [(one.function, one.queue) for one in moved] == [(b"resize", "früh")]


def test_job_that_runs_is_left_alone(client, worker):
    handle = client.submit_background(b"resize")
    worker.grab()

    assert change(client, handle, priority=b"5") == [handle, b"started"]


@pytest.mark.parametrize("handle", [b"H:nobody", b""])
def test_job_that_nobody_knows_is_unknown(client, handle):
    assert change(client, handle, priority=b"5") == [handle, b"unknown"]


def test_answer_waits_for_the_commit(store, client, worker):
    handle = client.submit_background(b"resize")
    store.gate.clear()

    client.say(T.CHANGE_JOB, handle, b"5", b"", b"", b"")
    eventually(lambda: [b for b in list(store.batches) if isinstance(b[0], Rescheduled)], 5.0, "the try to commit")
    worker.expect_quiet()
    with pytest.raises(AssertionError, match="waited in vain"):
        client.next(timeout_s=0.0)
    store.gate.set()

    assert client.expect(T.CHANGE_RES) == [handle, b"changed"]


def test_foreground_job_is_changed_without_a_commit(client, server, worker):
    with server.peer() as submitter:
        submitter.say(T.SUBMIT_JOB, b"resize", b"", b"photo")
        handle = submitter.expect(T.JOB_CREATED)[0]

        assert change(client, handle, priority=b"5") == [handle, b"changed"]


@pytest.mark.parametrize(
    ("priority", "run_at"), [(b"101", b""), (b"high", b""), (b"", b"tomorrow"), (b"", b"-1"), (b"", b"999999999999")]
)
def test_what_is_no_number_is_refused(client, priority, run_at):
    handle = client.submit_background(b"resize")

    client.say(T.CHANGE_JOB, handle, priority, run_at, b"", b"")

    assert client.expect(T.ERROR)[0] == b"INVALID_PACKET"


def test_peer_without_the_extensions_is_refused(server):
    with server.peer() as stock:
        stock.say(T.CHANGE_JOB, b"H:1", b"5", b"", b"", b"")

        assert stock.expect(T.ERROR)[0] == b"INVALID_COMMAND"
