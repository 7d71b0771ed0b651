"""A batch and a store: what is committed, what is refused, what is postponed, and how poison is found."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import Change, Finished, Outcome, Progressed, StoredJob
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.errors import StoreBug, StoreFenced
from gearjobs.server.commit.batch_commit import BUG_LIMIT, commit_batch
from tests.support.troubled_store import OUTAGE, TroubledStore, accepted

POISON = JobHandle(b"H:poison")
ELSEWHERE = JobHandle(b"H:elsewhere")


def progressed(handle: bytes, numerator: float = 1.0) -> Progressed:
    return Progressed(JobHandle(handle), numerator, 10.0, "", 1_000.0)


def finished(handle: bytes) -> Finished:
    return Finished(JobHandle(handle), Outcome.SUCCEEDED, b"done", 1_000.0)


@pytest.fixture
def store():
    return TroubledStore()


def handles(changes) -> list[bytes]:
    return [change.handle for change in changes]


def test_whole_batch_is_one_commit(store):
    verdict = commit_batch(store, [accepted(b"H:1"), accepted(b"H:2")])

    assert handles(verdict.committed) == [b"H:1", b"H:2"]
    assert (verdict.refused, verdict.postponed, verdict.error) == ([], [], None)
    assert len(store.batches) == 1


def test_store_that_is_down_postpones_everything_in_its_order(store):
    store.failure = OUTAGE
    batch: list[Change] = [progressed(b"H:0"), accepted(b"H:1"), finished(b"H:0")]

    verdict = commit_batch(store, batch)

    assert verdict.postponed == batch
    assert (verdict.committed, verdict.refused, verdict.error) == ([], [], OUTAGE)


def test_acceptance_that_joined_a_stored_job_is_told_apart_with_all_that_was_recorded_of_it(store):
    store.others[ELSEWHERE] = StoredJob(ELSEWHERE, FunctionName(b"resize"), b"cat.jpg", b"", 0, 0.0, 0.0)
    twin = accepted(b"H:1")
    twin.unique = b"cat.jpg"

    verdict = commit_batch(store, [accepted(b"H:0"), twin, progressed(b"H:1")])

    assert (handles(verdict.committed), verdict.joined) == ([b"H:0"], [(twin, ELSEWHERE)])


def test_joined_acceptance_in_a_batch_with_poison_takes_what_follows_of_it_along(store):
    store.others[ELSEWHERE] = StoredJob(ELSEWHERE, FunctionName(b"resize"), b"cat.jpg", b"", 0, 0.0, 0.0)
    store.refused_handles = {POISON}
    twin = accepted(b"H:1")
    twin.unique = b"cat.jpg"

    verdict = commit_batch(store, [twin, accepted(POISON), progressed(b"H:1"), progressed(POISON)])

    assert (verdict.committed, verdict.joined) == ([], [(twin, ELSEWHERE)])
    assert handles(verdict.refused) == [POISON]


def test_server_whose_jobs_were_taken_over_commits_nothing_bit_by_bit(store):
    store.is_fenced = True

    with pytest.raises(StoreFenced):
        commit_batch(store, [accepted(b"H:1"), accepted(b"H:2")])

    assert len(store.batches) == 1


def test_poison_row_is_refused_alone(store):
    store.refused_handles = {POISON}

    verdict = commit_batch(store, [accepted(b"H:1"), accepted(POISON), progressed(POISON), accepted(b"H:2")])

    assert handles(verdict.committed) == [b"H:1", b"H:2"]
    assert handles(verdict.refused) == [POISON]
    assert verdict.error is not None
    assert not verdict.error.is_outage
    assert list(store.unfinished) == [b"H:1", b"H:2"]


def test_poison_row_is_found_in_few_commits(store):
    # Each row was committed by itself: one poison row in a large batch held up every submitter for seconds.
    store.refused_handles = {POISON}
    batch = [accepted(b"H:%d" % number) for number in range(1000)]
    batch.insert(617, accepted(POISON))

    verdict = commit_batch(store, batch)

    assert (len(verdict.committed), handles(verdict.refused)) == (1000, [POISON])
    assert len(store.batches) <= 25


def test_order_is_kept_around_poison_rows(store):
    store.refused_handles = {b"H:3", b"H:4", b"H:8"}
    batch = [accepted(b"H:%d" % number) for number in range(10)]

    verdict = commit_batch(store, batch)

    assert handles(verdict.committed) == [b"H:0", b"H:1", b"H:2", b"H:5", b"H:6", b"H:7", b"H:9"]
    assert handles(verdict.refused) == [b"H:3", b"H:4", b"H:8"]


def test_change_that_the_store_will_never_take_is_given_up_and_told(store, caplog):
    store.refused_handles = {POISON}

    verdict = commit_batch(store, [finished(POISON)])

    assert (verdict.committed, verdict.postponed) == ([finished(POISON)], [])
    assert "drop change=Finished job=b'H:poison': the store refuses it: value too long" in caplog.text


def test_store_that_goes_down_while_poison_is_looked_for_is_not_tried_further(store):
    store.commit([accepted(b"H:0")])
    store.refused_handles = {POISON}
    batch: list[Change] = [progressed(b"H:0", 1), accepted(b"H:1"), accepted(POISON), finished(b"H:0")]
    store.batches.clear()
    store.failure = OUTAGE

    verdict = commit_batch(store, batch)

    assert verdict.postponed == batch
    assert verdict.refused == []
    assert verdict.error is OUTAGE
    assert len(store.batches) == 2


def test_bug_in_a_commit_is_a_refusal_to_a_submitter(store):
    store.bug = KeyError("handle")

    verdict = commit_batch(store, [accepted(b"H:1")])

    assert handles(verdict.refused) == [b"H:1"]
    assert verdict.bugs == 1
    assert isinstance(verdict.error, StoreBug)


def test_outcome_at_which_the_store_meets_a_bug_is_found_and_kept(store):
    # It counted as values that the store refuses, and was dropped.
    store.bugs_at = {POISON}
    store.commit([accepted(b"H:1"), accepted(b"H:2")])

    verdict = commit_batch(store, [finished(b"H:1"), finished(POISON), finished(b"H:2"), accepted(b"H:3")])

    assert handles(verdict.stuck) == [POISON]
    assert handles(verdict.committed) == [b"H:1", b"H:2", b"H:3"]
    assert (verdict.postponed, verdict.refused) == ([], [])


def test_bug_that_shows_at_every_change_is_an_outage(store):
    numbers = [b"H:%d" % number for number in range(1000)]
    store.bugs_at = set(numbers)

    verdict = commit_batch(store, [finished(number) for number in numbers])

    assert len(verdict.stuck) == BUG_LIMIT
    assert [*handles(verdict.stuck), *handles(verdict.postponed)] == numbers
    assert verdict.error is not None
    assert verdict.error.is_outage
    assert len(store.batches) <= 30


def test_progress_at_which_the_store_meets_a_bug_is_dropped(store, caplog):
    store.bugs_at = {POISON}

    verdict = commit_batch(store, [progressed(POISON)])

    assert (verdict.committed, verdict.stuck) == ([progressed(POISON)], [])
    assert "drop change=Progressed" in caplog.text
