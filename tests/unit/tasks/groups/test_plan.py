"""Which job waits for which, in groups and chains of any shape."""

from __future__ import annotations

from typing import Any, cast

import pytest

from gearjobs import UsageError, chain, chord, group, map_reduce
from gearjobs.tasks.groups.plan import Plan, Stage, make_plan
from tests.support.few_tasks import add


def call(number: int):
    return add.s(number)


def numbers(stage: Stage) -> list[object]:
    return [one.args[0] for one in stage.calls]


def stage_of(plan: Plan, number: int) -> Stage:
    return next(stage for stage in plan.stages if number in numbers(stage))


def test_parts_of_a_group_are_one_stage_that_gives_a_list():
    plan = make_plan(group(call(1), call(2), call(3)))

    (stage,) = plan.stages
    assert (numbers(stage), stage.is_list, stage.waits_for, stage.next_stage) == ([1, 2, 3], True, 0, plan.root)
    assert (plan.total, plan.root.waits_for) == (3, 1)


def test_step_of_a_chain_waits_for_the_one_before():
    plan = make_plan(call(1) | call(2) | call(3))

    first, second, third = (stage_of(plan, number) for number in (1, 2, 3))
    assert [first.next_stage, second.next_stage, third.next_stage] == [second, third, plan.root]
    assert [first.waits_for, second.waits_for, third.waits_for] == [0, 1, 1]
    assert not any(stage.is_list or stage.gathers for stage in plan.stages)


def test_chord_gives_its_body_the_list():
    plan = make_plan(chord([call(1), call(2)], call(9)))

    header, body = stage_of(plan, 1), stage_of(plan, 9)
    assert (header.is_list, header.next_stage, body.waits_for, body.next_stage) == (True, body, 1, plan.root)


def test_chains_in_a_group_are_gathered():
    plan = make_plan(group(call(1) | call(2), call(3)))

    gatherer = stage_of(plan, 2).next_stage
    assert gatherer is not None
    assert (gatherer.gathers, gatherer.waits_for, gatherer.next_stage, gatherer.calls) == (True, 2, plan.root, [])
    assert [stage_of(plan, 2).place, stage_of(plan, 3).place] == [0, 1]


def test_several_beginnings_are_released_together_by_what_comes_before():
    plan = make_plan(chain(call(1), group(call(2) | call(3), call(4)), call(5)))

    relay = stage_of(plan, 1).next_stage
    assert relay is not None
    assert (relay.calls, relay.next_stage, relay.waits_for) == ([], None, 1)
    assert stage_of(plan, 2).released_by is stage_of(plan, 4).released_by is relay
    assert [stage_of(plan, number).waits_for for number in (1, 2, 3, 4, 5)] == [0, 1, 1, 1, 1]


def test_group_of_nothing_has_gathered_all_of_it():
    plan = make_plan(chord([], call(1)))

    empty = next(stage for stage in plan.stages if not stage.calls)
    assert (empty.gathers, empty.waits_for, empty.next_stage) == (True, 0, stage_of(plan, 1))


def test_map_reduce_calls_the_mapper_for_each_argument():
    plan = make_plan(map_reduce(add.s(10), [1, 2], call(9)))

    assert [one.args for one in stage_of(plan, 1).calls] == [(1, 10), (2, 10)]
    assert stage_of(plan, 9).waits_for == 1


def test_chain_in_a_chain_is_one_chain():
    assert chain(call(1), call(2) | call(3)) == chain([call(1), call(2), call(3)])


@pytest.mark.parametrize("make", [chain, lambda: group(cast("Any", add)), lambda: chord(cast("Any", [1]), call(2))])
def test_what_is_no_part_is_refused(make):
    with pytest.raises(UsageError, match=r"must have at least one part|is made of task"):
        make()
