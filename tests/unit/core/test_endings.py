"""How jobs end: what is recorded of it, who is told, and what is counted no more."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import Finished, Forgotten, Outcome, Retried, Started
from gearjobs.core.effects import News, NewsKind, OutcomeSettled, Record
from gearjobs.core.endings import Ending
from gearjobs.core.jobs import JobHandle, JobState
from gearjobs.core.tallies import JobTallies
from tests.support.core_builders import FAILURE, NOW, RESIZE
from tests.support.core_stages import CLIENT, WORKER, Stage

H1 = JobHandle(b"H:1")
RAISED = Ending(NewsKind.EXCEPTION, (b"out of paper",))


@pytest.fixture
def stage():
    return Stage()


def retrying(stage):
    """Return a job whose failed run is recorded and not committed yet."""
    job = stage.run(stage.keep())
    stage.life.retry(job, Retried(H1, 1, FAILURE, NOW + 60, NOW + 9))
    stage.effects.clear()
    return job


def counts(stage):
    queue = stage.queue
    return (queue.storing, queue.waiting_total, queue.delayed, queue.running)


def test_end_is_recorded_before_it_is_told(stage):
    job = stage.run(stage.keep())
    stage.join(job, stage.client)
    stage.effects.clear()

    stage.finish(job)

    finished = Finished(H1, Outcome.SUCCEEDED, b"done", NOW + 9)
    news = News(CLIENT, NewsKind.COMPLETE, H1, (b"done",), awaits_store=True)
    assert stage.effects == [Record(finished), news]


def test_end_of_a_foreground_job_is_told_at_once_and_forgotten(stage):
    job = stage.run(stage.submit())

    stage.finish(job)

    assert stage.effects == [News(CLIENT, NewsKind.COMPLETE, H1, (b"done",))]
    assert stage.life.jobs == {}


@pytest.mark.parametrize(("wants", "kind"), [(True, NewsKind.EXCEPTION), (False, NewsKind.FAIL)])
def test_exception_is_told_to_those_who_want_exceptions(stage, wants, kind):
    stage.client.wants_exceptions = wants

    stage.finish(stage.run(stage.submit()), RAISED)

    assert [news.kind for news in stage.take_news()] == [kind]


def test_ended_job_is_known_until_that_is_committed(stage):
    job = stage.run(stage.keep(unique=b"u1"))
    stage.finish(job)

    assert (stage.life.jobs, job.payload, stage.life.uniques.find_unique(b"u1")) == ({H1: job}, b"", None)

    stage.life.outcome_kept(H1)

    assert stage.life.jobs == {}


def test_worker_hears_when_the_end_that_it_reported_is_committed(stage):
    job = stage.run(stage.keep())
    job.is_resumable = True
    stage.finish(job)
    stage.effects.clear()

    stage.life.outcome_kept(H1)
    stage.life.outcome_kept(H1)

    assert stage.effects == [OutcomeSettled(WORKER, H1)]


def test_worker_that_cannot_come_back_hears_of_no_commit(stage):
    stage.finish(stage.run(stage.keep()))
    stage.life.unsettled[JobHandle(b"H:other")] = WORKER
    stage.effects.clear()

    stage.life.outcome_kept(H1)

    assert stage.effects == []


def test_run_that_ended_before_its_jobs_acceptance_was_committed_is_recorded_with_the_end(stage):
    job = stage.run(stage.submit())
    stage.life.make_durable(job, None)
    stage.effects.clear()

    stage.finish(job)

    assert [type(change) for change in stage.take_changes()] == [Started, Finished]


def test_observer_is_told_of_the_end():
    tallies = JobTallies()
    stage = Stage(observer=tallies)

    stage.finish(stage.run(stage.submit()))

    assert tallies.copy()[0][RESIZE].ended == {Outcome.SUCCEEDED: 1}


@pytest.mark.parametrize(
    "make_job",
    [
        lambda stage: stage.store(),
        lambda stage: stage.keep(),
        lambda stage: stage.keep(run_at=NOW + 60),
        lambda stage: stage.submit(),
        retrying,
    ],
)
def test_dropped_job_is_counted_no_more(stage, make_job):
    job = make_job(stage)

    stage.life.drop(job)

    assert (job.state, stage.life.jobs, counts(stage)) == (JobState.ENDED, {}, (0, 0, 0, 0))


@pytest.mark.parametrize(("make_job", "changes"), [(Stage.keep, [Forgotten(H1)]), (Stage.submit, [])])
def test_dropped_job_leaves_no_row(stage, make_job, changes):
    job = make_job(stage)

    stage.life.drop(job)

    assert stage.take_changes() == changes


@pytest.mark.parametrize(("make_job", "was_told"), [(Stage.store, False), (Stage.keep, True), (retrying, True)])
def test_client_that_has_not_been_told_its_jobs_handle_may_hear_an_error_only(stage, make_job, was_told):
    job = make_job(stage)
    stage.join(job, stage.client)

    stage.life.drop(job)

    assert [news.awaits_created for news in stage.take_news()] == [not was_told]


def test_run_is_ended_but_not_counted_where_the_job_is_taken_from_a_worker(stage):
    job = stage.run(stage.keep())

    stage.life.cancel(job, Finished(H1, Outcome.CANCELLED, b"", NOW + 9))

    assert (job.state, counts(stage)) == (JobState.ENDED, (0, 0, 0, 0))


def test_row_of_a_background_job_may_be_there_and_of_a_foreground_job_is_not(stage):
    assert (stage.life.may_have_row(stage.store()), stage.life.may_have_row(stage.submit())) == (True, False)


@pytest.mark.parametrize("has_store", [True, False])
def test_of_an_unknown_job_there_may_be_a_row_where_there_is_a_store(has_store):
    assert Stage(has_store=has_store).life.may_have_row(None) is has_store


def test_acceptance_is_what_makes_a_job_recorded(stage):
    job = stage.store()

    before = stage.life.is_recorded(job)
    stage.life.acceptance_kept(H1, now=NOW)

    assert (before, stage.life.is_recorded(job)) == (False, True)
