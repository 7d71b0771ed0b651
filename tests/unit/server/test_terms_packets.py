"""What a job's terms mean on the wire: read, told to its worker, and what its worker reports by them."""

from __future__ import annotations

import time
from itertools import chain

import pytest

from gearjobs.core.changes import Explained, Outcome
from gearjobs.core.terms import JobTerms
from gearjobs.protocol.attributes import TIMED_OUT, FailureReport, SubmitAttributes, decode_assign, encode
from tests.support.eventually import eventually
from tests.support.wire_peer import T

HANDLE = b"H:me:1"


def submit(client, **terms):
    client.say(T.SUBMIT_JOB_EXT, HANDLE, b"resize", b"", encode(SubmitAttributes(terms=terms)), b"photo")
    client.expect(T.JOB_CREATED)


def grab(worker):
    worker.say(T.GRAB_JOB_EXT)
    return decode_assign(worker.expect_body(T.JOB_ASSIGN_EXT).split(b"\0", 4)[3])


def fail(worker, **report):
    worker.say(T.WORK_FAIL_EXT, HANDLE, encode(FailureReport("shop.NoPaper", "empty", **report)))


def test_terms_are_kept_as_they_are_written(store, client):
    submit(client, max_attempts=3, later=True, timeout_s=0)

    assert store.unfinished[HANDLE].terms == JobTerms(max_attempts=3)
    (accepted,) = store.batches[0]
    assert accepted.details.terms == {"max_attempts": 3}


def test_terms_that_cannot_be_read_are_refused(client):
    client.say(T.SUBMIT_JOB_EXT, HANDLE, b"resize", b"", b'{"terms":{"timeout_s":-1}}', b"photo")

    code, text = client.expect(T.ERROR)
    assert (code, text[:48]) == (b"INVALID_PACKET", b"SUBMIT_JOB_EXT terms: timeout_s must be seconds ")


def test_worker_is_told_how_long_the_job_may_run(client, worker):
    submit(client, timeout_s=60, soft_timeout_s=50.5)

    said = grab(worker)

    assert (said.timeout_s, said.soft_timeout_s, said.lost) == (60.0, 50.5, 0)


def test_worker_is_told_how_many_runs_were_lost(server, client, worker):
    submit(client)
    with server.peer() as lost:
        lost.use_extensions()
        lost.can_do(b"resize")
        grab(lost)
    worker.say(T.PRE_SLEEP)
    worker.expect(T.NOOP)

    said = grab(worker)

    assert (said.attempt, said.lost) == (2, 1)


def test_failed_job_runs_again_and_its_worker_may_forget_the_failure(store, client, worker):
    submit(client)
    grab(worker)
    fail(worker, retry_in_s=0.0)

    assert worker.expect(T.OUTCOME_SETTLED) == [HANDLE]
    assert grab(worker).attempt == 2
    assert [change.failure.class_path for change in store.attempts[HANDLE]] == ["shop.NoPaper"]


def test_failed_job_waits_until_its_time(store, client, worker):
    submit(client)
    grab(worker)
    began_at = time.time()
    fail(worker, retry_in_s=0.3)
    worker.expect(T.OUTCOME_SETTLED)
    worker.say(T.PRE_SLEEP)
    worker.expect(T.NOOP)

    assert time.time() - began_at >= 0.29
    assert grab(worker).attempt == 2


def test_status_says_that_the_job_runs_until_its_failure_is_committed(store, client, worker):
    submit(client)
    grab(worker)
    store.gate.clear()
    fail(worker, retry_in_s=30.0)
    worker.say(T.ECHO_REQ, b"read")
    worker.expect(T.ECHO_RES)

    client.say(T.GET_STATUS, HANDLE)
    before = client.expect(T.STATUS_RES)[1:3]
    store.gate.set()
    worker.expect(T.OUTCOME_SETTLED)
    client.say(T.GET_STATUS, HANDLE)

    assert (before, client.expect(T.STATUS_RES)[1:3]) == ([b"1", b"1"], [b"1", b"0"])


def test_run_that_took_too_long_ends_as_such(store, client, worker):
    submit(client)
    grab(worker)
    fail(worker, outcome=TIMED_OUT)
    worker.expect(T.OUTCOME_SETTLED)

    assert store.finished[HANDLE].outcome is Outcome.TIMED_OUT


def test_job_that_expired_is_not_handed_out(store, client, worker):
    submit(client, expires_at=time.time() - 1)

    assert worker.grab_or_none() is None
    assert eventually(lambda: store.finished.get(HANDLE), 5.0, "the outcome").outcome is Outcome.EXPIRED


def test_what_became_of_a_worker_is_recorded(store, client):
    client.say(T.LOSS_REPORT, b"H:elsewhere", b"3", b"killed by SIGKILL\0" + b"x" * 2000)

    def found():
        return [change for change in chain.from_iterable(list(store.batches)) if isinstance(change, Explained)]

    (explained,) = eventually(found, 5.0, "the cause in the store")
    assert (explained.handle, explained.attempt, len(explained.cause)) == (b"H:elsewhere", 3, 1000)
    assert explained.cause.startswith("killed by SIGKILL\ufffdx")


@pytest.mark.parametrize("handle", [b"", b"H:\xff", b"H" * 64])
def test_cause_of_what_is_no_handle_is_refused(client, handle):
    # It reached the store, at which it was a bug: three of them, and the store counted as down.
    client.say(T.LOSS_REPORT, handle, b"1", b"killed by SIGKILL")

    code, text = client.expect(T.ERROR)
    assert (code, text[:28]) == (b"INVALID_PACKET", b"LOSS_REPORT wants a handle o")


@pytest.mark.parametrize("packet", [(T.LOSS_REPORT, HANDLE, b"1", b"lost"), (T.CANCEL_JOB, HANDLE, b"0")])
def test_peer_without_the_extensions_may_not_say_so(server, packet):
    with server.peer() as stock:
        stock.say(*packet)

        assert stock.expect(T.ERROR)[0] == b"INVALID_COMMAND"
