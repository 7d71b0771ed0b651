"""What is due to a run, and when."""

from __future__ import annotations

import math

import pytest

from gearjobs.worker.ending.run_limits import CANCEL_END_S, CANCEL_GRACE_S, FORCED_END_S, RunLimits, RunStep


def test_run_without_limits_is_left_alone():
    limits = RunLimits(100.0)

    assert (limits.due_at, limits.end_at, limits.take_due(1e9)) == (math.inf, math.inf, None)


def test_run_is_warned_and_then_ended():
    limits = RunLimits(100.0, timeout_s=30.0, soft_timeout_s=20.0)

    assert (limits.due_at, limits.end_at) == (120.0, 130.0)
    assert limits.take_due(119.9) is None
    assert [limits.take_due(120.0), limits.take_due(120.0)] == [RunStep.WARN, None]
    assert [limits.take_due(130.0), limits.take_due(1e9)] == [RunStep.TIME_OUT, None]


def test_what_was_missed_comes_in_order():
    limits = RunLimits(100.0, timeout_s=30.0, soft_timeout_s=20.0)

    assert [limits.take_due(200.0) for _ in range(3)] == [RunStep.WARN, RunStep.TIME_OUT, None]


def test_cancelled_run_has_time_to_notice_and_to_clean_up():
    limits = RunLimits(100.0)

    limits.cancel(150.0, is_forced=False)

    stop_at = 150.0 + CANCEL_GRACE_S
    assert (limits.due_at, limits.end_at) == (stop_at, stop_at + CANCEL_END_S)
    assert [limits.take_due(stop_at), limits.take_due(limits.end_at)] == [RunStep.STOP, RunStep.END]


def test_forced_cancel_stops_at_once():
    limits = RunLimits(100.0)

    limits.cancel(150.0, is_forced=True)

    assert (limits.take_due(150.0), limits.end_at) == (RunStep.STOP, 150.0 + FORCED_END_S)


def test_second_cancel_gives_no_more_time():
    limits = RunLimits(100.0)
    limits.cancel(150.0, is_forced=False)
    limits.take_due(150.0 + CANCEL_GRACE_S)

    limits.cancel(165.0, is_forced=False)

    assert (limits.due_at, limits.end_at) == (150.0 + CANCEL_GRACE_S + CANCEL_END_S,) * 2


def test_forced_cancel_hastens_one_that_was_not():
    limits = RunLimits(100.0)
    limits.cancel(150.0, is_forced=False)

    limits.cancel(151.0, is_forced=True)

    assert limits.take_due(151.0) is RunStep.STOP
    assert limits.end_at == 151.0 + FORCED_END_S


@pytest.mark.parametrize("timeout_s", [5.0, 500.0])
def test_run_is_ended_by_whatever_comes_first(timeout_s):
    limits = RunLimits(100.0, timeout_s=timeout_s)

    limits.cancel(101.0, is_forced=False)

    assert limits.end_at == min(100.0 + timeout_s, 101.0 + CANCEL_GRACE_S + CANCEL_END_S)
