"""What a backend offers whose jobs can be waited for, cancelled and run again, and who has it.

`GearmanBackend` does. Django's own backends and others do not: what is asked of them here is refused in a sentence.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from gearjobs.errors import UsageError
from gearjobs.tasks.django_tasks import Task

if TYPE_CHECKING:
    from gearjobs.tasks.job_events import Event
    from gearjobs.tasks.result import GearResult


@runtime_checkable
class JobBackend(Protocol):
    """A backend that can follow its jobs and interfere with them."""

    def has_ended(self, result_id: str) -> bool:
        """Tell whether a job has ended; refuses in a transaction that would not see it."""

    def outputs_after(self, result_id: str, since: int) -> list[Event]:
        """Return the data and warnings of a job after the number `since`, in order."""

    def cancel(self, result_id: str, *, force: bool = False, reason: str = "") -> bool:
        """End a job, or have it end; tell whether there was anything to end."""

    def retry(self, result_id: str, *, at: datetime | None = None) -> GearResult[Any]:
        """Enqueue a job again that has ended."""

    def purge(self, task: Task[..., Any]) -> int:
        """Cancel the jobs of a task that have not started; return how many."""


def job_backend_of(task: Task[..., Any], verb: str) -> JobBackend:
    """Return the task's backend.

    Raises:
        UsageError: it is none that can do such a thing.
    """
    backend = task.get_backend()
    if not isinstance(backend, JobBackend):
        raise UsageError(f"{type(backend).__name__} cannot {verb} jobs of {task.module_path}; GearmanBackend can")
    return backend
