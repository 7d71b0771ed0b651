"""`--store-queue-on-shutdown`: what is written when."""

from __future__ import annotations

import pytest

from gearjobs.errors import StoreError
from gearjobs.stores.deferred_table import DeferredTable
from gearjobs.stores.queue_records import QueueRecord, RecordBatch, RecordName
from tests.support.shelf_table import ShelfTable


def record(key, extras=b"x"):
    return QueueRecord(RecordName(b"f", key), 1, b"p", 0, extras)


@pytest.fixture
def inner():
    return ShelfTable({RecordName(b"f", b"old"): record(b"old")})


@pytest.fixture
def table(inner):
    deferred = DeferredTable(inner)
    assert "nothing is promised" in deferred.open()
    list(deferred.read())
    return deferred


def test_nothing_is_written_before_the_end(table, inner):
    table.write(RecordBatch(put=[record(b"new")]))
    table.write(RecordBatch(changed=[record(b"new", b"y"), record(b"old", b"y")]))
    assert inner.written == []

    table.close()

    assert {one.name.key: one.extras for one in inner.records.values()} == {b"old": b"y", b"new": b"y"}
    assert inner.closed == 1


def test_job_that_was_stored_is_deleted_when_it_ends_and_no_other(table, inner):
    table.write(RecordBatch(put=[record(b"new")]))

    table.write(RecordBatch(deleted=[RecordName(b"f", b"old"), RecordName(b"f", b"new")]))

    assert [batch.deleted for batch in inner.written] == [[RecordName(b"f", b"old")]]
    table.close()
    assert inner.records == {}


def test_table_is_closed_though_the_queue_cannot_be_written(table, inner):
    table.write(RecordBatch(put=[record(b"new")]))
    inner.failure = StoreError("disk full")

    with pytest.raises(StoreError):
        table.close()

    assert inner.closed == 1


def test_names_and_lock_are_the_other_tables(table, inner):
    inner.is_ascii = inner.is_case_blind = True

    assert table.name_of(b"\xff", b"u") is None
    assert table.fold(RecordName(b"F", b"U")) == (b"f", b"u")
    assert table.check() == inner.check()
