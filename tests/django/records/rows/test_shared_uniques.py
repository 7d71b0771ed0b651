"""One job for each unique: servers that race for it, jobs sent again, jobs taken back, rows that clients inserted."""

from __future__ import annotations

import itertools
import sqlite3

import pytest
from django.db import connections, transaction

from gearjobs.core.changes import Finished, Forgotten, Outcome, Started, Streamed
from gearjobs.core.jobs import JobHandle
from gearjobs.models import Job, JobOutput
from gearjobs.protocol.attributes import SubmitAttributes
from gearjobs.records.job_queries import NewJob, insert_jobs
from gearjobs.records.record_store import RecordStore
from gearjobs.records.rows.shared_uniques import find_known
from gearjobs.records.rows.unique_keys import unique_key
from tests.support.eventually import eventually
from tests.support.store_thread import StoreThread, accepted, handles_of, started

T = 1_760_000_000.0
_numbers = itertools.count(1)


@pytest.fixture
def two_servers(make_server) -> tuple[StoreThread, StoreThread]:
    servers = make_server("first"), make_server("second")
    for server in servers:
        server.load()
    return servers


@pytest.fixture
def store(db):
    opened = RecordStore("default", "server-1")
    opened.load()
    yield opened
    opened.close()


def new_handle() -> JobHandle:
    return JobHandle(b"H:unique:%010d" % next(_numbers))


def rows(alias: str = "default"):
    return Job.objects.using(alias)


def ended(handle: JobHandle) -> Finished:
    return Finished(handle, Outcome.SUCCEEDED, b"", T)


def insert(handle: JobHandle, *, unique: bytes, alias: str = "default", **terms: object) -> None:
    attributes = SubmitAttributes(terms=terms)
    insert_jobs([NewJob(handle.decode(), b"f", b"p", unique=unique, attributes=attributes)], using=alias)


def is_waiting_for_a_lock(database) -> bool:
    waiting = {
        "postgresql": "SELECT 1 FROM pg_locks WHERE NOT granted",
        "mysql": "SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
    }
    return bool(database.server.query(waiting[database.server.vendor]))


def test_same_unique_at_two_servers_is_one_job(two_servers, alias):
    first, second = two_servers
    one, other = new_handle(), new_handle()

    assert first.commit(accepted(one, unique=b"u")) == {}
    assert second.commit(accepted(other, unique=b"u"), accepted(new_handle())) == {other: one}
    assert sorted(rows(alias).exclude(unique_key=None).values_list("handle", "owner")) == [(one.decode(), "first")]


def test_unique_is_free_again_when_its_job_has_ended(two_servers, alias):
    first, second = two_servers
    one, other = new_handle(), new_handle()
    first.commit(accepted(one, unique=b"u"), started(one))

    first.commit(ended(one))

    assert second.commit(accepted(other, unique=b"u")) == {}
    assert rows(alias).get(pk=other.decode()).owner == "second"


def test_thousand_racing_pairs_are_a_thousand_jobs(two_servers, alias):
    batches: list[list[dict[bytes, JobHandle]]] = [[], []]
    for start in range(0, 1_000, 20):
        uniques = [b"race-%d" % number for number in range(start, start + 20)]
        calls = []
        for server, order, submitted in zip(two_servers, (uniques, uniques[::-1]), batches, strict=True):
            handles = {unique: new_handle() for unique in order}
            changes = [accepted(handle, unique=unique) for unique, handle in handles.items()]
            calls.append((handles, server.begin(lambda server=server, changes=changes: server.store.commit(changes))))
            submitted.append(handles)
        for handles, call in calls:
            joined = call.result(30)
            handles.update({unique: joined.get(handle, handle) for unique, handle in handles.items()})

    answers = [{unique: handle for handles in side for unique, handle in handles.items()} for side in batches]
    assert len(answers[0]) == 1_000
    assert answers[0] == answers[1]
    assert sorted(rows(alias).values_list("handle", flat=True)) == sorted(h.decode() for h in answers[0].values())


def test_job_sent_again_to_another_server_is_known_there_and_not_run(two_servers, alias):
    first, second = two_servers
    handle = new_handle()
    first.commit(accepted(handle))

    assert second.commit(accepted(handle), Streamed(handle, False, b"x", T)) == {handle: handle}
    assert second.adopt() == []
    assert rows(alias).get().owner == "first"
    assert not JobOutput.objects.using(alias).exists()


