"""Changes that wait for a store: without a bound while it works, with one while it does not."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import Explained, Finished, Forgotten, Outcome, Progressed, Streamed
from gearjobs.core.jobs import JobHandle
from gearjobs.server.commit.backlog import CHANGE_BYTES, Backlog, weight
from tests.support.troubled_store import accepted

JOB = JobHandle(b"H:1")


def finished(result: bytes = b"") -> Finished:
    return Finished(JOB, Outcome.SUCCEEDED, result, 0.0)


def progressed(numerator: float = 1.0) -> Progressed:
    return Progressed(JOB, numerator, 2.0, "", 0.0)


def streamed(body: bytes = b"") -> Streamed:
    return Streamed(JOB, False, body, 0.0)


def backlog_in_trouble(*, max_changes: int = 4, max_bytes: int = 1 << 30) -> Backlog:
    backlog = Backlog(max_changes=max_changes, max_bytes=max_bytes)
    backlog.bound()
    return backlog


def taken(backlog: Backlog) -> list[object]:
    return list(backlog.take(max_changes=100, max_bytes=1 << 30))


@pytest.mark.parametrize(
    ("change", "expected"),
    [(accepted(b"H:1", payload=b"12345"), 5), (finished(b"1234"), 4), (streamed(b"123"), 3), (progressed(), 0)],
)
def test_change_weighs_what_its_body_does(change, expected):
    assert weight(change) == CHANGE_BYTES + expected


def test_working_store_has_no_bound():
    backlog = Backlog(max_changes=1, max_bytes=1)
    for _ in range(9):
        backlog.add(progressed())

    assert (len(backlog), backlog.is_half_full, backlog.is_full, backlog.dropped) == (9, False, False, 0)


def test_bound_holds_for_what_waited_before_it():
    backlog = Backlog(max_changes=4, max_bytes=1 << 30)
    backlog.add(finished())
    backlog.add(finished())
    backlog.bound()
    assert (backlog.is_half_full, backlog.is_full) == (True, False)

    backlog.unbound()
    assert not backlog.is_half_full


def test_bytes_fill_it_too():
    backlog = backlog_in_trouble(max_bytes=2 * (CHANGE_BYTES + 10))
    backlog.add(finished(b"1234567890"))
    assert (backlog.is_half_full, backlog.is_full) == (True, False)

    backlog.add(finished(b"1234567890"))
    assert backlog.is_full


def test_progress_and_output_make_room_for_outcomes():
    backlog = backlog_in_trouble()
    for change in (progressed(), streamed(), finished(), finished(), finished()):
        backlog.add(change)

    assert taken(backlog) == [finished()] * 3
    assert backlog.dropped == 2


def test_progress_that_comes_when_nothing_can_make_room_is_dropped():
    backlog = backlog_in_trouble(max_changes=1)
    backlog.add(finished())
    backlog.add(progressed())

    assert (len(backlog), backlog.dropped) == (1, 1)


def test_causes_of_losses_are_dropped_too():
    # Any worker may tell them, of any job, and hears no answer.
    backlog = backlog_in_trouble(max_changes=2)
    for _ in range(5):
        backlog.add(Explained(JOB, 1, "killed"))

    assert (len(backlog), backlog.dropped) == (1, 4)


def test_newer_progress_takes_the_place_of_older():
    backlog = backlog_in_trouble(max_changes=2)
    for change in (finished(), progressed(1), progressed(2)):
        backlog.add(change)

    assert taken(backlog) == [finished(), progressed(2)]


def test_outcomes_are_kept_beyond_the_bound():
    backlog = backlog_in_trouble(max_changes=1)
    for _ in range(5):
        backlog.add(finished())

    assert len(backlog) == 5


def test_first_changes_are_taken_up_to_the_limits_and_one_at_least():
    backlog = Backlog(max_changes=9, max_bytes=9)
    changes = [finished(b"x" * 1000), finished(b"1"), finished(b"2")]
    for change in changes:
        backlog.add(change)

    assert backlog.take(max_changes=9, max_bytes=10) == changes[:1]
    assert backlog.take(max_changes=1, max_bytes=1 << 20) == changes[1:2]
    assert backlog.take(max_changes=9, max_bytes=1 << 20) == changes[2:]
    assert backlog.take(max_changes=9, max_bytes=1 << 20) == []


def test_what_is_put_back_comes_first_and_counts():
    backlog = backlog_in_trouble()
    backlog.add(finished(b"2"))
    backlog.put_back([finished(b"0"), finished(b"1")])
    backlog.put_back([])

    assert backlog.is_half_full
    assert taken(backlog) == [finished(b"0"), finished(b"1"), finished(b"2")]


def test_what_is_taken_to_be_tried_is_no_room_gained():
    # Background jobs were handed out again each time a batch was tried.
    backlog = backlog_in_trouble()
    backlog.add(finished())
    backlog.add(finished())
    taken(backlog)
    assert backlog.is_half_full

    backlog.unbound()
    assert not backlog.is_half_full


def test_changes_of_void_jobs_are_removed():
    backlog = Backlog(max_changes=9, max_bytes=9)
    other = Forgotten(JobHandle(b"H:2"))
    for change in (accepted(JOB), finished(), other):
        backlog.add(change)

    backlog.void({JOB})

    assert taken(backlog) == [other]


def test_acceptance_alone_can_be_removed():
    backlog = Backlog(max_changes=9, max_bytes=9)
    for change in (accepted(JOB), finished(), accepted(b"H:2")):
        backlog.add(change)

    backlog.remove_acceptance(JOB)

    assert taken(backlog) == [finished(), accepted(b"H:2")]
