"""How a run ends: again or for good, by itself or by force; signals, result and log."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from typing import Any

import pytest

from gearjobs.errors import Discard, JobCancelled, JobTimedOut, Retry, SoftTimeout
from gearjobs.signals import job_cancelled, job_retrying, job_timed_out
from gearjobs.tasks.django_tasks import TASKS_LOGGER_NAME, TaskResultStatus, task_finished
from gearjobs.tasks.execution import run_job
from gearjobs.tasks.payload import encode_call
from gearjobs.worker.ending.forced_end import LEAST_RETRY_S
from tests.support import sample_tasks
from tests.support.fake_client import FakeClient, FakeRunningJob, client_in_place

pytestmark = pytest.mark.django_db

SIGNALS = {
    "finished": task_finished,
    "retrying": job_retrying,
    "cancelled": job_cancelled,
    "timed out": job_timed_out,
}


@contextmanager
def heard():
    """Collect which signals were sent: the name, the result's status and detail, and what else was said."""
    calls = []
    receivers = {}
    for name, signal in SIGNALS.items():

        def hear(task_result, name=name, **said):
            extra = {key: value for key, value in said.items() if key in {"error", "retry_in_s"}}
            calls.append((name, task_result.status, task_result.status_detail, extra, sys.exc_info()[1]))

        receivers[name] = hear
        signal.connect(hear)
    try:
        yield calls
    finally:
        for name, signal in SIGNALS.items():
            signal.disconnect(receivers[name])


def run(error: Exception, *, task=sample_tasks.fail_with, **state) -> tuple[FakeRunningJob, list[Any]]:
    """Run a task of three attempts that raises the error; return the job and what was heard."""
    job = FakeRunningJob(encode_call([], {}, attempt=state.pop("payload_attempt", 0)))
    for name, value in state.items():
        setattr(job, name, value)
    sample_tasks.to_raise[:] = [error]
    with heard() as calls, pytest.raises(type(error)):
        run_job(job, task=task, worker_id="worker-1")
    return job, calls


def test_failed_run_that_is_followed_by_another_is_not_finished():
    error = ValueError("bad")

    job, calls = run(error)

    said = {"error": error, "retry_in_s": 5.0}
    assert calls == [("retrying", TaskResultStatus.READY, "retrying", said, error)]
    assert (job.retry_in_s, job.is_failure_logged) == (5.0, True)


def test_last_failure_is_final():
    job, calls = run(ValueError("bad"), attempt=3, worker_ids=["w"] * 3)

    assert [call[:3] for call in calls] == [("finished", TaskResultStatus.FAILED, "failed")]
    assert job.retry_in_s is None


def test_runs_lost_with_their_worker_do_not_count():
    job, calls = run(ValueError("bad"), attempt=3, worker_ids=["w"] * 3, lost=1)

    assert [call[0] for call in calls] == ["retrying"]
    assert job.retry_in_s == 5.0


@pytest.mark.parametrize(
    ("error", "retry_in_s"), [(Retry(0.5), 0.5), (Retry(), 5.0), (Discard(), None), (KeyError(), None)]
)
def test_error_decides(error, retry_in_s):
    assert run(error)[0].retry_in_s == retry_in_s


def test_job_that_somebody_waits_for_is_not_run_again():
    assert run(ValueError("bad"), is_resumable=False)[0].retry_in_s is None
    assert run(ValueError("bad"), is_resumable=False, payload_attempt=1)[0].retry_in_s == 5.0


def test_backoff_that_fails_ends_the_job(caplog):
    error = ValueError("bad")

    job, calls = run(error, task=sample_tasks.fail_with_bad_backoff)

    assert (job.retry_in_s, calls[0][0], calls[0][4]) == (None, "finished", error)
    assert "the backoff is broken" in caplog.text


def test_cancelled_run_ends_as_cancelled():
    job, calls = run(JobCancelled(), is_cancel_asked=True)

    failed = TaskResultStatus.FAILED
    assert [call[:3] for call in calls] == [("finished", failed, "cancelled"), ("cancelled", failed, "cancelled")]
    assert job.retry_in_s is None


def test_run_that_fails_after_its_cancel_is_not_tried_again():
    job, calls = run(ValueError("bad"), is_cancel_asked=True)

    assert [call[2] for call in calls] == ["failed"]
    assert job.retry_in_s is None


def test_another_jobs_end_is_a_failure_like_any_other():
    assert [call[0] for call in run(JobTimedOut())[1]] == ["retrying"]
    assert [call[2] for call in run(JobCancelled())[1]] == ["failed"]