def test_job_taken_back_leaves_no_row(two_servers, alias):
    first, second = two_servers
    handle = new_handle()
    first.commit(accepted(handle, unique=b"u"))

    first.commit(Forgotten(handle, was_refused=True), Forgotten(new_handle(), was_refused=True))

    assert not rows(alias).exists()
    assert second.commit(accepted(new_handle(), unique=b"u")) == {}


@pytest.mark.parametrize("relies", ["same handle", "same unique"])
def test_job_taken_back_on_which_another_submitter_relies_is_kept_for_any_server(two_servers, alias, relies):
    first, second = two_servers
    handle = new_handle()
    first.commit(accepted(handle, unique=b"u"))
    joined = second.commit(accepted(handle if relies == "same handle" else new_handle(), unique=b"u"))

    first.commit(Forgotten(handle, was_refused=True))

    assert list(joined.values()) == [handle]
    assert handles_of(second.adopt()) == [handle]


def test_job_taken_back_that_its_client_inserted_meanwhile_is_kept(store):
    handle = new_handle()
    store.commit([accepted(handle)])
    insert(handle, unique=b"")

    store.commit([Forgotten(handle, was_refused=True)])

    assert handles_of(store.adopt(10)) == [handle]


def test_job_taken_back_in_the_batch_of_its_acceptance_never_was(store):
    handle = new_handle()

    store.commit([accepted(handle), Forgotten(handle, was_refused=True)])

    assert not rows().exists()


def test_one_batch_may_end_a_job_and_accept_the_next_of_its_unique(store, django_assert_max_num_queries):
    one, two, three = new_handle(), new_handle(), new_handle()
    store.commit([accepted(one, unique=b"u"), started(one)])

    with django_assert_max_num_queries(5):  # nothing was looked up: savepoint, (lease,) update, insert, release
        joined = store.commit([ended(one), accepted(two, unique=b"u"), ended(two), accepted(three, unique=b"u")])

    assert joined == {}
    assert rows().get(unique_key__isnull=False).handle == three.decode()


def test_second_acceptance_of_a_unique_in_a_batch_is_joined_to_the_first(store):
    one, two = new_handle(), new_handle()

    assert store.commit([accepted(one, unique=b"u"), accepted(two, unique=b"u")]) == {two: one}


def test_unique_that_ends_in_a_batch_that_must_be_looked_at_is_free(store):
    one, two, known = new_handle(), new_handle(), new_handle()
    store.commit([accepted(one, unique=b"u"), accepted(known)])

    joined = store.commit([accepted(known), ended(one), accepted(two, unique=b"u")])

    assert joined == {}
    assert rows().get(pk=two.decode()).status == "READY"


def test_row_that_its_client_inserted_meanwhile_gets_its_key_when_it_is_taken_over(store):
    handle = new_handle()
    insert(handle, unique=b"u")

    assert store.commit([accepted(handle, unique=b"u")]) == {}
    assert store.commit([accepted(other := new_handle(), unique=b"u")]) == {other: handle}


def test_row_that_its_client_inserted_meanwhile_is_joined_where_its_unique_is_taken(store):
    handle, holder = new_handle(), new_handle()
    store.commit([accepted(holder, unique=b"u")])
    insert(handle, unique=b"u")

    assert store.commit([accepted(handle, unique=b"u")]) == {handle: holder}
    assert store.adopt(10) == []
    assert rows().get(pk=handle.decode()).status_detail == "cancelled"


def test_inserted_duplicate_ends_as_cancelled_and_names_the_job_it_duplicates(store):
    holder, first, second, plain = (new_handle() for _ in range(4))
    store.commit([accepted(holder, unique=b"a")])
    for handle, unique in ((first, b"a"), (second, b"b"), (plain, b"")):
        insert(handle, unique=unique)
    insert(twin := new_handle(), unique=b"b")

    adopted = store.adopt(10)

    assert handles_of(adopted) == [second, plain]
    row = rows().get(pk=first.decode())
    assert (row.status, row.status_detail, row.version, row.unique_key) == ("FAILED", "cancelled", 2, None)
    assert (row.error_class, row.finished_at is None) == ("gearjobs.errors.JobCoalesced", False)
    assert row.joined_to == holder.decode()
    assert row.error_message == f"the job {holder.decode()} has the same function and unique id, and was not finished"
    assert second.decode() in rows().get(pk=twin.decode()).error_message
    assert rows().get(pk=second.decode()).unique_key == unique_key(b"f", b"b", b"p")


