"""Failures are counted in groups by the transaction that commits them."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest

from gearjobs.core.changes import Accepted, Finished, JobDetails, JobFailure, Outcome, Requeued, Retried, Started
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.models import FailureGroup, Job
from gearjobs.records.record_store import RecordStore

T = 1_760_000_000.0
RESIZE = FunctionName(b"resize")
_numbers = itertools.count(1)


@pytest.fixture
def store(db):
    opened = RecordStore("default", "server-1")
    opened.load()
    yield opened
    opened.close()


def started(store, task: str = "album.resize") -> JobHandle:
    handle = JobHandle(b"H:groups:%010d" % next(_numbers))
    details = JobDetails(task)
    store.commit([Accepted(handle, RESIZE, b"", b"p", 0, 0.0, T, details), Started(handle, 1, ["w"], T + 1)])
    return handle


def failed(handle: JobHandle, number: int, at: float = T + 2, **others) -> Finished:
    failure = JobFailure("builtins.OSError", f"no photo {number}")
    return Finished(handle, others.get("outcome", Outcome.FAILED), b"", at, failure, function=RESIZE)


def retried(handle: JobHandle, number: int) -> Retried:
    return Retried(handle, 1, JobFailure("builtins.OSError", f"no photo {number}"), T + 60, T + 3, function=RESIZE)


def fingerprint_of(handle: JobHandle) -> str | None:
    return Job.objects.get(pk=handle.decode()).fingerprint


def test_jobs_that_failed_alike_are_one_group(store):
    handles = [started(store) for _ in range(3)]

    store.commit([failed(handle, number, T + number) for number, handle in enumerate(handles)])

    group = FailureGroup.objects.get()
    assert (group.count, group.ended, group.function, group.task) == (3, 3, "resize", "album.resize")
    assert (group.error_class, group.sample_message) == ("builtins.OSError", "no photo 0")
    assert (group.first_seen_at, group.last_seen_at) == tuple(datetime.fromtimestamp(T + at, UTC) for at in (0, 2))
    assert group.last_job == handles[-1].decode()
    assert {fingerprint_of(handle) for handle in handles} == {group.fingerprint}


def test_later_batch_counts_on(store):
    first, second = started(store), started(store)
    store.commit([failed(first, 1)])

    store.commit([failed(second, 2, T + 60)])

    group = FailureGroup.objects.get()
    assert (group.count, group.last_job, group.sample_message) == (2, second.decode(), "no photo 1")


def test_run_that_is_repeated_counts_although_its_job_goes_on(store):
    handle = started(store)

    store.commit([retried(handle, 1)])

    group = FailureGroup.objects.get()
    assert (group.count, group.ended, fingerprint_of(handle)) == (1, 0, group.fingerprint)


def test_job_that_succeeds_in_the_end_is_in_no_group(store):
    handle = started(store)
    store.commit([retried(handle, 1)])

    store.commit([Started(handle, 2, ["w", "w"], T + 61), Finished(handle, Outcome.SUCCEEDED, b"", T + 62)])

    assert (FailureGroup.objects.get().count, fingerprint_of(handle)) == (1, None)


def test_lost_run_counts(store):
    handle = started(store)
    lost = Requeued(handle, True, T + 2, 1, 1, JobFailure(message="worker lost"), function=RESIZE)

    store.commit([lost])

    assert FailureGroup.objects.get().count == 1


def test_run_that_was_given_back_does_not_count(store):
    handle = started(store)

    store.commit([Requeued(handle, False, T + 2, 0, 1, function=RESIZE)])

    assert (FailureGroup.objects.count(), fingerprint_of(handle)) == (0, None)


def test_cancelled_job_is_in_no_group(store):
    handle = started(store)

    store.commit([failed(handle, 1, outcome=Outcome.CANCELLED)])

    assert (FailureGroup.objects.count(), fingerprint_of(handle)) == (0, None)


def test_job_that_began_and_failed_within_a_batch_is_counted(store):
    handle = JobHandle(b"H:groups:%010d" % next(_numbers))
    begin = [Accepted(handle, RESIZE, b"", b"p", 0, 0.0, T, JobDetails("album.crop")), Started(handle, 1, ["w"], T)]

    store.commit([*begin, failed(handle, 1)])

    group = FailureGroup.objects.get()
    assert (group.count, group.task, fingerprint_of(handle)) == (1, "album.crop", group.fingerprint)
