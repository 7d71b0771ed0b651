"""How a run ends as its task sees it: the status of its result, the signals, the log, and whether it runs again.

A run that is followed by another leaves its result READY and "retrying", as the row has it, and has job_retrying sent
instead of task_finished, which comes once a job. A failure is logged once with its traceback: by Django's own receiver
of task_finished where that one's logger leads anywhere, else here. What the server is told is the worker's affair,
which finds in the job what was decided here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from django.utils import timezone
from django.utils.log import AdminEmailHandler

from gearjobs.errors import JobCancelled, JobTimedOut, SoftTimeout
from gearjobs.signals import job_cancelled, job_retrying, job_timed_out
from gearjobs.tasks.backend import GearmanBackend
from gearjobs.tasks.django_tasks import TASKS_LOGGER_NAME, TaskError, TaskResultStatus, task_finished
from gearjobs.tasks.log_capture import CaptureHandler, LogCapture
from gearjobs.tasks.payload import attempt_of
from gearjobs.tasks.resubmission import StockJob, submit_again
from gearjobs.tasks.result import GearResult
from gearjobs.tasks.retry_policy import decide
from gearjobs.tasks.task import options_of
from gearjobs.worker.ending.forced_end import LEAST_RETRY_S
from gearjobs.worker.failure_report import failure_report, own_traceback

logger = logging.getLogger("gearjobs.tasks")

_LINE: Final = "ran job=%s task=%s attempt=%d status=%s duration_s=%.3f"
_FAILURE_LINE: Final = f"{_LINE} error=%s"


class EndingJob(StockJob, Protocol):
    """The job at hand; `gearjobs.worker.running_job.RunningJob` is one."""

    attempt: int
    lost: int
    has_extensions: bool
    is_resumable: bool
    is_cancel_asked: bool
    is_warned: bool
    retry_in_s: float | None
    is_failure_logged: bool
    on_forced_end: Callable[[BaseException], float | None] | None


class RunEndings:
    """The end of one run.

    Args:
        job: as the worker has it.
        result: of the task, running.
        sender: of signals.
    """

    def __init__(self, job: EndingJob, result: GearResult[Any], *, sender: type[GearmanBackend]) -> None:
        self._job = job
        self._result = result
        self._sender = sender
        self._started_at = time.monotonic()
        # Taken by the first end: the task's own, or that by force from another thread.
        self._end = threading.Lock()
        #: What the run logs, where that is kept with the job.
        self.capture: LogCapture | None = None

    def succeed(self, value: object) -> None:
        """The task returned this value."""
        if not self._end.acquire(blocking=False):
            return
        self._result.change(
            status=TaskResultStatus.SUCCESSFUL,
            status_detail="succeeded",
            finished_at=timezone.now(),
            _return_value=value,
        )
        task_finished.send_robust(sender=self._sender, task_result=self._result)
        if logger.isEnabledFor(logging.INFO):
            logger.info(_LINE, *self._told("SUCCESSFUL"))

    def fail(self, error: BaseException) -> None:
        """The task raised this; to be called while it is handled, so that receivers may log the exception."""
        if self._end.acquire(blocking=False):
            error.__traceback__ = own_traceback(error.__traceback__)
            self._fail(error, is_timed_out=self._job.is_warned and isinstance(error, SoftTimeout))

    def end_by_force(self, error: BaseException) -> float | None:
        """The run is ended with its process, for this reason; return the seconds to the next, None for none."""
        if self.capture is not None:
            self.capture.finish()
        if self._end.acquire(blocking=False):
            try:
                raise error
            except (JobCancelled, JobTimedOut) as raised:
                # Where it was raised just now says nothing.
                is_timed_out = isinstance(raised, JobTimedOut)
                self._fail(raised.with_traceback(None), is_timed_out=is_timed_out, least_retry_s=LEAST_RETRY_S)
        return self._job.retry_in_s

    def _fail(self, error: BaseException, *, is_timed_out: bool, least_retry_s: float = 0.0) -> None:
        is_cancelled = self._job.is_cancel_asked and isinstance(error, JobCancelled)
        report = failure_report(error)
        self._result.errors.append(TaskError(exception_class_path=report.class_path, traceback=report.traceback))
        retry_in_s = None if is_cancelled else self._retry_in_s(error, least_s=least_retry_s)
        self._job.retry_in_s = retry_in_s
        self._job.is_failure_logged = True
        if retry_in_s is None:
            detail = "cancelled" if is_cancelled else "timed_out" if is_timed_out else "failed"
            self._result.change(
                status=TaskResultStatus.FAILED, status_detail=detail, finished_at=timezone.now(), _return_value=None
            )
            task_finished.send_robust(sender=self._sender, task_result=self._result)
            self._log_failure(error, detail)
        else:
            self._result.change(status=TaskResultStatus.READY, status_detail="retrying")
            self._send(job_retrying, error=error, retry_in_s=retry_in_s)
            self._log_failure(error, f"retrying in_s={retry_in_s:.1f}")
        if is_cancelled:
            self._send(job_cancelled)
        elif is_timed_out:
            self._send(job_timed_out, error=error, retry_in_s=retry_in_s)

    def _send(self, signal: Any, **arguments: object) -> None:
        signal.send_robust(sender=self._sender, task_result=self._result, **arguments)

    def _retry_in_s(self, error: BaseException, *, least_s: float) -> float | None:
        """Return the seconds after which the same job runs again; None for never."""
        job, options = self._job, options_of(self._result.task)
        if options.max_attempts <= 1 or job.is_cancel_asked or not self._may_run_again():
            return None
        try:
            decision = decide(options, error, task_result=self._result, attempts=self._result.attempts - job.lost)
        except Exception:
            # The task's own backoff raised: the failure at hand stays the job's.
            logger.exception("failed to decide whether job=%s runs again", job.handle)
            return None
        logger.debug("decided job=%s retry_in_s=%s reason=%s", job.handle, decision.retry_in_s, decision.reason)
        if decision.retry_in_s is None:
            return None
        retry_in_s = max(decision.retry_in_s, least_s)
        if job.has_extensions:
            return retry_in_s
        is_there = submit_again(job, retry_in_s=retry_in_s, priority=self._result.task.priority)
        return retry_in_s if is_there else None

    def _may_run_again(self) -> bool:
        """Whether this is a background job; of a foreground job somebody waits for this run's outcome."""
        return self._job.is_resumable or attempt_of(self._job.payload) > 0

    def _log_failure(self, error: BaseException, status: str) -> None:
        is_final = self._result.status == TaskResultStatus.FAILED
        if status == "cancelled":
            logger.info(_LINE, *self._told(status))
            return
        shows_traceback = not (is_final and _django_logs_failures())
        # The first line of what may be many.
        summary = f"{type(error).__name__}: {failure_report(error).message}".partition("\n")[0]
        told = self._told("FAILED" if status == "failed" else status)
        logger.warning(_FAILURE_LINE, *told, summary, exc_info=error if shows_traceback else None)

    def _told(self, status: str) -> tuple[object, ...]:
        """Return what the one line says of a job; the traceback is in the job's row, too."""
        return (
            self._result.id,
            self._result.task.module_path,
            self._result.attempts,
            status,
            time.monotonic() - self._started_at,
        )


def _django_logs_failures() -> bool:
    """Whether what Django logs of a failed task, with its traceback, goes to a log that people read beside ours."""
    place: logging.Logger | None = logging.getLogger(TASKS_LOGGER_NAME)
    if place is None or not place.isEnabledFor(logging.ERROR):
        return False
    record = logging.makeLogRecord({"levelno": logging.ERROR, "levelname": "ERROR", "name": TASKS_LOGGER_NAME})
    if not place.hasHandlers():
        return logging.lastResort is not None
    while place is not None:
        if any(_shows(handler, record) for handler in place.handlers):
            return True
        place = place.parent if place.propagate else None
    return False


def _shows(handler: logging.Handler, record: logging.LogRecord) -> bool:
    """Whether people see this record there; what capture and mail do with it does not count."""
    if isinstance(handler, AdminEmailHandler | CaptureHandler):
        return False
    return handler.level <= record.levelno and bool(handler.filter(record))
