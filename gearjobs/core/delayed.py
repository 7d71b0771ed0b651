"""Jobs that are not due yet, earliest first.

A job that ends while it is here stays in the heap until its time comes and is then passed over: its state tells.
"""

from __future__ import annotations

import heapq

from gearjobs.core.jobs import Job, JobState


class DelayedJobs:
    """A heap of jobs by the time they become due; equal times keep the order of their arrival."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Job]] = []
        self._arrivals = 0

    def add(self, job: Job) -> None:
        """Keep a DELAYED job until its `run_at`."""
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
