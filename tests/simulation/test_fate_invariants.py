"""The checks of expiry, cancels and losses find what breaks them, and nothing else."""

from __future__ import annotations

import pytest

from gearjobs.core.terms import JobTerms, OnLoss
from tests.support.fate_invariants import (
    cancelled_jobs_do_not_start,
    expired_jobs_do_not_start,
    lost_jobs_do_not_run_twice,
)
from tests.support.journal import (
    KILLED,
    RETRIED,
    CancelAnswered,
    HandedOut,
    JournalView,
    RowAppeared,
    RowChanged,
    RunEnded,
    RunStarted,
)

JOB, SERVER = b"H:1", "s0.1"
ONCE = RowAppeared(0.0, JOB, b"resize", b"", b"photo", JobTerms(on_lost=OnLoss.FAIL))


def handed_out(at, *, expires_at=0.0, wall=0.0, is_resumed=False):
    return HandedOut(at, SERVER, JOB, b"resize", 1, True, 0.0, is_resumed, (), expires_at, wall)


def ran(run, at, *, attempt):
    return RunStarted(at, run, JOB, attempt, "w1", SERVER, True, True, b"photo")


def breaks(check, *events):
    return bool(check(JournalView(list(events))))


@pytest.mark.parametrize(
    ("expires_at", "wall", "is_resumed", "is_broken"),
    [(10.0, 9.9, False, False), (10.0, 10.0, False, True), (10.0, 11.0, True, False), (0.0, 99.0, False, False)],
)
def test_job_is_handed_out_in_time_by_its_servers_clock(expires_at, wall, is_resumed, is_broken):
    event = handed_out(1.0, expires_at=expires_at, wall=wall, is_resumed=is_resumed)

    assert breaks(expired_jobs_do_not_start, event) is is_broken


@pytest.mark.parametrize(
    ("verdict", "at", "is_resumed", "is_broken"),
    [
        ("cancelled", 3.0, False, True),
        ("asked", 3.0, False, True),
        ("unknown", 3.0, False, False),
        ("asked", 1.0, False, False),
        ("asked", 3.0, True, False),
    ],
)
def test_job_that_was_taken_back_is_not_handed_out_any_more(verdict, at, is_resumed, is_broken):
    answered = CancelAnswered(2.0, JOB, verdict)
    events = sorted([ONCE, answered, handed_out(at, is_resumed=is_resumed)], key=lambda event: event.at)

    assert breaks(cancelled_jobs_do_not_start, *events) is is_broken


def test_job_that_had_no_row_yet_may_be_submitted_once_more():
    assert not breaks(cancelled_jobs_do_not_start, CancelAnswered(2.0, JOB, "cancelled"), ONCE, handed_out(3.0))


@pytest.mark.parametrize(("how", "is_broken"), [(KILLED, True), (RETRIED, False)])
def test_job_that_is_not_to_run_again_after_a_loss_does_so_by_wish_only(how, is_broken):
    committed = RowChanged(1.5, JOB, SERVER, 1, True, 0)
    events = [ONCE, ran(b"a", 1.0, attempt=1), committed, RunEnded(2.0, b"a", how), ran(b"b", 3.0, attempt=2)]

    assert breaks(lost_jobs_do_not_run_twice, *events) is is_broken


def test_run_whose_start_was_never_committed_may_be_repeated():
    events = [ONCE, ran(b"a", 1.0, attempt=1), RowChanged(2.0, JOB, "s1.1", 1, True, 0), ran(b"b", 3.0, attempt=1)]

    assert not breaks(lost_jobs_do_not_run_twice, *events)


def test_job_that_may_run_again_does():
    row = RowAppeared(0.0, JOB, b"resize", b"", b"photo")
    events = [row, ran(b"a", 1.0, attempt=1), RunEnded(2.0, b"a", KILLED), ran(b"b", 3.0, attempt=2)]

    assert not breaks(lost_jobs_do_not_run_twice, *events)
