"""Jobs whose run failed and that run again: same job, same handle. What leads there is in `test_run_reports`."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import Finished, Retried, Started
from gearjobs.core.effects import OutcomeSettled
from gearjobs.core.jobs import JobHandle, JobState
from gearjobs.core.reattachment import ResumeVerdict
from gearjobs.core.tallies import JobTallies
from tests.support.core_builders import FAILURE, NOW, RESIZE, background, make_stored
from tests.support.core_stages import QueueRig, Stage, StepList

H1 = JobHandle(b"H:1")


@pytest.fixture
def rig():
    return QueueRig()


@pytest.fixture
def worker(rig):
    return rig.heedful_worker()


@pytest.fixture
def failed(rig, worker):
    """A job whose first run failed, which is not committed yet."""
    rig.submit_background()
    handle = rig.start(worker, is_resumable=True)
    rig.commit()
    rig.effects.clear()
    rig.fail_ext(worker, handle, retry_in_s=30.0)
    return handle


def counts(rig):
    (view,) = rig.queue.functions()
    return (view.normal, view.running)


def test_failed_job_waits_for_its_commit_then_for_its_time_then_for_a_worker(rig, failed):
    states = [counts(rig)]
    rig.commit()
    states.append(counts(rig))
    rig.pass_time(30.0)
    states.append(counts(rig))

    assert states == [(0, 0), (1, 0), (1, 0)]


def test_second_run_is_the_second_attempt(rig, worker, failed):
    rig.commit()
    rig.pass_time(30.0)
    rig.effects.clear()

    rig.start(worker)

    (started,) = rig.take_changes()
    assert isinstance(started, Started)
    assert (started.attempt, len(started.worker_ids)) == (2, 2)


def test_progress_of_the_failed_run_is_forgotten(rig, worker):
    rig.submit_background()
    handle = rig.start(worker)
    rig.report_progress(worker, handle)

    rig.fail_ext(worker, handle, retry_in_s=30.0)

    assert rig.queue.get_status(handle).numerator == 0


def test_worker_that_comes_back_before_the_commit_may_report_again(rig, worker, failed):
    rig.disconnect(worker)
    again = rig.heedful_worker()
    rig.effects.clear()

    verdict = rig.resume(again, failed)
    rig.fail_ext(again, failed, retry_in_s=30.0)

    assert (verdict, rig.effects) == (ResumeVerdict.ACCEPTED, [])


def test_worker_that_came_back_hears_of_the_commit(rig, worker, failed):
    changes = rig.take_changes()
    rig.disconnect(worker)
    again = rig.heedful_worker()
    rig.resume(again, failed)

    rig.queue.committed(changes[0], now=NOW)

    assert rig.take_settled() == [(again, failed)]


@pytest.mark.parametrize("passed_s", [0.0, 30.0])
def test_worker_that_comes_back_after_the_commit_has_nothing_to_report(rig, worker, failed, passed_s):
    rig.commit()
    rig.pass_time(passed_s)

    assert rig.resume(rig.heedful_worker(), failed) is ResumeVerdict.REFUSED


def test_job_may_be_cancelled_before_its_failure_is_committed(rig, worker, failed):
    rig.queue.cancel_job(failed, is_forced=False, now=NOW)
    changes = rig.take_changes()
    for change in changes:
        rig.queue.committed(change, now=NOW)

    assert [type(change) for change in changes] == [Retried, Finished]
    assert rig.effects == [OutcomeSettled(worker, failed)]
    assert rig.queue.jobs() == []


def test_commit_for_a_job_that_is_gone_does_nothing(rig):
    rig.queue.committed(Retried(H1, 1, FAILURE, NOW, NOW), now=NOW)

    assert rig.effects == []


@pytest.mark.parametrize("is_committed", [True, False])
@pytest.mark.parametrize("by_s", [3600.0, -900.0])
def test_retry_comes_after_its_while_though_the_clock_was_set(rig, worker, failed, by_s, is_committed):
    # The clock was put right, back by an hour, and a job that was to be tried again in a second waited as long.
    if is_committed:
        rig.commit()
    rig.now += by_s
    rig.queue.clock_set(by_s)
    rig.commit()
    rig.pass_time(29.9)
    too_soon = rig.grab(worker)

    rig.pass_time(0.1)

    assert (too_soon, rig.grab(worker)) == (None, failed)


def test_retry_that_another_server_set_comes_at_its_time(rig, worker):
    # This server's clock was an hour late; when it was put right, the job was put off by as long.
    rig.queue.restore([make_stored(attempt=1, run_at=NOW + 3600)], now=NOW)
    rig.now += 3600.0
    rig.queue.clock_set(3600.0)

    rig.pass_time(0.0)

    assert rig.grab(worker) == H1


def test_job_that_waits_for_its_first_time_waits_for_what_the_clock_shows(rig, worker):
    handle = rig.submit_background(run_at=NOW + 3600)
    rig.now += 3600.0

    rig.queue.clock_set(3600.0)
    rig.pass_time(0.0)

    assert rig.grab(worker) == handle


def test_restored_job_waits_for_the_time_of_its_retry(rig, worker):
    rig.queue.restore([make_stored(attempt=1, run_at=NOW + 30)], now=NOW)
    too_soon = rig.grab(worker)

    rig.pass_time(30.0)

    assert (too_soon, rig.queue.grab_job(worker, now=rig.now).attempt) == (None, 2)


def test_nothing_is_recorded_of_a_retry_before_its_jobs_upgrade_is_committed(rig, worker):
    rig.submit(rig.client(), unique=b"u1")
    handle = rig.start(worker)
    rig.receipt(rig.client(), background(unique=b"u1"))
    rig.effects.clear()

    rig.fail_ext(worker, handle, retry_in_s=30.0)

    assert (rig.effects, counts(rig)) == ([], (1, 0))


def test_observer_is_told_of_the_retry():
    observer = StepList()
    stage = Stage(observer=observer)
    job = stage.run(stage.keep())

    stage.life.retry(job, Retried(H1, 1, FAILURE, NOW + 60, NOW + 9))

    assert observer.steps[-1] == ("retried", H1, NOW + 9, JobState.RUNNING)


def test_retries_are_counted_with_the_time_of_their_runs():
    tallies = JobTallies()
    stage = Stage(observer=tallies)
    job = stage.run(stage.keep())

    stage.life.retry(job, Retried(H1, 1, FAILURE, NOW + 60, NOW + 9))

    tally = tallies.copy()[0][RESIZE]
    assert (tally.retried, tally.runs.total_s, tally.ended) == (1, 4.0, {})
