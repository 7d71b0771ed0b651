"""Jobs that are not due yet, earliest first.

A job that ends while it is here, or is brought forward, leaves its entry behind, which is passed over: the job's state
and its time tell. Entries left behind are swept out before they outnumber the others, however far away their time is.
"""

from __future__ import annotations

import heapq
from typing import Final

from gearjobs.core.jobs import Job, JobHandle, JobState

#: Entries up to which sweeping is not worth its while: some 100 KiB.
_SWEEP_FROM: Final = 1024


class DelayedJobs:
    """A heap of jobs by the time they become due; equal times keep the order of their arrival."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Job]] = []
        self._arrivals = 0
        self._sweep_at = _SWEEP_FROM

    def add(self, job: Job) -> None:
        """Keep a DELAYED job until its `run_at`."""
        if len(self._heap) >= self._sweep_at:
            self._sweep()
        self._arrivals += 1
        heapq.heappush(self._heap, (job.run_at, self._arrivals, job))

    def take_due(self, now: float) -> list[Job]:
        """Remove and return the jobs that are due, earliest first."""
        # By handle: a job that was brought forward and is to run again at its old time has two entries that tell it.
        due: dict[JobHandle, Job] = {}
        while self._heap and (self._heap[0][0] <= now or not _is_current(self._heap[0])):
            entry = heapq.heappop(self._heap)
            if _is_current(entry):
                due[entry[2].handle] = entry[2]
        return list(due.values())

    def next_due(self) -> float | None:
        """Return the unix seconds at which the next job is due, or None; never later than the truth."""
        return self._heap[0][0] if self._heap else None

    def _sweep(self) -> None:
        self._heap = [entry for entry in self._heap if _is_current(entry)]
        heapq.heapify(self._heap)
        # Twice what is left, so that each entry is looked at a constant number of times.
        self._sweep_at = max(_SWEEP_FROM, 2 * len(self._heap))


def _is_current(entry: tuple[float, int, Job]) -> bool:
    return entry[2].state is JobState.DELAYED and entry[2].run_at == entry[0]
