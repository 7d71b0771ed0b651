"""Who may go on with a run that lost its server or its connection, and until when it is waited for.

A worker of ours goes on with a background job when its server is gone, and asks for it by handle and attempt wherever
the job is now (RESUME_JOB). Until then the job is an orphan: nobody else gets it, for it may well be running. The
worker ends such a run by itself `resume_s` after it last heard that its server owned the job; an orphan is waited for
longer than that, whatever the clocks and the store did, and then queued again. A worker that knows nothing of this
(any but ours) cannot come back: its jobs rest a while, so that it has probably noticed, and run again. A foreground job
is never an orphan: the client that waits for it is gone with the server.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gearjobs.core.jobs import Job, JobHandle, JobState

#: Seconds a job server's ownership of its jobs lasts in a store that several share, from each renewal on: one that is
#: killed is noticed within them, and one whose database is slow for a moment keeps its jobs.
STORE_LEASE_S: Final = 10.0
#: Seconds by which everybody stops early what somebody else may begin: a worker supervisor that gets no CPU, a clock
#: that runs 1 % slow.
MARGIN_S: Final = 2.0
#: Seconds a worker may take to find a server that knows its job: a restart, or a take-over with time to spare.
REATTACH_S: Final = 30.0
#: Seconds a job rests that ran when its server ended, where its worker cannot come back: a worker that lost its
#: connection has noticed by then, as a rule.
STOCK_GRACE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class ReattachRules:
    """How long runs are waited for, and what their workers are told of it."""

    #: Seconds an orphan's worker may take to come back, counted from the last sign of life of the job's owner. The last
    #: time a worker heard that its server owned the job is at most a store's lease after that.
    resumable_s: float = STORE_LEASE_S + REATTACH_S
    #: Seconds a job rests whose worker cannot come back.
    stock_s: float = STOCK_GRACE_S
    #: Seconds a worker may go on while an open connection is silent: its end is announced by what is not heard.
    lease_s: float = STORE_LEASE_S - MARGIN_S
    #: Seconds a worker may go on after it last heard that its server owned the job.
    resume_s: float = REATTACH_S - MARGIN_S


class ResumeVerdict(StrEnum):
    """The answer to RESUME_JOB, as it stands on the wire."""

    #: The run goes on, and is this connection's.
    ACCEPTED = "accepted"
    #: The run is over or somebody else's: the worker must stop it and forget its outcome.
    REFUSED = "refused"
    #: This server does not know the job, or not yet.
    UNKNOWN = "unknown"


def judge(job: Job | None, attempt: int, *, worker_id: str | None, is_unsettled: bool) -> ResumeVerdict:
    """Decide whether a worker that has this run of the job may go on with it.

    Args:
        job: what is known of it.
        attempt: the number of the run.
        worker_id: the worker's name; None where it has none. The number alone does not name the run: a start that was
            not committed when its server died leaves its number to be given to another worker's run.
        is_unsettled: whether the job has ended with what its worker reported, and that is not committed yet: the worker
            may report it again, which changes nothing, and hears when it is.
    """
    if job is None:
        return ResumeVerdict.UNKNOWN
    if job.state is JobState.WAITING:
        # Its start was never committed, and nobody else has been given the job since.
        is_its = job.is_background and job.is_kept and attempt == job.attempt + 1
    else:
        is_its = (
            job.is_resumable
            and attempt == job.attempt
            and (worker_id is None or job.worker_ids[-1:] in ((), (worker_id,)))
            and (job.is_running or is_unsettled)
        )
    return ResumeVerdict.ACCEPTED if is_its else ResumeVerdict.REFUSED


class Orphans:
    """The jobs whose workers may come back, by the time until which they are waited for."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Job]] = []
        self._arrivals = 0
        #: The number of each orphan's entry; an entry of another number was left behind.
        self._current: dict[JobHandle, int] = {}

    def add(self, job: Job, until: float) -> None:
        """Wait for the job's worker until then (unix seconds)."""
        self._arrivals += 1
        self._current[job.handle] = self._arrivals
        heapq.heappush(self._heap, (until, self._arrivals, job))

    def remove(self, job: Job) -> None:
        """Wait no longer: its worker is back, or the job has ended."""
        del self._current[job.handle]

    def take_overdue(self, now: float) -> list[Job]:
        """Remove and return the jobs whose workers did not come back in time, in the order of their deadlines."""
        overdue: list[Job] = []
        while self._heap and (self._heap[0][0] <= now or not self._is_current(self._heap[0])):
            entry = heapq.heappop(self._heap)
            if self._is_current(entry):
                overdue.append(entry[2])
        return overdue

    def next_due(self) -> float | None:
        """Return the unix seconds of the next deadline, or None; never later than the truth."""
        return self._heap[0][0] if self._heap else None

    def move(self, by_s: float) -> None:
        """Move every deadline, for the clock it is told by was set."""
        self._heap = [(until + by_s, arrival, job) for until, arrival, job in self._heap]

    def _is_current(self, entry: tuple[float, int, Job]) -> bool:
        return self._current.get(entry[2].handle) == entry[1]
