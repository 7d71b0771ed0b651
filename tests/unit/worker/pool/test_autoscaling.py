"""When a group of processes grows and shrinks."""

from __future__ import annotations

from gearjobs.worker.pool.autoscaling import GroupScaler, ProcessLoad, ScaleRules, Scaling

RULES = ScaleRules(1, 3, idle_timeout_s=30.0)
STAY, GROW = (Scaling.STAY, -1), (Scaling.GROW, -1)


def busy(index: int = 0, *, idle_turns: int = 0) -> ProcessLoad:
    return ProcessLoad(index, idle_turns, 0, 0.0)


def idle(index: int = 0, *, for_s: float = 1.0, lanes: int = 1) -> ProcessLoad:
    return ProcessLoad(index, 1, lanes, for_s)


def look(*processes: ProcessLoad, rules: ScaleRules = RULES, load: float = 0.0) -> tuple[Scaling, int]:
    return GroupScaler(rules).look(processes, load=load)


def test_group_of_which_nobody_is_idle_grows():
    assert look(busy(0), busy(1)) == GROW


def test_group_with_an_idle_process_stays():
    assert look(busy(0), idle(1)) == STAY


def test_group_stays_that_was_idle_between_two_looks():
    scaler = GroupScaler(RULES)
    scaler.look([busy(idle_turns=4)], load=0.0)

    assert scaler.look([busy(idle_turns=5)], load=0.0) == STAY
    assert scaler.look([busy(idle_turns=5)], load=0.0) == GROW


def test_full_group_stays():
    assert look(busy(0), busy(1), busy(2)) == STAY


def test_group_without_a_process_stays():
    assert look() == STAY


def test_group_that_hears_no_server_stays():
    assert look(ProcessLoad(0, 0, 0, 0.0, has_servers=False)) == STAY


def test_group_stays_on_an_overloaded_machine():
    rules = ScaleRules(1, 3, max_load=2.0)

    assert look(busy(), rules=rules, load=2.0) == STAY
    assert look(busy(), rules=rules, load=1.9) == GROW


def test_last_of_the_processes_that_rested_long_goes():
    assert look(idle(0, for_s=40.0), idle(1, for_s=30.0), idle(2, for_s=29.0)) == (Scaling.SHRINK, 1)


def test_least_processes_stay_however_long_they_rest():
    assert look(idle(for_s=1e6)) == STAY
