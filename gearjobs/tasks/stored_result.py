"""A job's row as a GearResult.

Whatever stands in the row can be read: a job of any task, one whose task is gone, one that a peer of the wire
submitted or did. What is not ours is shown as well as it can be: a payload that is no call has no arguments, a result
that is no JSON is text, or bytes where it is no text. The attempts that did not end the job are asked for where there
may be any, by one query.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gearjobs.protocol.wire_text import to_bytes
from gearjobs.settings import gearjobs_settings
from gearjobs.tasks.discovery import discover_tasks
from gearjobs.tasks.django_tasks import DEFAULT_TASK_QUEUE_NAME, Task, TaskError, TaskResultStatus
from gearjobs.tasks.late_records import job_attempts
from gearjobs.tasks.payload import Json, PayloadError, decode_call, read_result
from gearjobs.tasks.rebuilt_task import find_task, rebuild, stand_in
from gearjobs.tasks.result import Attempt, GearResult, Progress

if TYPE_CHECKING:
    from gearjobs.models.job import Job
    from gearjobs.models.job_attempt import JobAttempt


def result_of(job: Job, *, backend: str) -> GearResult[Any]:
    """Return what a row says.

    Args:
        job: the row.
        backend: alias of the backend that reads it, where the row names none.

    Raises:
        SuspiciousOperation: the row's task is the path of something that is no task.
    """
    args, kwargs = _arguments(bytes(job.payload))
    attempts = [_attempt(row) for row in job_attempts.attempts_of(job, using=gearjobs_settings().database)]
    result: GearResult[Any] = GearResult(
        task=_task_of(job, backend=backend),
        id=job.handle,
        status=TaskResultStatus(job.status),
        enqueued_at=job.enqueued_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        last_attempted_at=job.last_attempted_at,
        args=args,
        kwargs=kwargs,
        backend=job.backend or backend,
        errors=_errors(job, attempts),
        worker_ids=list(job.worker_ids),
        status_detail=job.status_detail,
        progress=_progress(job),
        metadata=job.metadata,
        attempts_log=attempts,
        error_message=_error_message(job, attempts),
    )
    if job.result is not None:
        result.change(_return_value=read_result(bytes(job.result)))
    return result


def _task_of(job: Job, *, backend: str) -> Task[..., Any]:
    function = to_bytes(job.function).decode(errors="replace")
    task = find_task(job.task, function=function)
    if task is None and job.task:
        discover_tasks()
        task = find_task(job.task, function=function)
    return rebuild(
        task or stand_in(job.task or job.function, backend=backend),
        backend=backend,
        queue_name=job.queue or DEFAULT_TASK_QUEUE_NAME,
        priority=job.priority,
        run_after=job.run_at,
    )


def _arguments(payload: bytes) -> tuple[list[Json], dict[str, Json]]:
    try:
        return decode_call(payload)
    except PayloadError:
        return [], {}


def _attempt(row: JobAttempt) -> Attempt:
    return Attempt(
        number=row.number,
        worker_id=row.worker_id,
        started_at=row.started_at,
        ended_at=row.ended_at,
        outcome=row.outcome,
        error_class=row.error_class,
        error_message=row.error_message,
        traceback=row.error_traceback,
    )


def _error_message(job: Job, attempts: Sequence[Attempt]) -> str:
    """Return what ended the job, or its latest attempt where it is to be tried again; nothing of one that succeeded."""
    if job.error_class or job.status == TaskResultStatus.SUCCESSFUL or not attempts:
        return job.error_message
    return attempts[-1].error_message


def _errors(job: Job, attempts: Sequence[Attempt]) -> list[TaskError]:
    """Return the errors of all attempts in order, that which ended the job last."""
    errors = [(one.error_class, one.error_message, one.traceback) for one in attempts]
    if job.error_class:
        errors.append((job.error_class, job.error_message, job.error_traceback))
    # A worker that gives no traceback still says why.
    return [
        TaskError(exception_class_path=path, traceback=traceback or f"{path}: {message}")
        for path, message, traceback in errors
    ]


def _progress(job: Job) -> Progress | None:
    if not (job.progress_numerator or job.progress_denominator or job.progress_message):
        return None
    return Progress(job.progress_numerator, job.progress_denominator, job.progress_message)
