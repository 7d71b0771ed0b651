"""A store that keeps jobs in memory: for tests and as the smallest example of the contract.

It promises nothing beyond the process's life. `commit` can be made to fail, so that tests can play a store that is
down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gearjobs.core.changes import (
    Accepted,
    Change,
    Finished,
    Forgotten,
    Progressed,
    Requeued,
    Started,
    StoredJob,
    Streamed,
)
from gearjobs.core.jobs import JobHandle
from gearjobs.errors import StoreError


class MemoryStore:
    """The JobStore contract on dictionaries."""

    def __init__(self) -> None:
        #: Unfinished jobs in the order of acceptance.
        self.unfinished: dict[JobHandle, StoredJob] = {}
        #: Jobs that a client inserted and no server has taken.
        self.unowned: dict[JobHandle, StoredJob] = {}
        #: How each finished job ended.
        self.finished: dict[JobHandle, Finished] = {}
        #: The last progress of each job.
        self.progress: dict[JobHandle, Progressed] = {}
        #: Data and warnings of each job, in order.
        self.streamed: dict[JobHandle, list[Streamed]] = {}
        #: Raised by every commit while it is set.
        self.failure: StoreError | None = None

    def load(self) -> list[StoredJob]:
        return [replace(job) for job in self.unfinished.values()]

    def adopt(self, limit: int) -> list[StoredJob]:
        adopted = list(self.unowned.values())[:limit]
        for job in adopted:
            del self.unowned[job.handle]
            self.unfinished[job.handle] = job
        return [replace(job) for job in adopted]

    def commit(self, changes: Sequence[Change]) -> None:
        if self.failure is not None:
            raise self.failure
        for change in changes:
            self._apply(change)

    def close(self) -> None:
        """Nothing is held open."""

    def _apply(self, change: Change) -> None:
        match change:
            case Accepted():
                self.unfinished[change.handle] = StoredJob(
                    change.handle,
                    change.function,
                    change.unique,
                    change.payload,
                    change.priority,
                    change.run_at,
                    change.accepted_at,
                    reducer=change.reducer,
                )
            case Started():
                job = self.unfinished[change.handle]
                job.attempt, job.worker_ids, job.was_running = change.attempt, list(change.worker_ids), True
            case Requeued():
                job = self.unfinished[change.handle]
                job.crashes += change.is_crash
                job.was_running = False
            case Progressed():
                self.progress[change.handle] = change
            case Streamed():
                self.streamed.setdefault(change.handle, []).append(change)
            case Finished():
                if self.unfinished.pop(change.handle, None) is not None:
                    self.finished[change.handle] = change
            case Forgotten():
                self.unfinished.pop(change.handle, None)
