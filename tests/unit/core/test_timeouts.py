"""Runs that take longer than their job's terms allow, as far as the server sees it."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import Finished, JobFailure, Outcome, Requeued
from gearjobs.core.deadlines import TIMEOUT_GRACE_S
from gearjobs.core.effects import CancelNotice
from gearjobs.core.reattachment import ResumeVerdict
from gearjobs.core.terms import JobTerms, OnLoss
from gearjobs.errors import JobNotHeld
from tests.support.core_builders import NOW, make_stored_run
from tests.support.core_stages import QueueRig

TERMS = JobTerms(timeout_s=60.0, max_attempts=2)


@pytest.fixture
def rig():
    return QueueRig()


@pytest.fixture
def worker(rig):
    return rig.heedful_worker()


def begin_run(rig, worker, terms=TERMS):
    rig.submit_background(terms=terms)
    handle = rig.start(worker, is_resumable=True)
    rig.effects.clear()
    return handle


def outcomes(rig):
    return [change.outcome for change in rig.take_changes() if isinstance(change, Finished | Requeued)]


def test_worker_that_is_lost_in_time_is_lost(rig, worker):
    begin_run(rig, worker)
    rig.pass_time(59.9)

    rig.disconnect(worker)

    (requeued,) = rig.take_changes()
    assert isinstance(requeued, Requeued)
    assert (requeued.outcome, requeued.is_crash, requeued.lost) == (Outcome.LOST, True, 1)


def test_worker_that_is_lost_after_its_time_ended_the_run_by_force(rig, worker):
    handle = begin_run(rig, worker)
    rig.pass_time(60.0)

    rig.disconnect(worker)

    failure = JobFailure(message="out of time at attempt 1")
    assert rig.take_changes() == [Requeued(handle, False, NOW + 60, 0, 1, failure, Outcome.TIMED_OUT, 0)]


def test_job_that_must_not_run_twice_after_a_loss_may_after_a_timeout(rig, worker):
    begin_run(rig, worker, JobTerms(timeout_s=60.0, max_attempts=2, on_lost=OnLoss.FAIL))
    rig.pass_time(60.0)

    rig.disconnect(worker)

    assert [type(change) for change in rig.take_changes()] == [Requeued]


def test_last_attempt_that_took_too_long_ends_the_job(rig, worker):
    handle = begin_run(rig, worker, JobTerms(timeout_s=60.0))
    rig.pass_time(60.0)

    rig.disconnect(worker)

    failure = JobFailure(message="out of time at attempt 1, and no retry is left")
    assert rig.take_changes() == [Finished(handle, Outcome.TIMED_OUT, b"", NOW + 60, failure)]


def test_run_that_its_worker_does_not_end_is_taken_from_it(rig, worker):
    handle = begin_run(rig, worker)
    rig.pass_time(60.0 + TIMEOUT_GRACE_S - 0.1)
    before = outcomes(rig)

    rig.pass_time(0.1)

    assert (before, outcomes(rig), rig.take_notices()) == (
        [],
        [Outcome.TIMED_OUT],
        [CancelNotice(worker, handle, True)],
    )


def test_worker_whose_run_was_taken_from_it_reports_to_nobody(rig, worker):
    handle = begin_run(rig, worker, JobTerms(timeout_s=60.0))
    rig.pass_time(60.0 + TIMEOUT_GRACE_S)

    with pytest.raises(JobNotHeld):
        rig.complete(worker, handle)


def test_worker_of_another_library_is_told_nothing(rig):
    begin_run(rig, rig.worker())

    rig.pass_time(60.0 + TIMEOUT_GRACE_S)

    assert (rig.take_notices(), outcomes(rig)) == ([], [Outcome.TIMED_OUT])


def test_worker_that_went_to_sleep_with_the_job_is_not_let_off(rig, worker):
    begin_run(rig, worker)
    rig.queue.pre_sleep(worker, now=rig.now)

    rig.pass_time(60.0 + TIMEOUT_GRACE_S)

    assert outcomes(rig) == [Outcome.TIMED_OUT]


def test_time_of_a_job_is_moved_with_the_clock(rig, worker):
    begin_run(rig, worker)
    rig.now += 3600.0
    rig.queue.clock_set(3600.0)

    rig.disconnect(worker)

    assert outcomes(rig) == [Outcome.LOST]


def test_run_that_came_back_from_a_lost_server_has_all_its_time_again(rig, worker):
    stored = make_stored_run()
    stored.terms = TERMS
    rig.queue.restore([stored], now=NOW)
    rig.pass_time(30.0)
    verdict = rig.resume(worker, stored.handle)

    rig.pass_time(60.0 + TIMEOUT_GRACE_S - 0.1)
    before = outcomes(rig)
    rig.pass_time(0.1)

    assert (verdict, before, outcomes(rig)) == (ResumeVerdict.ACCEPTED, [], [Outcome.TIMED_OUT])


def test_run_that_came_back_to_its_server_has_the_time_that_was_left(rig, worker):
    handle = begin_run(rig, worker)
    rig.pass_time(30.0)
    rig.disconnect(worker, was_cut=True)
    rig.resume(rig.heedful_worker(), handle)

    rig.pass_time(30.0 + TIMEOUT_GRACE_S)

    assert outcomes(rig) == [Outcome.TIMED_OUT]


def test_run_whose_connection_was_cut_is_ended_in_time_too(rig, worker):
    begin_run(rig, worker, JobTerms(timeout_s=5.0))
    rig.disconnect(worker, was_cut=True)

    rig.pass_time(5.0 + TIMEOUT_GRACE_S)

    assert outcomes(rig) == [Outcome.TIMED_OUT]


def test_restored_run_whose_worker_never_comes_back_is_lost(rig):
    stored = make_stored_run()
    stored.terms = JobTerms(timeout_s=5.0)
    rig.queue.restore([stored], now=NOW)

    rig.pass_time(40.0)

    assert outcomes(rig) == [Outcome.LOST]
