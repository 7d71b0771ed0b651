"""A clock on the wall that was set is told from time that passed."""

from __future__ import annotations

import time

import pytest

from gearjobs.server.clocks import TOLERANCE_S, Clocks


def test_time_that_passes_is_no_step():
    assert Clocks().step_s(time.time()) == 0.0


def test_little_that_is_slewed_is_no_step():
    assert Clocks().step_s(time.time() + TOLERANCE_S / 2) == 0.0


@pytest.mark.parametrize("by_s", [3600.0, -3600.0])
def test_clock_that_was_set_is_noticed_once(by_s):
    clocks = Clocks()

    assert clocks.step_s(time.time() + by_s) == pytest.approx(by_s, abs=0.1)
    assert clocks.step_s(time.time() + by_s) == 0.0
