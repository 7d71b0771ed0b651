"""Steps of `lifecycle` that end a job which did not end by itself; whose word that takes is `cancellation`'s."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import Accepted, Finished, Forgotten, Outcome
from gearjobs.core.effects import NewsKind
from gearjobs.core.jobs import JobState
from tests.support.core_builders import NOW
from tests.support.core_stages import Stage


@pytest.fixture
def stage():
    return Stage()


def cancel(stage, job):
    stage.life.cancel(job, Finished(job.handle, Outcome.CANCELLED, b"", NOW + 9))


def counts(stage):
    queue = stage.queue
    return (queue.storing, queue.waiting_total, queue.delayed, queue.running)


def test_cancelled_job_that_is_being_stored_is_recorded_after_its_acceptance(stage):
    cancel(stage, stage.store())

    assert [type(change) for change in stage.take_changes()] == [Accepted, Finished]


@pytest.mark.parametrize("remove", [cancel, lambda stage, job: stage.life.drop(job)])
@pytest.mark.parametrize(
    "make_job",
    [
        lambda stage: stage.store(),
        lambda stage: stage.keep(),
        lambda stage: stage.keep(run_at=NOW + 60),
        lambda stage: stage.submit(),
    ],
    ids=["storing", "waiting", "delayed", "foreground"],
)
def test_removed_job_leaves_the_counts_at_once(stage, remove, make_job):
    remove(stage, make_job(stage))

    assert counts(stage) == (0, 0, 0, 0)


@pytest.mark.parametrize("remove", [cancel, lambda stage, job: stage.life.drop(job)])
def test_commit_of_a_removed_job_does_not_bring_it_back(stage, remove):
    job = stage.store()
    remove(stage, job)

    stage.life.acceptance_kept(job.handle, now=NOW)

    assert (job.state, counts(stage)) == (JobState.ENDED, (0, 0, 0, 0))


def test_cancelled_running_job_leaves_its_worker(stage):
    job = stage.run(stage.keep())

    cancel(stage, job)

    assert (job.worker, counts(stage)) == (None, (0, 0, 0, 0))


def test_cancelled_job_can_be_joined_no_more(stage):
    job = stage.keep(unique=b"u1")

    cancel(stage, job)

    assert stage.life.uniques.find_unique(b"u1") is None


def test_cancellation_is_told_after_its_commit_where_there_is_a_record(stage):
    job = stage.keep()
    stage.join(job, stage.client)

    cancel(stage, job)

    assert [(news.kind, news.awaits_store) for news in stage.take_news()] == [(NewsKind.FAIL, True)]


def test_cancelled_foreground_job_is_told_at_once(stage):
    cancel(stage, stage.submit())

    assert [news.awaits_store for news in stage.take_news()] == [False]


def test_committed_cancellation_lets_the_job_be_forgotten(stage):
    job = stage.keep()
    cancel(stage, job)

    stage.life.outcome_kept(job.handle)

    assert job.handle not in stage.life.jobs


def test_dropped_durable_job_is_unknown_at_once_and_leaves_no_record(stage):
    job = stage.keep()

    stage.life.drop(job)

    assert (job.handle in stage.life.jobs, stage.take_changes()) == (False, [Forgotten(job.handle)])


def test_whoever_waits_for_a_dropped_job_hears_that_it_failed(stage):
    stage.life.drop(stage.submit())

    assert [news.kind for news in stage.take_news()] == [NewsKind.FAIL]
    assert not stage.client.awaited


@pytest.mark.parametrize("verdict", ["acceptance_kept", "acceptance_void"])
def test_job_being_stored_is_counted_as_such_until_the_verdict(stage, verdict):
    job = stage.store()
    before = stage.queue.storing

    getattr(stage.life, verdict)(job.handle, now=NOW)

    assert (before, stage.queue.storing) == (1, 0)


@pytest.mark.parametrize("remove", [cancel, lambda stage, job: stage.life.drop(job)])
def test_who_joined_a_job_that_is_being_stored_hears_of_its_end_only_if_it_is_kept(stage, remove):
    job = stage.store()
    stage.join(job, stage.client)

    remove(stage, job)

    assert [(news.kind, news.awaits_store, news.awaits_created) for news in stage.take_news()] == [
        (NewsKind.FAIL, True, True)
    ]


def test_who_was_told_of_the_job_before_it_was_stored_hears_of_its_end_in_any_case(stage):
    job = stage.submit()
    stage.life.make_durable(job, None)

    cancel(stage, job)

    assert [(news.awaits_store, news.awaits_created) for news in stage.take_news()] == [(True, False)]
