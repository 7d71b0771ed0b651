"""What became of a job, as the caller of `enqueue` sees it: Django's TaskResult with progress and detail.

Instances are frozen as Django's are; `refresh` and `arefresh` replace what may change, here also the progress and the
detail. How a row becomes a GearResult stands in `stored_result`. A result of a foreign backend (Dummy and Immediate in
tests) is taken over as it is, so that code written for a GearResult runs there too.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Final, Generic, TypeVar

from gearjobs.tasks.django_tasks import TASK_REFRESH_ATTRS, GenericResult, TaskResult, TaskResultStatus

R = TypeVar("R")

#: The detail of a result that says no more than Django's four states.
_DETAILS: Final = {
    TaskResultStatus.READY: "waiting",
    TaskResultStatus.RUNNING: "running",
    TaskResultStatus.FAILED: "failed",
    TaskResultStatus.SUCCESSFUL: "succeeded",
}


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GearResult(GenericResult[..., R], Generic[R]):  # type: ignore[misc]  # frozen, which the stubs leave out
    """A TaskResult that also tells how far the job is and why it stands where it stands."""

    #: waiting, scheduled, running, retrying, succeeded, failed, cancelled, expired, timed_out, lost or dead.
    status_detail: str = "waiting"
    #: None until the worker told.
    progress: Progress | None = None
    #: JSON-ready values attached to the job.
    metadata: dict[str, Any] = field(default_factory=dict)

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

    def take_over(self, newer: TaskResult[..., Any]) -> None:
        """Replace everything that may change by what `newer` says."""
        for name in TASK_REFRESH_ATTRS:
            object.__setattr__(self, name, getattr(newer, name))
        if isinstance(newer, GearResult):
            changes = {"status_detail": newer.status_detail, "progress": newer.progress, "metadata": newer.metadata}
        else:
            changes = {"status_detail": _DETAILS[newer.status]}
        self.change(**changes)

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
