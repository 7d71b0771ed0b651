"""The common ground of gearmand's queue stores: a JobStore over a table of records.

gearmand's modules write a job when it is new and delete it when it is over, each in a transaction of its own. So does
this store, but in batches, and with what else is to be known after a restart beside each record (`queue_records`): the
handle, attempts, whether it ran. What such a table cannot tell (results, progress) is not kept. One server has a table
to itself: the `RecordTable` holds a lock where its medium has one, and says `StoreFenced` when it finds that it lost
it. The tables are in `gearmand_sqlite` and its like; `queue_types` makes them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final, Protocol

from gearjobs.core.changes import Change, StoredJob
from gearjobs.core.jobs import JobHandle
from gearjobs.errors import StoreError
from gearjobs.stores.kept_jobs import KeptJob, KeptJobs, QueueDraft
from gearjobs.stores.queue_records import QueueRecord, RecordBatch, RecordName, foreign_job, make_record, read_record

logger = logging.getLogger("gearjobs.stores")

#: Records of gearmand that are given their extras in one commit.
_TAKEN_AT_ONCE: Final = 1_000
#: What stands for a function that cannot be shown in a name.
_ANY_FUNCTION: Final = b"job"
#: Bytes of a function in a name that had to be made up; what gearmand's tables hold.
_SHOWN_LIMIT_BYTES: Final = 255


class RecordTable(Protocol):
    """Records by name, somewhere outside of this process. All calls come from one thread."""

    def open(self) -> str:
        """Connect, take the lock, make what is missing, check what is promised; may be called again after `close`.

        Returns:
            What a commit survives, in words, for the log.

        Raises:
            StoreError: it cannot be opened, or cannot keep the durability that was asked for; with the remedy.
        """

    def read(self) -> Iterable[QueueRecord]:
        """Return all records, in the table's order; one that cannot be a job is logged, left alone and left out.

        Raises:
            StoreError: they cannot be read.
        """

    def write(self, batch: RecordBatch) -> None:
        """Do all of the batch, or nothing where the medium can; it is durable when the call returns.

        Raises:
            StoreFenced: another server has the table now.
            StoreError: with `is_outage`, nobody knows what was done of it; without, nothing was, and never can be.
        """

    def check(self) -> float:
        """Look whether the lock is still this server's, where it may be lost unnoticed: with a connection. Cheap.

        Returns:
            Seconds for which the lock surely lasts, counted from the call; infinite where it lasts until it is lost.

        Raises:
            StoreFenced: another server has the table now.
            StoreError: the medium does not answer.
        """

    def close(self) -> None:
        """Let go of the medium, whatever state it is in; idempotent."""

    def name_of(self, function: bytes, key: bytes) -> RecordName | None:
        """Return the name as gearmand would have it; None where the medium cannot say it."""

    def fold(self, name: RecordName) -> Hashable:
        """Return the same for names that the medium takes for one."""


class QueueOnlyStore:
    """JobStore over a table of records.

    Args:
        table: where the records are.
        make_handle: names the jobs that gearmand left.
        clock: unix seconds, for the same.
    """

    def __init__(
        self,
        table: RecordTable,
        *,
        make_handle: Callable[[], JobHandle],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._table = table
        self._make_handle = make_handle
        self._clock = clock
        self._jobs = KeptJobs(table.fold)

    def load(self) -> list[StoredJob]:
        """Open the table and take over what is there, in the order of acceptance, gearmand's jobs in the table's.

        Raises:
            StoreError: the table cannot be opened, or another server has it.
        """
        self._jobs = KeptJobs(self._table.fold)
        try:
            promise = self._table.open()
            foreign = [kept for record in self._table.read() if (kept := self._take_in(record)) is not None]
            self._name_foreign(foreign)
        except StoreError:
            self._table.close()
            raise
        jobs = sorted((kept.job for kept in self._jobs.by_handle.values()), key=_order)
        logger.info("open queue jobs=%d of_gearmand=%d: %s", len(jobs), len(foreign), promise)
        # The caller may change what it is given.
        return [_copy(job) for job in jobs]

    def renew(self) -> float:
        """Return for how long nobody can take the jobs over: while the table's lock is held.

        Raises:
            StoreFenced: another server has the table now.
            StoreError: the table does not answer.
        """
        return self._table.check()

    def adopt(self, limit: int) -> list[StoredJob]:
        """Look whether the table is still this server's; nobody else puts jobs into it."""
        self._table.check()
        return []

    def commit(self, changes: Sequence[Change]) -> dict[JobHandle, JobHandle]:
        """Write what the changes make of the unfinished jobs.

        Raises:
            StoreFenced: another server has the table now.
            StoreError: nothing was kept, or, in an outage, nobody knows; the same changes may be committed again.
        """
        draft = QueueDraft(self._jobs, self._name)
        for change in changes:
            draft.apply(change)
        batch = draft.batch()
        if batch:
            self._write(batch, draft)
        draft.keep()
        return draft.joined

    def close(self) -> None:
        """Let another server have the table."""
        self._table.close()

    def _write(self, batch: RecordBatch, draft: QueueDraft) -> None:
        try:
            self._table.write(batch)
        except StoreError as error:
            if error.is_outage:
                self._jobs.note_doubt(batch, draft.handles())
            raise

    def _take_in(self, record: QueueRecord) -> KeptJob | None:
        """Keep the job of a record; return it where gearmand wrote the record."""
        if record.extras:
            try:
                self._jobs.add(KeptJob(read_record(record), record.name))
            except ValueError as error:
                logger.warning("take job=%r as gearmand's: its extras cannot be read: %s", record.name, error)
            else:
                return None
        try:
            kept = KeptJob(foreign_job(record, self._make_handle(), self._clock()), record.name)
        except ValueError as error:
            logger.error("leave job=%r where it is: %s", record.name, error)
            return None
        self._jobs.add(kept)
        return kept

    def _name_foreign(self, foreign: Iterable[KeptJob]) -> None:
        """Write down the handles that gearmand's jobs were given: they are to stay theirs."""
        rest = iter(foreign)
        while some := [make_record(kept.job, kept.name) for kept in islice(rest, _TAKEN_AT_ONCE)]:
            self._table.write(RecordBatch(changed=some))

    def _name(self, job: StoredJob) -> RecordName:
        """Return the name of a new job's record: gearmand's, where it tells this job from all others."""
        has_own_key = job.unique not in {b"", b"-"}
        name = self._table.name_of(job.function, job.unique if has_own_key else job.handle)
        if name is not None:
            return name
        shown = job.function.decode("utf-8", "backslashreplace").encode("ascii", "backslashreplace")
        shown = shown.replace(b"\0", b"\\x00")[:_SHOWN_LIMIT_BYTES]
        return self._table.name_of(shown, job.handle) or RecordName(_ANY_FUNCTION, job.handle)


def _order(job: StoredJob) -> tuple[float, bytes]:
    return job.accepted_at, job.handle


def _copy(job: StoredJob) -> StoredJob:
    """Return a copy with lists of its own."""
    return replace(job, worker_ids=list(job.worker_ids))
