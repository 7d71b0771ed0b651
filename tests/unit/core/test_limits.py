"""How many jobs of a key may run, and how many may start in a time."""

from __future__ import annotations

import pytest

from gearjobs.core.limits import EXACT_STARTS, StartWindow, Throttles
from gearjobs.core.terms import Limit
from tests.support.core_builders import MAIL, NOW, RESIZE

DESK = Limit("desk", concurrency=2)
SITE = Limit("site", rate=2, per_s=10.0)


class FakeGate:
    """A gate that counts how often it is told that its limit opened."""

    def __init__(self, function=RESIZE):
        self.function = function
        self.openings = 0

    def reopen(self):
        self.openings += 1


def gate_of(throttles, limit, function=RESIZE):
    gate = FakeGate(function)
    (throttle,) = throttles.find((limit,))
    throttle.gates[function] = gate
    throttle.waiting = 1
    return gate


def is_open(throttles, *limits):
    return all(throttle.is_open for throttle in throttles.find(limits))


def begin(throttles, *limits, times=1, now=NOW):
    for _ in range(times):
        throttles.begin(limits, now=now)


def mention_many(throttles):
    for number in range(3000):
        throttles.find((Limit(f"idle {number}", rate=1, per_s=1.0),))


def window_of(*starts, rate=2, per_s=10.0):
    window = StartWindow(Limit("site", rate=rate, per_s=per_s))
    for start in starts:
        window.add(start)
    return window


def test_as_many_run_at_once_as_are_allowed():
    throttles = Throttles()
    begin(throttles, DESK)
    assert is_open(throttles, DESK)

    begin(throttles, DESK)

    assert not is_open(throttles, DESK)


def test_end_of_a_run_gives_its_slot_back():
    throttles = Throttles()
    begin(throttles, DESK, times=2)
    gate = gate_of(throttles, DESK)

    assert throttles.end((DESK,)) == [RESIZE]

    assert (is_open(throttles, DESK), gate.openings) == (True, 1)


def test_end_of_a_run_beyond_the_limit_opens_nothing():
    throttles = Throttles()
    begin(throttles, DESK, times=3)
    gate = gate_of(throttles, DESK)

    assert throttles.end((DESK,)) == []

    assert (is_open(throttles, DESK), gate.openings) == (False, 0)


def test_each_function_that_waits_hears_of_a_slot():
    throttles = Throttles()
    begin(throttles, DESK, times=2)
    gate_of(throttles, DESK)
    gate_of(throttles, DESK, MAIL)

    assert throttles.end((DESK,)) == [RESIZE, MAIL]


def test_key_that_a_job_names_twice_is_counted_once():
    throttles = Throttles()
    twice = (DESK, Limit("desk", rate=5, per_s=10.0))

    begin(throttles, *twice)
    assert is_open(throttles, *twice)
    throttles.end(twice)

    begin(throttles, DESK)
    assert is_open(throttles, DESK)


def test_other_numbers_for_a_key_share_its_slots():
    throttles = Throttles()
    narrow = Limit("desk", concurrency=1)

    begin(throttles, DESK)

    assert (is_open(throttles, narrow), is_open(throttles, DESK)) == (False, True)


def test_as_many_start_in_a_time_as_are_allowed():
    throttles = Throttles()
    begin(throttles, SITE, times=2)
    throttles.end((SITE,))

    assert not is_open(throttles, SITE)
    assert throttles.next_due() == NOW + 10.0


def test_rate_opens_when_its_oldest_start_is_out_of_the_window():
    throttles = Throttles()
    begin(throttles, SITE)
    begin(throttles, SITE, now=NOW + 4)
    gate = gate_of(throttles, SITE)

    assert throttles.open_due(NOW + 9.9) == []
    assert throttles.open_due(NOW + 10.0) == [RESIZE]

    assert (is_open(throttles, SITE), gate.openings, throttles.next_due()) == (True, 1, None)


def test_rate_that_opened_and_was_used_up_opens_again():
    throttles = Throttles()
    begin(throttles, SITE)
    begin(throttles, SITE, now=NOW + 4)
    throttles.open_due(NOW + 10)
    begin(throttles, SITE, now=NOW + 11)

    assert throttles.next_due() == NOW + 14


