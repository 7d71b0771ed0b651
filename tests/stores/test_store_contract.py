"""The contract of JobStore, held against every store.

A store joins by a `StoreHouse`: how to open it, as a restarted server would, and how a client puts a row in without a
server. What is true of one store only stands in that store's own tests.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
    StoredJob,
    Streamed,
)
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.records.job_queries import NewJob, insert_jobs
from gearjobs.records.record_store import RecordStore
from gearjobs.stores.base import JobStore
from gearjobs.stores.memory import MemoryStore

ACCEPTED_AT = 1_760_000_000.25
#: With lone surrogates and NULs, which databases refuse.
ANY_TEXT = st.text(st.characters(), max_size=300)

_numbers = itertools.count(1)


@dataclass
class StoreHouse:
    """Where the stores of one test live."""

    #: Opens the store; what an earlier store of the house committed is in it.
    open: Callable[[], JobStore]
    #: Inserts a job as a client without a server does.
    insert: Callable[[JobHandle], None]


def memory_house() -> StoreHouse:
    store = MemoryStore()

    def insert(handle: JobHandle) -> None:
        store.unowned[handle] = StoredJob(handle, FunctionName(b"f"), b"", b"p", 0, 0.0, ACCEPTED_AT)

    return StoreHouse(lambda: store, insert)


def record_house() -> StoreHouse:
    owners = (f"server-{number}" for number in itertools.count(1))
    return StoreHouse(
        lambda: RecordStore("default", next(owners)),
        lambda handle: insert_jobs([NewJob(handle.decode(), b"f", b"p")]),
    )


@pytest.fixture(params=[memory_house, record_house], ids=["memory", "record"])
def house(request, db):
    return request.param()


@pytest.fixture
def store(house):
    opened = house.open()
    opened.load()
    yield opened
    opened.close()


@pytest.fixture
def reload(house, store):
    """Close the store and return what a restarted server finds."""

    def close_and_load():
        store.close()
        restarted = house.open()
        try:
            return restarted.load()
        finally:
            restarted.close()

    return close_and_load


def new_handle() -> JobHandle:
    return JobHandle(b"H:test:%010d" % next(_numbers))


def accepted(handle: JobHandle, *, payload: bytes = b"p", **others) -> Accepted:
    given = {"priority": 0, "run_at": 0.0, "accepted_at": ACCEPTED_AT, "unique": b"", **others}
    return Accepted(handle, FunctionName(given.pop("function", b"f")), payload=payload, **given)


def started(handle: JobHandle, attempt: int = 1) -> Started:
    return Started(handle, attempt, [f"worker-{number}" for number in range(1, attempt + 1)], ACCEPTED_AT + attempt)


def finished(handle: JobHandle, outcome: Outcome = Outcome.SUCCEEDED) -> Finished:
    return Finished(handle, outcome, b"result", ACCEPTED_AT + 9)


def test_empty_store_has_nothing_to_do(store, reload):
    assert reload() == []


def test_accepted_job_survives_a_restart_as_it_was(store, reload):
    handle = new_handle()

    store.commit([accepted(handle, function=b"resize", unique=b"u", payload=b"\0\xff", priority=-50, run_at=2e9)])

    assert reload() == [StoredJob(handle, FunctionName(b"resize"), b"u", b"\0\xff", -50, 2e9, ACCEPTED_AT)]


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

    store.commit([Requeued(handle, is_crash, ACCEPTED_AT + 2)])

    (job,) = reload()
    assert (job.was_running, job.attempt, job.crashes) == (False, 1, int(is_crash))


def test_crashes_of_several_batches_add_up(store, reload):
    handle = new_handle()
    store.commit([accepted(handle), started(handle), Requeued(handle, True, ACCEPTED_AT + 2)])

    store.commit([started(handle, 2), Requeued(handle, True, ACCEPTED_AT + 3), started(handle, 3)])

    (job,) = reload()
    assert (job.was_running, job.attempt, job.crashes) == (True, 3, 2)


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


def test_whole_life_in_one_batch(store, reload):
    handle, other = new_handle(), new_handle()
    life = [
        accepted(handle),
        accepted(other),
        started(handle),
        Progressed(handle, 1, 2, "half", ACCEPTED_AT + 2),
        Streamed(handle, False, b"piece", ACCEPTED_AT + 3),
        Requeued(handle, True, ACCEPTED_AT + 4),
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


def test_unowned_jobs_are_adopted_once(house, store, reload):
    handles = [new_handle() for _ in range(3)]
    for handle in handles:
        house.insert(handle)

    first, second, third = store.adopt(2), store.adopt(2), store.adopt(2)

    assert ([job.handle for job in first], [job.handle for job in second], third) == (handles[:2], handles[2:], [])
    assert [job.handle for job in reload()] == handles


def test_adopted_job_is_the_one_inserted(house, store):
    house.insert(new_handle())

    (job,) = store.adopt(1)

    assert (job.function, job.payload, job.unique, job.attempt, job.was_running) == (b"f", b"p", b"", 0, False)


def test_adopted_job_can_be_worked_on(house, store, reload):
    handle = new_handle()
    house.insert(handle)
    store.adopt(1)

    store.commit([started(handle), finished(handle)])

    assert reload() == []


def test_closing_twice_is_closing_once(store):
    store.close()

    store.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    function=st.binary(max_size=520),
    unique=st.binary(max_size=64),
    payload=st.binary(max_size=300),
    reducer=st.binary(max_size=64),
)
def test_any_bytes_come_back_as_they_were(house, function, unique, payload, reducer):
    store, handle = house.open(), new_handle()
    store.load()
    store.commit([accepted(handle, function=function, unique=unique, payload=payload, reducer=reducer)])
    store.close()

    store = house.open()
    job = next(job for job in store.load() if job.handle == handle)
    store.close()

    assert (job.function, job.unique, job.payload, job.reducer) == (function, unique, payload, reducer)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(ANY_TEXT, min_size=4, max_size=4),
    metadata=st.dictionaries(ANY_TEXT, st.recursive(st.none() | st.floats() | ANY_TEXT, st.lists), max_size=3),
    message=ANY_TEXT,
    numbers=st.tuples(st.floats(), st.floats()),
    times=st.tuples(st.floats(allow_nan=False), st.floats(min_value=0, max_value=4e9)),
    priority=st.integers(),
)
def test_no_value_of_a_peer_spoils_a_batch(house, names, metadata, message, numbers, times, priority):
    store, handle = house.open(), new_handle()
    store.load()
    task, queue, backend, enqueued_by = names
    details = JobDetails(task, queue, backend, enqueued_by, metadata)

    store.commit([accepted(handle, details=details, priority=priority, run_at=times[0], accepted_at=times[1])])
    store.commit([Started(handle, 1, names, times[1]), Progressed(handle, numbers[0], numbers[1], message, times[1])])
    store.commit([Finished(handle, Outcome.FAILED, b"", times[1], JobFailure(message * 30, message * 30, message))])
    store.close()
