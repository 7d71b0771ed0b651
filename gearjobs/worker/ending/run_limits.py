"""When something is to be done to a running job that goes on for too long, or after it was told to stop.

Pure; `now` is seconds of the worker's lease clock. A run with a soft limit is warned by an exception raised in it; at
its hard limit it is ended by force. One that is cancelled is asked first (its function may look whether it is), then an
exception is raised in it, then it is ended by force; where the cancel is forced, the job is over already and there is
no asking. Who raises and ends is `run_watch`'s and `forced_end`'s matter.
"""

from __future__ import annotations

import math
from enum import Enum

#: Seconds a function has to notice that it was cancelled, before the exception is raised in it: a loop that looks once
#: per row or request does so many times.
CANCEL_GRACE_S = 10.0
#: Seconds from the exception to the end by force: time to clean up, as a process gets before it is killed.
CANCEL_END_S = 20.0
#: The same where the cancel is forced.
FORCED_END_S = 1.0


class RunStep(Enum):
    """What is to be done to a run."""

    #: Raise SoftTimeout in it.
    WARN = "warn"
    #: Raise JobCancelled in it.
    STOP = "stop"
    #: End it by force: its time is over.
    TIME_OUT = "time out"
    #: End it by force: it was cancelled and does not stop.
    END = "end"


class RunLimits:
    """The limits of one run.

    Args:
        started_at: when it began.
        timeout_s: seconds after which it is ended by force; 0 for never.
        soft_timeout_s: seconds after which it is warned; 0 for never.
    """

    def __init__(self, started_at: float, *, timeout_s: float = 0.0, soft_timeout_s: float = 0.0) -> None:
        self._due: dict[RunStep, float] = {}
        if timeout_s > 0:
            self._due[RunStep.TIME_OUT] = started_at + timeout_s
        if soft_timeout_s > 0:
            self._due[RunStep.WARN] = started_at + soft_timeout_s

    @property
    def due_at(self) -> float:
        """When something is due; infinity for never."""
        return min(self._due.values(), default=math.inf)

    @property
    def end_at(self) -> float:
        """When the run is ended by force; infinity for never."""
        return min(self._due.get(RunStep.TIME_OUT, math.inf), self._due.get(RunStep.END, math.inf))

    def cancel(self, now: float, *, is_forced: bool, grace_s: float = CANCEL_GRACE_S) -> None:
        """The job was cancelled; a second time it changes something only where it brings the end nearer.

        Args:
            now: the time.
            is_forced: whether the job is over already, so that there is nothing to wait for.
            grace_s: seconds until the exception is raised.
        """
        stop_at = now if is_forced else now + grace_s
        end_at = stop_at + (FORCED_END_S if is_forced else CANCEL_END_S)
        if end_at < self._due.get(RunStep.END, math.inf):
            self._due[RunStep.STOP] = stop_at
            self._due[RunStep.END] = end_at

    def take_due(self, now: float) -> RunStep | None:
        """Return what is to be done now, the earliest first; nothing more is due once the run is ended by force."""
        if self.due_at > now:
            return None
        step = min(self._due, key=self._due.__getitem__)
        if step in (RunStep.TIME_OUT, RunStep.END):
            self._due.clear()
        else:
            del self._due[step]
        return step