def test_soft_timeout_that_ends_the_task_is_told():
    _, calls = run(SoftTimeout(), is_warned=True)

    assert [call[0] for call in calls] == ["retrying", "timed out"]


def forced_end(error: BaseException, **state) -> tuple[float | None, list[Any]]:
    """End a run by force while its task runs."""
    job = FakeRunningJob(encode_call([], {}))
    for name, value in state.items():
        setattr(job, name, value)
    answers: list[Any] = []

    def end_by_force() -> None:
        with heard() as calls:
            assert job.on_forced_end is not None
            answers.append(job.on_forced_end(error))
        answers.append(calls)

    sample_tasks.to_do[:] = [end_by_force]
    with heard() as late:
        run_job(job, task=sample_tasks.do_as_told, worker_id="worker-1")
    # The function's own end says nothing any more.
    assert [call[0] for call in late] == [call[0] for call in answers[1]]
    return answers[0], answers[1]


def test_run_that_is_ended_by_force_may_run_again():
    error = JobTimedOut("too long")

    retry_in_s, calls = forced_end(error)

    assert retry_in_s == LEAST_RETRY_S
    assert [(call[0], call[4]) for call in calls] == [("retrying", error), ("timed out", error)]


def test_run_that_is_ended_by_force_after_its_cancel_does_not():
    retry_in_s, calls = forced_end(JobCancelled("did not stop"), is_cancel_asked=True)

    assert (retry_in_s, [call[0] for call in calls]) == (None, ["finished", "cancelled"])


def test_forced_end_that_comes_after_the_functions_own_says_nothing():
    job = FakeRunningJob(encode_call([2], {}))
    run_job(job, task=sample_tasks.add, worker_id="worker-1")

    assert job.on_forced_end is not None
    with heard() as calls:
        assert job.on_forced_end(JobTimedOut("too long")) is None

    assert calls == []


def test_job_of_a_stock_server_is_submitted_again():
    client = FakeClient(has_extensions=False)
    with client_in_place(client):
        job, calls = run(ValueError("bad"), has_extensions=False, is_resumable=False, payload_attempt=2)

    assert ([call[0] for call in calls], job.retry_in_s) == (["retrying"], 5.0)
    assert client.submitted[0].payload == encode_call([], {}, attempt=3)


def test_job_that_a_stock_server_did_not_take_again_has_failed():
    with client_in_place(FakeClient(is_down=True)):
        job, calls = run(ValueError("bad"), has_extensions=False, is_resumable=False, payload_attempt=1)

    assert ([call[0] for call in calls], job.retry_in_s) == (["finished"], None)


def test_attempts_at_a_stock_server_are_counted_in_the_payload():
    job, calls = run(ValueError("bad"), has_extensions=False, is_resumable=False, payload_attempt=3, worker_ids=[])

    assert [call[0] for call in calls] == ["finished"]
    assert job.retry_in_s is None


@contextmanager
def logged_by_django(handler: logging.Handler):
    """Let Django's receivers of the signals write to this handler only."""
    django_logger = logging.getLogger(TASKS_LOGGER_NAME)
    before, django_logger.propagate = django_logger.propagate, False
    django_logger.addHandler(handler)
    try:
        yield
    finally:
        django_logger.removeHandler(handler)
        django_logger.propagate = before


class _Refusing(logging.Handler):
    def filter(self, record):
        return False


@pytest.mark.parametrize(
    ("handler", "is_ours"), [(logging.NullHandler(), False), (_Refusing(), True)], ids=["Django's log", "none"]
)
def test_final_failure_is_logged_once_with_its_traceback(caplog, handler, is_ours):
    with logged_by_django(handler):
        run(ValueError("bad"), attempt=3, worker_ids=["w"] * 3)

    (record,) = [record for record in caplog.records if record.name == "gearjobs.tasks"]
    assert (bool(record.exc_info), record.levelname) == (is_ours, "WARNING")
    assert record.getMessage().endswith("error=ValueError: bad")


def test_failure_that_is_tried_again_is_logged_with_its_traceback(caplog):
    run(ValueError("bad"))

    (record,) = [record for record in caplog.records if record.name == "gearjobs.tasks"]
    assert record.exc_info
    assert "status=retrying in_s=5.0" in record.getMessage()


def test_cancel_is_no_trouble(caplog):
    caplog.set_level(logging.INFO, logger="gearjobs.tasks")

    run(JobCancelled(), is_cancel_asked=True)

    (record,) = [record for record in caplog.records if record.name == "gearjobs.tasks"]
    assert (record.levelname, record.exc_info) == ("INFO", None)
    assert "status=cancelled" in record.getMessage()
