"""What a worker process does with a job: find its arguments, run the task, give back the result's bytes.

The order is that of Django's own backends: task_started, the call, the value made JSON inside the `try`,
task_finished, which where the task failed is sent inside the `except` block, so that receivers may log the exception.
This is the wall in front of user code. KeyboardInterrupt and SystemExit mean the worker, not the job, and pass. A
receiver that raises is logged by Django and changes nothing. Each job runs in a context of its own, so that language,
time zone and context variables set by one are not found by the next, and on database connections that are still alive.
"""

from __future__ import annotations

import logging
import time
from contextvars import copy_context
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, Protocol

from django.conf import settings
from django.db import close_old_connections, reset_queries
from django.utils import timezone

from gearjobs.tasks.backend import GearmanBackend
from gearjobs.tasks.backend_lookup import backend_for
from gearjobs.tasks.context import GearContext, Reporter
from gearjobs.tasks.django_tasks import (
    InvalidTaskBackend,
    Task,
    TaskError,
    TaskResultStatus,
    normalize_json,
    task_finished,
    task_started,
)
from gearjobs.tasks.payload import decode_call, encode_value
from gearjobs.tasks.rebuilt_task import rebuild
from gearjobs.tasks.result import GearResult
from gearjobs.worker.failure_report import failure_report

logger = logging.getLogger("gearjobs.tasks")


class AssignedJob(Reporter, Protocol):
    """The job at hand; `gearjobs.worker.running_job.RunningJob` is one."""

    handle: str
    payload: bytes
    #: 1 for the first run.
    attempt: int
    priority: int
    #: Unix seconds; 0 where the server does not tell.
    run_at: float
    accepted_at: float
    #: One for each attempt, this one last; empty where the server does not tell.
    worker_ids: list[str]


def run_job(job: AssignedJob, *, task: Task[..., Any], worker_id: str) -> bytes:
    """Run the task of a job and return the bytes of its result.

    Args:
        job: as the server assigned it.
        task: the task its function means to this worker, on the queue the function says.
        worker_id: this worker's client id, for servers that do not tell it.

    Raises:
        PayloadError: the payload is no call; the task was not run and no signal sent.
        BaseException: whatever the task raised, or TypeError or PayloadError of a value without a JSON form.
    """
    return copy_context().run(_run_on_live_connections, job, task, worker_id=worker_id)


def _run_on_live_connections(job: AssignedJob, task: Task[..., Any], *, worker_id: str) -> bytes:
    reset_queries()
    close_old_connections()
    try:
        return _run(job, task, worker_id=worker_id)
    finally:
        # Closes also what the job broke, or left in a transaction of its own.
        close_old_connections()


def _run(job: AssignedJob, task: Task[..., Any], *, worker_id: str) -> bytes:
    started_at = time.monotonic()
    sender = _sender(task)
    result = _started_result(job, task, worker_id=worker_id)
    task_started.send_robust(sender=sender, task_result=result)
    try:
        value = _call(task, result, reporter=job)
        body = encode_value(value)
    except (KeyboardInterrupt, SystemExit):
        raise
    # The wall in front of user code; asyncio's CancelledError is a BaseException and yet the job's own failure.
    except BaseException as error:
        _finish(result, TaskResultStatus.FAILED, error=error)
        task_finished.send_robust(sender=sender, task_result=result)
        _log_end(result, started_at)
        raise
    _finish(result, TaskResultStatus.SUCCESSFUL, value=value)
    task_finished.send_robust(sender=sender, task_result=result)
    _log_end(result, started_at)
    return body


def _call(task: Task[..., Any], result: GearResult[Any], *, reporter: Reporter) -> object:
    context = (GearContext(task_result=result, reporter=reporter),) if task.takes_context else ()
    # The task may change what it was given; the result it is told of must not change with it.
    args, kwargs = deepcopy(result.args), deepcopy(result.kwargs)
    call: Any = task.call
    return normalize_json(call(*context, *args, **kwargs))


def _sender(task: Task[..., Any]) -> type[GearmanBackend]:
    """Return the class of the task's backend, or of ours where the task was declared for another one."""
    try:
        backend = backend_for(task.backend)
    except InvalidTaskBackend:
        return GearmanBackend
    return type(backend) if isinstance(backend, GearmanBackend) else GearmanBackend


def _started_result(job: AssignedJob, task: Task[..., Any], *, worker_id: str) -> GearResult[Any]:
    args, kwargs = decode_call(job.payload)
    now = timezone.now()
    return GearResult(
        task=rebuild(
            task,
            backend=task.backend,
            queue_name=task.queue_name,
            priority=job.priority,
            run_after=_moment(job.run_at),
        ),
        id=job.handle,
        status=TaskResultStatus.RUNNING,
        enqueued_at=_moment(job.accepted_at),
        # The row knows the first start of a later attempt; the worker does not ask for it.
        started_at=now,
        finished_at=None,
        last_attempted_at=now,
        args=args,
        kwargs=kwargs,
        backend=task.backend,
        errors=[],
        worker_ids=list(job.worker_ids) or [worker_id] * job.attempt,
        status_detail="running",
    )


def _moment(unix_s: float) -> datetime | None:
    if not unix_s:
        return None
    # As Django reads a time from a row: aware and UTC, or naive in local time.
    return datetime.fromtimestamp(unix_s, tz=UTC if settings.USE_TZ else None)


def _finish(
    result: GearResult[Any], status: TaskResultStatus, *, value: object = None, error: BaseException | None = None
) -> None:
    is_successful = status == TaskResultStatus.SUCCESSFUL
    result.change(
        status=status,
        status_detail="succeeded" if is_successful else "failed",
        finished_at=timezone.now(),
        _return_value=value,
    )
    if error is not None:
        report = failure_report(error)
        result.errors.append(TaskError(exception_class_path=report.class_path, traceback=report.traceback))


def _log_end(result: GearResult[Any], started_at: float) -> None:
    """One line a job; the traceback is in the job's row and with Django's own receivers."""
    logger.info(
        "ran job=%s task=%s attempt=%d status=%s duration_s=%.3f",
        result.id,
        result.task.module_path,
        result.attempts,
        result.status,
        time.monotonic() - started_at,
    )
