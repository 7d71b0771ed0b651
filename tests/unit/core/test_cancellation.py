"""Jobs and functions that an operator takes back."""

from __future__ import annotations

import pytest

from gearjobs.core.cancellation import cancel, clear, drop_function, list_waiting
from gearjobs.core.changes import Finished, Forgotten, Outcome
from gearjobs.core.effects import NewsKind
from gearjobs.core.jobs import FunctionName, JobHandle, JobState
from gearjobs.core.peers import Peer
from gearjobs.core.submission import CancelReceipt, CancelVerdict
from gearjobs.errors import FunctionInUse, FunctionUnknown, JobUnknown
from tests.support.core_builders import MAIL, NOW, RESIZE
from tests.support.core_stages import Stage


@pytest.fixture
def stage():
    return Stage()


def take_back(stage, job, *, is_forced=True):
    return cancel(stage.life, stage.abilities, job.handle, is_forced=is_forced, now=NOW + 9)


def drop(stage, name=RESIZE):
    drop_function(stage.life, stage.abilities, name)


def without_workers(stage: Stage) -> Peer:
    """Let nobody be able to `resize`."""
    stage.abilities.remove(stage.worker, stage.queue, now=NOW)
    return stage.client


@pytest.mark.parametrize("run_at", [0.0, NOW + 60])
def test_cancelled_job_ends_as_such(stage, run_at):
    job = stage.keep(run_at=run_at)

    take_back(stage, job)

    assert job.state is JobState.ENDED
    assert stage.take_changes() == [Finished(job.handle, Outcome.CANCELLED, b"", NOW + 9)]


def test_client_of_a_cancelled_job_hears_that_it_failed(stage):
    job = stage.submit()

    take_back(stage, job)

    assert [(news.connection, news.kind) for news in stage.take_news()] == [(stage.client.connection, NewsKind.FAIL)]


def test_cancelled_running_job_is_its_workers_no_more_and_the_worker_is_not_told(stage):
    job = stage.run(stage.submit())

    take_back(stage, job)

    assert (dict(stage.worker.held), stage.worker.passed_over) == ({}, {job.handle: False})


def test_run_of_a_worker_that_hears_is_asked_to_stop(stage):
    stage.worker.has_extensions = True
    job = stage.run(stage.keep())

    assert take_back(stage, job, is_forced=False) == CancelReceipt(CancelVerdict.ASKED, awaits_store=True)
    assert (job.state, job.is_cancel_asked) == (JobState.RUNNING, True)


@pytest.mark.parametrize(("is_resumable", "verdict"), [(True, CancelVerdict.ASKED), (False, CancelVerdict.CANCELLED)])
def test_run_whose_worker_may_come_back_is_asked_to_stop_then(stage, is_resumable, verdict):
    job = stage.run(stage.keep())
    stage.life.orphan(job, now=NOW)
    job.is_resumable = is_resumable

    assert take_back(stage, job, is_forced=False).verdict is verdict


@pytest.mark.parametrize("begin", [Stage.keep, lambda stage: stage.run(stage.keep())])
def test_job_that_nobody_can_be_asked_to_stop_ends_at_once(stage, begin):
    job = begin(stage)

    assert take_back(stage, job, is_forced=False).verdict is CancelVerdict.CANCELLED
    assert job.state is JobState.ENDED


def test_unknown_job_cannot_be_cancelled(stage):
    with pytest.raises(JobUnknown, match="no live job has the handle b'H:nobody'"):
        cancel(stage.life, stage.abilities, JobHandle(b"H:nobody"), is_forced=False, now=NOW)


def test_job_that_ended_cannot_be_cancelled_while_its_outcome_is_being_stored(stage):
    job = stage.run(stage.keep())
    stage.finish(job)

    with pytest.raises(JobUnknown):
        take_back(stage, job)


def test_dropped_function_is_listed_no_more(stage):
    without_workers(stage)

    drop(stage)

    assert RESIZE not in stage.abilities.functions


@pytest.mark.parametrize("run_at", [0.0, NOW + 60])
def test_job_of_a_dropped_function_leaves_no_record(stage, run_at):
    job = stage.keep(run_at=run_at)
    without_workers(stage)

    drop(stage)

    assert stage.take_changes() == [Forgotten(job.handle)]


def test_client_of_a_dropped_function_hears_that_its_job_failed(stage):
    stage.submit()
    client = without_workers(stage)

    drop(stage)

    assert [(news.connection, news.kind) for news in stage.take_news()] == [(client.connection, NewsKind.FAIL)]


def test_jobs_of_other_functions_stay(stage):
    job = stage.keep()
    stage.abilities.function(MAIL)

    drop(stage, MAIL)

    assert job.state is JobState.WAITING


def test_job_that_ended_keeps_its_record_when_its_function_is_dropped(stage):
    stage.finish(stage.run(stage.keep()))
    stage.take_changes()
    without_workers(stage)

    drop(stage)

    assert stage.take_changes() == []


def test_function_with_workers_is_not_dropped(stage):
    with pytest.raises(FunctionInUse, match="b'resize' has 1 workers and 0 running jobs"):
        drop(stage)


def test_function_with_a_running_job_is_not_dropped(stage):
    # A worker may hold a job of a function that it does not offer any more only for as long as one call lasts.
    stage.run(stage.submit())
    stage.queue.workers.clear()

    with pytest.raises(FunctionInUse, match="0 workers and 1 running jobs"):
        drop(stage)


def test_unknown_function_is_not_dropped(stage):
    with pytest.raises(FunctionUnknown, match="there is no function b'mail'"):
        drop(stage, MAIL)


def test_function_is_found_in_any_case(stage):
    without_workers(stage)

    drop(stage, FunctionName(b"ReSize"))

    assert RESIZE not in stage.abilities.functions


def test_function_of_the_very_name_is_dropped_before_its_likes(stage):
    without_workers(stage)
    stage.abilities.function(FunctionName(b"RESIZE"))

    drop(stage, FunctionName(b"RESIZE"))

    assert list(stage.abilities.functions) == [RESIZE]


def test_waiting_jobs_of_a_function_are_listed(stage):
    waiting = stage.keep()

    assert (list_waiting(stage.life, RESIZE), list_waiting(stage.life, MAIL)) == ([waiting.handle], [])


@pytest.mark.parametrize("bring", [lambda stage: stage.keep(run_at=NOW + 60), lambda stage: stage.store()])
def test_job_that_is_not_ready_to_run_is_not_listed(stage, bring):
    bring(stage)

    assert list_waiting(stage.life, RESIZE) == []


def test_cleared_job_ends_as_cancelled_with_the_reason(stage):
    job = stage.keep()

    assert clear(stage.life, [job.handle], reason="wrong photos", now=NOW + 9) == 1
    assert stage.take_changes() == [
        Finished(job.handle, Outcome.CANCELLED, b"", NOW + 9, function=RESIZE, cancel_reason="wrong photos")
    ]


def test_job_that_began_to_run_or_ended_meanwhile_is_not_cleared(stage):
    job = stage.run(stage.keep())

    assert clear(stage.life, [job.handle, JobHandle(b"H:gone")], reason="", now=NOW + 9) == 0
    assert job.is_running