def test_rate_that_is_overdrawn_meanwhile_stays_closed():
    throttles = Throttles()
    begin(throttles, SITE, times=2)
    # A worker brought back a run whose start nobody knew of.
    begin(throttles, SITE, now=NOW + 1)

    assert throttles.open_due(NOW + 10) == []

    assert (is_open(throttles, SITE), throttles.next_due()) == (True, None)


def test_rate_that_is_overdrawn_by_two_waits_for_the_next_start_to_leave():
    throttles = Throttles()
    begin(throttles, SITE, times=2)
    begin(throttles, SITE, times=2, now=NOW + 1)

    throttles.open_due(NOW + 10)

    assert (is_open(throttles, SITE), throttles.next_due()) == (False, NOW + 11)


def test_slot_does_not_open_what_the_rate_keeps_closed():
    throttles = Throttles()
    both = Limit("press", concurrency=1, rate=1, per_s=10.0)
    begin(throttles, both)
    gate = gate_of(throttles, both)

    assert throttles.end((both,)) == []

    assert (is_open(throttles, both), gate.openings) == (False, 0)


def test_rate_does_not_open_what_wants_a_slot():
    throttles = Throttles()
    both = Limit("press", concurrency=1, rate=1, per_s=10.0)
    begin(throttles, both)

    assert throttles.open_due(NOW + 10) == []

    assert not is_open(throttles, both)
    throttles.end((both,))
    assert is_open(throttles, both)


def test_other_numbers_for_a_rate_know_what_started():
    throttles = Throttles()
    begin(throttles, SITE, Limit("site", rate=9, per_s=60.0), times=2)

    assert not is_open(throttles, Limit("site", rate=1, per_s=30.0))


def test_new_rate_of_a_key_without_one_begins_with_none():
    throttles = Throttles()
    begin(throttles, Limit("site", concurrency=9))

    assert is_open(throttles, Limit("site", rate=1, per_s=30.0))


def test_clock_that_was_set_changes_nothing():
    throttles = Throttles()
    begin(throttles, SITE, DESK, times=2)

    throttles.move(-1000.0)

    assert throttles.next_due() == NOW - 990
    throttles.open_due(NOW - 990.1)
    assert not is_open(throttles, SITE)
    throttles.open_due(NOW - 990)
    assert is_open(throttles, SITE)


def test_idle_limits_are_forgotten():
    throttles = Throttles()
    running, counting = Limit("running", concurrency=9), Limit("counting", rate=9, per_s=60.0)
    begin(throttles, running)
    begin(throttles, counting)
    throttles.end((counting,))
    gate_of(throttles, DESK)

    mention_many(throttles)

    assert len(throttles._keys) < 2000
    assert {"running", "counting", "desk"} <= throttles._keys.keys()


def test_key_in_use_outlives_its_limits():
    throttles = Throttles()
    begin(throttles, DESK, times=2)

    mention_many(throttles)

    assert not is_open(throttles, DESK)


def test_starts_leave_the_window_after_its_length():
    window = window_of(NOW, NOW + 4)

    window.forget(NOW + 9.99)
    assert window.count == 2
    window.forget(NOW + 10)

    assert window.count == 1


def test_many_starts_are_kept_together():
    window = window_of(*(NOW + number * 0.001 for number in range(5000)), rate=EXACT_STARTS * 5, per_s=10.0)

    assert (window.count, window.opens_at()) == (5000, pytest.approx(NOW + 10.01, abs=0.002))
    assert len(window._starts) <= 501


def test_starts_kept_together_leave_with_the_last_of_them():
    window = window_of(NOW, NOW + 0.009, rate=EXACT_STARTS + 1, per_s=10.0)

    window.forget(NOW + 10.008)

    assert window.count == 2


def test_start_before_the_last_one_lasts_as_long():
    window = window_of(NOW, NOW - 0.3)

    window.forget(NOW + 9.9)

    assert window.count == 2


def test_window_without_any_hope_is_a_bug():
    with pytest.raises(AssertionError, match="a window of 0 starts, 0 allowed"):
        window_of(rate=0).opens_at()
