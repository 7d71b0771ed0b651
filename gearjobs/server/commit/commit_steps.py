"""The words between `group_commit`, which decides, and whoever carries out what it decided.

What the operator chose, the steps that the store is asked to take, and what follows of each. Plain values, no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from gearjobs.core.changes import Accepted, Change
from gearjobs.core.jobs import JobHandle


class HeldAnswer(Protocol):
    """A reply that waits for a commit."""

    @property
    def is_wanted(self) -> bool:
        """Whether its peer is still there to hear it."""


Reply = TypeVar("Reply", bound=HeldAnswer)


@dataclass(frozen=True, slots=True)
class CommitRules:
    """What the operator chose."""

    #: Seconds within which a submitter is answered.
    store_timeout_s: float = 2.0
    #: Seconds between two renewals of the lease, and before its end from which on it counts as lost.
    renew_interval_s: float = 2.5
    lease_margin_s: float = 2.0
    #: Least seconds between two records of a job's progress.
    progress_interval_s: float = 1.0
    #: Changes kept for a store that is down, and what they may weigh.
    max_changes: int = 10_000
    max_bytes: int = 64 * 1024 * 1024


@dataclass(slots=True)
class CommitStep:
    """Commit these changes (`batch_commit.commit_batch`), then call `settle`."""

    batch: list[Change]


@dataclass(slots=True)
class RenewStep:
    """Renew the lease, then call `renewed` or `failed`."""


@dataclass(slots=True)
class AdoptStep:
    """Adopt jobs without an owner, then call `adopted` or `failed`."""

    limit: int


Step = CommitStep | RenewStep | AdoptStep


@dataclass(slots=True)
class Ruling(Generic[Reply]):
    """What follows of a step or of time; the replies first: a client hears of its job before a worker does it."""

    #: Replies that may leave as they are, or as their refusals.
    kept: list[Reply] = field(default_factory=list)
    void: list[Reply] = field(default_factory=list)
    #: Replies whose job is another one, which the store had already.
    renamed: list[tuple[Reply, JobHandle]] = field(default_factory=list)
    #: Replies about the end of such a job, which ended before it was known that the other does its work.
    renamed_ends: list[tuple[Reply, JobHandle]] = field(default_factory=list)
    #: For `JobQueue.committed`, `refused` and `joined`.
    committed: list[Change] = field(default_factory=list)
    refused: list[Accepted] = field(default_factory=list)
    joined: list[tuple[Accepted, JobHandle]] = field(default_factory=list)
