"""Rows that anybody may have written, and names of tables."""

from __future__ import annotations

import pytest

from gearjobs.errors import UsageError
from gearjobs.stores.queue_records import QueueRecord, RecordName
from gearjobs.stores.table_names import checked_name
from gearjobs.stores.table_rows import record_of_row


@pytest.mark.parametrize(
    ("row", "record"),
    [
        ((b"u", b"f", 0, b"p", 7, None), QueueRecord(RecordName(b"f", b"u"), 0, b"p", 7, b"")),
        (("ü", "f", 2, b"", 0, "{}"), QueueRecord(RecordName(b"f", "ü".encode()), 2, b"", 0, b"{}")),
        # gearmand's own empty payload, and columns that an old table had not.
        ((b"u", b"f", None, None, None, None), QueueRecord(RecordName(b"f", b"u"), 1, b"", 0, b"")),
        ((b"u", b"f", b"x", b"p", float("inf"), None), QueueRecord(RecordName(b"f", b"u"), 1, b"p", 0, b"")),
        ((b"u", b"f", 1, 123, 0, None), QueueRecord(RecordName(b"f", b"u"), 1, b"123", 0, b"")),
        ((b"u", b"f", 1, 0.5, 0, None), QueueRecord(RecordName(b"f", b"u"), 1, b"0.5", 0, b"")),
    ],
)
def test_row_is_read_whoever_wrote_it(row, record):
    assert record_of_row(row) == record


@pytest.mark.parametrize("row", [(None, b"f", 1, b"p", 0, None), (b"u", None, 1, b"p", 0, None)])
def test_row_that_cannot_be_a_job_is_left_and_named(row, caplog):
    assert record_of_row(row) is None

    assert "a job needs both" in caplog.text


@pytest.mark.parametrize("name", ["gearman_queue", "Q", "public.queue", "a$1"])
def test_name_of_a_table_is_taken(name):
    assert checked_name("--libpq-table", name, may_have_schema=True) == name


@pytest.mark.parametrize("name", ["", "a-b", "a;DROP TABLE b", "a b", '"a"', "1a", "a.b.c", "a.", "tab\n"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(UsageError, match="--libpq-table must be a table's name"):
        checked_name("--libpq-table", name, may_have_schema=True)


def test_schema_is_refused_where_there_is_none():
    with pytest.raises(UsageError, match="--mysql-table must be a table's name, NAME, of"):
        checked_name("--mysql-table", "queues.one")
