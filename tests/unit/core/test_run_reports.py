"""What workers say of the jobs they run, WORK_*, and what their supervisors say of them when they are gone."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import Explained, Finished, JobFailure, Outcome, Progressed, Requeued, Retried, Streamed
from gearjobs.core.effects import News, NewsKind, OutcomeSettled
from gearjobs.core.job_queue import QueueRules
from gearjobs.core.jobs import JobHandle
from gearjobs.core.terms import NO_TERMS, JobTerms
from gearjobs.errors import JobNotHeld
from tests.support.core_builders import FAILURE, NOW
from tests.support.core_stages import QueueRig

UNKNOWN = JobHandle(b"H:unknown")


@pytest.fixture
def rig():
    return QueueRig()


@pytest.fixture
def worker(rig):
    return rig.heedful_worker()


def outcomes(rig):
    return [change.outcome for change in rig.take_changes() if isinstance(change, Finished)]


def begin_run(rig, worker, *, terms=NO_TERMS, is_resumable=True):
    """Let the worker run a committed background job, and the start be committed, too."""
    rig.submit_background(terms=terms)
    handle = rig.start(worker, is_resumable=is_resumable)
    rig.commit()
    rig.effects.clear()
    return handle


def test_progress_is_told_and_kept(rig):
    client, worker = rig.client(), rig.worker()
    rig.submit(client, unique=b"u1")
    handle = rig.submit_background(unique=b"u1")
    rig.start(worker)
    rig.take_changes()

    rig.report_progress(worker, handle, message="three of ten")

    assert rig.take_changes() == [Progressed(handle, 3.0, 10.0, "three of ten", NOW)]
    assert rig.take_news() == [News(client, NewsKind.STATUS, handle, (b"3", b"10"), outlives_client=True)]


@pytest.mark.parametrize(("kind", "is_warning"), [(NewsKind.DATA, False), (NewsKind.WARNING, True)])
def test_data_and_warnings_are_told_and_kept(rig, kind, is_warning):
    client, worker = rig.client(), rig.worker()
    rig.submit(client, unique=b"u1")
    handle = rig.submit_background(unique=b"u1")
    rig.start(worker)
    rig.take_changes()

    report = rig.queue.work_warning if is_warning else rig.queue.work_data
    report(worker, handle, b"piece", now=NOW)

    assert rig.take_changes() == [Streamed(handle, is_warning, b"piece", NOW)]
    assert rig.take_news() == [News(client, kind, handle, (b"piece",), outlives_client=True)]


def test_news_of_a_foreground_job_may_wait_for_its_client(rig):
    client, worker = rig.client(), rig.worker()
    handle = rig.submit(client)
    rig.start(worker)
    rig.take_news()

    rig.queue.work_data(worker, handle, b"piece", now=NOW)

    assert rig.take_news() == [News(client, NewsKind.DATA, handle, (b"piece",), outlives_client=False)]


def test_nothing_a_foreground_jobs_worker_says_is_kept(rig):
    worker, handle = rig.worker(), rig.submit(rig.client())
    rig.start(worker)

    rig.report_progress(worker, handle)
    rig.queue.work_data(worker, handle, b"piece", now=NOW)

    assert rig.take_changes() == []


def test_without_a_store_progress_is_not_kept():
    rig = QueueRig(QueueRules(has_store=False))
    worker, handle = rig.worker(), rig.submit_background()
    rig.start(worker)

    rig.report_progress(worker, handle)

    assert rig.effects == []


def test_result_is_kept(rig):
    worker, handle = rig.worker(), rig.submit_background()
    rig.start(worker)
    rig.take_changes()

    rig.complete(worker, handle, b"small photo")

    assert rig.take_changes() == [Finished(handle, Outcome.SUCCEEDED, b"small photo", NOW)]


def test_failure_without_a_reason_is_kept_and_final(rig):
    worker, handle = rig.worker(), rig.submit_background()
    rig.start(worker)

    rig.fail(worker, handle)

    assert (outcomes(rig), rig.grab(worker)) == ([Outcome.FAILED], None)


def test_failure_with_a_reason_is_kept(rig):
    worker, handle = rig.worker(), rig.submit_background()
    rig.start(worker)
    rig.take_changes()

    rig.raise_exception(worker, handle)

    assert rig.take_changes() == [Finished(handle, Outcome.FAILED, b"", NOW, FAILURE)]


def test_exception_reaches_those_who_asked_for_it_as_it_is_and_the_others_as_a_failure(rig):
    curious, plain, worker = rig.client(wants_exceptions=True), rig.client(), rig.worker()
    rig.submit(curious, unique=b"u1")
    handle = rig.submit(plain, unique=b"u1")
    rig.start(worker)

    rig.raise_exception(worker, handle)

    assert rig.take_news() == [
        News(curious, NewsKind.EXCEPTION, handle, (b"out of paper",)),
        News(plain, NewsKind.FAIL, handle),
    ]


@pytest.mark.parametrize("late", [QueueRig.fail, QueueRig.complete, QueueRig.raise_exception])
def test_late_end_after_an_exception_is_ignored(rig, late):
    # Python, Node and Perl workers send it; an ERROR would stall them.
    worker, handle = rig.worker(), rig.submit(rig.client())
    rig.start(worker)
    rig.raise_exception(worker, handle)
    rig.take_news()

    late(rig, worker, handle)

    assert rig.effects == []


def test_late_end_of_another_worker_after_an_exception_is_refused(rig):
    worker, stranger, handle = rig.worker(), rig.worker(), rig.submit(rig.client())
    rig.start(worker)
    rig.raise_exception(worker, handle)

    with pytest.raises(JobNotHeld):
        rig.fail(stranger, handle)


@pytest.mark.parametrize(
    "report", [QueueRig.complete, QueueRig.fail, QueueRig.raise_exception, QueueRig.report_progress]
)
@pytest.mark.parametrize("is_known", [False, True])
def test_report_on_a_job_that_the_worker_does_not_hold_changes_nothing(rig, report, is_known):
    handle = rig.submit(rig.client()) if is_known else UNKNOWN
    rig.start(rig.worker()) if is_known else None
    stranger = rig.worker()

    with pytest.raises(JobNotHeld, match=f"connection {stranger} does not hold job"):
        report(rig, stranger, handle)

    assert (rig.queue.get_status(handle).is_running, rig.effects) == (is_known, [])


def test_second_end_of_a_job_is_refused(rig):
    worker, handle = rig.worker(), rig.submit(rig.client())
    rig.start(worker)
    rig.complete(worker, handle)

    with pytest.raises(JobNotHeld):
        rig.complete(worker, handle)


# WORK_FAIL_EXT: what a gearjobs worker says of a failure.


def test_failed_run_ends_its_job_with_the_reason(rig, worker):
    handle = begin_run(rig, worker)

    rig.fail_ext(worker, handle)

    assert rig.take_changes() == [Finished(handle, Outcome.FAILED, b"", NOW, FAILURE)]


@pytest.mark.parametrize("outcome", [Outcome.TIMED_OUT, Outcome.CANCELLED])
def test_run_ends_its_job_as_its_worker_says(rig, worker, outcome):
    handle = begin_run(rig, worker)

    rig.fail_ext(worker, handle, outcome=outcome)

    assert outcomes(rig) == [outcome]


def test_failed_job_that_is_to_run_again_is_recorded_so(rig, worker):
    handle = begin_run(rig, worker)

    rig.fail_ext(worker, handle, retry_in_s=30.0)

    assert rig.take_changes() == [Retried(handle, 1, FAILURE, NOW + 30, NOW)]


def test_failed_job_is_nobodys_until_that_is_committed(rig, worker):
    # With a hand-out before the commit a lost server knew of two runs under one number.
    handle = begin_run(rig, worker)
    rig.fail_ext(worker, handle, retry_in_s=0.0)

    assert (rig.grab(worker), rig.queue.get_status(handle).is_running) == (None, True)


def test_failed_job_runs_again_under_its_handle_when_its_time_has_come(rig, worker):
    handle = begin_run(rig, worker)
    rig.fail_ext(worker, handle, retry_in_s=30.0)
    rig.commit()
    rig.pass_time(29.0)
    too_soon = rig.grab(worker)

    rig.pass_time(1.0)

    assert (too_soon, rig.grab(worker)) == (None, handle)


def test_failed_job_that_is_to_run_at_once_does(rig, worker):
    handle = begin_run(rig, worker)
    rig.fail_ext(worker, handle, retry_in_s=0.0)
    rig.commit()

    assert rig.grab(worker) == handle


def test_client_that_waits_for_a_job_hears_nothing_of_its_retry(rig, worker):
    client = rig.client()
    rig.submit(client, unique=b"u1")
    handle = rig.submit_background(unique=b"u1")
    rig.start(worker, is_resumable=True)
    rig.effects.clear()

    rig.fail_ext(worker, handle, retry_in_s=1.0)

    assert rig.take_news() == []


def test_foreground_job_fails_whatever_its_worker_wants(rig, worker):
    client = rig.client()
    handle = rig.submit(client)
    rig.start(worker)

    rig.fail_ext(worker, handle, retry_in_s=1.0)

    assert rig.take_news() == [News(client, NewsKind.FAIL, handle)]


def test_retry_without_a_store_needs_no_commit():
    rig = QueueRig(QueueRules(has_store=False))
    worker = rig.heedful_worker()
    handle = rig.submit_background()
    rig.start(worker)

    rig.fail_ext(worker, handle, retry_in_s=1.0)
    rig.pass_time(1.0)

    assert (rig.effects, rig.grab(worker)) == ([], handle)


def test_job_that_would_run_again_after_it_has_expired_fails_at_once(rig, worker):
    handle = begin_run(rig, worker, terms=JobTerms(expires_at=NOW + 30))

    rig.fail_ext(worker, handle, retry_in_s=30.0)

    assert outcomes(rig) == [Outcome.FAILED]


def test_job_that_is_to_stop_does_not_run_again(rig, worker):
    handle = begin_run(rig, worker)
    rig.queue.cancel_job(handle, is_forced=False, now=NOW)
    rig.take_changes()

    rig.fail_ext(worker, handle, retry_in_s=30.0)

    assert rig.take_changes() == [Finished(handle, Outcome.CANCELLED, b"", NOW, FAILURE)]


def test_job_that_failed_for_good_before_it_could_stop_has_failed(rig, worker):
    handle = begin_run(rig, worker)
    rig.queue.cancel_job(handle, is_forced=False, now=NOW)
    rig.take_changes()

    rig.fail_ext(worker, handle)

    assert outcomes(rig) == [Outcome.FAILED]


def test_worker_may_forget_how_its_run_failed_when_that_is_committed(rig, worker):
    handle = begin_run(rig, worker)
    rig.fail_ext(worker, handle, retry_in_s=30.0)
    before = rig.take_settled()

    rig.commit()

    assert (before, rig.take_settled()) == ([], [(worker, handle)])


def test_late_end_after_a_failure_that_is_tried_again_is_ignored(rig, worker):
    handle = begin_run(rig, worker)
    rig.fail_ext(worker, handle, retry_in_s=30.0)
    rig.effects.clear()

    rig.fail(worker, handle)

    assert rig.effects == []


def test_failure_report_of_a_cancelled_job_is_passed_over(rig, worker):
    handle = begin_run(rig, worker)
    rig.queue.cancel_job(handle, now=NOW)
    rig.effects.clear()

    rig.fail_ext(worker, handle, retry_in_s=30.0)

    assert rig.effects == [OutcomeSettled(worker, handle)]


def test_worker_whose_tasks_fail_fast_is_benched_though_they_are_tried_again(rig, worker):
    for _ in range(21):
        rig.fail_ext(worker, begin_run(rig, worker), retry_in_s=30.0)

    assert [load.benched for load in rig.queue.loads()] == [1]


def test_worker_is_not_benched_for_stopping_its_jobs(rig, worker):
    for _ in range(21):
        rig.fail_ext(worker, begin_run(rig, worker), outcome=Outcome.CANCELLED)

    assert [load.benched for load in rig.queue.loads()] == [0]


@pytest.mark.parametrize(
    "report",
    [
        QueueRig.report_progress,
        lambda rig, worker, handle: rig.queue.work_data(worker, handle, b"piece", now=NOW),
        QueueRig.raise_exception,
        QueueRig.fail,
        QueueRig.complete,
    ],
)
def test_whatever_else_is_said_of_a_cancelled_job_changes_nothing(rig, report):
    worker = rig.worker()
    handle = begin_run(rig, worker, is_resumable=False)
    rig.queue.cancel_job(handle, now=NOW)
    rig.effects.clear()

    report(rig, worker, handle)

    assert rig.effects == []


# LOSS_REPORT: what became of a worker that is gone.


def test_cause_that_is_told_before_the_loss_is_noticed_is_recorded_with_it(rig, worker):
    handle = begin_run(rig, worker)
    rig.queue.loss_report(handle, 1, "killed by SIGSEGV")

    rig.disconnect(worker)

    failure = JobFailure(message="worker lost at attempt 1: killed by SIGSEGV")
    assert [change.failure for change in rig.take_changes() if isinstance(change, Requeued)] == [failure]


def test_cause_that_is_told_after_the_loss_is_recorded_for_itself(rig, worker):
    handle = begin_run(rig, worker)
    rig.disconnect(worker)
    rig.take_changes()

    rig.queue.loss_report(handle, 1, "killed by SIGSEGV")

    assert rig.take_changes() == [Explained(handle, 1, "killed by SIGSEGV")]


def test_cause_of_an_earlier_attempts_end_is_not_taken_for_the_present_ones(rig, worker):
    handle = begin_run(rig, worker)
    rig.disconnect(worker)
    rig.start(rig.worker())
    rig.take_changes()

    rig.queue.loss_report(handle, 1, "killed by SIGSEGV")

    assert rig.take_changes() == [Explained(handle, 1, "killed by SIGSEGV")]


def test_cause_of_a_loss_that_this_server_does_not_know_of_is_recorded(rig):
    rig.queue.loss_report(UNKNOWN, 3, "killed by SIGKILL")

    assert rig.take_changes() == [Explained(UNKNOWN, 3, "killed by SIGKILL")]


def test_cause_of_a_foreground_jobs_loss_is_not_recorded(rig):
    handle = rig.submit(rig.client())

    rig.queue.loss_report(handle, 1, "killed by SIGKILL")

    assert rig.effects == []
