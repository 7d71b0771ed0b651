"""Jobs that are ended because they must not start any more."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import Accepted, Finished, JobFailure, Outcome, Requeued
from gearjobs.core.effects import News, NewsKind
from gearjobs.core.jobs import JobHandle
from gearjobs.core.terms import JobTerms
from tests.support.core_builders import NOW, background, make_stored
from tests.support.core_stages import QueueRig

TERMS = JobTerms(expires_at=NOW + 60)


@pytest.fixture
def rig():
    return QueueRig()


def ends(rig):
    return [change for change in rig.take_changes() if isinstance(change, Finished)]


def expired(handle, at=NOW + 60):
    return [Finished(handle, Outcome.EXPIRED, b"", at)]


@pytest.mark.parametrize("run_at", [0.0, NOW + 90])
def test_job_that_has_not_started_in_time_is_ended(rig, run_at):
    handle = rig.submit_background(terms=TERMS, run_at=run_at)

    rig.pass_time(60.0)

    assert (ends(rig), rig.queue.functions()[0].total) == (expired(handle), 0)


def test_job_that_is_not_due_yet_stays(rig):
    rig.submit_background(terms=TERMS)

    rig.pass_time(59.9)

    assert ends(rig) == []


def test_job_whose_acceptance_is_not_committed_expires_behind_it(rig):
    rig.receipt(rig.client(), background(terms=TERMS))

    rig.pass_time(60.0)

    assert [type(change) for change in rig.take_changes()] == [Accepted, Finished]


def test_job_expires_while_stored_jobs_are_held(rig):
    handle = rig.submit_background(terms=TERMS)
    rig.queue.hold_stored()

    rig.pass_time(60.0)
    rig.queue.release_stored(rig.now)

    assert (ends(rig), rig.grab(rig.worker())) == (expired(handle), None)


def test_job_is_never_handed_out_after_its_time_however_late_the_clock_is_looked_at(rig):
    handle, worker = rig.submit_background(terms=TERMS), rig.worker()
    rig.now += 60.0

    assert (rig.grab(worker), ends(rig)) == (None, expired(handle))


def test_job_that_started_in_time_goes_on(rig):
    handle, worker = rig.submit_background(terms=TERMS), rig.worker()
    rig.start(worker)
    rig.pass_time(61.0)
    rig.take_changes()

    rig.complete(worker, handle)

    assert ends(rig) == [Finished(handle, Outcome.SUCCEEDED, b"done", NOW + 61)]


def test_job_that_lost_its_worker_after_its_time_is_not_run_again(rig):
    handle, worker = rig.submit_background(terms=TERMS), rig.worker()
    rig.start(worker)
    rig.pass_time(61.0)

    rig.disconnect(worker)

    failure = JobFailure(message="worker lost at attempt 1, and no retry is left")
    assert ends(rig) == [Finished(handle, Outcome.EXPIRED, b"", NOW + 61, failure)]


def test_job_that_lost_its_worker_in_time_expires_while_it_waits_again(rig):
    handle, worker = rig.submit_background(terms=TERMS), rig.worker()
    rig.start(worker)
    rig.disconnect(worker)

    rig.pass_time(60.0)

    assert ends(rig) == expired(handle)


def test_retry_expires_before_its_time_has_come(rig):
    handle, worker = rig.submit_background(terms=TERMS), rig.heedful_worker()
    rig.start(worker)
    rig.fail_ext(worker, handle, retry_in_s=59.0)
    rig.commit()

    rig.pass_time(60.0)

    assert rig.grab(worker) is None
    assert ends(rig) == expired(handle)


def test_client_that_joined_an_expired_job_hears_that_it_failed(rig):
    client = rig.client()
    handle = rig.receipt(client, background(unique=b"u1", terms=TERMS)).handle
    rig.commit()
    rig.submit(client, unique=b"u1")

    rig.pass_time(60.0)

    assert rig.take_news() == [News(client, NewsKind.FAIL, handle, awaits_store=True)]


def test_unique_of_an_expired_job_is_free(rig):
    rig.submit_background(unique=b"u1", terms=TERMS)

    rig.pass_time(60.0)

    assert not rig.queue.get_status_unique(b"u1").is_known


def test_next_due_is_when_a_job_expires(rig):
    rig.submit_background(terms=TERMS)

    assert rig.queue.next_due() == NOW + 60


def test_restored_job_expires(rig):
    stored = make_stored()
    stored.terms = TERMS
    rig.queue.restore([stored], now=NOW)

    rig.pass_time(60.0)

    assert ends(rig) == expired(stored.handle)


def test_job_that_expired_while_no_server_was_there_is_ended_at_once(rig):
    stored = make_stored()
    stored.terms = JobTerms(expires_at=NOW - 1)
    rig.queue.restore([stored], now=NOW)

    assert (rig.grab(rig.worker()), ends(rig)) == (None, expired(stored.handle, NOW))


def test_job_expires_after_the_clock_was_set_back_while_it_ran(rig):
    handle, worker = rig.submit_background(terms=TERMS), rig.worker()
    rig.start(worker)
    rig.pass_time(70.0)
    rig.now -= 50.0
    rig.queue.clock_set(-50.0)
    rig.disconnect(worker)

    rig.pass_time(40.0)

    assert ends(rig) == expired(handle)


def test_foreground_job_that_a_background_submit_with_terms_joins_expires(rig):
    rig.submit(rig.client(), unique=b"u1")
    rig.receipt(rig.client(), background(unique=b"u1", terms=TERMS))

    rig.pass_time(60.0)

    assert [change.outcome for change in ends(rig)] == [Outcome.EXPIRED]


def test_expired_job_is_no_crash(rig):
    rig.submit_background(terms=TERMS)

    rig.pass_time(60.0)

    assert [change for change in rig.take_changes() if isinstance(change, Requeued)] == []


def test_handle_of_an_expired_job_is_unknown_once_that_is_committed(rig):
    handle = rig.submit_background(terms=TERMS)

    rig.pass_time(60.0)
    rig.commit()

    assert not rig.queue.get_status(JobHandle(handle)).is_known
