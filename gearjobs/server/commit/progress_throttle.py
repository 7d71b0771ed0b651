"""How often a running job's progress is written: at most once an interval a job, and the last one always.

A worker may report a thousand times a second; each report is passed on to waiting clients, but a row written as often
would cost more than the job. Pure: `now` comes in, nothing is written here.
"""

from __future__ import annotations

import heapq

from gearjobs.core.changes import Progressed
from gearjobs.core.jobs import JobHandle


class ProgressThrottle:
    """Holds back progress that comes too soon.

    Args:
        interval_s: least seconds between two records of one job; 0 holds nothing back.
    """

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._recorded_at: dict[JobHandle, float] = {}
        self._held: dict[JobHandle, Progressed] = {}
        self._due: list[tuple[float, JobHandle]] = []

    def admit(self, change: Progressed, *, now: float) -> bool:
        """Return True when the change is to be recorded now; False when it is held back, replacing an earlier one."""
        due_at = self._recorded_at.get(change.handle, 0.0) + self._interval_s
        if due_at <= now:
            self._recorded_at[change.handle] = now
            self._held.pop(change.handle, None)
            return True
        if change.handle not in self._held:
            heapq.heappush(self._due, (due_at, change.handle))
        self._held[change.handle] = change
        return False

    def end(self, handle: JobHandle) -> Progressed | None:
        """Forget a job whose run is over; return the progress that was held back, which is its last."""
        self._recorded_at.pop(handle, None)
        return self._held.pop(handle, None)

    def take_due(self, now: float) -> list[Progressed]:
        """Remove and return the progress whose interval is over."""
        due: list[Progressed] = []
        while self._due and self._due[0][0] <= now:
            held = self._held.pop(heapq.heappop(self._due)[1], None)
            if held is not None:
                self._recorded_at[held.handle] = now
                due.append(held)
        return due

    def take_all(self) -> list[Progressed]:
        """Remove and return all progress held back, at the server's end."""
        held = list(self._held.values())
        self._held.clear()
        self._due.clear()
        return held

    def next_due(self) -> float | None:
        """Return the unix seconds at which `take_due` has something to return, or None; never later than the truth."""
        return self._due[0][0] if self._due else None
