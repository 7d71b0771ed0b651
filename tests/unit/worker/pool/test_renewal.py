"""New code on trial, and what is handed over to it."""

from __future__ import annotations

import os
import sys

import pytest

from gearjobs.worker.pool.autoscaling import ScaleRules
from gearjobs.worker.pool.child_slot import PoolGroup
from gearjobs.worker.pool.pool_succession import hand_over, make_slots, take_over
from gearjobs.worker.pool.renewal import Handover, Renewal, own_command
from gearjobs.worker.pool.work_board import WorkBoard
from tests.support.eventually import eventually

SOON_S = 20.0


class Executed(Exception):
    """Ends what exec would end."""


def verdict_of(program: str) -> str:
    renewal = Renewal([sys.executable, "-c", program])
    renewal.begin()
    found: list[str] = []

    def look() -> bool:
        found.extend([word] if (word := renewal.verdict()) is not None else [])
        return bool(found)

    eventually(look, SOON_S, "a verdict")
    assert not renewal.is_trying
    return found[0]


def test_code_that_starts_has_nothing_wrong():
    assert verdict_of("import sys; assert sys.argv[1:] == ['--check']") == ""


def test_code_that_does_not_start_says_why():
    assert verdict_of("raise SystemExit('no such setting')") == "no such setting"


def test_silent_failure_is_told_by_its_exit_code():
    assert verdict_of("raise SystemExit(3)") == "it ended with exit code 3"


def test_trial_that_is_given_up_has_no_verdict():
    renewal = Renewal([sys.executable, "-c", "import time; time.sleep(60)"])
    renewal.begin()

    assert renewal.verdict() is None
    renewal.give_up()

    assert not renewal.is_trying
    assert renewal.verdict() is None


def test_what_is_handed_over_is_taken_once(monkeypatch):
    board = WorkBoard([1, 2])
    slots = make_slots([PoolGroup("a", ScaleRules(1, 1)), PoolGroup("b", ScaleRules(0, 1), lanes=2)], board)
    slots[1].started(4711, 12.5)
    slots[1].cell.lanes[1].begin("H:a:1", 1, server="s")
    executed: list[dict[str, str]] = []

    def execute(_program: str, _words: list[str], environment: dict[str, str]) -> None:
        executed.append(environment)
        raise Executed

    monkeypatch.setattr(os, "execve", execute)
    renewal = Renewal(["python"], descriptors={"health": board.descriptor})
    with pytest.raises(Executed):
        renewal.become_new(hand_over([WorkBoard([1]), board], slots, [], is_quiet=True))
    monkeypatch.setattr(os, "environ", executed[0])
    left = Handover.taken()

    assert Handover.taken() == Handover()
    assert (left.is_quiet, left.descriptors) == (True, {"health": board.descriptor})
    # The board of which nobody is left is not.
    assert len(left.boards) == 1
    boards = [WorkBoard.opened(one.descriptor, one.lane_counts) for one in left.boards]
    [elder] = take_over(left, boards)
    assert (elder.pid, elder.index, elder.group.name, elder.is_wanted) == (4711, 1, "b", False)
    assert [job.handle for job in elder.cell.held_jobs] == ["H:a:1"]


def test_own_command_is_this_program_by_its_interpreter():
    assert own_command()[0] == sys.executable
    assert own_command()[1:] == sys.orig_argv[1:]


@pytest.mark.parametrize("wanted", [0, 2])
def test_least_number_of_a_group_is_wanted(wanted):
    slots = make_slots([PoolGroup("a", ScaleRules(wanted, 3))], WorkBoard([1] * 3))

    assert [slot.is_wanted for slot in slots] == [number < wanted for number in range(3)]
