"""A job's row as a GearResult.

Whatever stands in the row can be read: a job of any task, one whose task is gone, one that a peer of the wire
submitted or did. What is not ours is shown as well as it can be: a payload that is no call has no arguments, a result
that is no JSON is text, or bytes where it is no text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gearjobs.protocol.wire_text import to_bytes
from gearjobs.tasks.discovery import discover_tasks
from gearjobs.tasks.django_tasks import DEFAULT_TASK_QUEUE_NAME, Task, TaskError, TaskResultStatus
from gearjobs.tasks.payload import Json, PayloadError, decode_call, read_result
from gearjobs.tasks.rebuilt_task import find_task, rebuild, stand_in
from gearjobs.tasks.result import GearResult, Progress

if TYPE_CHECKING:
    from gearjobs.models.job import Job


def result_of(job: Job, *, backend: str) -> GearResult[Any]:
    """Return what a row says.

    Args:
        job: the row.
        backend: alias of the backend that reads it, where the row names none.

    Raises:
        SuspiciousOperation: the row's task is the path of something that is no task.
    """
    args, kwargs = _arguments(bytes(job.payload))
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
        errors=_errors(job),
        worker_ids=list(job.worker_ids),
        status_detail=job.status_detail,
        progress=_progress(job),
        metadata=job.metadata,
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


def _errors(job: Job) -> list[TaskError]:
    if not job.error_class:
        return []
    # A worker that gives no traceback still says why.
    traceback = job.error_traceback or f"{job.error_class}: {job.error_message}"
    return [TaskError(exception_class_path=job.error_class, traceback=traceback)]


def _progress(job: Job) -> Progress | None:
    if not (job.progress_numerator or job.progress_denominator or job.progress_message):
        return None
    return Progress(job.progress_numerator, job.progress_denominator, job.progress_message)
