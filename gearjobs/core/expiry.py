"""Jobs that must not start after a certain time (`JobTerms.expires_at`), by that time.

A job that has not started then ends as expired, whatever it waits for: a worker, its time, a limit, its store. One that
runs is not touched, but does not run again, so its entry is not needed any more once its time is over. Entries of jobs
that ended are passed over, and swept out before they outnumber the others, however far away their time is.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from typing import Final

from gearjobs.core.jobs import Job, JobHandle, JobState

#: Entries up to which sweeping is not worth its while: some 100 KiB.
_SWEEP_FROM: Final = 1024


def has_expired(job: Job, now: float) -> bool:
    """Whether the job must not start any more."""
    return 0 < job.terms.expires_at <= now


class Expiry:
    """A heap of jobs by the time they expire."""

    def __init__(self) -> None:
        #: Unix seconds at which the next job expires; never later than the truth. Asked at every hand-out.
        self.next_at = math.inf
        self._heap: list[tuple[float, int, Job]] = []
        self._arrivals = 0
        self._sweep_at = _SWEEP_FROM

    def watch(self, job: Job) -> None:
        """Watch a job that has not started; one that never expires is passed over."""
        if not job.terms.expires_at:
            return
        if len(self._heap) >= self._sweep_at:
            self._sweep()
        self._arrivals += 1
        heapq.heappush(self._heap, (job.terms.expires_at, self._arrivals, job))
        self.next_at = self._heap[0][0]

    def watch_anew(self, jobs: Iterable[Job]) -> None:
        """Watch all these jobs, and no others: the clock was set, and a time that was over may be to come."""
        self._heap.clear()
        self.next_at = math.inf
        for job in jobs:
            self.watch(job)

    def take_expired(self, now: float) -> list[Job]:
        """Remove and return the jobs that have expired and do not run, the first to expire first."""
        # By handle: a job whose terms were told anew has two entries, perhaps of the same time.
        expired: dict[JobHandle, Job] = {}
        while self._heap and self._heap[0][0] <= now:
            expires_at, _, job = heapq.heappop(self._heap)
            if expires_at == job.terms.expires_at and not (job.is_running or job.state is JobState.ENDED):
                expired[job.handle] = job
        self.next_at = self._heap[0][0] if self._heap else math.inf
        return list(expired.values())

    def next_due(self) -> float | None:
        """Return the unix seconds at which the next job expires, or None; never later than the truth."""
        return self.next_at if self._heap else None

    def _sweep(self) -> None:
        self._heap = [entry for entry in self._heap if entry[2].state is not JobState.ENDED]
        heapq.heapify(self._heap)
        # Twice what is left, so that each entry is looked at a constant number of times.
        self._sweep_at = max(_SWEEP_FROM, 2 * len(self._heap))
