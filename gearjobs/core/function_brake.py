"""What an operator says of one function, and whether that holds up its jobs at the moment.

A brake is the function queue's: as long as it holds, nothing is taken. It is told of starts by `brakes`, which
also knows the clock; how many run, the queue says itself. A function's limits are for all of its jobs, so there is
nobody behind them to be let past, and no line of its own as for the limits that jobs state (`limited_line`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gearjobs.core.limits import StartWindow
from gearjobs.core.terms import Limit


@dataclass(frozen=True, slots=True)
class QueueControl:
    """All that an operator says of one function."""

    #: Whether none of its jobs is handed out.
    is_paused: bool = False
    #: Jobs that may be there when one more comes, per lane (high, normal, low), 0 for any number; None: as `maxqueue`
    #: says.
    max_jobs: tuple[int, int, int] | None = None
    #: Jobs that may run at the same time; 0 for any number.
    concurrency: int = 0
    #: Jobs that may start within `per_s`; 0 for any number.
    rate: int = 0
    #: Seconds; 0 only where `rate` is.
    per_s: float = 0.0


#: Where nobody said anything.
NO_CONTROL: Final = QueueControl()


class FunctionBrake:
    """What holds up the jobs of one function."""

    __slots__ = ("concurrency", "control", "is_paused", "window")

    def __init__(self, control: QueueControl) -> None:
        self.control = control
        self.is_paused = control.is_paused
        self.concurrency = control.concurrency
        self.window: StartWindow | None = None
        if control.rate:
            self.window = StartWindow(Limit("", rate=control.rate, per_s=control.per_s))

    def holds(self, running: int) -> bool:
        """Whether no job may start while so many run, as of the last look at the clock."""
        if self.is_paused or 0 < self.concurrency <= running:
            return True
        return self.window is not None and not self.window.has_room
