"""The thread that looks at the clock for a running job: at its limits, and at how long ago it was cancelled.

One for each worker, started by the first run that has a limit or is cancelled. It sleeps until something is due and is
not woken between: a job that ends in time leaves it asleep, so that a worker of short jobs pays nothing. What is due is
done under the lock that `end` takes too: once a run is being ended by force, its own end comes too late, and waits.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from gearjobs.worker.ending.run_limits import RunLimits, RunStep
from gearjobs.worker.holding.lease_clock import lease_now
from gearjobs.worker.running_job import RunningJob

#: Seconds until a function that was interrupted is so once more, where it does not seem to know.
REMIND_EVERY_S = 0.1

#: Does what is due to a job.
Act = Callable[[RunningJob, RunStep], None]


class RunWatch:
    """The watch over one worker's running job.

    Args:
        act: does what is due, in the watch's thread or in that of `cancel`'s caller.
    """

    def __init__(self, act: Act) -> None:
        self._act = act
        # Taken by itself where nobody is to be woken: that is twice a job.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None
        self._job: RunningJob | None = None
        self._limits: RunLimits | None = None
        # When the thread looks by itself; infinity while it is not there or sleeps for good.
        self._looks_at = math.inf
        self._is_closed = False

    def begin(self, job: RunningJob, limits: RunLimits | None) -> None:
        """Watch over a run.

        Args:
            job: the job.
            limits: of the run, counted from now; None where it has none.
        """
        with self._lock:
            self._job, self._limits = job, limits
            if limits is not None:
                self._see_to(limits.due_at)

    def cancel(self, *, is_forced: bool, grace_s: float, note: Callable[[float], None] | None = None) -> float:
        """The running job was cancelled.

        Args:
            is_forced: whether it is over already.
            grace_s: seconds until the exception is raised in its function.
            note: told when the run is ended by force, before its end can be told.

        Returns:
            When the run is ended by force, infinity where none runs.
        """
        now = lease_now()
        with self._lock:
            if self._job is None:
                return math.inf
            self._job.is_cancel_asked = True
            limits = self._limits = self._limits or RunLimits(now)
            limits.cancel(now, is_forced=is_forced, grace_s=grace_s)
            self._see_to(limits.due_at)
            if note is not None:
                note(limits.end_at)
            return limits.end_at

    def end(self) -> None:
        """The run's function has ended."""
        with self._lock:
            self._job = self._limits = None

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _see_to(self, due_at: float) -> None:
        if due_at < self._looks_at:
            # Noted here already: the thread may take its time to do it, and jobs go by meanwhile.
            self._looks_at = due_at
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep, name="gearjobs-watch", daemon=True)
                self._thread.start()
            else:
                self._changed.notify()

    def _keep(self) -> None:
        with self._changed:
            while not self._is_closed:
                job, limits = self._job, self._limits
                step = None if limits is None else limits.take_due(lease_now())
                if step is not None and job is not None:
                    self._act(job, step)
                    continue
                self._looks_at = math.inf if limits is None else limits.due_at
                self._changed.wait(self._wait_s())

    def _wait_s(self) -> float | None:
        if self._job is not None and self._job.interruption.remind():
            return REMIND_EVERY_S
        if self._looks_at == math.inf:
            return None
        return min(max(0.0, self._looks_at - lease_now()), threading.TIMEOUT_MAX)
