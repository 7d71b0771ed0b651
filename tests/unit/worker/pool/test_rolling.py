"""In which order children of older code go."""

from __future__ import annotations

from gearjobs.worker.pool.autoscaling import ScaleRules
from gearjobs.worker.pool.child_slot import ChildSlot, PoolGroup
from gearjobs.worker.pool.rolling import PATIENCE_S, Rolling
from gearjobs.worker.pool.work_board import WorkBoard

GROUP = PoolGroup("test", ScaleRules(2, 2))


def children(*pids: int) -> list[ChildSlot]:
    board = WorkBoard([1] * len(pids))
    slots = [ChildSlot(index, GROUP, index, board.cells[index]) for index in range(len(pids))]
    for slot, pid in zip(slots, pids, strict=True):
        if pid:
            slot.started(pid, 0.0)
    return slots


def test_one_goes_after_the_other_has_an_heir_that_serves():
    elders, heirs = children(11, 12), children(0, 0)
    rolling = Rolling(elders)
    first = rolling.next_to_go(heirs, 0.0)
    assert first is elders[0]
    first.is_told = True

    assert rolling.next_to_go(heirs, 1.0) is None
    rolling.elders.remove(first)
    assert rolling.next_to_go(heirs, 1.0) is None
    heirs[0].started(21, 1.0)
    heirs[0].cell.lanes[0].servers = 1

    assert rolling.next_to_go(heirs, 1.0) is rolling.elders[0]


def test_who_is_held_up_by_a_long_job_holds_up_the_others_for_a_while_only():
    elders = children(11, 12)
    rolling = Rolling(elders)
    rolling.next_to_go(children(0, 0), 0.0)
    elders[0].is_told = True

    assert rolling.next_to_go(children(0, 0), PATIENCE_S - 0.1) is None
    assert rolling.next_to_go(children(0, 0), PATIENCE_S) is elders[1]


def test_it_is_over_when_all_have_gone():
    assert Rolling([]).is_over
    assert Rolling([]).next_to_go([], 0.0) is None


def test_it_is_not_over_while_somebody_is_left():
    assert not Rolling(children(11)).is_over
