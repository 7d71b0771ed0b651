"""One place for a child process of the pool: who fills it, and when the next one may.

Pure; `now` is monotonic seconds. A child that ran for a while is replaced at once; children that end soon after their
start are replaced later and later, so that a broken program does not burn the machine by being started over and over.
"""

from __future__ import annotations

from dataclasses import dataclass

#: A child that ran for this many seconds started well: its end says nothing of the next one's.
STEADY_AFTER_S = 10.0
#: First and longest pause after a quick end, in seconds; in between it doubles.
RESTART_PAUSES_S = (1.0, 30.0)


@dataclass(slots=True)
class ChildSlot:
    """The place of the nth child."""

    #: 0 for the first child; what the child is told it is.
    index: int
    #: 0 while empty.
    pid: int = 0
    #: When the child was started, monotonic seconds.
    started_at: float = 0.0
    #: When an empty slot may be filled, monotonic seconds.
    start_at: float = 0.0
    #: Children in a row that ended quickly.
    quick_ends: int = 0

    def is_due(self, now: float) -> bool:
        """Whether a child should be started."""
        return not self.pid and now >= self.start_at

    def started(self, pid: int, now: float) -> None:
        """A child fills the slot."""
        self.pid = pid
        self.started_at = now

    def ended(self, now: float) -> float:
        """The child ended; return the seconds until the next one may start."""
        self.pid = 0
        self.quick_ends = 0 if now - self.started_at >= STEADY_AFTER_S else self.quick_ends + 1
        first_s, longest_s = RESTART_PAUSES_S
        pause_s = min(longest_s, first_s * 2.0 ** min(self.quick_ends - 1, 16)) if self.quick_ends else 0.0
        self.start_at = now + pause_s
        return pause_s
