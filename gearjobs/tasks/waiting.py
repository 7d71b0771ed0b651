"""Waiting for a job's end, in a thread or in a coroutine, and its outcome as a value or an exception.

The row is looked at again after a quarter of the time waited so far, 2 ms at least and 1 s at most: who waits for a
quick job hears of it quickly, and who waits for a slow one costs the database next to nothing. A look reads one column
until the job has ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar

from asgiref.sync import sync_to_async

from gearjobs.errors import (
    DeadlineExceeded,
    JobCancelled,
    JobDead,
    JobError,
    JobExpired,
    JobFailed,
    JobLost,
    JobTimedOut,
    UsageError,
)
from gearjobs.tasks.django_tasks import TaskResultStatus
from gearjobs.tasks.job_backend import JobBackend

if TYPE_CHECKING:
    from gearjobs.tasks.result import GearResult

R = TypeVar("R")

#: Seconds between two looks at a row.
_MIN_PAUSE_S: Final = 0.002
_MAX_PAUSE_S: Final = 1.0
#: How much later than it happened the end is noticed, as a share of the time waited.
_SHARE: Final = 0.25

#: How an end that is no plain failure is raised.
_OUTCOMES: Final[dict[str, type[JobError]]] = {
    "cancelled": JobCancelled,
    "expired": JobExpired,
    "timed_out": JobTimedOut,
    "lost": JobLost,
    "dead": JobDead,
}


def wait_for(result: GearResult[R], timeout_s: float | None) -> R:
    """Return the job's value once it has one; see `GearResult.wait`."""
    if not _look(result):
        for pause_s in pauses(timeout_s):
            time.sleep(pause_s)
            if _look(result):
                break
        else:
            raise _too_late(result, timeout_s)
    return value_of(result)


async def await_end(result: GearResult[R], timeout_s: float | None) -> R:
    """See `wait_for`; other coroutines go on meanwhile."""
    look = sync_to_async(_look, thread_sensitive=True)
    if not await look(result):
        for pause_s in pauses(timeout_s):
            await asyncio.sleep(pause_s)
            if await look(result):
                break
        else:
            raise _too_late(result, timeout_s)
    return value_of(result)


def value_of(result: GearResult[R]) -> R:
    """Return the value of a job that has ended.

    Raises:
        JobError: it has none; the class says why.
    """
    if result.status == TaskResultStatus.SUCCESSFUL:
        return result.return_value
    error_class = _OUTCOMES.get(result.status_detail)
    if error_class is not None:
        raise error_class(result.error_message or f"the job {result.id} ended as {result.status_detail}")
    last = result.errors[-1] if result.errors else None
    message = result.error_message or (_last_line(last.traceback) if last else "")
    raise JobFailed(message, class_path=last.exception_class_path if last else "")


def pauses(timeout_s: float | None) -> Iterator[float]:
    """Yield the seconds until each further look, until the time is over; None is for ever."""
    started_at = time.monotonic()
    while True:
        waited_s = time.monotonic() - started_at
        pause_s = min(_MAX_PAUSE_S, max(_MIN_PAUSE_S, waited_s * _SHARE))
        if timeout_s is not None:
            if waited_s >= timeout_s:
                return
            pause_s = min(pause_s, timeout_s - waited_s)
        yield pause_s


def _look(result: GearResult[Any]) -> bool:
    """Bring the result up to date where the job may have ended; tell whether it has."""
    if result.is_finished:
        return True
    backend = result.task.get_backend()
    if isinstance(backend, JobBackend):
        if not backend.has_ended(result.id):
            return False
    elif not backend.supports_get_result:
        raise UsageError(f"{type(backend).__name__} keeps no results, so nobody can wait for one")
    result.refresh()
    return result.is_finished


def _too_late(result: GearResult[Any], timeout_s: float | None) -> DeadlineExceeded:
    return DeadlineExceeded(f"the job {result.id} of {result.task.module_path} did not end within {timeout_s} s")


def _last_line(traceback: str) -> str:
    """Return what a traceback ends with: the error's message, without the class that stands before it."""
    line = traceback.strip().rpartition("\n")[2]
    _, colon, message = line.partition(": ")
    return message if colon else line
