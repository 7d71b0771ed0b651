"""The store on the Job table: what each change leaves in the row. What is true of every store: tests/stores."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from django.db import connection, transaction

from gearjobs.core.changes import (
    Accepted,
    Finished,
    Forgotten,
    JobDetails,
    JobFailure,
    Outcome,
    Progressed,
    Requeued,
    Started,
    Streamed,
)
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.errors import StoreError
from gearjobs.models import Job, JobOutput
from gearjobs.records.job_queries import NewJob, insert_jobs
from gearjobs.records.record_store import RecordStore
from gearjobs.records.rows.column_values import BodyLimit

T = 1_760_000_000.25
#: Savepoint, one statement, release; where servers share the database also the look at the own lease, and what goes
#: through a pipeline of PostgreSQL is not seen here.
STATEMENTS = {"sqlite": 3, "postgresql": 3, "mysql": 4}[connection.vendor]
_numbers = itertools.count(1)


@pytest.fixture
def store(db):
    opened = RecordStore("default", "server-1")
    opened.load()
    yield opened
    opened.close()


@pytest.fixture
def handle():
    return JobHandle(b"H:store:%010d" % next(_numbers))


def accepted(handle: JobHandle, **others) -> Accepted:
    values = {"unique": b"", "payload": b"p", "priority": 0, "run_at": 0.0, "accepted_at": T, **others}
    return Accepted(handle, FunctionName(values.pop("function", b"resize")), **values)


def started(handle: JobHandle, attempt: int = 1, at: float = T + 1) -> Started:
    return Started(handle, attempt, [f"w{number}" for number in range(1, attempt + 1)], at)


def succeeded(handle: JobHandle, at: float = T + 5) -> Finished:
    return Finished(handle, Outcome.SUCCEEDED, b"\0result\xff", at)


def row_of(handle: JobHandle) -> Job:
    return Job.objects.get(pk=handle.decode())


def moment(unix_s: float) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)


def test_accepted_job_is_a_ready_row(store, handle):
    store.commit([accepted(handle, function=b"re\\size\xff", unique=b"u", priority=-50)])

    row = row_of(handle)
    assert (row.function, row.unique, bytes(row.payload), row.priority) == (r"re\\size\xff", "u", b"p", -50)
    assert (row.status, row.status_detail, row.version, row.owner) == ("READY", "waiting", 1, "server-1")
    assert (row.enqueued_at, row.run_at, row.started_at, row.finished_at) == (moment(T), None, None, None)
    assert (row.attempt, row.crashes, row.worker_ids, row.metadata, row.result) == (0, 0, [], {}, None)


def test_details_stand_in_their_columns(store, handle):
    details = JobDetails("album.tasks.resize", "photos", "main", "7", {"trace": ["ä", 1, None]})

    store.commit([accepted(handle, details=details)])

    row = row_of(handle)
    assert (row.task, row.queue, row.backend, row.enqueued_by) == ("album.tasks.resize", "photos", "main", "7")
    assert row.metadata == {"trace": ["ä", 1, None]}


def test_job_of_the_future_is_scheduled(store, handle):
    store.commit([accepted(handle, run_at=T + 60)])

    assert (row_of(handle).status_detail, row_of(handle).run_at) == ("scheduled", moment(T + 60))


def test_started_job_is_running(store, handle):
    store.commit([accepted(handle)])

    store.commit([started(handle)])

    row = row_of(handle)
    assert (row.status, row.status_detail, row.attempt, row.worker_ids) == ("RUNNING", "running", 1, ["w1"])
    assert (row.started_at, row.last_attempted_at, row.version) == (moment(T + 1), moment(T + 1), 2)


def test_second_attempt_keeps_the_first_start(store, handle):
    store.commit([accepted(handle), started(handle)])

    store.commit([Requeued(handle, True, T + 2, 1), started(handle, 2, T + 3)])

    row = row_of(handle)
    assert (row.started_at, row.last_attempted_at, row.attempt) == (moment(T + 1), moment(T + 3), 2)
    assert (row.worker_ids, row.crashes, row.status_detail) == (["w1", "w2"], 1, "running")


def test_progress_is_recorded(store, handle):
    store.commit([accepted(handle), started(handle)])

    store.commit([Progressed(handle, 1, 4, "one", T + 2), Progressed(handle, 3, 4, "three", T + 3)])

    row = row_of(handle)
    assert (row.progress_numerator, row.progress_denominator, row.progress_message) == (3.0, 4.0, "three")
    assert row.progress_percent == 75.0


@pytest.mark.parametrize(("is_crash", "detail", "crashes"), [(True, "retrying", 1), (False, "waiting", 0)])
def test_requeued_job_waits_again_without_progress(store, handle, is_crash, detail, crashes):
    store.commit([accepted(handle), started(handle), Progressed(handle, 1, 4, "one", T + 2)])

    store.commit([Requeued(handle, is_crash, T + 3, crashes)])

    row = row_of(handle)
    assert (row.status, row.status_detail, row.crashes, row.attempt) == ("READY", detail, crashes, 1)
    assert (row.progress_percent, row.progress_message) == (None, "")


def test_success_keeps_the_result_exactly(store, handle):
    store.commit([accepted(handle), started(handle)])

    store.commit([succeeded(handle)])

    row = row_of(handle)
    assert (row.status, row.status_detail, bytes(row.result or b"")) == ("SUCCESSFUL", "succeeded", b"\0result\xff")
    assert (row.finished_at, row.error_class, row.version) == (moment(T + 5), "", 3)


def test_empty_result_is_a_result(store, handle):
    store.commit([accepted(handle), started(handle), Finished(handle, Outcome.SUCCEEDED, b"", T + 5)])

    assert row_of(handle).result == b""


def test_failure_says_why(store, handle):
    failure = JobFailure("album.errors.Broken", "not a\0picture", "Traceback\n  …\nBroken: not a picture")

    store.commit([accepted(handle), started(handle), Finished(handle, Outcome.FAILED, b"", T + 5, failure)])

    row = row_of(handle)
    assert (row.status, row.status_detail, row.result) == ("FAILED", "failed", None)
    assert (row.error_class, row.error_message) == ("album.errors.Broken", "not a\\x00picture")
    assert row.error_traceback == "Traceback\n  …\nBroken: not a picture"


@pytest.mark.parametrize(
    ("outcome", "class_path"),
    [
        (Outcome.FAILED, "gearjobs.errors.JobFailed"),
        (Outcome.CANCELLED, "gearjobs.errors.JobCancelled"),
        (Outcome.EXPIRED, "gearjobs.errors.JobExpired"),
        (Outcome.TIMED_OUT, "gearjobs.errors.JobTimedOut"),
        (Outcome.LOST, "gearjobs.errors.JobLost"),
        (Outcome.DEAD, "gearjobs.errors.JobDead"),
    ],
)
def test_outcome_without_a_reason_has_a_class_and_a_sentence(store, handle, outcome, class_path):
    store.commit([accepted(handle), Finished(handle, outcome, b"", T + 5)])

    row = row_of(handle)
    assert (row.status, row.status_detail, row.error_class) == ("FAILED", outcome.value, class_path)
    assert row.error_message


def test_long_texts_are_cut_to_their_columns(store, handle):
    failure = JobFailure("a" * 1000, "b" * 100_000, "c" * 200_000 + "end")

    store.commit([accepted(handle), Finished(handle, Outcome.FAILED, b"", T + 5, failure)])

    row = row_of(handle)
    assert (len(row.error_class), len(row.error_message), len(row.error_traceback)) == (255, 10_000, 100_000)
    assert row.error_traceback.endswith("end")


def test_forgotten_job_leaves_nothing(store, handle):
    store.commit([accepted(handle), Streamed(handle, False, b"piece", T + 1)])

    store.commit([Forgotten(handle)])

    assert not Job.objects.filter(pk=handle.decode()).exists()
    assert not JobOutput.objects.filter(job=handle.decode()).exists()


def test_job_accepted_and_forgotten_in_one_batch_never_was(store, handle):
    store.commit([accepted(handle), Forgotten(handle)])

    assert not Job.objects.filter(pk=handle.decode()).exists()


def test_whole_life_in_one_batch_is_one_write(store, handle, django_assert_num_queries):
    store.commit([accepted(JobHandle(handle + b"x"))])
    life = [accepted(handle), started(handle), Progressed(handle, 1, 1, "", T + 2), succeeded(handle)]

    with django_assert_num_queries(STATEMENTS):
        store.commit(life)

    row = row_of(handle)
    assert (row.status, row.attempt, row.version, row.started_at) == ("SUCCESSFUL", 1, 4, moment(T + 1))


def test_batch_of_equal_changes_is_one_statement(store, django_assert_num_queries):
    handles = [JobHandle(b"H:many:%d" % next(_numbers)) for _ in range(50)]
    store.commit([accepted(handle) for handle in handles])

    with django_assert_num_queries(STATEMENTS):
        store.commit([started(handle) for handle in handles])

    assert Job.objects.filter(status="RUNNING").count() == 50


def test_restart_after_a_requeue_wins_in_one_batch(store, handle):
    store.commit([accepted(handle), started(handle)])

    store.commit([Requeued(handle, True, T + 2, 1), started(handle, 2), Requeued(handle, False, T + 4, 1)])

    row = row_of(handle)
    assert (row.status, row.status_detail, row.attempt, row.crashes, row.version) == ("READY", "waiting", 2, 1, 5)


def test_nothing_changes_a_finished_row(store, handle):
    store.commit([accepted(handle), started(handle), succeeded(handle)])
    before = Job.objects.filter(pk=handle.decode()).values().get()

    store.commit([started(handle, 2), Progressed(handle, 1, 2, "late", T + 9)])
    store.commit([Requeued(handle, True, T + 9, 1), Finished(handle, Outcome.LOST, b"", T + 9)])

    assert Job.objects.filter(pk=handle.decode()).values().get() == before


def test_what_follows_the_end_within_a_batch_changes_nothing(store, handle):
    store.commit([accepted(handle), succeeded(handle), started(handle, 2), Requeued(handle, True, T + 9, 1)])

    row = row_of(handle)
    assert (row.status, row.attempt, row.crashes, row.version) == ("SUCCESSFUL", 0, 0, 2)


def test_row_of_another_server_is_not_written(store, handle):
    store.commit([accepted(handle)])
    Job.objects.update(owner="server-2")

    store.commit([started(handle)])

    assert row_of(handle).status == "READY"


def test_load_owns_what_another_server_left(store, handle):
    store.commit([accepted(handle)])
    store.close()

    successor = RecordStore("default", "server-2")
    loaded = successor.load()
    successor.commit([started(handle)])
    successor.close()

    assert [job.handle for job in loaded] == [handle]
    assert (row_of(handle).owner, row_of(handle).status) == ("server-2", "RUNNING")


def test_row_that_its_client_inserted_meanwhile_is_taken_over(store, handle):
    insert_jobs([NewJob(handle.decode(), b"resize", b"p")])
    other = JobHandle(handle + b"x")

    store.commit([accepted(handle), accepted(other), started(handle)])

    assert (row_of(handle).owner, row_of(handle).status, row_of(other).status) == ("server-1", "RUNNING", "READY")
    assert store.adopt(10) == []


def test_batch_committed_before_the_answer_was_lost_may_be_committed_again(store, handle):
    batch = [accepted(handle), Streamed(handle, False, b"piece", T + 1)]
    store.commit(batch[:1])

    store.commit(batch)

    assert JobOutput.objects.filter(job=handle.decode()).count() == 1


def test_job_that_is_sent_again_after_its_end_is_known_and_not_run_again(store, handle):
    store.commit([accepted(handle), succeeded(handle)])
    before = Job.objects.filter(pk=handle.decode()).values().get()
    other = JobHandle(handle + b"x")

    joined = store.commit([accepted(other), accepted(handle), Streamed(handle, False, b"x", T)])

    assert joined == {handle: handle}
    assert Job.objects.filter(pk=handle.decode()).values().get() == before
    assert not JobOutput.objects.filter(job=handle.decode()).exists()
    assert row_of(other).status == "READY"


def test_rows_of_a_spoiled_batch_can_be_committed_without_the_poison(store, handle):
    poison = accepted(JobHandle(b"not-ascii-\xff"))
    with pytest.raises(StoreError) as refusal:
        store.commit([accepted(handle), poison])

    store.commit([accepted(handle)])

    assert not refusal.value.is_outage
    assert row_of(handle).status == "READY"


def test_payload_too_long_for_the_database_is_refused_alone(store, handle):
    store._body_limit = BodyLimit(2 * 600_000)
    long = accepted(handle, payload=b"x" * 100_000)

    with pytest.raises(StoreError, match="got 100000 bytes") as refusal:
        store.commit([long])

    assert not refusal.value.is_outage


def test_job_whose_result_is_too_long_for_the_database_ends_and_says_so(store, handle):
    store.commit([accepted(handle), started(handle)])
    store._body_limit = BodyLimit(2 * 600_000)

    store.commit([Finished(handle, Outcome.SUCCEEDED, b"x" * 100_000, T + 5)])

    row = row_of(handle)
    assert (row.status, row.result, row.error_class) == ("FAILED", None, "gearjobs.errors.StoreError")
    assert row.error_message == "the job succeeded, but its result of 100000 bytes is too long for the database"


def test_second_acceptance_of_a_handle_in_a_batch_changes_nothing(store, handle):
    store.commit([accepted(handle), accepted(handle, function=b"other"), started(handle), accepted(handle)])

    assert (row_of(handle).function, row_of(handle).status) == ("resize", "RUNNING")


def test_streamed_pieces_are_numbered_over_batches(store, handle):
    store.commit([accepted(handle), started(handle), Streamed(handle, False, b"\xff1", T + 2)])

    store.commit([Streamed(handle, True, b"2", T + 3), Streamed(handle, False, b"", T + 4)])

    pieces = JobOutput.objects.filter(job=handle.decode()).order_by("sequence")
    assert [(piece.sequence, piece.is_warning, bytes(piece.body)) for piece in pieces] == [
        (1, False, b"\xff1"),
        (2, True, b"2"),
        (3, False, b""),
    ]


def test_restarted_server_goes_on_numbering(store, handle):
    store.commit([accepted(handle), started(handle), Streamed(handle, False, b"1", T + 2)])
    store.close()

    successor = RecordStore("default", "server-2")
    successor.load()
    successor.commit([Streamed(handle, False, b"2", T + 3)])
    successor.close()

    assert [piece.sequence for piece in JobOutput.objects.order_by("sequence")] == [1, 2]


def test_output_beyond_the_bytes_is_cut_and_said_so_once(store, handle):
    store.commit([accepted(handle)] + [Streamed(handle, False, b"x" * 400_000, T + 2) for _ in range(5)])
    store.commit([Streamed(handle, False, b"more", T + 3)])

    pieces = list(JobOutput.objects.order_by("sequence"))
    assert [len(piece.body) for piece in pieces[:3]] == [400_000, 400_000, 1_048_576 - 800_000]
    assert len(pieces) == 4
    assert pieces[3].is_warning
    assert b"not kept" in bytes(pieces[3].body)


def test_output_beyond_the_pieces_is_dropped_and_said_so_once(store, handle):
    store.commit([accepted(handle)] + [Streamed(handle, False, b"x", T + 2) for _ in range(1_500)])

    pieces = list(JobOutput.objects.order_by("sequence"))
    assert len(pieces) == 1_001
    assert b"not kept" in bytes(pieces[-1].body)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="others are shared: test_server_leases")
def test_second_server_in_another_process_is_refused_with_the_pid_of_the_first():
    database = connection.settings_dict
    first = RecordStore("default", "server-1")
    first.load()
    program = (
        "import django; django.setup()\n"
        "from django.db import connections\n"
        f"connections['default'].settings_dict.update(NAME={database['NAME']!r})\n"
        "from gearjobs.records.record_store import RecordStore\n"
        "RecordStore('default', 'server-2').load()\n"
    )

    second = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    first.close()

    assert second.returncode != 0
    assert "has a job server already" in second.stderr
    assert f"pid {os.getpid()}" in second.stderr


@pytest.mark.django_db(transaction=True)
def test_server_may_start_as_soon_as_the_first_has_closed(handle):
    first = RecordStore("default", "server-1")
    first.load()
    first.commit([accepted(handle)])
    first.close()

    second = RecordStore("default", "server-2")
    loaded = second.load()
    second.close()

    assert [job.handle for job in loaded] == [handle]


@pytest.mark.django_db(transaction=True)
def test_broken_connection_fails_one_call_and_is_reopened_by_the_next(handle):
    store = RecordStore("default", "server-1")
    store.load()
    connection.connection.close()

    with pytest.raises(StoreError) as outage:
        store.commit([accepted(handle)])
    store.commit([accepted(handle)])
    store.close()

    assert outage.value.is_outage
    assert row_of(handle).status == "READY"


@pytest.mark.django_db(transaction=True)
def test_failed_batch_leaves_no_row(handle, monkeypatch):
    store = RecordStore("default", "server-1")
    store.load()
    other = JobHandle(handle + b"x")

    with pytest.raises(StoreError):
        store.commit([accepted(other), Streamed(other, False, b"x", T), accepted(JobHandle(b"not-ascii-\xff"))])
    store.close()

    assert Job.objects.count() == 0
    assert JobOutput.objects.count() == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's own settings")
def test_commits_on_sqlite_survive_power_loss():
    store = RecordStore("default", "server-1")
    store.load()

    with connection.cursor() as cursor:
        journal = cursor.execute("PRAGMA journal_mode").fetchone()
        synchronous = cursor.execute("PRAGMA synchronous").fetchone()
    store.close()

    assert (journal, synchronous) == (("wal",), (2,))


def test_missing_tables_are_said_with_the_remedy(store, monkeypatch):
    store.close()
    monkeypatch.setattr(Job._meta, "db_table", "no_such_table")

    with pytest.raises(StoreError, match=r"no table no_such_table: run manage\.py migrate"):
        RecordStore("default", "server-2").load()


def test_job_inserted_in_a_transaction_is_adopted_after_its_commit_only(store):
    with transaction.atomic():
        insert_jobs([NewJob("H:client:1", "ä".encode(), b"p")])

    (job,) = store.adopt(10)

    assert (job.handle, job.function, job.payload) == (b"H:client:1", "ä".encode(), b"p")
    assert row_of(job.handle).owner == "server-1"
