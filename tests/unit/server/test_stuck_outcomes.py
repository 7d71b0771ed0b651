"""Outcomes that met a bug of the store: kept, tried again by themselves, released when they are recorded after all."""

from __future__ import annotations

import math

import pytest

from gearjobs.core.changes import Finished, Forgotten, Outcome
from gearjobs.core.jobs import JobHandle
from gearjobs.server.commit.batch_commit import commit_batch
from gearjobs.server.commit.commit_pace import INTERVAL_S
from gearjobs.server.stuck_outcomes import STUCK_FIRST_S, STUCK_LAST_S, STUCK_LIMIT, StuckOutcomes
from tests.support.commit_desk import JOB, CommitDesk, HeldText


def finished(handle: bytes = JOB) -> Finished:
    return Finished(JobHandle(handle), Outcome.SUCCEEDED, b"done", 1_000.0)


@pytest.fixture
def desk():
    """A desk whose job was accepted, and whose store meets a bug at whatever becomes of it."""
    desk = CommitDesk()
    desk.submit()
    desk.go()
    desk.store.bugs_at = {JOB}
    return desk


def test_stuck_outcome_is_told_when_it_is_recorded_after_all(desk):
    desk.record(finished())
    desk.group.hold_ended(JOB, HeldText(b"complete"))
    desk.go()
    assert desk.said == [b"created H:1"]
    assert desk.group.waiting == 1

    desk.store.bugs_at.clear()
    desk.pass_time(STUCK_FIRST_S)
    desk.go()

    assert desk.said == [b"created H:1", b"complete"]
    assert JOB in desk.store.finished
    assert desk.group.waiting == 0


def test_stuck_outcome_holds_nobody_up(desk):
    desk.record(finished())
    desk.go()

    desk.submit(b"H:2")
    desk.go()

    assert desk.said == [b"created H:1", b"created H:2"]
    assert not desk.group.is_store_down


def test_stuck_outcome_is_tried_by_itself_and_when_it_is_due(desk):
    desk.record(finished())
    desk.go()
    due_at = desk.group.next_due()
    desk.submit(b"H:2")
    desk.pass_time(STUCK_FIRST_S)

    assert due_at == desk.now
    assert desk.begin_commit() == [finished()]


def test_stuck_outcome_is_tried_ever_less_often():
    stuck = StuckOutcomes()
    pauses = []
    for _ in range(8):
        stuck.keep([finished()], now=0.0)
        pauses.append(stuck.retry_at)
        stuck.take()

    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert (pauses[0], pauses[-1]) == (STUCK_FIRST_S, STUCK_LAST_S)
    assert stuck.retry_at == math.inf


def test_next_one_to_get_stuck_is_tried_soon_again():
    stuck = StuckOutcomes()
    for _ in range(3):
        stuck.keep([finished()], now=0.0)
    stuck.take()
    stuck.rest()

    stuck.keep([finished()], now=0.0)

    assert stuck.retry_at == STUCK_FIRST_S


def test_nothing_stored_is_handed_out_while_many_are_stuck():
    desk = CommitDesk()
    for number in range(STUCK_LIMIT):
        assert desk.group.may_hand_out(desk.now)
        handle = b"H:s%d" % number
        desk.store.bugs_at.add(handle)
        desk.record(finished(handle))
        desk.go()
        # Ends take turns where there are many.
        desk.now += INTERVAL_S

    assert not desk.group.may_hand_out(desk.now)


def test_stuck_outcome_is_tried_once_more_at_the_end(desk):
    desk.record(finished())
    desk.go()
    desk.store.bugs_at.clear()

    desk.group.close()
    desk.go()

    assert desk.group.is_done
    assert JOB in desk.store.finished


def test_acceptance_that_met_a_bug_leaves_no_row(desk):
    # It may have been committed before the bug showed.
    desk.store.bug = KeyError("after the commit")
    desk.submit(b"H:2")
    verdict = commit_batch(desk.store, desk.begin_commit())

    desk.end(verdict)

    assert desk.said == [b"created H:1", b"error"]
    assert desk.begin_commit() == [Forgotten(JobHandle(b"H:2"), was_refused=True)]
