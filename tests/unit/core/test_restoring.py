"""Steps of `lifecycle` that take in the jobs of a store: at a start, and rows that clients inserted themselves."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import Finished, Outcome, Started
from gearjobs.core.jobs import JobHandle, JobState
from gearjobs.core.redelivery import Cut
from gearjobs.core.terms import JobTerms, Limit, UniqueSpan
from tests.support.core_builders import NOW, RESIZE, make_requeued, make_stored
from tests.support.core_stages import Stage

H1 = JobHandle(b"H:1")


@pytest.fixture
def stage():
    return Stage()


def test_restored_job_waits_again_and_is_not_recorded_anew(stage):
    stage.life.restore(make_stored(), now=NOW)

    assert (stage.life.jobs[H1].state, stage.take_changes()) == (JobState.WAITING, [])


def test_restored_job_is_what_was_stored(stage):
    stored = make_stored(unique=b"u1", attempt=3)
    stored.crashes, stored.worker_ids, stored.reducer = 2, ["a", "b", "c"], b"merge"

    stage.life.restore(stored, now=NOW)

    job = stage.life.jobs[H1]
    assert (job.unique, job.attempt, job.crashes, job.worker_ids, job.reducer, job.is_background, job.is_kept) == (
        (b"u1", 3, 2, ("a", "b", "c"), b"merge", True, True)
    )


def test_restored_job_can_be_joined(stage):
    stage.life.restore(make_stored(unique=b"u1"), now=NOW)

    assert stage.life.uniques.find(RESIZE, b"u1", b"") is stage.life.jobs[H1]


def test_restored_job_whose_worker_cannot_come_back_in_time_is_queued_at_once(stage):
    stored = make_stored(attempt=1, was_running=True)
    stored.owner_gone_s = 10.0

    stage.life.restore(stored, now=NOW)

    assert stage.take_changes() == [make_requeued(H1, Cut.NOT_RESUMED, now=NOW)]
    assert (stage.life.jobs[H1].state, stage.life.jobs[H1].crashes) == (JobState.WAITING, 0)


@pytest.mark.parametrize(("job_retries", "attempt"), [(0, 1), (2, 2)])
def test_restored_job_that_was_in_its_last_run_is_given_up(job_retries, attempt):
    # It ran again after a restart, whatever --job-retries said.
    stage = Stage(job_retries=job_retries)

    stored = make_stored(attempt=attempt, was_running=True)
    stored.owner_gone_s = 60.0

    stage.life.restore(stored, now=NOW)

    (finished,) = stage.take_changes()
    assert isinstance(finished, Finished)
    assert finished.failure is not None
    assert (finished.outcome, finished.finished_at) == (Outcome.LOST, NOW)
    assert finished.failure.message == f"server or connection lost at attempt {attempt}, and no retry is left"
    assert (stage.life.jobs[H1].state, stage.queue.waiting_total) == (JobState.ENDED, 0)


def test_restored_job_that_has_runs_left_runs_again():
    stage = Stage(job_retries=2)

    stored = make_stored(attempt=1, was_running=True)
    stored.owner_gone_s = 10.0

    stage.life.restore(stored, now=NOW)

    assert stage.life.jobs[H1].state is JobState.WAITING


def test_restored_job_that_is_not_due_waits_for_its_time(stage):
    stage.life.restore(make_stored(run_at=NOW + 60), now=NOW)

    assert stage.life.jobs[H1].state is JobState.DELAYED


def test_known_job_is_not_restored_a_second_time(stage):
    job = stage.store()

    stage.life.restore(make_stored(), now=NOW)

    assert stage.life.jobs == {H1: job}


def test_foreground_job_whose_row_others_relied_on_has_it_again(stage):
    # It had no row for the queue, and the row no end, until the server was started again.
    waiting = stage.submit()

    stage.life.restore(make_stored(), now=NOW)

    assert (waiting.is_background, waiting.is_kept, stage.take_changes()) == (True, True, [])


def test_foreground_job_that_has_its_row_again_keeps_the_limits_it_began_with():
    # It has none, and took no slot: it gave one back that was another job's.
    stage = Stage()
    running, stored = stage.run(stage.submit()), make_stored()
    stored.terms = JobTerms(max_attempts=3, limits=(Limit("desk", concurrency=1),), unique_for=UniqueSpan.QUEUED)

    stage.life.restore(stored, now=NOW)

    assert running.terms == JobTerms(max_attempts=3)


def test_foreground_job_that_runs_when_it_has_its_row_again_is_recorded(stage):
    running = stage.run(stage.submit())

    stage.life.restore(make_stored(), now=NOW)

    (started,) = stage.take_changes()
    assert isinstance(started, Started)
    assert started.handle == running.handle
