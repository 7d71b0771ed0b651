"""A job's way from acceptance to its end: what each step records, tells and counts."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import Accepted, Finished, JobDetails, JobFailure, Outcome, Started
from gearjobs.core.effects import News, NewsKind, Record, Wake
from gearjobs.core.endings import Ending
from gearjobs.core.jobs import Job, JobHandle, JobState
from gearjobs.core.lifecycle import Lifecycle
from gearjobs.core.redelivery import Cut
from tests.support.core_builders import NOW, RESIZE, make_requeued
from tests.support.core_stages import CLIENT, OTHER_CLIENT, WORKER, Stage, StepList

H1 = JobHandle(b"H:1")
#: After these a job without terms runs again.
CUTS = [cut for cut in Cut if cut is not Cut.OUT_OF_TIME]
RAISED = Ending(NewsKind.EXCEPTION, (b"out of paper",))


@pytest.fixture
def stage():
    return Stage()


def test_background_job_waits_for_its_commit(stage):
    assert stage.store().state is JobState.STORING


def test_acceptance_is_recorded_with_everything_it_takes_to_run_the_job(stage):
    job = Job(H1, RESIZE, b"u1", b"\0photo", 7, True, NOW, NOW + 60, b"merge")
    details = JobDetails(task="shop.tasks.resize", metadata={"tenant": 7})

    stage.life.accept(job, details, now=NOW)

    assert stage.take_changes() == [Accepted(H1, RESIZE, b"u1", b"\0photo", 7, NOW + 60, NOW, details, b"merge")]


def test_foreground_job_is_queued_at_once(stage):
    assert stage.submit().state is JobState.WAITING


def test_nothing_of_a_foreground_job_is_recorded(stage):
    job = stage.run(stage.submit())
    stage.cut_short(job)
    stage.finish(stage.run(job))

    assert stage.take_changes() == []


def test_without_a_store_nothing_is_recorded_and_nobody_waits_for_a_commit():
    stage = Stage(has_store=False)
    job = stage.run(stage.store())
    stage.join(job, stage.client)
    stage.cut_short(job)
    stage.finish(stage.run(job))

    assert stage.effects == [News(CLIENT, NewsKind.COMPLETE, H1, (b"done",), awaits_store=False)]


def test_committed_job_is_queued(stage):
    job = stage.store()

    stage.life.acceptance_kept(job.handle, now=NOW)

    assert (job.state, job.is_kept) == (JobState.WAITING, True)


def test_queued_job_wakes_a_sleeper(stage):
    stage.abilities.fall_asleep(stage.worker, now=NOW)

    stage.submit()

    assert stage.effects == [Wake(WORKER)]


def test_job_that_is_not_committed_wakes_nobody(stage):
    stage.abilities.fall_asleep(stage.worker, now=NOW)

    stage.store()

    assert Wake(WORKER) not in stage.effects


def test_committed_job_that_is_not_due_waits_for_its_time(stage):
    job = stage.keep(run_at=NOW + 60)

    assert (job.state, stage.queue.delayed) == (JobState.DELAYED, 1)


def test_due_job_is_queued(stage):
    job = stage.keep(run_at=NOW + 60)

    stage.life.promote_due(NOW + 60)

    assert (job.state, stage.queue.delayed) == (JobState.WAITING, 0)


@pytest.mark.parametrize("verdict", [Lifecycle.acceptance_kept, Lifecycle.acceptance_void])
def test_verdict_on_a_job_that_is_gone_does_nothing(stage, verdict):
    verdict(stage.life, H1, now=NOW)

    assert stage.life.jobs == {}


def test_refused_job_never_was(stage):
    job = stage.store(unique=b"u1")

    stage.life.acceptance_void(job.handle, now=NOW)

    assert (stage.life.jobs, stage.life.uniques.find_unique(b"u1")) == ({}, None)


def test_refused_job_is_not_awaited_by_those_who_joined_it(stage):
    job = stage.store()
    stage.join(job, stage.client)

    stage.life.acceptance_void(job.handle, now=NOW)

    assert stage.client.awaited == {}


def test_upgrade_of_a_waiting_job_records_its_acceptance(stage):
    job, details = stage.submit(), JobDetails(task="shop.tasks.resize")

    stage.life.make_durable(job, details)

    assert stage.take_changes() == [Accepted(H1, RESIZE, b"", b"photo", 0, 0.0, NOW, details)]


def test_upgrade_of_a_running_job_records_its_start_when_its_acceptance_is_committed(stage):
    # Its row may have to be taken back, and is not once it says more than that it was accepted: the job ran twice.
    job = stage.run(stage.submit())
    stage.life.make_durable(job, None)
    at_first = [type(change) for change in stage.take_changes()]

    stage.life.acceptance_kept(H1, now=NOW)

    assert (at_first, stage.take_changes()) == ([Accepted], [Started(H1, 1, (stage.worker.worker_id,), NOW + 5)])


def test_job_that_ends_before_its_upgrade_is_committed_is_recorded_with_its_run(stage):
    job = stage.run(stage.submit())
    stage.life.make_durable(job, None)
    stage.effects.clear()

    stage.finish(job)

    assert [type(change) for change in stage.take_changes()] == [Started, Finished]


def test_nothing_is_recorded_of_a_run_that_is_cut_before_its_upgrade_is_committed(stage):
    job = stage.run(stage.submit())
    stage.life.make_durable(job, None)
    stage.effects.clear()

    stage.cut_short(job, Cut.WORKER_LOST)

    assert not stage.take_changes()


def test_upgraded_job_is_not_kept_before_its_commit(stage):
    job = stage.submit()

    stage.life.make_durable(job, None)

    assert not job.is_kept


def test_committed_upgrade_does_not_queue_the_job_twice(stage):
    job = stage.submit()
    stage.life.make_durable(job, None)

    stage.life.acceptance_kept(job.handle, now=NOW)

    assert (job.is_kept, stage.queue.waiting_total) == (True, 1)


def test_upgrade_without_a_store_outlives_the_clients_all_the_same():
    stage = Stage(has_store=False)
    job = stage.submit()

    stage.life.make_durable(job, None)

    assert (job.is_background, stage.take_changes()) == (True, [])


def test_refused_upgrade_leaves_the_foreground_job_waiting(stage):
    job = stage.submit()
    stage.life.make_durable(job, None)

    stage.life.acceptance_void(job.handle, now=NOW)

    assert (job.state, job.is_background, job.is_kept) == (JobState.WAITING, False, True)


def test_refused_upgrade_drops_a_waiting_job_whose_clients_left(stage):
    job = stage.submit()
    stage.life.make_durable(job, None)
    stage.leave(job)

    stage.life.acceptance_void(job.handle, now=NOW)

    assert (job.state, stage.queue.waiting_total) == (JobState.ENDED, 0)


def test_refused_upgrade_lets_a_running_job_go_on(stage):
    job = stage.run(stage.submit())
    stage.life.make_durable(job, None)
    stage.leave(job)

    stage.life.acceptance_void(job.handle, now=NOW)

    assert job.state is JobState.RUNNING


def test_refused_upgrade_of_a_job_that_ended_meanwhile_forgets_it(stage):
    job = stage.run(stage.submit())
    stage.life.make_durable(job, None)
    stage.finish(job)

    stage.life.acceptance_void(job.handle, now=NOW)

    assert stage.life.jobs == {}


def test_started_job_knows_its_run(stage):
    job = stage.run(stage.keep())

    assert (job.state, job.worker, job.attempt, job.started_at) == (JobState.RUNNING, WORKER, 1, NOW + 5)


def test_started_job_is_its_workers(stage):
    job = stage.run(stage.keep())

    assert (stage.worker.held, stage.queue.running) == ({H1: job}, 1)


def test_start_of_a_durable_job_is_recorded(stage):
    stage.run(stage.keep())

    assert stage.take_changes() == [Started(H1, 1, (stage.worker.worker_id,), NOW + 5)]


def test_every_attempt_names_its_worker(stage):
    job = stage.run(stage.keep())
    stage.cut_short(job)
    stage.worker.client_id = "web-2"

    stage.run(job)

    assert job.worker_ids == ("10.0.0.1:5000", "web-2")


def test_recorded_workers_do_not_change_with_later_attempts(stage):
    job = stage.run(stage.keep())
    stage.cut_short(job)

    stage.run(job)

    assert [len(change.worker_ids) for change in stage.take_changes() if isinstance(change, Started)] == [1, 2]


def test_run_of_a_worker_with_a_timeout_is_watched(stage):
    job = stage.run(stage.keep(), timeout_s=0.5)

    assert stage.life.deadlines.take_overdue(NOW + 5 + 0.5) == [job]


@pytest.mark.parametrize("cut", CUTS)
def test_job_that_was_cut_short_waits_again(stage, cut):
    job = stage.run(stage.keep())

    stage.cut_short(job, cut)

    assert (job.state, job.worker, stage.worker.held, stage.queue.running) == (JobState.WAITING, None, {}, 0)


@pytest.mark.parametrize("cut", CUTS)
def test_only_a_lost_worker_counts_as_a_crash(stage, cut):
    job = stage.run(stage.keep())
    stage.effects.clear()

    stage.cut_short(job, cut)

    assert (stage.take_changes(), job.crashes) == ([make_requeued(H1, cut, now=NOW + 9)], cut is Cut.WORKER_LOST)


def test_progress_of_the_lost_run_is_forgotten(stage):
    job = stage.run(stage.keep())
    job.numerator, job.denominator = 3, 10

    stage.cut_short(job)

    assert (job.numerator, job.denominator) == (0, 0)


def test_lost_foreground_job_that_nobody_waits_for_is_not_run_again(stage):
    job = stage.run(stage.submit())
    stage.leave(job)

    stage.cut_short(job)

    assert (job.state, stage.life.jobs) == (JobState.ENDED, {})


def test_job_that_was_due_once_is_queued_again_though_the_clock_was_set_back(stage):
    # It went from running to delayed, which is no step of the table: the worker's end was never worked off.
    job = stage.keep(run_at=NOW + 60)
    stage.life.promote_due(NOW + 60)
    stage.run(job)

    stage.cut_short(job, now=NOW + 30)

    assert job.state is JobState.WAITING


@pytest.mark.parametrize(
    ("cut", "outcome"),
    [(Cut.WORKER_LOST, Outcome.LOST), (Cut.GIVEN_BACK, Outcome.LOST), (Cut.TIMED_OUT, Outcome.TIMED_OUT)],
)
def test_job_without_a_retry_left_ends_by_what_cut_it_short(cut, outcome):
    stage = Stage(job_retries=1)
    job = stage.run(stage.keep())

    stage.cut_short(job, cut)

    assert [change.outcome for change in stage.take_changes() if isinstance(change, Finished)] == [outcome]


def test_end_without_a_retry_left_says_which_attempt_it_was():
    stage = Stage(job_retries=0)

    stage.cut_short(stage.run(stage.keep()))

    failure = JobFailure(message="worker lost at attempt 1, and no retry is left")
    assert stage.take_changes()[-1] == Finished(H1, Outcome.LOST, b"", NOW + 9, failure)


def test_client_of_a_job_without_a_retry_left_hears_that_it_failed():
    stage = Stage(job_retries=0)

    stage.cut_short(stage.run(stage.submit()))

    assert stage.take_news() == [News(CLIENT, NewsKind.FAIL, H1)]


def test_outcome_is_recorded_before_it_is_told(stage):
    job = stage.run(stage.submit())
    stage.life.make_durable(job, None)
    stage.effects.clear()

    stage.finish(job)

    assert [type(effect) for effect in stage.effects] == [Record, Record, News]


def test_outcome_of_a_durable_job_is_told_after_its_commit(stage):
    job = stage.run(stage.submit())
    stage.life.make_durable(job, None)

    stage.finish(job)

    assert stage.take_news()[0].awaits_store


def test_outcome_of_a_foreground_job_is_told_at_once(stage):
    stage.finish(stage.run(stage.submit()))

    assert stage.take_news() == [News(CLIENT, NewsKind.COMPLETE, H1, (b"done",), awaits_store=False)]


def test_every_client_hears_of_the_end(stage):
    stage.finish(stage.run(stage.submit(stage.client, stage.other_client)))

    assert [news.connection for news in stage.take_news()] == [CLIENT, OTHER_CLIENT]


def test_client_that_waits_twice_hears_twice(stage):
    stage.finish(stage.run(stage.submit(stage.client, stage.client)))

    assert [news.connection for news in stage.take_news()] == [CLIENT, CLIENT]


def test_client_that_wants_exceptions_hears_the_exception(stage):
    stage.client.wants_exceptions = True

    stage.finish(stage.run(stage.submit()), RAISED)

    assert stage.take_news() == [News(CLIENT, NewsKind.EXCEPTION, H1, (b"out of paper",))]


def test_client_that_does_not_want_exceptions_hears_of_a_failure(stage):
    stage.finish(stage.run(stage.submit()), RAISED)

    assert stage.take_news() == [News(CLIENT, NewsKind.FAIL, H1)]


def test_ended_job_is_nobodys(stage):
    job = stage.run(stage.submit())

    stage.finish(job)

    assert (stage.worker.held, stage.client.awaited, stage.queue.running) == ({}, {}, 0)


def test_ended_foreground_job_is_forgotten(stage):
    stage.finish(stage.run(stage.submit()))

    assert stage.life.jobs == {}


def test_ended_durable_job_is_known_until_its_outcome_is_committed(stage):
    job = stage.run(stage.keep())

    stage.finish(job)

    assert stage.life.jobs == {H1: job}


def test_committed_outcome_lets_the_job_be_forgotten(stage):
    stage.finish(stage.run(stage.keep()))

    stage.life.outcome_kept(H1)

    assert stage.life.jobs == {}


@pytest.mark.parametrize("accept", [Stage.keep, Stage.submit])
def test_ended_job_can_neither_be_joined_nor_hold_its_payload(stage, accept):
    job = stage.run(accept(stage, unique=b"u1"))

    stage.finish(job)

    assert (stage.life.uniques.find_unique(b"u1"), job.payload) == (None, b"")


def test_dropped_waiting_job_is_gone(stage):
    job = stage.submit(unique=b"u1")

    stage.life.drop(job)

    assert (job.state, stage.life.jobs, stage.queue.total) == (JobState.ENDED, {}, 0)
    assert stage.life.uniques.find_unique(b"u1") is None


def test_dropped_delayed_job_is_gone(stage):
    job = stage.keep(run_at=NOW + 60)

    stage.life.drop(job)

    assert (job.state, stage.life.jobs, stage.queue.total) == (JobState.ENDED, {}, 0)


def test_dropped_delayed_job_does_not_come_back_at_its_time(stage):
    stage.life.drop(stage.keep(run_at=NOW + 60))

    stage.life.promote_due(NOW + 60)

    assert stage.queue.waiting_total == 0


def test_observer_is_told_of_each_step():
    observer = StepList()
    stage = Stage(observer=observer)
    job = stage.run(stage.keep())
    stage.cut_short(job)
    stage.finish(stage.run(job))

    assert [(step, moment) for step, _, moment, _ in observer.steps] == [
        ("submitted", None),
        ("started", NOW + 5),
        ("requeued", None),
        ("started", NOW + 5),
        ("succeeded", NOW + 9),
    ]
