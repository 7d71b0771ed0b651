"""What may stand beside a pool's supervisor: who is told of events and losses, who looks at it, who renews it.

All of it runs in the supervisor's one thread, between two looks at its children; nothing here may wait for long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gearjobs.worker.pool.pool_events import PoolEvent
from gearjobs.worker.pool.renewal import Renewal
from gearjobs.worker.pool.signal_pipe import SignalPipe
from gearjobs.worker.pool.work_board import HeldJob


class PoolState(StrEnum):
    """What a pool is at."""

    RUNNING = "running"
    #: Its processes take no jobs.
    QUIET = "quiet"
    #: New code is being tried, or takes the place of the old.
    RELOADING = "reloading"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class PoolView:
    """A pool at a glance."""

    state: PoolState
    #: Processes there should be.
    wanted: int
    #: Processes there are.
    running: int
    #: Those that are connected to a job server.
    serving: int
    #: Jobs that run.
    busy_lanes: int
    #: Jobs that could run.
    lanes: int
    #: Jobs that the present processes have done, and how many of them failed.
    jobs_done: int
    jobs_failed: int


class Sideline(Protocol):
    """Somebody who looks at a pool now and then."""

    def open(self, signals: SignalPipe) -> None:
        """The pool begins."""

    def turn(self, view: PoolView, now: float) -> None:
        """Look at it: at least a few times a second. `now` is monotonic seconds."""

    def close(self) -> None:
        """The pool has ended."""


@dataclass(frozen=True, slots=True)
class PoolServices:
    """Everybody beside a pool."""

    #: Called with each event.
    on_event: Callable[[PoolEvent], None] | None = None
    #: Called in a process of its own with the jobs a child ran when it died, and what it died of.
    report_loss: Callable[[Sequence[HeldJob], str], None] | None = None
    #: Gives the pool new code on SIGHUP; without it SIGHUP does nothing.
    renewal: Renewal | None = None
    sidelines: Sequence[Sideline] = ()
