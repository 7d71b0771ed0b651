"""The contract of JobStore, held against every store.

What is true of stores on a database only stands in the other files here, what the Job table's rows say in
tests/django/records.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gearjobs.core.changes import (
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
    StoredJob,
    Streamed,
)
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.core.terms import JobTerms, Limit, OnConflict, OnLoss, UniqueSpan, write_terms
from tests.support.store_houses import ACCEPTED_AT, accepted, finished, new_handle, started

#: With lone surrogates and NULs, which databases refuse.
ANY_TEXT = st.text(st.characters(), max_size=300)
#: As long as a packet's body may well be.
LONG_BYTES = 20 * 1024 * 1024


def test_empty_store_has_nothing_to_do(store, reload):
    assert reload() == []


def test_accepted_job_survives_a_restart_as_it_was(store, reload):
    handle = new_handle()

    store.commit([accepted(handle, function=b"resize", unique=b"u", payload=b"\0\xff", priority=-50, run_at=2e9)])

    (job,) = reload()
    expected = StoredJob(handle, FunctionName(b"resize"), b"u", b"\0\xff", -50, 2e9, ACCEPTED_AT)
    assert replace(job, owner_gone_s=0.0) == expected


@pytest.mark.parametrize(
    "payload", [b"", b"\0", b"\0" * 1000, bytes(range(256)) * 4, b"\xff\xfe", b"%s %% \\x41 '\"", b"NULL", b"{}"]
)
def test_payload_of_any_bytes_survives_alone_and_among_others(store, reload, payload):
    handles = [new_handle() for _ in range(4)]

    store.commit([accepted(handles[0], payload=payload)])
    store.commit([accepted(handle, payload=payload + b"%d" % n) for n, handle in enumerate(handles[1:])])

    assert [job.payload for job in reload()] == [payload, payload + b"0", payload + b"1", payload + b"2"]


def test_long_payload_and_long_result_are_kept(store, reload):
    long = os.urandom(LONG_BYTES)
    one, other = new_handle(), new_handle()

    store.commit([accepted(one, payload=long), accepted(other)])
    store.commit([started(other), finished(other, result=long)])

    (job,) = reload()
    assert job.payload == long


def test_jobs_without_a_unique_are_all_kept(store, reload):
    # gearmand keeps one of ten in SQLite and Redis, and refuses nine in PostgreSQL.
    store.commit([accepted(new_handle(), unique=b"") for _ in range(10)])

    assert len(reload()) == 10


@pytest.mark.parametrize("unique", [b"", b"-"])
def test_7f_end_of_one_job_leaves_the_others_of_no_unique(store, reload, unique):
    # gearmand's row is named by unique and function: the end of one such job deleted the other's.
    ended, waiting = new_handle(), new_handle()
    store.commit([accepted(ended, unique=unique, payload=b"a"), accepted(waiting, unique=unique, payload=b"b")])

    store.commit([started(ended), finished(ended)])

    assert [job.handle for job in reload()] == [waiting]


def test_unique_of_a_dash_joins_equal_payloads_only(store, reload):
    first, same = new_handle(), new_handle()
    store.commit([accepted(first, unique=b"-", payload=b"a")])

    joined = store.commit(
        [accepted(same, unique=b"-", payload=b"a"), accepted(new_handle(), unique=b"-", payload=b"b")]
    )

    assert joined == {same: first}
    assert sorted(job.payload for job in reload()) == [b"a", b"b"]


def test_second_job_of_a_unique_is_joined_to_the_first_and_leaves_nothing(store, reload):
    first, second = new_handle(), new_handle()
    store.commit([accepted(first, unique=b"u")])

    joined = store.commit([accepted(second, unique=b"u", payload=b"other"), started(second)])

    assert joined == {second: first}
    assert [(job.handle, job.payload, job.was_running) for job in reload()] == [(first, b"p", False)]


@pytest.mark.parametrize(
    "pair", [(b"abc", b"ABC"), (b"\xe9", b"\xc3\xa9"), (b"u", b"u "), (b"stra\xc3\x9fe", b"strasse")]
)
def test_uniques_and_functions_differ_byte_by_byte(store, reload, pair):
    # Databases compare text by rules of languages.
    batch = [accepted(new_handle(), unique=unique) for unique in pair]
    batch += [accepted(new_handle(), function=function, unique=b"same") for function in pair]

    assert store.commit(batch) == {}

    assert [(job.function, job.unique) for job in reload()] == [
        (b"f", pair[0]),
        (b"f", pair[1]),
        (pair[0], b"same"),
        (pair[1], b"same"),
    ]


def test_unique_is_free_again_when_its_job_has_ended(store, reload):
    first, second = new_handle(), new_handle()
    store.commit([accepted(first, unique=b"u"), started(first)])

    joined = store.commit([finished(first), accepted(second, unique=b"u")])

    assert joined == {}
    assert [job.handle for job in reload()] == [second]


def test_priorities_and_times_are_kept_exactly(store, reload):
    wanted = [(priority, run_at) for priority in (-100, -1, 0, 1, 100) for run_at in (0.0, 2e9, 4_102_444_800.000001)]

    store.commit([accepted(new_handle(), priority=priority, run_at=run_at) for priority, run_at in wanted])

    assert [(job.priority, job.run_at) for job in reload()] == wanted


def test_foreground_job_that_became_durable_while_it_ran_is_kept_as_running(store, reload):
    handle = new_handle()

    store.commit([accepted(handle, unique=b"u"), started(handle)])

    (job,) = reload()
    assert (job.handle, job.was_running, job.attempt) == (handle, True, 1)


def test_details_do_not_disturb_the_job(store, reload):
    handle = new_handle()
    details = JobDetails("album.tasks.resize", "photos", "default", "7", {"trace": ["a", 1, None]})

    store.commit([accepted(handle, details=details)])

    assert [job.handle for job in reload()] == [handle]


def test_jobs_come_back_in_the_order_of_acceptance(store, reload):
    handles = [new_handle() for _ in range(5)]

    store.commit([accepted(handle, accepted_at=ACCEPTED_AT + number) for number, handle in enumerate(handles)])

    assert [job.handle for job in reload()] == handles


def test_reducer_survives_a_restart(store, reload):
    store.commit([accepted(new_handle(), reducer=b"sum\xff")])

    assert reload()[0].reducer == b"sum\xff"


def test_started_job_comes_back_as_running_with_its_attempts(store, reload):
    handle = new_handle()
    store.commit([accepted(handle)])

    store.commit([started(handle, 2)])

    (job,) = reload()
    assert (job.was_running, job.attempt, job.worker_ids) == (True, 2, ["worker-1", "worker-2"])


@pytest.mark.parametrize("is_crash", [True, False])
def test_requeued_job_comes_back_as_waiting_and_a_crash_is_counted(store, reload, is_crash):
    handle = new_handle()
    store.commit([accepted(handle), started(handle)])

    store.commit([Requeued(handle, is_crash, ACCEPTED_AT + 2, int(is_crash))])

    (job,) = reload()
    assert (job.was_running, job.attempt, job.crashes) == (False, 1, int(is_crash))


def test_batch_that_is_committed_twice_counts_its_crash_once(store, reload):
    # The answer to a commit may be lost though it happened; then it is tried again.
    handle = new_handle()
    store.commit([accepted(handle), started(handle), Requeued(handle, True, ACCEPTED_AT + 2, 1)])

    for _ in range(2):
        store.commit([started(handle, 2), Requeued(handle, True, ACCEPTED_AT + 3, 2), started(handle, 3)])

    (job,) = reload()
    assert (job.was_running, job.attempt, job.crashes) == (True, 3, 2)


def test_retried_job_comes_back_as_waiting_for_its_time(store, reload):
    handle = new_handle()
    store.commit([accepted(handle), started(handle)])

    store.commit([Retried(handle, 1, JobFailure("a.B", "text", "trace"), 2e9, ACCEPTED_AT + 2)])

    (job,) = reload()
    assert (job.was_running, job.attempt, job.run_at, job.crashes) == (False, 1, 2e9, 0)


def test_batch_of_retries_may_be_committed_twice(store, reload):
    handle = new_handle()
    store.commit([accepted(handle), started(handle)])

    for _ in range(2):
        store.commit([Retried(handle, 1, JobFailure("a.B"), ACCEPTED_AT + 60, ACCEPTED_AT + 2), started(handle, 2)])

    (job,) = reload()
    assert (job.was_running, job.attempt) == (True, 2)


def test_runs_that_do_not_count_are_remembered(store, reload):
    handle = new_handle()
    store.commit([accepted(handle), started(handle)])

    store.commit([Requeued(handle, True, ACCEPTED_AT + 2, 1, 1, JobFailure(message="lost"), lost=2)])

    assert reload()[0].lost == 2


def test_terms_survive_a_restart(store, reload):
    limits = (Limit("crm", concurrency=2), Limit("mail ü", rate=10, per_s=60.5))
    terms = JobTerms(2e9 + 0.25, 30.5, 20.0, 5, OnLoss.FAIL, 3, UniqueSpan.QUEUED, OnConflict.RAISE, limits)
    one, plain = new_handle(), new_handle()

    store.commit([accepted(one, details=JobDetails(terms=write_terms(terms))), accepted(plain)])

    assert [job.terms for job in reload()] == [terms, JobTerms()]


def test_wish_to_stop_survives_a_restart(store, reload):
    asked, other = new_handle(), new_handle()
    store.commit([accepted(asked), accepted(other), started(asked), started(other)])

    store.commit([CancelAsked(asked, ACCEPTED_AT + 2)])

    assert [(job.was_running, job.is_cancel_asked) for job in reload()] == [(True, True), (True, False)]


def test_cause_of_a_loss_disturbs_nobody_whenever_it_comes(store, reload):
    running, ended, unknown = new_handle(), new_handle(), new_handle()
    store.commit([accepted(running), accepted(ended), started(running), started(ended), finished(ended)])

    store.commit([Explained(handle, 1, "killed by signal 9") for handle in (running, ended, unknown)])

    assert [(job.handle, job.was_running) for job in reload()] == [(running, True)]


def test_hastened_job_comes_back_as_wanted_last(store, reload):
    handle = new_handle()
    store.commit([accepted(handle, run_at=2e9)])

    store.commit([Hastened(handle, 70, 0.0, ACCEPTED_AT + 2)])

    (job,) = reload()
    assert (job.priority, job.run_at) == (70, 0.0)


def test_job_that_was_given_another_place_comes_back_there(store, reload):
    moved, other = new_handle(), new_handle()
    store.commit([accepted(moved, run_at=2e9), accepted(other)])

    store.commit([Rescheduled(moved, -70, 0.0, ACCEPTED_AT + 2, FunctionName(b"elsewhere"), "attic")])

    jobs = {job.handle: job for job in reload()}
    assert (jobs[moved].priority, jobs[moved].run_at, jobs[moved].function) == (-70, 0.0, b"elsewhere")
    assert jobs[other].function != b"elsewhere"


def test_unique_that_its_job_gave_back_at_its_start_is_free_for_good(store, reload):
    first, second = new_handle(), new_handle()
    details = JobDetails(terms=write_terms(JobTerms(unique_for=UniqueSpan.QUEUED)))
    store.commit([accepted(first, unique=b"u", details=details)])

    joined = store.commit([replace(started(first), frees_unique=True), accepted(second, unique=b"u", details=details)])

    assert joined == {}
    assert [(job.handle, job.was_running) for job in reload()] == [(first, True), (second, False)]


@pytest.mark.parametrize("outcome", Outcome)
def test_finished_job_does_not_come_back(store, reload, outcome):
    handle = new_handle()
    store.commit([accepted(handle), started(handle)])

    store.commit([Finished(handle, outcome, b"", ACCEPTED_AT + 2, JobFailure("a.B", "text", "trace"))])

    assert reload() == []


def test_forgotten_job_does_not_come_back(store, reload):
    handle = new_handle()
    store.commit([accepted(handle)])

    store.commit([Forgotten(handle)])

    assert reload() == []


def test_dropped_jobs_leave_nothing_behind(store, reload):
    dropped, kept = [new_handle() for _ in range(2_500)], new_handle()
    store.commit([accepted(handle) for handle in [*dropped, kept]])
    store.commit([Streamed(dropped[0], False, b"piece", ACCEPTED_AT + 1)])

    store.commit([Forgotten(handle) for handle in dropped])

    assert [job.handle for job in reload()] == [kept]


def test_handle_of_an_ended_job_never_names_another_job(store, reload):
    handle, other = new_handle(), new_handle()
    store.commit([accepted(handle), started(handle), finished(handle)])

    joined = store.commit([accepted(handle, payload=b"somebody else's"), accepted(other)])

    assert joined == {handle: handle}
    assert [job.handle for job in reload()] == [other]


def test_batch_of_many_jobs_in_every_state_is_kept(store, reload):
    handles = [new_handle() for _ in range(1_200)]
    store.commit([accepted(handle, payload=b"%d" % number) for number, handle in enumerate(handles)])

    five: list[list[Callable[[JobHandle], Change]]] = [
        [],
        [started],
        [started, finished],
        [Forgotten],
        [started, lambda handle: Requeued(handle, True, 2.0, 1)],
    ]
    store.commit(
        [make(handle) for handle, makes in zip(handles, itertools.cycle(five), strict=False) for make in makes]
    )

    kept = [(b"%d" % number, number % 5) for number in range(1_200) if number % 5 not in {2, 3}]
    assert [(job.payload, job.was_running, job.crashes) for job in reload()] == [
        (payload, state == 1, int(state == 4)) for payload, state in kept
    ]


def test_whole_life_in_one_batch(store, reload):
    handle, other = new_handle(), new_handle()
    life = [
        accepted(handle),
        accepted(other),
        started(handle),
        Progressed(handle, 1, 2, "half", ACCEPTED_AT + 2),
        Streamed(handle, False, b"piece", ACCEPTED_AT + 3),
        Requeued(handle, True, ACCEPTED_AT + 4, 1),
        started(handle, 2),
        finished(handle),
    ]

    store.commit(life)

    assert [job.handle for job in reload()] == [other]


def test_end_is_final(store, reload):
    handle = new_handle()
    store.commit([accepted(handle), started(handle), finished(handle)])

    store.commit([finished(handle, Outcome.FAILED)])

    assert reload() == []


def test_empty_batch_changes_nothing(store, reload):
    store.commit([])

    assert reload() == []


def test_unowned_jobs_are_adopted_once(insert, store, reload):
    handles = [new_handle() for _ in range(3)]
    for handle in handles:
        insert(handle)

    first, second, third = store.adopt(2), store.adopt(2), store.adopt(2)

    assert ([job.handle for job in first], [job.handle for job in second], third) == (handles[:2], handles[2:], [])
    assert [job.handle for job in reload()] == handles


def test_adopted_job_is_the_one_inserted(insert, store):
    insert(new_handle())

    (job,) = store.adopt(1)

    assert (job.function, job.payload, job.unique, job.attempt, job.was_running) == (b"f", b"p", b"", 0, False)


def test_adopted_job_can_be_worked_on(insert, store, reload):
    handle = new_handle()
    insert(handle)
    store.adopt(1)

    store.commit([started(handle), finished(handle)])

    assert reload() == []


def test_closing_twice_is_closing_once(store):
    store.close()

    store.close()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.binary(max_size=520), st.binary(max_size=64), st.binary(max_size=300), st.binary(max_size=64)),
        min_size=1,
        max_size=6,
        unique_by=lambda one: one[:2],
    )
)
def test_any_bytes_come_back_as_they_were(house, jobs):
    store = house.open()
    store.load()
    # Two of one function and payload may both say `-`, and are one job then.
    handles = {new_handle(): one for one in jobs if one[1] != b"-"}
    store.commit(
        [
            accepted(handle, function=function, unique=unique, payload=payload, reducer=reducer)
            for handle, (function, unique, payload, reducer) in handles.items()
        ]
    )
    store.close()

    store = house.open()
    found = {job.handle: (job.function, job.unique, job.payload, job.reducer) for job in store.load()}
    # Another example may have the same uniques.
    store.commit([finished(handle) for handle in handles])
    store.close()

    assert found == handles


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(ANY_TEXT, min_size=4, max_size=4),
    metadata=st.dictionaries(ANY_TEXT, st.recursive(st.none() | st.floats() | ANY_TEXT, st.lists), max_size=3),
    message=ANY_TEXT,
    numbers=st.tuples(st.floats(), st.floats()),
    times=st.tuples(st.floats(allow_nan=False), st.floats(min_value=0, max_value=4e9)),
    priority=st.integers(),
)
def test_no_value_of_a_peer_spoils_a_batch(store, names, metadata, message, numbers, times, priority):
    handle, plain = new_handle(), new_handle()
    task, queue, backend, enqueued_by = names
    details = JobDetails(task, queue, backend, enqueued_by, metadata)
    run_at, at = times

    store.commit([accepted(handle, details=details, priority=priority, run_at=run_at, accepted_at=at), accepted(plain)])
    store.commit(
        [Started(handle, 1, names, at), Progressed(handle, numbers[0], numbers[1], message, at), started(plain)]
    )
    failure = JobFailure(message * 30, message * 30, message)
    store.commit([Finished(one, Outcome.FAILED, b"", at, failure) for one in (handle, plain)])
