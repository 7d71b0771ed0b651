"""A RecordTable in memory, which can fail before or after it has done what it was asked."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable

from gearjobs.errors import StoreError
from gearjobs.stores.queue_records import QueueRecord, RecordBatch, RecordName


class ShelfTable:
    """Records in a dictionary, which outlives the table: hand it to the next one."""

    def __init__(self, records: dict[RecordName, QueueRecord] | None = None) -> None:
        self.records = {} if records is None else records
        #: Raised by `write` without having done anything.
        self.failure: StoreError | None = None
        #: Raised by `write` after it has done everything: the answer was lost.
        self.lost_answer: StoreError | None = None
        #: What was written, batch by batch.
        self.written: list[RecordBatch] = []
        self.opened = 0
        self.closed = 0
        #: Names that differ by these alone are one.
        self.is_case_blind = False
        #: Whether names must be ASCII.
        self.is_ascii = False

    def open(self) -> str:
        self.opened += 1
        return "on a shelf"

    def read(self) -> Iterable[QueueRecord]:
        return list(self.records.values())

    def write(self, batch: RecordBatch) -> None:
        if self.failure is not None:
            raise self.failure
        self.written.append(batch)
        for name in batch.deleted:
            self.records.pop(name, None)
        for record in (*batch.put, *batch.changed):
            self.records[record.name] = record
        if self.lost_answer is not None:
            raise self.lost_answer

    def check(self) -> float:
        return math.inf

    def close(self) -> None:
        self.closed += 1

    def name_of(self, function: bytes, key: bytes) -> RecordName | None:
        if self.is_ascii and not (function.isascii() and key.isascii()):
            return None
        return RecordName(function, key)

    def fold(self, name: RecordName) -> Hashable:
        return (name.function.lower(), name.key.lower()) if self.is_case_blind else name
