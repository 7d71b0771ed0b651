"""When what an operator says of a function holds up its jobs."""

from __future__ import annotations

from gearjobs.core.function_brake import NO_CONTROL, FunctionBrake, QueueControl
from tests.support.core_builders import NOW


def test_brake_without_limits_holds_nothing():
    assert not FunctionBrake(QueueControl(max_jobs=(1, 1, 1))).holds(1000)


def test_paused_function_is_held_whatever_runs():
    assert FunctionBrake(QueueControl(is_paused=True)).holds(0)


def test_concurrency_holds_from_so_many_runs_on():
    brake = FunctionBrake(QueueControl(concurrency=2))

    assert [brake.holds(running) for running in (0, 1, 2, 3)] == [False, False, True, True]


def test_rate_holds_until_a_start_is_out_of_its_time():
    brake = FunctionBrake(QueueControl(rate=1, per_s=10.0))
    assert brake.window is not None
    brake.window.add(NOW)
    held_at_first = brake.holds(0)

    brake.window.forget(NOW + 10)

    assert (held_at_first, brake.holds(0)) == (True, False)


def test_control_that_says_nothing_is_none():
    assert QueueControl() == NO_CONTROL
