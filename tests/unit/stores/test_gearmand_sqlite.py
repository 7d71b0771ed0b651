"""gearmand's table in an SQLite file: made, completed, read and refused."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing

import pytest

from gearjobs.errors import StoreError, UsageError
from gearjobs.stores.deferred_table import DeferredTable
from gearjobs.stores.durability_level import DurabilityLevel
from gearjobs.stores.gearmand_sqlite import make_table
from gearjobs.stores.queue_options import QueueOptions
from gearjobs.stores.queue_records import QueueRecord, RecordBatch, RecordName

RECORD = QueueRecord(RecordName(b"f", b"u"), 1, b"p", 0, b"{}")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "queue.sqlite3"


@pytest.fixture
def make(file):
    """Makes the table; it is closed at the end."""
    made = []

    def make_one(level=DurabilityLevel.FULL, **options):
        made.append(make_table(QueueOptions(libsqlite3_db=str(file), **options), level))
        return made[-1]

    yield make_one
    for table in made:
        table.close()


def run(file, *statements):
    with closing(sqlite3.connect(file)) as session, session:
        return [session.execute(statement).fetchall() for statement in statements][-1]


def test_file_must_be_named():
    with pytest.raises(UsageError, match="missing required --libsqlite3-db"):
        make_table(QueueOptions(), DurabilityLevel.FULL)


@pytest.mark.parametrize(
    ("level", "words"),
    [
        (DurabilityLevel.FULL, "survives power loss"),
        (DurabilityLevel.PROCESS, "but power loss may take back the latest"),
        (DurabilityLevel.MEMORY, "nothing is promised"),
    ],
)
def test_promise_is_said(make, level, words):
    assert words in make(level).open()


def test_row_looks_to_others_as_gearmands(make, file):
    table = make()
    table.open()

    table.write(RecordBatch(put=[RECORD]))

    row = run(file, "SELECT typeof(unique_key), function_name, priority, data, when_to_run FROM gearman_queue")
    assert row == [("text", "f", 1, b"p", 0)]


def test_old_table_without_times_is_given_them(make, file):
    run(
        file,
        "CREATE TABLE gearman_queue (unique_key TEXT, function_name TEXT, priority INTEGER, data BLOB,"
        " PRIMARY KEY (unique_key, function_name))",
        "INSERT INTO gearman_queue VALUES ('u', 'f', 1, 'p')",
    )
    table = make()
    table.open()

    assert table.read() == [QueueRecord(RecordName(b"f", b"u"), 1, b"p", 0, b"")]


def test_table_that_may_have_a_name_twice_is_refused(make, file):
    run(
        file,
        "CREATE TABLE gearman_queue (unique_key TEXT, function_name TEXT, priority INTEGER, data BLOB,"
        " when_to_run INTEGER)",
    )

    with pytest.raises(StoreError, match=r"could not open.*UNIQUE constraint"):
        make().open()


def test_other_rows_are_read_though_one_cannot_be_a_job(make, file, caplog):
    table = make()
    table.open()
    table.write(RecordBatch(put=[RECORD]))
    run(file, "INSERT INTO gearman_queue (unique_key, function_name) VALUES (NULL, 'f')")

    assert table.read() == [RECORD]
    assert "a job needs both" in caplog.text


def test_batch_that_meets_a_refusal_is_undone_whole(make):
    table = make()
    table.open()
    bad = QueueRecord(RecordName(b"f", b"v"), 1, b"p", 2**70, b"{}")

    with pytest.raises(StoreError) as refused:
        table.write(RecordBatch(put=[RECORD, bad]))

    assert not refused.value.is_outage
    assert table.read() == []


def test_file_that_went_away_is_an_outage_and_opened_again(make, file):
    table = make()
    table.open()
    run(file, "ALTER TABLE gearman_queue RENAME TO away")

    with pytest.raises(StoreError) as refused:
        table.write(RecordBatch(put=[RECORD]))
    run(file, "ALTER TABLE away RENAME TO gearman_queue")

    assert refused.value.is_outage
    table.write(RecordBatch(put=[RECORD]))
    assert table.read() == [RECORD]


def test_network_file_system_is_refused_unless_nothing_is_promised(make, monkeypatch):
    monkeypatch.setattr("gearjobs.stores.network_file_systems.file_system_of", lambda path: "nfs4")

    with pytest.raises(StoreError, match="is on nfs4: move it to a disk of this machine"):
        make().open()
    assert make(DurabilityLevel.MEMORY).open()


def test_queue_is_stored_at_shutdown_only_where_nothing_is_promised(make, caplog):
    with caplog.at_level(logging.INFO):
        assert not isinstance(make(store_queue_on_shutdown=True), DeferredTable)
    assert "keep jobs at once all the same" in caplog.text
    assert isinstance(make(DurabilityLevel.MEMORY, store_queue_on_shutdown=True), DeferredTable)


def test_closing_twice_is_closing_once(make):
    table = make()
    table.open()

    table.close()
    table.close()

    table.open()


def test_names_that_somebody_wrote_as_bytes_are_found_again(make, file):
    run(
        file,
        "CREATE TABLE gearman_queue (unique_key TEXT, function_name TEXT, priority INTEGER, data BLOB,"
        " when_to_run INTEGER, PRIMARY KEY (unique_key, function_name))",
        "INSERT INTO gearman_queue VALUES (x'75', x'66', 1, x'70', 0)",
    )
    table = make()
    table.open()

    (record,) = table.read()
    table.write(RecordBatch(deleted=[record.name]))

    assert (record.name, list(table.read())) == (RecordName(b"f", b"u"), [])
