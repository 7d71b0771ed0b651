"""The store over a table of records: names, batches that fail, and what gearmand left."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gearjobs.core.changes import Explained, Forgotten, JobDetails, Outcome, Progressed, Streamed
from gearjobs.core.handles import HandleMaker
from gearjobs.core.jobs import JobHandle
from gearjobs.core.terms import JobTerms, UniqueSpan, write_terms
from gearjobs.errors import StoreError
from gearjobs.stores.kept_jobs import ENDED_LIMIT
from gearjobs.stores.queue_only import QueueOnlyStore
from gearjobs.stores.queue_records import QueueRecord, RecordName
from tests.support.shelf_table import ShelfTable
from tests.support.store_houses import accepted, finished, new_handle, started


def opened(table):
    store = QueueOnlyStore(
        table, make_handle=HandleMaker("H:taken", "00000000000000").next_handle, clock=lambda: 1_700_000_000.0
    )
    return store, store.load()


@pytest.fixture
def table():
    return ShelfTable()


@pytest.fixture
def store(table):
    return opened(table)[0]


def names(table):
    return {(name.function, name.key) for name in table.records}


def test_record_is_named_as_gearmand_names_it(store, table):
    store.commit([accepted(new_handle(), unique=b"u", function=b"resize")])

    assert names(table) == {(b"resize", b"u")}


@pytest.mark.parametrize("unique", [b"", b"-"])
def test_job_of_no_unique_is_named_by_its_handle(store, table, unique):
    handle = new_handle()

    store.commit([accepted(handle, unique=unique)])

    assert names(table) == {(b"f", handle)}
    assert [job.unique for job in opened(table)[1]] == [unique]


def test_job_that_the_table_cannot_name_is_shown_there_and_kept(table):
    table.is_ascii = True
    store, _ = opened(table)
    handle = new_handle()

    store.commit([accepted(handle, unique=b"\xff", function="größe\0".encode())])

    assert names(table) == {(rb"gr\xf6\xdfe\x00", handle)}
    (job,) = opened(table)[1]
    assert (job.function, job.unique) == ("größe\0".encode(), b"\xff")


def test_names_that_the_table_takes_for_one_do_not_meet(table):
    table.is_case_blind = True
    store, _ = opened(table)
    handles = [new_handle() for _ in range(2)]

    store.commit([accepted(handles[0], unique=b"abc"), accepted(handles[1], unique=b"ABC")])

    assert names(table) == {(b"f", b"abc"), (b"f", handles[1])}
    assert [job.unique for job in opened(table)[1]] == [b"abc", b"ABC"]


def test_name_is_free_for_the_next_job_of_the_unique_within_a_batch(store, table):
    first, second = new_handle(), new_handle()
    store.commit([accepted(first, unique=b"u", payload=b"old"), started(first)])

    store.commit([finished(first), accepted(second, unique=b"u", payload=b"new")])

    assert [(record.name.key, record.payload) for record in table.records.values()] == [(b"u", b"new")]


def test_job_that_gave_its_unique_free_keeps_its_record(store, table):
    first, second = new_handle(), new_handle()
    details = JobDetails(terms=write_terms(JobTerms(unique_for=UniqueSpan.QUEUED)))
    store.commit([accepted(first, unique=b"u", details=details)])
    store.commit([replace(started(first), frees_unique=True), accepted(second, unique=b"u", details=details)])

    store.commit([finished(first)])

    assert names(table) == {(b"f", second)}
    assert store.commit([accepted(new_handle(), unique=b"u")]).popitem()[1] == second


def test_life_within_one_batch_touches_nothing(store, table):
    handle = new_handle()

    store.commit([accepted(handle), started(handle), finished(handle)])

    assert table.written == []


def test_what_changes_nothing_of_a_job_is_not_written(store, table):
    handle = new_handle()
    store.commit([accepted(handle)])
    table.written.clear()

    store.commit(
        [
            Progressed(handle, 1, 2, "", 1.0),
            Streamed(handle, False, b"piece", 1.0),
            Explained(handle, 1, "killed"),
            started(new_handle()),
        ]
    )

    assert table.written == []


def test_refused_batch_changes_nothing(store, table):
    handle = new_handle()
    store.commit([accepted(handle, unique=b"u")])
    table.failure = StoreError("down")

    with pytest.raises(StoreError):
        store.commit([started(handle), finished(handle)])
    table.failure = None

    assert store.commit([accepted(new_handle(), unique=b"u")]).popitem()[1] == handle


def test_batch_whose_answer_was_lost_may_be_committed_again(store, table):
    handle, batch = new_handle(), [accepted(new_handle(), unique=b"v")]
    store.commit([accepted(handle, unique=b"u")])
    table.lost_answer = StoreError("connection lost")
    with pytest.raises(StoreError):
        store.commit([*batch, finished(handle)])
    table.lost_answer = None

    assert store.commit([*batch, finished(handle)]) == {}

    assert names(table) == {(b"f", b"v")}


def test_refused_acceptance_that_was_written_after_all_is_taken_back(store, table):
    handle = new_handle()
    table.lost_answer = StoreError("connection lost")
    with pytest.raises(StoreError):
        store.commit([accepted(handle, unique=b"u")])
    table.lost_answer = None

    store.commit([Forgotten(handle, was_refused=True)])

    assert table.records == {}


def test_taking_back_leaves_the_job_that_was_sent_again(store, table):
    refused, again = new_handle(), new_handle()
    table.lost_answer = StoreError("connection lost")
    with pytest.raises(StoreError):
        store.commit([accepted(refused, unique=b"u", payload=b"first")])
    table.lost_answer = None
    store.commit([accepted(again, unique=b"u", payload=b"second")])

    store.commit([Forgotten(refused, was_refused=True)])

    assert [record.payload for record in table.records.values()] == [b"second"]


def test_values_that_were_refused_leave_no_doubt(store, table):
    handle = new_handle()
    table.failure = StoreError("too long", is_outage=False)
    with pytest.raises(StoreError):
        store.commit([accepted(handle, unique=b"u")])
    table.failure = None

    store.commit([Forgotten(handle)])

    assert table.written == []


def test_submission_that_comes_again_after_its_job_has_ended_is_done(store):
    handle = new_handle()
    store.commit([accepted(handle), started(handle), finished(handle, Outcome.FAILED)])

    assert store.commit([accepted(handle)]) == {handle: handle}


def test_only_the_latest_ends_are_remembered(store):
    handles = [new_handle() for _ in range(ENDED_LIMIT + 1)]

    for handle in handles:
        store.commit([finished(handle), finished(handle)])

    assert store.commit([accepted(handles[0])]) == {}
    assert store.commit([accepted(handles[1])]) == {handles[1]: handles[1]}


def test_gearmands_jobs_are_given_handles_and_keep_them(table):
    records = [QueueRecord(RecordName(b"f", b"%d" % number), 1, b"p", 0, b"") for number in range(3)]
    table.records = {record.name: record for record in records}

    first, second = opened(table)[1], opened(table)[1]

    assert [job.unique for job in first] == [b"0", b"1", b"2"]
    assert len({job.handle for job in first}) == 3
    assert second == first


def test_extras_that_cannot_be_read_make_it_gearmands_job(table, caplog):
    name = RecordName(b"f", b"u")
    table.records = {name: QueueRecord(name, 1, b"p", 0, b"{broken")}

    (job,) = opened(table)[1]

    assert (job.unique, job.payload) == (b"u", b"p")
    assert "its extras cannot be read" in caplog.text


def test_table_that_cannot_be_opened_is_let_go_of(table):
    name = RecordName(b"f", b"u")
    table.records, table.failure = {name: QueueRecord(name, 1, b"p", 0, b"")}, StoreError("down")

    with pytest.raises(StoreError):
        opened(table)

    assert table.closed == 1


def test_jobs_that_are_given_out_are_the_callers(store, table):
    store.commit([accepted(new_handle(), unique=b"u")])
    store, (job,) = opened(table)
    job.attempt, job.worker_ids[:] = 9, ["x"]

    store.commit([started(JobHandle(job.handle))])

    assert opened(table)[1][0].worker_ids == ["worker-1"]


@pytest.mark.parametrize("name", [RecordName(b"f\0g", b"u"), RecordName(b"f", b"u\0")])
def test_record_whose_name_no_packet_can_say_is_left_alone_and_keeps_no_other_from_being_taken(table, caplog, name):
    for one in (name, RecordName(b"f", b"u")):
        table.records[one] = QueueRecord(one, 1, b"p", 0, b"")

    _, jobs = opened(table)

    assert [(job.function, job.unique) for job in jobs] == [(b"f", b"u")]
    assert table.records[name].extras == b""
    assert "must not contain a NUL" in caplog.text
