"""Running jobs that may time out, by CAN_DO_TIMEOUT or by their terms, earliest deadline first.

gearmand keeps one timer a connection, so a worker with two jobs has only the last one watched; here each run has its
own. As there, a worker that goes to sleep is let off what it runs: the end of its time is then a reason to call it, not
to take the job from it. libgearman's worker may sleep on a job that it has received and not looked at. A run that ends
in time leaves its entry behind, which is passed over: it names the attempt it belongs to. Entries left behind are swept
out before they outnumber the others, however far away their time is. The end of a job's own time, `JobTerms.timeout_s`,
is its worker's to enforce: it is watched here in case that cannot.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import Final

from gearjobs.core.jobs import Job

#: Entries up to which sweeping is not worth its while: some 100 KiB.
_SWEEP_FROM: Final = 1024
#: Seconds after the end of its own time at which a run is taken from its worker: a watchdog in the process and its
#: supervisor have both had their turn by then.
TIMEOUT_GRACE_S: Final = 10.0


class Deadlines:
    """A heap of runs by the time they must have ended."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, int, Job]] = []
        self._arrivals = 0
        self._sweep_at = _SWEEP_FROM

    def watch(self, job: Job, due_at: float) -> None:
        """Watch the job's present attempt until `due_at` (unix seconds)."""
        if len(self._heap) >= self._sweep_at:
            self._sweep()
        self._arrivals += 1
        job.is_let_off = False
        heapq.heappush(self._heap, (due_at, self._arrivals, job.attempt, job))

    def watch_timeout(self, job: Job, now: float) -> None:
        """Watch the job's present attempt, which begins or goes on now, if its terms say how long it may take."""
        if job.terms.timeout_s:
            job.timeout_at = now + job.terms.timeout_s
            self.watch(job, job.timeout_at + TIMEOUT_GRACE_S)

    def let_off(self, jobs: Iterable[Job]) -> None:
        """Let the present attempts of these jobs take as long as they do; at their time they are told of as well."""
        for job in jobs:
            job.is_let_off = True

    def take_overdue(self, now: float) -> list[Job]:
        """Remove and return the jobs whose present attempt should have ended by now."""
        overdue: list[Job] = []
        while self._heap and (self._heap[0][0] <= now or not _is_current(self._heap[0])):
            entry = heapq.heappop(self._heap)
            if _is_current(entry):
                overdue.append(entry[3])
        return overdue

    def next_due(self) -> float | None:
        """Return the unix seconds of the next deadline, or None; never later than the truth."""
        return self._heap[0][0] if self._heap else None

    def move(self, by_s: float) -> None:
        """Move every deadline, for the clock it is told by was set."""
        for job in {entry[3].handle: entry[3] for entry in self._heap if _is_current(entry)}.values():
            if job.timeout_at:
                job.timeout_at += by_s
        self._heap = [(due_at + by_s, arrival, attempt, job) for due_at, arrival, attempt, job in self._heap]

    def _sweep(self) -> None:
        self._heap = [entry for entry in self._heap if _is_current(entry)]
        heapq.heapify(self._heap)
        # Twice what is left, so that each entry is looked at a constant number of times.
        self._sweep_at = max(_SWEEP_FROM, 2 * len(self._heap))


def _is_current(entry: tuple[float, int, int, Job]) -> bool:
    job = entry[3]
    return job.is_running and job.attempt == entry[2]
