"""When the store is asked for its lease, what is written of progress, and how a server's last steps go.

What becomes of changes and their replies is in `test_group_commit`.
"""

from __future__ import annotations

import pytest

from gearjobs.core.changes import Finished, Forgotten, Outcome, Progressed, Requeued, Started
from gearjobs.core.jobs import JobHandle
from gearjobs.server.commit.commit_steps import RenewStep
from gearjobs.server.commit.group_commit import (
    LOOK_EVERY_S,
)
from tests.support.commit_desk import JOB, LEASE_S, CommitDesk
from tests.support.troubled_store import OUTAGE, accepted

OTHER = JobHandle(b"H:2")
GHOST = Forgotten(JOB, was_refused=True)


def started(handle: JobHandle = JOB) -> Started:
    return Started(handle, 1, ["press"], 1_000.0)


def finished(handle: JobHandle = JOB, result: bytes = b"done") -> Finished:
    return Finished(handle, Outcome.SUCCEEDED, result, 1_000.0)


def progressed(numerator: float, handle: JobHandle = JOB) -> Progressed:
    return Progressed(handle, numerator, 10.0, "", 1_000.0)


def desk_in_outage() -> CommitDesk:
    """Return a desk whose store has just failed, with the end of a run to be kept."""
    desk = CommitDesk()
    desk.store.commit([accepted(JOB)])
    desk.store.failure = OUTAGE
    desk.record(finished())
    desk.go()
    return desk


def test_lease_is_renewed_in_time_and_before_a_waiting_batch():
    desk = CommitDesk(lease_s=LEASE_S)
    assert desk.group.next_due() == desk.now + 2.5
    desk.pass_time(2.5)
    desk.submit()

    assert isinstance(desk.begin(), RenewStep)


def test_nothing_stored_is_handed_out_from_the_margin_of_the_lease_on():
    desk = CommitDesk(lease_s=LEASE_S)
    desk.store.renew_failure = OUTAGE
    desk.pass_time(7.9)
    assert desk.group.may_hand_out(desk.now)

    desk.pass_time(0.1)
    desk.go()
    assert not desk.group.may_hand_out(desk.now)

    desk.store.renew_failure = None
    desk.pass_time(0.1)
    desk.go()
    assert desk.group.may_hand_out(desk.now)


def test_lease_counts_from_when_it_was_asked_for():
    desk = CommitDesk(lease_s=LEASE_S)
    desk.pass_time(3)
    assert isinstance(desk.begin(), RenewStep)
    asked_at = desk.now
    desk.pass_time(1.5)

    desk.group.renewed(LEASE_S, now=desk.now)

    assert desk.group.lease.ends_at == asked_at + LEASE_S - 2


def test_lease_that_ends_is_due_to_be_looked_at():
    desk = CommitDesk(lease_s=LEASE_S)
    desk.pass_time(2.5)
    desk.begin()
    desk.group.backlog.unbound()
    desk.pass_time(5.4)

    assert desk.group.next_due() == pytest.approx(desk.now + 0.1)


def test_nothing_is_adopted_without_the_lease():
    desk = CommitDesk(lease_s=LEASE_S)
    desk.store.renew_failure = OUTAGE
    desk.pass_time(9)
    desk.group.want_adoption()
    desk.go()

    assert desk.store.adoptions == 0


def test_lease_that_never_ends_is_not_asked_for_again():
    desk = CommitDesk()
    desk.pass_time(1e9)

    assert desk.group.next_step(desk.now) is None
    assert desk.group.next_due() is None


def test_renewed_lease_shows_that_the_store_is_back_when_nothing_waits():
    desk = CommitDesk(lease_s=LEASE_S)
    desk.store.renew_failure = OUTAGE
    desk.pass_time(2.5)
    desk.go()
    assert desk.group.is_store_down

    desk.store.renew_failure = None
    desk.pass_time(0.1)
    desk.go()

    assert not desk.group.is_store_down


def test_step_that_takes_long_is_looked_at_often():
    desk = CommitDesk()
    desk.submit()
    desk.begin()
    assert desk.group.next_due() == desk.now + 1
    desk.pass_time(1)

    assert desk.group.next_due() == desk.now + LOOK_EVERY_S
    assert desk.group.step_age_s(desk.now) == 1


def test_slow_adoption_that_ends_is_no_trouble_any_more():
    desk = CommitDesk()
    desk.group.want_adoption()
    desk.begin()
    desk.pass_time(1)

    desk.group.adopted([])

    assert desk.group.next_due() is None


def test_progress_held_back_is_due_after_its_interval():
    desk = CommitDesk()
    for numerator in (1, 2, 3):
        desk.record(progressed(numerator))
    desk.go()
    assert desk.group.next_due() == desk.now + 1

    desk.pass_time(1)

    assert desk.begin_commit() == [progressed(3)]


def test_last_progress_stands_before_the_outcome_and_that_of_a_cut_run_nowhere():
    desk = CommitDesk()
    requeued = Requeued(OTHER, is_crash=True, requeued_at=1_000.0)
    for change in (progressed(1), progressed(9), finished(), progressed(1, OTHER), progressed(9, OTHER), requeued):
        desk.record(change)

    assert desk.begin_commit() == [progressed(1), progressed(9), finished(), progressed(1, OTHER), requeued]


def test_close_commits_what_waits_whatever_the_pause():
    desk = desk_in_outage()
    desk.record(progressed(1, OTHER))
    desk.record(progressed(2, OTHER))
    desk.store.failure = None
    desk.group.close()
    desk.go()

    assert desk.group.is_done
    assert desk.store.progress[OTHER] == progressed(2, OTHER)


def test_close_gives_a_store_that_is_down_one_more_try():
    desk = desk_in_outage()
    desk.group.close()
    desk.group.want_adoption()
    desk.go()

    assert desk.group.is_done
    assert len(desk.group.backlog) == 1
    assert (len(desk.store.batches), desk.store.adoptions) == (3, 0)
