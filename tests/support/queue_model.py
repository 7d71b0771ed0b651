"""A job as anybody could describe it who watches a queue from outside; the property tests hold the queue against it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class ModelJob:
    """What anybody could say of a job by watching."""

    handle: bytes
    function: bytes
    unique: bytes
    priority: int
    is_background: bool
    #: Moment it joined the end of its line.
    queued: int = 0
    #: Moment it was handed to its worker, and the time then.
    started: int = 0
    started_at: float = 0.0
    is_kept: bool = True
    #: Whether its row is committed.
    is_stored: bool = False
    attempt: int = 0
    #: Whether the worker of its last run may come back to it.
    is_resumable: bool = False
    #: Until when it is waited for, while its worker is cut off, and its number among such jobs.
    orphaned: tuple[float, int] | None = None
    worker: int | None = None
    clients: list[int] = field(default_factory=list)
    #: How often its worker was lost.
    crashes: int = 0
    is_over: bool = False

    def is_running(self) -> bool:
        return self.worker is not None or self.orphaned is not None

    def may_run(self) -> bool:
        return self.is_kept and not self.is_running() and not self.is_over

    def change(self, priority: int, function: bytes, moment: int) -> str:
        """Let it wait at another place, if that can be; return what whoever wants it is told."""
        if self.is_running():
            return "started"
        if self.is_background and not self.is_stored:
            return "busy"
        if self.unique and function != self.function:
            return "unique"
        self.priority, self.function, self.queued = priority, function, moment
        return "changed"

    def may_be_resumed(self, attempt: int, *, is_reported: bool) -> bool:
        """Tell whether a worker may go on with this attempt, or report its end once more."""
        if self.may_run():
            return self.is_stored and self.is_background and attempt == self.attempt + 1
        return (self.is_running() or is_reported) and self.is_resumable and attempt == self.attempt
