"""When the place of a child that ended is filled again."""

from __future__ import annotations

from gearjobs.worker.pool.autoscaling import ScaleRules
from gearjobs.worker.pool.child_slot import STEADY_AFTER_S, ChildSlot, PoolGroup
from gearjobs.worker.pool.work_board import WorkBoard


def new_slot() -> ChildSlot:
    return ChildSlot(0, PoolGroup("test", ScaleRules(1, 1)), 0, WorkBoard([1]).cells[0])


def run_of(slot: ChildSlot, seconds: float, *, now: float = 0.0) -> float:
    """Let a child run for so long; return the pause before the next."""
    slot.started(4711, now)
    return slot.ended(now + seconds)


def test_empty_slot_is_due_at_once():
    assert new_slot().is_due(0.0)


def test_filled_slot_is_not_due():
    slot = new_slot()

    slot.started(4711, 0.0)

    assert not slot.is_due(1e9)


def test_child_that_ran_for_a_while_is_replaced_at_once():
    slot = new_slot()

    assert run_of(slot, STEADY_AFTER_S) == 0.0
    assert slot.is_due(STEADY_AFTER_S)


def test_child_that_ended_quickly_is_replaced_after_a_pause():
    slot = new_slot()

    assert run_of(slot, 0.5) == 1.0
    assert not slot.is_due(1.4)
    assert slot.is_due(1.5)


def test_pauses_double_up_to_half_a_minute():
    slot = new_slot()

    assert [run_of(slot, 0.1) for _ in range(7)] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_steady_child_ends_a_series_of_quick_ends():
    slot = new_slot()
    run_of(slot, 0.1)
    run_of(slot, 0.1)

    run_of(slot, STEADY_AFTER_S)

    assert run_of(slot, 0.1) == 1.0


def test_child_that_ended_as_it_was_meant_to_is_replaced_at_once():
    slot = new_slot()
    run_of(slot, 0.1)
    slot.started(4712, 2.0)

    assert slot.ended(2.1, is_planned=True) == 0.0
    assert slot.is_due(2.1)


def test_slot_of_which_no_child_is_wanted_is_not_due():
    slot = new_slot()

    slot.is_wanted = False

    assert not slot.is_due(1e9)
