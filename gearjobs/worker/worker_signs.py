"""What a worker tells its servers of itself beside its jobs, and what operators tell it by way of a server.

WORKER_REPORT goes to every server with the extensions: when one begins to be served, when the worker's state changed,
and now and then. A worker runs a thousand jobs a second, so that a change is told a second later at the earliest, and
a job that is over by then goes untold. WORKER_CONTROL's verb is handed to whoever runs the worker. Both may happen in
the contact thread. What a report says is its source's affair; without one nothing is said.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final

from gearjobs.protocol.worker_report import WorkerState
from gearjobs.worker.grab_loop import GrabLoop
from gearjobs.worker.holding.held_work import HeldWork

#: Seconds from one report to the next at most: a third of what is called stale in minutes.
REPORT_EVERY_S: Final = 30.0
#: Seconds from one report to the next at least.
REPORT_PAUSE_S: Final = 1.0

#: Returns the report of a worker in that state.
ReportSource = Callable[[WorkerState], bytes]
#: Called with what an operator wants: `quiet`, `resume` or `stop`, or what a later version knows.
OnControl = Callable[[str], None]


class WorkerSigns:
    """What one worker tells of itself, and hears.

    Args:
        state: returns what the worker is at.
        source: returns its report; None to say nothing.
        on_control: hears the verbs of operators; None to let them pass.
    """

    def __init__(
        self,
        state: Callable[[], WorkerState] = lambda: WorkerState.IDLE,
        *,
        source: ReportSource | None = None,
        on_control: OnControl | None = None,
    ) -> None:
        self._state = state
        self._source = source
        self._on_control = on_control
        self._told: WorkerState | None = None
        self._told_at = -math.inf

    @property
    def due_at(self) -> float:
        """When the next report is due, by the lease clock; infinity for never."""
        if self._source is None or self._told is None:
            return math.inf
        return self._told_at + (REPORT_EVERY_S if self._state() is self._told else REPORT_PAUSE_S)

    def greet(self, grab_loop: GrabLoop, now: float) -> None:
        """Tell a server that begins to be served."""
        if self._source is None:
            return
        state = self._state()
        if self._told is None:
            # Others, if any, know already; a change since then is still due to them.
            self._told, self._told_at = state, now
        grab_loop.worker_report(self._source(state))

    def tell(self, grab_loops: Iterable[GrabLoop], now: float) -> None:
        """Tell every server."""
        if self._source is None:
            return
        self._told, self._told_at = self._state(), now
        body = self._source(self._told)
        for grab_loop in grab_loops:
            grab_loop.worker_report(body)

    def hear(self, held: HeldWork) -> None:
        """Hand on what operators said."""
        verbs, held.control_verbs = held.control_verbs, []
        for verb in verbs:
            if self._on_control is not None:
                self._on_control(verb)
