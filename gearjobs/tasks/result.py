"""What became of a job, as the caller of `enqueue` sees it: Django's TaskResult with progress and detail.

Instances are frozen as Django's are; `refresh` and `arefresh` replace what may change, here also the progress and the
detail. How a row becomes a GearResult stands in `stored_result`, how it is waited for in `waiting`; what interferes
with the job goes to its backend (`job_backend`). A result of a foreign backend (Dummy and Immediate in tests) is taken
over as it is, so that code written for a GearResult runs there too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from asgiref.sync import sync_to_async
from django.utils import timezone

from gearjobs.tasks.django_tasks import TASK_REFRESH_ATTRS, GenericResult, TaskResult, TaskResultStatus
from gearjobs.tasks.job_backend import job_backend_of
from gearjobs.tasks.job_events import Event, afollow, follow
from gearjobs.tasks.waiting import await_end, wait_for

R = TypeVar("R")

#: The detail of a result that says no more than Django's four states.
_DETAILS: Final = {
    TaskResultStatus.READY: "waiting",
    TaskResultStatus.RUNNING: "running",
    TaskResultStatus.FAILED: "failed",
    TaskResultStatus.SUCCESSFUL: "succeeded",
}


#: What of a GearResult may change beside what of any result may.
_OWN_REFRESH_ATTRS: Final = ("status_detail", "progress", "metadata", "attempts_log", "error_message")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is, in the worker's own numbers."""

    numerator: float
    #: What the numerator runs up to; 0 when the worker does not know.
    denominator: float
    message: str = ""

    @property
    def percent(self) -> float | None:
        """0 to 100; None when the total is not known."""
        if self.denominator <= 0:
            return None
        return min(100.0, max(0.0, 100.0 * self.numerator / self.denominator))


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One run of a job that did not end it: it failed and was tried again, or its worker was lost."""

    #: Counts from 1 within the job.
    number: int
    #: Client id of the worker.
    worker_id: str
    started_at: datetime | None
    ended_at: datetime
    #: failed, timed_out or lost.
    outcome: str
    #: Dotted path of the exception's class; empty where there was none.
    error_class: str = ""
    error_message: str = ""
    traceback: str = ""

    @property
    def duration(self) -> timedelta | None:
        """How long it ran; None where its start is not known."""
        return None if self.started_at is None else self.ended_at - self.started_at


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GearResult(GenericResult[..., R], Generic[R]):  # type: ignore[misc]  # frozen, which the stubs leave out
    """A TaskResult that also tells how far the job is and why it stands where it stands."""

    #: blocked, waiting, scheduled, running, retrying, succeeded, failed, cancelled, expired, timed_out, lost or dead.
    status_detail: str = "waiting"
    #: None until the worker told.
    progress: Progress | None = None
    #: JSON-ready values attached to the job.
    metadata: dict[str, Any] = field(default_factory=dict)
    #: The runs that did not end the job, in order.
    attempts_log: list[Attempt] = field(default_factory=list)
    #: What ended the job, or its latest attempt where it is to be tried again; empty for one that succeeded.
    error_message: str = ""

    @classmethod
    def from_result(cls, result: TaskResult[..., R]) -> GearResult[R]:
        """Return any backend's result as a GearResult; one that is a GearResult already comes back itself."""
        if isinstance(result, GearResult):
            return result
        taken: GearResult[R] = cls(
            **{one.name: getattr(result, one.name) for one in fields(TaskResult) if one.init},
        )
        taken.take_over(result)
        return taken

    def refresh(self) -> None:
        """Read the job's state again.

        Raises:
            TaskResultDoesNotExist: the row is gone; nothing was changed.
        """
        self.take_over(self.task.get_backend().get_result(self.id))

    async def arefresh(self) -> None:
        """See `refresh`."""
        self.take_over(await self.task.get_backend().aget_result(self.id))

    def wait(self, timeout: float | None = None) -> R:
        """Wait until the job has ended, and return its value.

        Args:
            timeout: seconds; None for as long as it takes.

        Raises:
            JobFailed: the task raised; JobCancelled, JobExpired, JobTimedOut, JobLost and JobDead say what else it
                ended as.
            DeadlineExceeded: it did not end in time, and goes on; a TimeoutError.
            TaskResultDoesNotExist: there is no such job (any more).
            UsageError: it has not ended, and this is a transaction, which would never see it end.
        """
        return wait_for(self, timeout)

    async def await_(self, timeout: float | None = None) -> R:  # noqa: ASYNC109 - the same as `wait`
        """See `wait`; other coroutines go on meanwhile."""
        return await await_end(self, timeout)

    def events(self, since: int = 0) -> Iterator[Event]:
        """Yield what the job tells, its data, warnings and progress, until it has ended.

        Args:
            since: the `sequence` of the last event that is known already.

        Raises:
            UsageError: the task's backend cannot follow jobs.
        """
        return follow(self, since)

    def aevents(self, since: int = 0) -> AsyncIterator[Event]:
        """See `events`."""
        return afollow(self, since)

    def cancel(self, *, force: bool = False, reason: str = "") -> bool:
        """End the job: at once where it has not started, else by telling its worker.

        A running task ends where it asks `context.check_cancelled()`, or at the exception that is raised in it 10 s
        later; its process is killed when it goes on for another 20 s.

        Args:
            force: end a running one at once, too: the exception comes at once, the end of the process after a second.
            reason: a sentence for the job's record; may be empty.

        Returns:
            Whether it was ended or told to end; False where it had ended, or there is no such job.

        Raises:
            ServerUnavailable: the job is at a server that does not answer.
            UsageError: the task's backend cannot cancel jobs.
        """
        return job_backend_of(self.task, "cancel").cancel(self.id, force=force, reason=reason)

    async def acancel(self, *, force: bool = False, reason: str = "") -> bool:
        """See `cancel`."""
        return await sync_to_async(self.cancel, thread_sensitive=True)(force=force, reason=reason)

    def retry(self, *, at: datetime | timedelta | None = None) -> GearResult[R]:
        """Enqueue the job again, with the same arguments and terms, and return the new job's result-to-be.

        The row of the old one stays as it is; the new one's metadata names it, as `gearjobs.retry_of`.

        Args:
            at: the earliest start, or how long from now; None for at once.

        Raises:
            UsageError: the job has not ended, or the task's backend cannot retry jobs.
            TaskResultDoesNotExist: its row is gone.
        """
        moment = timezone.now() + at if isinstance(at, timedelta) else at
        return job_backend_of(self.task, "retry").retry(self.id, at=moment)

    def take_over(self, newer: TaskResult[..., Any]) -> None:
        """Replace everything that may change by what `newer` says."""
        for name in TASK_REFRESH_ATTRS:
            object.__setattr__(self, name, getattr(newer, name))
        if isinstance(newer, GearResult):
            self.change(**{name: getattr(newer, name) for name in _OWN_REFRESH_ATTRS})
        else:
            self.change(status_detail=_DETAILS[newer.status])

    def change(self, **values: object) -> None:
        """Set fields of this frozen object: for the backend and the worker, which write what the caller only reads."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        """Equal to any TaskResult that says the same, so that a taken-over result equals its original."""
        if not isinstance(other, TaskResult):
            return NotImplemented
        return all(getattr(self, one.name) == getattr(other, one.name) for one in fields(TaskResult))

    __hash__ = None  # type: ignore[assignment]  # nor can Django's be hashed: it holds lists
