"""What the table says of attempts that did not end their job, of the job meanwhile, and of how its worker was lost."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest

from gearjobs.core.changes import (
    Accepted,
    CancelAsked,
    Change,
    Explained,
    Finished,
    Forgotten,
    Hastened,
    JobDetails,
    JobFailure,
    Outcome,
    Progressed,
    Requeued,
    Rescheduled,
    Retried,
    Started,
)
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.models import Job, JobAttempt
from gearjobs.records.record_store import RecordStore
from gearjobs.records.rows.attempt_rows import FIRST_KEPT, LAST_KEPT

T = 1_760_000_000.25
FAILURE = JobFailure("album.errors.Broken", "no picture", "Traceback ...")
_numbers = itertools.count(1)


@pytest.fixture
def store(db):
    opened = RecordStore("default", "server-1")
    opened.load()
    yield opened
    opened.close()


@pytest.fixture
def handle():
    return JobHandle(b"H:attempts:%010d" % next(_numbers))


def accepted(handle: JobHandle, **terms: object) -> Accepted:
    details = JobDetails(terms=terms) if terms else None
    return Accepted(handle, FunctionName(b"resize"), b"", b"p", 0, 0.0, T, details)


def started(handle: JobHandle, attempt: int = 1, **others: bool) -> Started:
    worker_ids = [f"w{number}" for number in range(1, attempt + 1)]
    return Started(handle, attempt, worker_ids, T + attempt, **others)


def retried(handle: JobHandle, attempt: int = 1) -> Retried:
    return Retried(handle, attempt, FAILURE, T + attempt + 60, T + attempt + 0.5)


def lost(handle: JobHandle, attempt: int = 1) -> Requeued:
    failure = JobFailure(message="worker lost")
    return Requeued(handle, True, T + attempt + 0.5, attempt, attempt, failure, lost=attempt)


def dead(handle: JobHandle) -> Finished:
    return Finished(handle, Outcome.DEAD, b"", T + 9, JobFailure(message="worker lost at attempt 1"))


def row_of(handle: JobHandle) -> Job:
    return Job.objects.get(pk=handle.decode())


def attempts_in_table(handle: JobHandle) -> list[JobAttempt]:
    return list(JobAttempt.objects.filter(job=handle.decode()).order_by("number"))


def moment(unix_s: float) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)


def test_retried_job_waits_for_its_time_without_progress(store, handle):
    store.commit([accepted(handle), started(handle), Progressed(handle, 1, 4, "one", T + 1)])

    store.commit([retried(handle)])

    row = row_of(handle)
    assert (row.status, row.status_detail, row.run_at) == ("READY", "retrying", moment(T + 61))
    assert (row.attempt, row.crashes, row.lost, row.progress_percent) == (1, 0, 0, None)
    assert (row.version, row.error_class, row.finished_at) == (4, "", None)


@pytest.mark.parametrize("is_one_batch", [True, False])
def test_failed_attempt_is_told_with_its_worker_its_times_and_its_error(store, handle, is_one_batch):
    changes: list[Change] = [accepted(handle), started(handle), retried(handle), started(handle, 2)]
    for batch in [changes] if is_one_batch else [[change] for change in changes]:
        store.commit(batch)

    (attempt,) = attempts_in_table(handle)
    assert (attempt.number, attempt.worker_id, attempt.outcome) == (1, "w1", "failed")
    assert (attempt.started_at, attempt.ended_at) == (moment(T + 1), moment(T + 1.5))
    assert (attempt.error_class, attempt.error_message) == ("album.errors.Broken", "no picture")
    assert attempt.error_traceback == "Traceback ..."
    assert (row_of(handle).status, row_of(handle).attempt) == ("RUNNING", 2)


def test_attempts_of_many_jobs_are_few_statements(store, django_assert_max_num_queries):
    handles = [JobHandle(b"H:many:%d" % next(_numbers)) for _ in range(200)]
    store.commit([change for handle in handles for change in (accepted(handle), started(handle))])

    # The runs are looked up, then savepoint, (lease,) update (MariaDB: one for 64 jobs), insert, release.
    with django_assert_max_num_queries(9):
        store.commit([retried(handle) for handle in handles])

    assert JobAttempt.objects.count() == 200


def test_job_that_succeeds_at_once_has_no_attempts(store, handle):
    store.commit([accepted(handle), started(handle), Finished(handle, Outcome.SUCCEEDED, b"", T + 2)])

    assert attempts_in_table(handle) == []


def test_lost_run_is_an_attempt_and_counts_as_none(store, handle):
    store.commit([accepted(handle), started(handle)])

    store.commit([lost(handle)])

    (attempt,) = attempts_in_table(handle)
    assert (attempt.outcome, attempt.error_class, attempt.worker_id) == ("lost", "gearjobs.errors.JobLost", "w1")
    row = row_of(handle)
    assert (row.status_detail, row.crashes, row.lost) == ("retrying", 1, 1)


def test_run_that_was_ended_by_force_is_an_attempt_that_timed_out(store, handle):
    store.commit([accepted(handle), started(handle)])

    store.commit([Requeued(handle, False, T + 2, 0, 1, JobFailure(message="5 s"), Outcome.TIMED_OUT)])

    (attempt,) = attempts_in_table(handle)
    assert (attempt.outcome, attempt.error_class) == ("timed_out", "gearjobs.errors.JobTimedOut")
    assert row_of(handle).status_detail == "retrying"


def test_run_that_was_given_back_is_no_attempt(store, handle):
    store.commit([accepted(handle), started(handle)])

    store.commit([Requeued(handle, False, T + 2, 0, 1, lost=1)])

    assert attempts_in_table(handle) == []
    assert (row_of(handle).status_detail, row_of(handle).lost) == ("waiting", 1)


def test_batch_that_is_committed_again_writes_its_attempts_once(store, handle):
    batch = [retried(handle), started(handle, 2), retried(handle, 2)]
    store.commit([accepted(handle), started(handle)])
    store.commit(batch)
    before = JobAttempt.objects.filter(job=handle.decode()).values().order_by("number")[:]

    store.commit(batch)

    assert list(JobAttempt.objects.filter(job=handle.decode()).values().order_by("number")) == list(before)
    assert [attempt.number for attempt in attempts_in_table(handle)] == [1, 2]


def test_first_and_last_attempts_are_kept(store, handle):
    store.commit([accepted(handle)])

    for attempt in range(1, 121):
        store.commit([started(handle, attempt), retried(handle, attempt)])

    kept = [attempt.number for attempt in attempts_in_table(handle)]
    assert kept == [*range(1, FIRST_KEPT + 1), *range(121 - LAST_KEPT, 121)]


def test_first_and_last_attempts_of_one_batch_are_kept(store, handle):
    numbers = range(1, 131)

    life = [change for number in numbers for change in (started(handle, number), retried(handle, number))]
    store.commit([accepted(handle), *life])

    assert [attempt.number for attempt in attempts_in_table(handle)] == [*range(1, 51), *range(81, 131)]


@pytest.mark.parametrize("end", ["finished", "another server's"])
def test_attempt_of_a_job_that_is_over_or_not_ours_is_not_written(store, handle, end):
    store.commit([accepted(handle), started(handle)])
    if end == "finished":
        store.commit([Finished(handle, Outcome.FAILED, b"", T + 2)])
    else:
        Job.objects.update(owner="server-2")

    store.commit([retried(handle)])

    assert attempts_in_table(handle) == []


@pytest.mark.parametrize("is_refused", [False, True])
def test_forgotten_job_leaves_no_attempts(store, handle, is_refused):
    store.commit([accepted(handle)])
    if not is_refused:
        store.commit([started(handle), retried(handle)])
    else:
        JobAttempt.objects.create(job_id=handle.decode(), number=1, ended_at=moment(T), outcome="failed")

    store.commit([Forgotten(handle, was_refused=is_refused)])

    assert attempts_in_table(handle) == []
    assert not Job.objects.filter(pk=handle.decode()).exists()


def test_job_that_is_retried_and_forgotten_in_one_batch_leaves_nothing(store, handle):
    store.commit([accepted(handle), started(handle), retried(handle), Forgotten(handle)])

    assert attempts_in_table(handle) == []


def test_cause_of_a_loss_is_told_of_the_attempt(store, handle):
    store.commit([accepted(handle), started(handle), lost(handle), started(handle, 2)])
    version = row_of(handle).version

    store.commit([Explained(handle, 1, "killed by signal 9 with 812 MiB")])

    assert attempts_in_table(handle)[0].error_message == "killed by signal 9 with 812 MiB"
    assert (row_of(handle).version, row_of(handle).error_message) == (version + 1, "")


@pytest.mark.parametrize("is_one_batch", [True, False])
def test_cause_of_death_is_told_of_the_job(store, handle, is_one_batch):
    changes = [accepted(handle), started(handle), dead(handle), Explained(handle, 1, "killed by signal 11")]
    for batch in [changes] if is_one_batch else [changes[:3], changes[3:]]:
        store.commit(batch)

    row = row_of(handle)
    assert (row.status_detail, row.error_message, row.version) == ("dead", "killed by signal 11", 4)
    assert row.error_class == "gearjobs.errors.JobDead"


def test_causes_of_many_losses_are_few_statements(store, django_assert_max_num_queries):
    handles = [JobHandle(b"H:losses:%d" % next(_numbers)) for _ in range(90)]
    store.commit([change for handle in handles for change in (accepted(handle), started(handle), lost(handle))])

    # Savepoint, (lease,) attempts, their jobs, jobs, release.
    with django_assert_max_num_queries(6):
        store.commit([Explained(handle, 1, f"cause of {handle!r}") for handle in handles])

    assert [attempts_in_table(handle)[0].error_message for handle in handles] == [
        f"cause of {one!r}" for one in handles
    ]


@pytest.mark.parametrize(
    "life",
    [
        pytest.param([dead], id="another attempt ended it"),
        pytest.param([lambda handle: Finished(handle, Outcome.SUCCEEDED, b"", T + 3)], id="succeeded"),
        pytest.param([], id="still running"),
    ],
)
def test_cause_that_fits_nothing_changes_nothing(store, handle, life):
    store.commit([accepted(handle), started(handle, 2), *(make(handle) for make in life)])
    before = Job.objects.filter(pk=handle.decode()).values().get()

    store.commit([Explained(handle, 1 if life == [dead] else 2, "killed"), Explained(JobHandle(b"H:no:1"), 1, "no")])

    assert Job.objects.filter(pk=handle.decode()).values().get() == before


def test_failed_attempt_keeps_its_error_when_its_worker_ends_as_well(store, handle):
    store.commit([accepted(handle), started(handle), retried(handle)])

    store.commit([Explained(handle, 1, "recycled")])

    assert attempts_in_table(handle)[0].error_message == "no picture"


def test_job_remembers_since_when_it_is_to_stop(store, handle):
    store.commit([accepted(handle), started(handle)])

    store.commit([CancelAsked(handle, T + 2)])
    store.commit([CancelAsked(handle, T + 5)])

    row = row_of(handle)
    assert (row.cancel_asked_at, row.status, row.version) == (moment(T + 2), "RUNNING", 4)


def test_start_may_free_the_unique(store, handle):
    twin = JobHandle(handle + b"x")
    first, second = (Accepted(one, FunctionName(b"f"), b"u", b"", 0, 0.0, T) for one in (handle, twin))
    store.commit([first])

    joined = store.commit([started(handle, frees_unique=True), second])

    assert joined == {}
    assert (row_of(handle).unique_key, row_of(twin).status) == (None, "READY")


@pytest.mark.parametrize(
    ("detail", "run_at", "expected"),
    [("scheduled", T + 5, "waiting"), ("scheduled", T + 30, "scheduled"), ("retrying", T + 30, "retrying")],
)
def test_hastened_job_is_due_sooner_and_more_urgent(store, handle, detail, run_at, expected):
    store.commit([Accepted(handle, FunctionName(b"f"), b"u", b"", 0, T + 60, T)])
    Job.objects.update(status_detail=detail)

    store.commit([Hastened(handle, 50, run_at, T + 10)])

    row = row_of(handle)
    assert (row.priority, row.run_at, row.status_detail, row.version) == (50, moment(run_at), expected, 2)


@pytest.mark.parametrize(
    ("has_run", "run_at", "expected"),
    [(False, T + 30, "scheduled"), (False, 0.0, "waiting"), (True, T + 30, "retrying"), (True, 0.0, "retrying")],
)
def test_job_stands_where_it_was_put(store, handle, has_run, run_at, expected):
    store.commit([Accepted(handle, FunctionName(b"f"), b"", b"", 0, T + 60, T)])
    if has_run:
        Job.objects.update(status_detail="retrying")

    store.commit([Rescheduled(handle, 50, run_at, T + 10, has_run=has_run)])

    row = row_of(handle)
    run_at_shown = moment(run_at) if run_at else None
    assert (row.priority, row.run_at, row.status_detail, row.version) == (50, run_at_shown, expected, 2)
    assert row.function == "f"


def test_job_may_be_put_elsewhere_in_the_batch_that_accepts_it(store, handle):
    store.commit([Accepted(handle, FunctionName(b"f"), b"", b"", 0, 0.0, T), Rescheduled(handle, 5, T + 60, T + 1)])

    row = row_of(handle)
    assert (row.priority, row.run_at, row.status_detail, row.version) == (5, moment(T + 60), "scheduled", 2)


def test_job_that_moved_has_its_new_function_and_queue(store, handle):
    store.commit([Accepted(handle, FunctionName(b"f"), b"", b"", 0, 0.0, T)])

    store.commit([Rescheduled(handle, 0, 0.0, T + 10, FunctionName(b"f@post\xff"), "post")])

    row = row_of(handle)
    assert (row.function, row.queue) == ("f@post\\xff", "post")


def test_terms_stand_in_the_row_with_their_end(store, handle):
    plain = JobHandle(handle + b"x")

    store.commit([accepted(handle, expires_at=T + 60, max_lost=2), accepted(plain)])

    row = row_of(handle)
    assert (row.terms, row.expires_at, row.version) == ({"expires_at": T + 60, "max_lost": 2}, moment(T + 60), 1)
    assert (row_of(plain).terms, row_of(plain).expires_at) == ({}, None)


def test_reason_for_stopping_a_run_is_that_of_who_gave_one(store, handle):
    store.commit([accepted(handle), started(handle)])
    reason = "x" * 600

    store.commit([CancelAsked(handle, T + 2, reason)])
    store.commit([CancelAsked(handle, T + 5)])

    assert row_of(handle).cancel_reason == "x" * 499 + "…"


def test_cancelled_end_keeps_why(store, handle):
    store.commit([accepted(handle), Finished(handle, Outcome.CANCELLED, b"", T + 1, cancel_reason="wrong\0customer")])

    assert row_of(handle).cancel_reason == r"wrong\x00customer"
