"""gearmand's `--store-queue-on-shutdown`: jobs are written when the server stops, and nothing is promised until then.

Where gearmand empties its table at the start, records that are in the table stay there until their jobs end: a server
that is killed loses what came since, and runs nothing twice.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from gearjobs.stores.queue_only import RecordTable
from gearjobs.stores.queue_records import QueueRecord, RecordBatch, RecordName


class DeferredTable:
    """A RecordTable that puts its records into another one when it is closed.

    Args:
        table: the other one.
    """

    def __init__(self, table: RecordTable) -> None:
        self._table = table
        #: Records that the other table lacks, or has as they were.
        self._pending: dict[RecordName, QueueRecord] = {}
        #: Names of records that the other table has.
        self._stored: set[RecordName] = set()

    def open(self) -> str:
        """Open the other table."""
        self._table.open()
        return "nothing is promised of an acknowledged job: the queue is written when the server stops"

    def read(self) -> Iterable[QueueRecord]:
        """Return the other table's records."""
        self._pending.clear()
        records = list(self._table.read())
        self._stored = {record.name for record in records}
        return records

    def write(self, batch: RecordBatch) -> None:
        """Delete what is in the other table; the rest waits for the end."""
        gone = [name for name in batch.deleted if name in self._stored]
        if gone:
            self._table.write(RecordBatch(deleted=gone))
        self._stored.difference_update(gone)
        for name in batch.deleted:
            self._pending.pop(name, None)
        for record in (*batch.put, *batch.changed):
            self._pending[record.name] = record

    def check(self) -> float:
        """Look whether the other table is still this server's."""
        return self._table.check()

    def close(self) -> None:
        """Write what waited, and close the other table."""
        pending, self._pending = list(self._pending.values()), {}
        try:
            if pending:
                self._table.write(RecordBatch(put=pending))
        finally:
            self._table.close()

    def name_of(self, function: bytes, key: bytes) -> RecordName | None:
        """Return what the other table calls it."""
        return self._table.name_of(function, key)

    def fold(self, name: RecordName) -> Hashable:
        """Tell names apart as the other table does."""
        return self._table.fold(name)