@pytest.mark.parametrize(
    ("on_conflict", "error"),
    [("coalesce", "JobCoalesced"), ("skip", "JobCoalesced"), ("replace", "JobCoalesced"), ("raise", "UniqueConflict")],
)
def test_terms_say_what_an_inserted_duplicate_ends_as(store, on_conflict, error):
    holder, duplicate = new_handle(), new_handle()
    store.commit([accepted(holder, unique=b"u")])
    insert(duplicate, unique=b"u", on_conflict=on_conflict)

    assert store.adopt(10) == []

    row = rows().get(pk=duplicate.decode())
    assert (row.status_detail, row.error_class, row.joined_to) == (
        "cancelled",
        f"gearjobs.errors.{error}",
        holder.decode(),
    )
    assert rows().get(pk=holder.decode()).status_detail == "waiting"


def test_job_that_gave_its_unique_back_at_its_start_gets_none_at_a_restart(store):
    running, waiting = new_handle(), new_handle()
    for handle in (running, waiting):
        insert(handle, unique=b"u", unique_for="queued")
        store.adopt(10)
        store.commit([Started(running, 1, ["w"], T, frees_unique=True)])
    store.close()

    assert handles_of(store.load()) == [running, waiting]
    assert list(rows().filter(unique_key=None).values_list("handle", flat=True)) == [running.decode()]


def test_rows_of_an_older_table_get_their_keys_when_they_are_loaded(store):
    handle = new_handle()
    store.commit([accepted(handle, unique=b"u")])
    rows().update(unique_key=None)
    store.close()

    assert handles_of(store.load()) == [handle]
    assert rows().get().unique_key == unique_key(b"f", b"u", b"p")


def test_inserted_row_and_a_submit_of_the_same_unique_race_to_one_job(two_servers, alias):
    first, second = two_servers
    pairs = []
    for number in range(100):
        inserted, submitted = new_handle(), new_handle()
        insert(inserted, unique=b"r%d" % number, alias=alias)
        adoption = first.begin(lambda: first.store.adopt(10))
        submit = second.begin(
            lambda submitted=submitted, number=number: second.store.commit(
                [accepted(submitted, unique=b"r%d" % number)]
            )
        )
        pairs.append((inserted, submitted, handles_of(adoption.result(30)), submit.result(30)))

    for inserted, submitted, adopted, joined in pairs:
        assert (adopted == [inserted]) == (joined == {submitted: inserted})
    assert rows(alias).filter(finished_at=None).count() == 100
    connections[alias].close()


def test_row_that_another_server_adopts_in_between_is_not_run_twice(two_servers, alias, monkeypatch):
    # The row was free when it was looked up, and the other server's when the batch was written.
    first, second = two_servers
    handle = new_handle()
    insert(handle, unique=b"", alias=alias)
    adopted = []

    def look_up_and_lose(*args, **kwargs):
        known = find_known(*args, **kwargs)
        adopted.extend(handles_of(second.adopt()))
        return known

    monkeypatch.setattr("gearjobs.records.record_store.find_known", look_up_and_lose)

    assert first.commit(accepted(handle)) == {handle: handle}
    assert adopted == [handle]
    assert rows(alias).get().owner == "second"


def test_job_taken_back_is_kept_when_somebody_relies_on_it_at_that_moment(two_servers, alias, shared_database):
    first, _ = two_servers
    handle = new_handle()
    first.commit(accepted(handle))

    with transaction.atomic(using=alias):
        rows(alias).filter(pk=handle.decode()).update(version=2)
        refusal = first.begin(lambda: first.store.commit([Forgotten(handle, was_refused=True)]))
        eventually(lambda: is_waiting_for_a_lock(shared_database), 5, "the withdrawal to wait for the row")
    refusal.result(10)

    assert rows(alias).get().owner == ""


def test_more_keyless_rows_are_loaded_than_a_statement_takes_parameters(store):
    # SQLite takes 32,766 and up: a server with more of them would not have started.
    connection = connections["default"]
    limit = connection.connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
    handles = [new_handle() for _ in range(1_200)]
    rows().bulk_create([Job(handle=handle.decode(), function="f", unique=handle.decode()) for handle in handles])
    twin = new_handle()
    rows().create(handle=twin.decode(), function="f", unique=handles[0].decode())
    store.close()
    connection.ensure_connection()
    connection.connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999)
    try:
        assert handles_of(store.load()) == handles
    finally:
        connection.connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, limit)

    assert rows().get(pk=twin.decode()).status_detail == "cancelled"
