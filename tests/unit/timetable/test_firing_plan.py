"""What a schedule does with due times that passed, and beside a job that has not ended."""

from __future__ import annotations

import pytest

from gearjobs.timetable.due_times import IntervalTimes
from gearjobs.timetable.firing_plan import (
    CATCH_UP_LIMIT,
    LATE_S,
    CatchUp,
    FiringPlan,
    FiringRules,
    LastJob,
    Overlap,
    Verdict,
    fire_at,
    judge_overlap,
    plan_firing,
)

EVERY_TEN = IntervalTimes(10, 0.0)


class Once:
    """Due at one moment only."""

    def next_after(self, moment: float) -> float | None:
        return 100.0 if moment < 100.0 else None


def plan(catch_up: CatchUp = CatchUp.LAST, *, due_at: float, now: float, jitter_s: float = 0.0) -> FiringPlan:
    return plan_firing(EVERY_TEN, FiringRules("key", catch_up, jitter_s), due_at=due_at, now=now)


@pytest.mark.parametrize("catch_up", CatchUp)
def test_due_time_fires_when_it_has_come(catch_up):
    assert plan(catch_up, due_at=100.0, now=100.2) == FiringPlan([100.0], [], 110.0)


def test_nothing_fires_before_it_is_due():
    assert plan(due_at=100.0, now=99.0) == FiringPlan([], [], 100.0)


@pytest.mark.parametrize(
    ("catch_up", "fired", "missed"),
    [
        (CatchUp.ALL, [100.0, 110.0, 120.0], []),
        (CatchUp.LAST, [120.0], [100.0, 110.0]),
        (CatchUp.NONE, [120.0], [100.0, 110.0]),
    ],
)
def test_of_several_due_times_that_passed_the_policy_says_which_fire(catch_up, fired, missed):
    assert plan(catch_up, due_at=100.0, now=125.0) == FiringPlan(fired, missed, 130.0)


def test_what_is_too_late_is_left_out_by_none_only():
    rules = FiringRules("key", CatchUp.NONE)
    late = 100.0 + LATE_S + 1

    assert plan_firing(Once(), rules, due_at=100.0, now=late) == FiringPlan([], [100.0], None)
    assert plan_firing(Once(), rules, due_at=100.0, now=100.0 + LATE_S) == FiringPlan([100.0], [], None)
    assert plan_firing(Once(), FiringRules("key"), due_at=100.0, now=1e9) == FiringPlan([100.0], [], None)


def test_catching_up_is_bounded():
    caught_up = plan(CatchUp.ALL, due_at=0.0, now=1_000_000.0)

    assert caught_up.fired == [1_000_000.0 - 10 * back for back in reversed(range(CATCH_UP_LIMIT))]
    assert caught_up.next_due_at == 1_000_010.0


def test_jitter_is_the_same_for_everybody_and_lies_within_its_bounds():
    rules = FiringRules("key", jitter_s=5.0)
    moments = [fire_at(rules, 10.0 * number) - 10.0 * number for number in range(200)]

    assert moments == [
        fire_at(FiringRules("key", jitter_s=5.0), 10.0 * number) - 10.0 * number for number in range(200)
    ]
    assert 0 <= min(moments) < 1
    assert 4 < max(moments) < 5
    assert fire_at(rules, 10.0) != fire_at(FiringRules("other", jitter_s=5.0), 10.0)
    assert fire_at(FiringRules("key"), 10.0) == 10.0


def test_due_time_waits_for_its_jitter():
    moment = fire_at(FiringRules("key", jitter_s=9.0), 100.0)

    assert plan(due_at=100.0, now=moment - 0.01, jitter_s=9.0) == FiringPlan([], [], 100.0)
    assert plan(due_at=100.0, now=moment, jitter_s=9.0).fired == [100.0]


def test_due_times_fire_in_their_order_whatever_their_jitter():
    rules = FiringRules("key", CatchUp.ALL, 1000.0)
    first, second = next(
        (n, n + 10.0) for n in map(float, range(0, 9999, 10)) if fire_at(rules, n) > fire_at(rules, n + 10)
    )

    early = plan_firing(EVERY_TEN, rules, due_at=first, now=fire_at(rules, second))

    assert (early.fired, early.next_due_at) == ([], first)


@pytest.mark.parametrize(
    ("overlap", "last_job", "verdict"),
    [
        *((overlap, LastJob.ENDED, Verdict.FIRE) for overlap in Overlap),
        (Overlap.SKIP, LastJob.WAITING, Verdict.SKIP),
        (Overlap.SKIP, LastJob.RUNNING, Verdict.SKIP),
        (Overlap.QUEUE, LastJob.WAITING, Verdict.FIRE),
        (Overlap.QUEUE, LastJob.RUNNING, Verdict.FIRE),
        (Overlap.COALESCE, LastJob.WAITING, Verdict.JOIN),
        (Overlap.COALESCE, LastJob.RUNNING, Verdict.FIRE),
        (Overlap.REPLACE, LastJob.WAITING, Verdict.REPLACE),
        (Overlap.REPLACE, LastJob.RUNNING, Verdict.REPLACE),
    ],
)
def test_beside_a_job_that_has_not_ended_the_policy_decides(overlap, last_job, verdict):
    assert judge_overlap(overlap, last_job) is verdict
