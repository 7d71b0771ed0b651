"""One place for a child process of the pool: who fills it, and when the next one may.

Pure; `now` is monotonic seconds. A child that ran for a while, or ended as it was meant to, is replaced at once;
children that end soon after their start are replaced later and later, so that a broken program does not burn the
machine by being started over and over.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gearjobs.worker.pool.autoscaling import ScaleRules
from gearjobs.worker.pool.recycling import RecycleLimits
from gearjobs.worker.pool.work_board import ProcessCell

#: A child that ran for this many seconds started well: its end says nothing of the next one's.
STEADY_AFTER_S = 10.0
#: First and longest pause after a quick end, in seconds; in between it doubles.
RESTART_PAUSES_S = (1.0, 30.0)


@dataclass(frozen=True, slots=True)
class PoolGroup:
    """Children that do the same."""

    #: As operators call it.
    name: str
    #: How many there are.
    scale: ScaleRules
    #: Jobs that a child runs at once.
    lanes: int = 1
    #: When a child has done its share.
    recycle: RecycleLimits = field(default_factory=RecycleLimits)
    #: The share by which the limits of one child may be lower.
    jitter: float = 0.0


@dataclass(slots=True)
class ChildSlot:
    """The place of the nth child of its group."""

    #: Over all groups, from 0.
    index: int
    group: PoolGroup
    #: In its group, from 0.
    number: int
    #: What the child and its supervisor know of each other.
    cell: ProcessCell
    #: 0 while empty.
    pid: int = 0
    #: When the child was started, monotonic seconds.
    started_at: float = 0.0
    #: When an empty slot may be filled, monotonic seconds.
    start_at: float = 0.0
    #: Children in a row that ended quickly.
    quick_ends: int = 0
    #: How the last of them ended.
    last_cause: str = ""
    #: Whether there is to be a child.
    is_wanted: bool = True
    #: Whether the child was told to end.
    is_told: bool = False
    #: The child's own.
    limits: RecycleLimits = field(default_factory=RecycleLimits)
    #: The child's memory when it was last looked at.
    rss_bytes: int = 0

    def is_due(self, now: float) -> bool:
        """Whether a child should be started."""
        return self.is_wanted and not self.pid and now >= self.start_at

    def started(self, pid: int, now: float) -> None:
        """A child fills the slot."""
        self.pid = pid
        self.started_at = now
        self.is_told = False
        self.rss_bytes = 0

    def ended(self, now: float, *, is_planned: bool = False, cause: str = "") -> float:
        """The child ended; return the seconds until the next one may start.

        Args:
            now: the time.
            is_planned: whether it was meant to end.
            cause: how it ended.
        """
        self.pid = 0
        is_steady = is_planned or now - self.started_at >= STEADY_AFTER_S
        self.quick_ends = 0 if is_steady else self.quick_ends + 1
        self.last_cause = cause
        first_s, longest_s = RESTART_PAUSES_S
        pause_s = min(longest_s, first_s * 2.0 ** min(self.quick_ends - 1, 16)) if self.quick_ends else 0.0
        self.start_at = now + pause_s
        return pause_s
