"""A store that keeps jobs in memory: for tests and as the smallest example of the contract.

It promises nothing beyond the process's life. It can be made to fail, so that tests can play a store that is down, and
to be shared with a server that is not there: that one's jobs stand in `others`, and it takes this one's by `is_fenced`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from gearjobs.core.changes import (
    Accepted,
    CancelAsked,
    Change,
    Explained,
    Finished,
    Forgotten,
    Hastened,
    Progressed,
    Requeued,
    Rescheduled,
    Retried,
    Started,
    StoredJob,
    Streamed,
)
from gearjobs.core.jobs import JobHandle
from gearjobs.errors import StoreError, StoreFenced
from gearjobs.stores.job_steps import held_key, stored_job, take_step, unique_key


class MemoryStore:
    """The JobStore contract on dictionaries."""

    def __init__(self) -> None:
        #: Unfinished jobs in the order of acceptance.
        self.unfinished: dict[JobHandle, StoredJob] = {}
        #: Jobs that a client inserted and no server has taken.
        self.unowned: dict[JobHandle, StoredJob] = {}
        #: Unfinished jobs of another server.
        self.others: dict[JobHandle, StoredJob] = {}
        #: How each finished job ended.
        self.finished: dict[JobHandle, Finished] = {}
        #: The last progress of each job.
        self.progress: dict[JobHandle, Progressed] = {}
        #: Data and warnings of each job, in order.
        self.streamed: dict[JobHandle, list[Streamed]] = {}
        #: The attempts of each job that did not end it, in order.
        self.attempts: dict[JobHandle, list[Requeued | Retried]] = {}
        #: What became of lost workers, per job and attempt.
        self.causes: dict[tuple[JobHandle, int], str] = {}
        #: Seconds that an ownership lasts from each renewal on.
        self.lease_s = math.inf
        #: True once another server has taken this one's jobs over.
        self.is_fenced = False
        #: Raised by every commit and renewal while it is set.
        self.failure: StoreError | None = None

    def load(self) -> list[StoredJob]:
        self.is_fenced = False
        return [replace(job) for job in self.unfinished.values()]

    def renew(self) -> float:
        self._require_hold()
        return self.lease_s

    def adopt(self, limit: int) -> list[StoredJob]:
        if self.is_fenced:
            raise StoreFenced("another job server took the jobs over")
        adopted = list(self.unowned.values())[:limit]
        for job in adopted:
            del self.unowned[job.handle]
            self.unfinished[job.handle] = job
        return [replace(job) for job in adopted]

    def commit(self, changes: Sequence[Change]) -> dict[JobHandle, JobHandle]:
        self._require_hold()
        joined: dict[JobHandle, JobHandle] = {}
        for change in changes:
            into = self._holder_of(change) if isinstance(change, Accepted) else None
            if into is not None:
                joined[change.handle] = into
            elif change.handle not in joined:
                self._apply(change)
        return joined

    def close(self) -> None:
        """Nothing is held open."""

    def _require_hold(self) -> None:
        if self.failure is not None:
            raise self.failure
        if self.is_fenced:
            raise StoreFenced("another job server took the jobs over")

    def _holder_of(self, accepted: Accepted) -> JobHandle | None:
        """Return the unfinished job, if any, that has the function and unique; the job itself if it has ended."""
        if accepted.handle in self.finished:
            return accepted.handle
        key = unique_key(accepted)
        if key is None:
            return None
        stored = (*self.unfinished.values(), *self.others.values(), *self.unowned.values())
        found = (job.handle for job in stored if job.handle != accepted.handle and held_key(job) == key)
        return next(found, None)

    def _apply(self, change: Change) -> None:
        match change:
            case Accepted():
                # A repetition changes nothing.
                self.unfinished.setdefault(change.handle, stored_job(change))
            case Started() | Hastened() | Rescheduled() | CancelAsked():
                take_step(self.unfinished[change.handle], change)
            case Requeued() | Retried():
                take_step(self.unfinished[change.handle], change)
                self.attempts.setdefault(change.handle, []).append(change)
            case Finished():
                if self.unfinished.pop(change.handle, None) is not None:
                    self.finished[change.handle] = change
            case Forgotten():
                self.unfinished.pop(change.handle, None)
            case Explained() | Progressed() | Streamed():
                self._note(change)

    def _note(self, change: Explained | Progressed | Streamed) -> None:
        """Keep what changes nothing of a job's way."""
        match change:
            case Explained():
                self.causes[change.handle, change.attempt] = change.cause
            case Progressed():
                self.progress[change.handle] = change
            case Streamed():
                self.streamed.setdefault(change.handle, []).append(change)
