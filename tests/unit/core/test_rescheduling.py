"""Another place in the line for a job that does not run, at another priority, time or function."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import Hastened, JobDetails, Rescheduled
from gearjobs.core.job_queue import QueueRules
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.core.rescheduling import Wish
from gearjobs.core.submission import ChangeVerdict, Submission
from gearjobs.core.terms import JobTerms, Limit
from tests.support.core_builders import MAIL, NOW, RESIZE
from tests.support.core_stages import QueueRig

NONE = FunctionName(b"")


@pytest.fixture
def rig():
    return QueueRig()


def change(rig, handle, **wish):
    """Ask for a change; return the verdict and what was recorded."""
    rig.take_changes()
    receipt = rig.queue.change_job(JobHandle(handle), Wish(**wish), now=rig.now)
    changes = rig.take_changes()
    assert receipt.awaits_store == bool(changes)
    return receipt.verdict, changes


def said_of(rig, handle, **wish):
    verdict, changes = change(rig, handle, **wish)
    return verdict, len(changes)


def test_waiting_job_comes_first_at_a_higher_priority(rig):
    first, second = rig.submit_background(), rig.submit_background()

    verdict, changes = change(rig, second, priority=70)

    assert (verdict, changes) == (ChangeVerdict.CHANGED, [Rescheduled(second, 70, 0.0, NOW)])
    assert rig.drain(rig.worker()) == [second, first]


def test_waiting_job_waits_as_long_as_it_has_whatever_its_priority(rig):
    handle = rig.submit_background()
    rig.pass_time(9.0)

    change(rig, handle, priority=-7)

    assert rig.queue.loads()[0].oldest_queued_at == NOW


def test_waiting_job_may_be_put_off(rig):
    worker, handle = rig.worker(), rig.submit_background()

    verdict, changes = change(rig, handle, run_at=NOW + 60)

    assert (verdict, changes) == (ChangeVerdict.CHANGED, [Rescheduled(handle, 0, NOW + 60, NOW)])
    assert rig.grab(worker) is None
    rig.pass_time(60.0)
    assert rig.grab(worker) == handle


def test_scheduled_job_may_run_at_once_and_calls_a_worker(rig):
    worker, handle = rig.sleeper(), rig.submit_background(run_at=NOW + 60)

    change(rig, handle, run_at=0.0)

    assert (rig.take_woken(), rig.grab(worker)) == ([worker], handle)
    rig.pass_time(60.0)
    assert rig.grab(worker) is None


def test_scheduled_job_may_run_earlier_and_later(rig):
    worker, handle = rig.worker(), rig.submit_background(run_at=NOW + 60)

    change(rig, handle, run_at=NOW + 30)
    change(rig, handle, run_at=NOW + 90)

    rig.pass_time(60.0)
    assert rig.grab(worker) is None
    rig.pass_time(30.0)
    assert rig.grab(worker) == handle


def test_job_that_runs_again_later_may_run_again_at_once(rig):
    worker, handle = rig.heedful_worker(), rig.submit_background()
    rig.start(worker)
    rig.fail_ext(worker, handle, retry_in_s=60.0)
    rig.commit()

    verdict, (rescheduled,) = change(rig, handle, run_at=0.0)

    assert (verdict, rescheduled.has_run, rig.grab(worker)) == (ChangeVerdict.CHANGED, True, handle)


def test_job_moves_to_another_function(rig):
    handle = rig.submit_background()

    verdict, changes = change(rig, handle, function=MAIL, queue="post")

    assert (verdict, changes) == (ChangeVerdict.CHANGED, [Rescheduled(handle, 0, 0.0, NOW, MAIL, "post")])
    assert (rig.grab(rig.worker()), rig.grab(rig.worker(MAIL))) == (None, handle)


def test_scheduled_job_is_counted_where_it_moved_to(rig):
    handle = rig.submit_background(run_at=NOW + 60)

    change(rig, handle, function=MAIL)

    assert {load.name: load.delayed for load in rig.queue.loads()} == {RESIZE: 0, MAIL: 1}
    rig.pass_time(60.0)
    assert rig.grab(rig.worker(MAIL)) == handle


def test_job_with_limits_stands_at_them_in_its_new_function(rig):
    terms = JobTerms(limits=(Limit("key", 1),))
    first, second = rig.submit_background(terms=terms), rig.submit_background(terms=terms)

    change(rig, second, function=MAIL)

    assert rig.grab(rig.worker()) == first
    assert rig.grab(rig.worker(MAIL)) is None


def test_job_with_a_unique_keeps_its_function(rig):
    handle = rig.submit_background(unique=b"u1")

    assert change(rig, handle, function=MAIL) == (ChangeVerdict.UNIQUE, [])
    assert said_of(rig, handle, function=RESIZE, priority=3) == (ChangeVerdict.CHANGED, 1)


def test_running_job_is_left_alone(rig):
    handle = rig.submit_background()
    rig.start(rig.worker())

    assert change(rig, handle, priority=5) == (ChangeVerdict.STARTED, [])


def test_job_that_is_just_being_committed_is_left_alone(rig):
    handle = rig.receipt(rig.client(), Submission(RESIZE, b"", b"photo", 0, True)).handle
    rig.effects.clear()

    assert change(rig, handle, priority=5) == (ChangeVerdict.BUSY, [])


def test_job_that_is_just_being_made_durable_is_left_alone(rig):
    # Should its acceptance be refused, its row must say nothing.
    handle = rig.submit(rig.client(), unique=b"u1")
    rig.receipt(rig.client(), Submission(RESIZE, b"u1", b"photo", 0, True))

    assert change(rig, handle, priority=5) == (ChangeVerdict.BUSY, [])


@pytest.mark.parametrize("is_known", [True, False])
def test_job_that_is_over_or_never_was_is_unknown(rig, is_known):
    handle = rig.submit_background() if is_known else JobHandle(b"H:none")
    if is_known:
        worker = rig.worker()
        rig.complete(worker, rig.start(worker))

    assert said_of(rig, handle, priority=5)[0] is ChangeVerdict.UNKNOWN


def test_nothing_is_recorded_of_a_foreground_job(rig):
    first, second = rig.submit(rig.client()), rig.submit(rig.client())

    assert change(rig, second, priority=9) == (ChangeVerdict.CHANGED, [])
    assert rig.drain(rig.worker()) == [second, first]


def test_clock_that_was_set_back_does_not_put_a_waiting_job_off(rig):
    handle = rig.submit_background(run_at=NOW + 10)
    rig.pass_time(10.0)
    rig.now = NOW

    change(rig, handle, priority=5)

    assert rig.grab(rig.worker()) == handle


def wish_sooner(rig, *, priority=0, run_at=0.0):
    submission = Submission(RESIZE, b"u1", b"photo", priority, True, run_at, b"", JobDetails())
    handle = rig.receipt(rig.client(), submission).handle
    changes = [one for one in rig.take_changes() if isinstance(one, Hastened)]
    return handle, changes


def test_submit_that_joins_may_want_the_job_sooner(rig):
    handle = rig.submit_background(unique=b"u1")

    assert wish_sooner(rig, priority=50) == (handle, [Hastened(handle, 50, 0.0, NOW)])
    assert wish_sooner(rig, priority=-50) == (handle, [])


def test_submit_that_joins_may_bring_the_jobs_time_forward(rig):
    handle = rig.submit_background(unique=b"u1", run_at=NOW + 60)

    assert wish_sooner(rig, priority=7, run_at=NOW + 90) == (handle, [Hastened(handle, 7, NOW + 60, NOW)])
    assert wish_sooner(rig) == (handle, [Hastened(handle, 7, 0.0, NOW)])
    assert rig.grab(rig.worker()) == handle


def test_job_that_is_not_committed_yet_may_be_wanted_sooner():
    rig = QueueRig(QueueRules())
    handle = rig.receipt(rig.client(), Submission(RESIZE, b"u1", b"photo", 0, True, NOW + 60)).handle
    accepted = rig.take_changes()[0]

    wish_sooner(rig)
    rig.queue.committed(accepted, now=NOW)

    assert rig.grab(rig.worker()) == handle
