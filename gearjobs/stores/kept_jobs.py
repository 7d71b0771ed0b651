"""What a queue-only store knows of its table, and what a batch will make of it.

A table has no columns to ask which job has a unique, or to change an attempt's number in: the store keeps the
unfinished jobs, without a second copy of their payloads, which the queue holds anyway. A batch is worked out on a
`QueueDraft` beside them, which becomes true only when the table has taken it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from copy import copy
from dataclasses import dataclass, field
from typing import Final, TypeVar

from gearjobs.core.changes import Accepted, Change, Explained, Finished, Forgotten, Progressed, StoredJob, Streamed
from gearjobs.core.jobs import JobHandle
from gearjobs.stores.job_steps import JobStep, UniqueKey, held_key, stored_job, take_step, unique_key
from gearjobs.stores.queue_records import RecordBatch, RecordName, make_record

#: Ended jobs whose handles are remembered: a submission that comes again finds that it was done. A client's patience
#: is minutes at most.
ENDED_LIMIT: Final = 10_000

#: Returns how a table tells two names apart: equal for names that it takes for one.
Fold = Callable[[RecordName], Hashable]

_Key = TypeVar("_Key", bound=Hashable)


@dataclass(slots=True)
class KeptJob:
    """An unfinished job and the name of its record."""

    job: StoredJob
    name: RecordName


@dataclass(slots=True)
class KeptJobs:
    """The unfinished jobs of a table."""

    #: How the table tells names apart.
    fold: Fold
    by_handle: dict[JobHandle, KeptJob] = field(default_factory=dict)
    #: The job that has a name, by the folded name.
    names: dict[Hashable, JobHandle] = field(default_factory=dict)
    #: The job that keeps others out of a unique.
    holders: dict[UniqueKey, JobHandle] = field(default_factory=dict)
    #: Names of records that may be in the table or not: their commit was not answered.
    doubtful: dict[JobHandle, RecordName] = field(default_factory=dict)
    #: Handles of jobs that have ended, the latest ENDED_LIMIT.
    ended: set[JobHandle] = field(default_factory=set)
    _ended_in_order: deque[JobHandle] = field(default_factory=deque)

    def add(self, kept: KeptJob) -> None:
        """Keep one that the table has."""
        handle = kept.job.handle
        self.by_handle[handle] = kept
        self.names[self.fold(kept.name)] = handle
        self.doubtful.pop(handle, None)
        if (key := held_key(kept.job)) is not None:
            self.holders.setdefault(key, handle)

    def remove(self, handle: JobHandle) -> None:
        """Forget one that the table has no more."""
        self.doubtful.pop(handle, None)
        kept = self.by_handle.pop(handle, None)
        if kept is None:
            return
        _drop(self.names, self.fold(kept.name), handle)
        if (key := unique_key(kept.job)) is not None:
            _drop(self.holders, key, handle)

    def note_end(self, handle: JobHandle) -> None:
        """Remember that the job has ended."""
        if handle in self.ended:
            return
        self.ended.add(handle)
        self._ended_in_order.append(handle)
        if len(self._ended_in_order) > ENDED_LIMIT:
            self.ended.discard(self._ended_in_order.popleft())

    def note_doubt(self, batch: RecordBatch, handles: dict[RecordName, JobHandle]) -> None:
        """Remember that nobody knows whether the batch was committed."""
        self.doubtful.update((handles[record.name], record.name) for record in batch.put)


class QueueDraft:
    """What a batch makes of the jobs of a table.

    Args:
        jobs: as they are; not changed before `keep`.
        name_of: gives an accepted job the name of its record, if a record can be called that.
    """

    def __init__(self, jobs: KeptJobs, name_of: Callable[[StoredJob], RecordName]) -> None:
        self._jobs = jobs
        self._name_of = name_of
        #: What became of the jobs that the batch touches; None where nothing is left.
        self._touched: dict[JobHandle, KeptJob | None] = {}
        self._names: dict[Hashable, JobHandle | None] = {}
        self._holders: dict[UniqueKey, JobHandle | None] = {}
        self._ended: list[JobHandle] = []
        #: Acceptances that are not kept, and the job that stands for each.
        self.joined: dict[JobHandle, JobHandle] = {}

    def apply(self, change: Change) -> None:
        """Take one more change of the batch."""
        if change.handle in self.joined:
            return
        match change:
            case Accepted():
                self._accept(change)
            case Finished():
                self._ended.append(change.handle)
                self._remove(change.handle)
            case Forgotten():
                self._remove(change.handle)
            case Explained() | Progressed() | Streamed():
                # What changes nothing of a job's way has no place in these tables.
                pass
            case _:
                self._step(change)

    def batch(self) -> RecordBatch:
        """Return what is to be written."""
        batch = RecordBatch()
        for handle, kept in self._touched.items():
            before = self._jobs.by_handle.get(handle)
            if kept is None:
                name = self._jobs.doubtful.get(handle) if before is None else before.name
                if name is not None and self._is_free_of_others(name, handle):
                    batch.deleted.append(name)
            elif before is None:
                batch.put.append(make_record(kept.job, kept.name))
            else:
                batch.changed.append(make_record(kept.job, kept.name))
        return batch

    def handles(self) -> dict[RecordName, JobHandle]:
        """Return which job each record of the batch is of."""
        return {kept.name: handle for handle, kept in self._touched.items() if kept is not None}

    def keep(self) -> None:
        """Make it true: the table has taken the batch."""
        for handle, kept in self._touched.items():
            self._jobs.remove(handle)
            if kept is not None:
                self._jobs.add(kept)
        for handle in self._ended:
            self._jobs.note_end(handle)

    def _accept(self, accepted: Accepted) -> None:
        handle = accepted.handle
        if self._find(handle) is not None:
            # A repetition changes nothing.
            return
        key = unique_key(accepted)
        holder = None if key is None else self._holders.get(key, self._jobs.holders.get(key))
        if handle in self._jobs.ended or handle in self._ended:
            holder = handle
        if holder is not None:
            self.joined[handle] = holder
            return
        job = stored_job(accepted)
        kept = KeptJob(job, self._free_name(job))
        self._touched[handle] = kept
        self._names[self._jobs.fold(kept.name)] = handle
        if key is not None:
            self._holders[key] = handle

    def _step(self, change: JobStep) -> None:
        kept = self._find(change.handle)
        if kept is None:
            return
        job = copy(kept.job)
        take_step(job, change)
        self._touched[change.handle] = KeptJob(job, kept.name)
        if held_key(job) is None:
            self._free_unique(job)

    def _remove(self, handle: JobHandle) -> None:
        kept = self._find(handle)
        self._touched[handle] = None
        if kept is None:
            return
        folded = self._jobs.fold(kept.name)
        if self._names.get(folded, self._jobs.names.get(folded)) == handle:
            self._names[folded] = None
        self._free_unique(kept.job)

    def _free_unique(self, job: StoredJob) -> None:
        key = unique_key(job)
        if key is not None and self._holders.get(key, self._jobs.holders.get(key)) == job.handle:
            self._holders[key] = None

    def _find(self, handle: JobHandle) -> KeptJob | None:
        return self._touched[handle] if handle in self._touched else self._jobs.by_handle.get(handle)

    def _free_name(self, job: StoredJob) -> RecordName:
        """Return the name of the job's record; the handle is in it where another record has the usual name."""
        name = self._name_of(job)
        if self._is_free_of_others(name, job.handle):
            return name
        return RecordName(name.function, job.handle)

    def _is_free_of_others(self, name: RecordName, handle: JobHandle) -> bool:
        folded = self._jobs.fold(name)
        return self._names.get(folded, self._jobs.names.get(folded)) in {None, handle}


def _drop(places: dict[_Key, JobHandle], key: _Key, handle: JobHandle) -> None:
    """Empty a place, if it is still the job's."""
    if places.get(key) == handle:
        del places[key]
