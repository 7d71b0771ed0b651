"""What a worker process does with a job: find its arguments, run the task, give back the result's bytes.

The order is that of Django's own backends: task_started, the call, the value made JSON inside the `try`,
task_finished, which where the task failed is sent inside the `except` block, so that receivers may log the exception.
This is the wall in front of user code. KeyboardInterrupt and SystemExit mean the worker, not the job, and pass. A
receiver that raises is logged by Django and changes nothing. Each job runs in a context of its own, so that language,
time zone and context variables set by one are not found by the next, and on database connections that are still alive.
Only the task itself can be interrupted (a soft timeout, a cancel). What its end leads to stands in `run_endings`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from contextvars import copy_context
from copy import deepcopy
from datetime import UTC, datetime
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, Protocol

from asgiref.sync import async_to_sync
from django.conf import settings
from django.utils import timezone

from gearjobs.tasks.backend import GearmanBackend
from gearjobs.tasks.backend_lookup import backend_for
from gearjobs.tasks.connection_care import close_after_job, open_for_job
from gearjobs.tasks.context import GearContext, Reporter, WatchedRun
from gearjobs.tasks.django_tasks import (
    InvalidTaskBackend,
    Task,
    TaskResultStatus,
    normalize_json,
    task_started,
)
from gearjobs.tasks.log_capture import captured_logs
from gearjobs.tasks.parent_job import current_job
from gearjobs.tasks.payload import attempt_of, decode_call, encode_value
from gearjobs.tasks.rebuilt_task import rebuild
from gearjobs.tasks.result import GearResult
from gearjobs.tasks.run_endings import EndingJob, RunEndings
from gearjobs.tasks.task import options_of
from gearjobs.worker.ending.interruption import Interruption

#: Runs the coroutine that a function makes to its end, in an event loop, while the calling thread waits.
RunCoroutine = Callable[[Callable[[], Coroutine[Any, Any, object]]], object]


class AssignedJob(Reporter, WatchedRun, EndingJob, Protocol):
    """The job at hand; `gearjobs.worker.running_job.RunningJob` is one."""

    priority: int
    #: Unix seconds; 0 where the server does not tell.
    run_at: float
    accepted_at: float
    #: One for each attempt, this one last; empty where the server does not tell.
    worker_ids: list[str]
    interruption: Interruption


def run_in_own_loop(make_coroutine: Callable[[], Coroutine[Any, Any, object]]) -> object:
    """Run the coroutine in an event loop of its own; what it does in threads by `sync_to_async` is done in this one."""
    return async_to_sync(make_coroutine)()


def run_job(
    job: AssignedJob, *, task: Task[..., Any], worker_id: str, run_coroutine: RunCoroutine = run_in_own_loop
) -> bytes:
    """Run the task of a job and return the bytes of its result.

    Args:
        job: as the server assigned it.
        task: the task its function means to this worker, on the queue the function says.
        worker_id: this worker's client id, for servers that do not tell it.
        run_coroutine: runs the coroutine of a task that is one.

    Raises:
        PayloadError: the payload is no call; the task was not run and no signal sent.
        BaseException: whatever the task raised, or TypeError or PayloadError of a value without a JSON form.
    """
    return copy_context().run(_run_on_live_connections, job, task, worker_id=worker_id, run_coroutine=run_coroutine)


def run_job_in_place(job: AssignedJob, *, task: Task[..., Any], worker_id: str) -> bytes:
    """Do what `run_job` does on the caller's database connections, which are left as they are: for tests."""
    return copy_context().run(_run, job, task, worker_id=worker_id, run_coroutine=run_in_own_loop)


def _run_on_live_connections(
    job: AssignedJob, task: Task[..., Any], *, worker_id: str, run_coroutine: RunCoroutine
) -> bytes:
    were_open = open_for_job()
    try:
        return _run(job, task, worker_id=worker_id, run_coroutine=run_coroutine)
    finally:
        close_after_job(job.handle, were_open=were_open, is_interrupted=job.is_warned or job.is_cancel_asked)


def _run(job: AssignedJob, task: Task[..., Any], *, worker_id: str, run_coroutine: RunCoroutine) -> bytes:
    sender = _sender(task)
    result = _started_result(job, task, worker_id=worker_id)
    # In a context of its own (see above), which ends with the run.
    current_job.set(job.handle)
    endings = RunEndings(job, result, sender=sender)
    job.on_forced_end = endings.end_by_force
    task_started.send_robust(sender=sender, task_result=result)
    try:
        level = options_of(task).capture_logs
        with captured_logs(level, job.send_warning) if level else nullcontext() as endings.capture:
            value = _call(task, result, job=job, run_coroutine=run_coroutine)
        body = encode_value(value)
    except (KeyboardInterrupt, SystemExit):
        raise
    # The wall in front of user code; asyncio's CancelledError is a BaseException and yet the job's own failure.
    except BaseException as error:
        endings.fail(error)
        raise
    endings.succeed(value)
    return body


def _call(task: Task[..., Any], result: GearResult[Any], *, job: AssignedJob, run_coroutine: RunCoroutine) -> object:
    context = (GearContext(task_result=result, reporter=job, run=job),) if task.takes_context else ()
    # The task may change what it was given; the result it is told of must not change with it.
    args = [_own(value) for value in result.args]
    kwargs = {name: _own(value) for name, value in result.kwargs.items()}
    # By the function itself: a coroutine function needs a loop of the worker's choice.
    function = partial(task.func, *context, *args, **kwargs)
    if not iscoroutinefunction(task.func):
        return normalize_json(job.interruption.run(function))

    async def run_interruptibly() -> object:
        return await job.interruption.run_coroutine(function())

    return normalize_json(run_coroutine(run_interruptibly))


def _own(value: object) -> object:
    """Return a copy of a JSON value; only what can be changed costs one."""
    return deepcopy(value) if isinstance(value, list | dict) else value


def _sender(task: Task[..., Any]) -> type[GearmanBackend]:
    """Return the class of the task's backend, or of ours where the task was declared for another one."""
    try:
        backend = backend_for(task.backend)
    except InvalidTaskBackend:
        return GearmanBackend
    return type(backend) if isinstance(backend, GearmanBackend) else GearmanBackend


def _started_result(job: AssignedJob, task: Task[..., Any], *, worker_id: str) -> GearResult[Any]:
    args, kwargs = decode_call(job.payload)
    # A stock server does not count, so that the payload does.
    attempt = job.attempt if job.has_extensions else attempt_of(job.payload) or 1
    now, run_after = timezone.now(), _moment(job.run_at)
    if job.priority != task.priority or run_after != task.run_after:
        task = rebuild(
            task, backend=task.backend, queue_name=task.queue_name, priority=job.priority, run_after=run_after
        )
    return GearResult(
        task=task,
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
        worker_ids=list(job.worker_ids) or [worker_id] * attempt,
        status_detail="running",
    )


def _moment(unix_s: float) -> datetime | None:
    if not unix_s:
        return None
    # As Django reads a time from a row: aware and UTC, or naive in local time.
    return datetime.fromtimestamp(unix_s, tz=UTC if settings.USE_TZ else None)
