"""Jobs that are not due yet, earliest first.

A job that ends while it is here leaves its entry behind, which is passed over: the job's state tells. Entries left
behind are swept out before they outnumber the others, however far away their time is.
"""

from __future__ import annotations

import heapq
from typing import Final

from gearjobs.core.jobs import Job, JobState

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
        due: list[Job] = []
        while self._heap and (self._heap[0][0] <= now or self._heap[0][2].state is not JobState.DELAYED):
            job = heapq.heappop(self._heap)[2]
            if job.state is JobState.DELAYED:
                due.append(job)
        return due

    def next_due(self) -> float | None:
        """Return the unix seconds at which the next job is due, or None; never later than the truth."""
        return self._heap[0][0] if self._heap else None

    def _sweep(self) -> None:
        self._heap = [entry for entry in self._heap if entry[2].state is JobState.DELAYED]
        heapq.heapify(self._heap)
        # Twice what is left, so that each entry is looked at a constant number of times.
        self._sweep_at = max(_SWEEP_FROM, 2 * len(self._heap))
