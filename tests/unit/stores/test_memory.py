"""The store in memory, as far as the contract (tests/stores) does not say: the troubles that tests play with it."""

from __future__ import annotations

import math

import pytest

from gearjobs.core.changes import (
    Accepted,
    CancelAsked,
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
    Streamed,
)
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.core.terms import JobTerms
from gearjobs.errors import StoreError, StoreFenced
from gearjobs.stores.memory import MemoryStore
from tests.support.core_builders import NOW, make_stored

H1, H2 = JobHandle(b"H:1"), JobHandle(b"H:2")


@pytest.fixture
def store():
    return MemoryStore()


def accepted(handle=H1, *, unique=b"", payload=b"photo", function=b"resize"):
    return Accepted(handle, FunctionName(function), unique, payload, 0, 0.0, NOW)


def started(handle=H1, *, is_resumable=False):
    return Started(handle, 1, ["press"], NOW, is_resumable)


def finished(handle=H1):
    return Finished(handle, Outcome.SUCCEEDED, b"done", NOW)


def test_running_job_is_given_back_as_it_was_started(store):
    store.commit([accepted(), started(is_resumable=True)])

    (job,) = store.load()

    assert (job.attempt, job.worker_ids, job.was_running, job.is_resumable) == (1, ["press"], True, True)


def test_job_that_waits_again_is_given_back_with_its_crashes(store):
    store.commit([accepted(), started(), Requeued(H1, is_crash=True, requeued_at=NOW, crashes=1)])

    (job,) = store.load()

    assert (job.crashes, job.was_running) == (1, False)


def test_job_that_runs_again_is_given_back_with_its_time_and_its_terms(store):
    details = JobDetails(terms={"max_attempts": 3})
    retried = Retried(H1, 1, JobFailure(message="no paper"), NOW + 60, NOW)
    store.commit([Accepted(H1, FunctionName(b"resize"), b"", b"photo", 0, 0.0, NOW, details), started(), retried])

    (job,) = store.load()

    assert (job.attempt, job.was_running, job.run_at) == (1, False, NOW + 60)
    assert (job.terms, store.attempts) == (JobTerms(max_attempts=3), {H1: [retried]})


def test_job_that_is_to_stop_is_given_back_as_such(store):
    store.commit([accepted(), started(), CancelAsked(H1, NOW)])

    assert [job.is_cancel_asked for job in store.load()] == [True]


def test_what_became_of_a_lost_worker_is_kept(store):
    store.commit([Explained(H1, 1, "killed by SIGSEGV")])

    assert store.causes == {(H1, 1): "killed by SIGSEGV"}


def test_ended_and_forgotten_jobs_are_not_given_back(store):
    store.commit([accepted(), accepted(H2), finished(), Forgotten(H2)])

    assert (store.load(), list(store.finished)) == ([], [H1])


def test_what_a_run_says_is_kept(store):
    progress, part = Progressed(H1, 1.0, 2.0, "half", NOW), Streamed(H1, False, b"part", NOW)

    store.commit([accepted(), progress, part, part])

    assert (store.progress, store.streamed) == ({H1: progress}, {H1: [part, part]})


def test_outcome_of_a_job_that_was_forgotten_is_not_kept(store):
    store.commit([finished()])

    assert store.finished == {}


def test_acceptance_that_comes_a_second_time_changes_nothing(store):
    store.commit([accepted(), started()])

    assert store.commit([accepted()]) == {}
    assert store.load()[0].attempt == 1


def test_unowned_jobs_are_adopted_up_to_the_limit(store):
    store.unowned = {H1: make_stored(b"H:1"), H2: make_stored(b"H:2")}

    assert [job.handle for job in store.adopt(1)] == [H1]
    assert (list(store.unowned), list(store.unfinished)) == ([H2], [H1])


@pytest.mark.parametrize("holders", ["unfinished", "others", "unowned"])
def test_acceptance_of_a_unique_that_is_taken_is_joined_to_its_holder(store, holders):
    setattr(store, holders, {H1: make_stored(b"H:1", unique=b"u1")})

    assert store.commit([accepted(H2, unique=b"u1"), started(H2), finished(H2)]) == {H2: H1}
    assert (H2 in store.unfinished, store.finished) == (False, {})


@pytest.mark.parametrize(
    "other",
    [
        accepted(H2),
        accepted(H2, unique=b"u2"),
        accepted(H2, unique=b"u1", function=b"mail"),
        accepted(H2, unique=b"-"),
    ],
)
def test_other_uniques_are_not_joined(store, other):
    assert store.commit([accepted(unique=b"u1"), other]) == {}


def test_jobs_without_a_unique_are_never_joined(store):
    assert store.commit([accepted(), accepted(H2)]) == {}


def test_unique_may_be_the_payload(store):
    jobs = [accepted(unique=b"-"), accepted(H2, unique=b"-"), accepted(JobHandle(b"H:3"), unique=b"-", payload=b"x")]

    assert store.commit(jobs) == {H2: H1}


def test_empty_payload_is_no_unique(store):
    assert store.commit([accepted(unique=b"-", payload=b""), accepted(H2, unique=b"-", payload=b"")]) == {}


def test_unique_is_free_when_its_job_has_ended(store):
    assert store.commit([accepted(unique=b"u1"), finished(), accepted(H2, unique=b"u1")]) == {}


def test_job_that_is_accepted_again_after_its_end_is_the_same(store):
    store.commit([accepted(), finished()])

    assert store.commit([accepted()]) == {H1: H1}


def test_ownership_lasts_for_ever_unless_a_test_shortens_it(store):
    assert store.renew() == math.inf

    store.lease_s = 10.0
    assert store.renew() == 10.0


def test_store_that_is_down_commits_and_renews_nothing(store):
    store.failure = StoreError("the disk is full")

    for call in (store.renew, lambda: store.commit([accepted()])):
        with pytest.raises(StoreError, match="the disk is full"):
            call()

    assert store.unfinished == {}


def test_server_whose_jobs_were_taken_over_can_do_nothing_until_it_begins_anew(store):
    store.commit([accepted()])
    store.is_fenced = True

    for call in (store.renew, lambda: store.commit([finished()]), lambda: store.adopt(1)):
        with pytest.raises(StoreFenced, match="another job server took the jobs over"):
            call()

    assert [job.handle for job in store.load()] == [H1]
    assert store.renew() == math.inf
    store.close()


def test_being_fenced_is_an_outage():
    assert StoreFenced("another job server took the jobs over").is_outage


def test_job_is_given_back_where_it_was_put(store):
    store.commit([accepted(), Rescheduled(H1, 50, NOW + 1, NOW, FunctionName(b"mail"))])

    (job,) = store.load()
    assert (job.priority, job.run_at, job.function) == (50, NOW + 1, b"mail")


def test_hastened_job_is_given_back_as_it_is_wanted_now(store):
    store.commit([accepted(), Hastened(H1, 50, NOW + 1, NOW)])

    (job,) = store.load()

    assert (job.priority, job.run_at) == (50, NOW + 1)


def test_job_that_gave_its_unique_free_keeps_nobody_out(store):
    first = accepted(unique=b"u1")
    first.details = JobDetails(terms={"unique_for": "queued"})
    store.commit([first])
    assert store.commit([accepted(H2, unique=b"u1")]) == {H2: H1}

    joined = store.commit([Started(H1, 1, ["press"], NOW, frees_unique=True), accepted(H2, unique=b"u1")])

    assert joined == {}
