"""When a server may judge the leases of others."""

from __future__ import annotations

import pytest

from gearjobs.records.ownership.lease_watch import LeaseTimes, LeaseWatch

TIMES = LeaseTimes(ttl_s=10.0, renewal_s=3.0)
#: What the database's clock says when this machine's says 0.
CLOCK_S = 1_760_000_000.0


def watch_after(*renewals: float, ahead_s: float = 0.0) -> LeaseWatch:
    """Return a watch that saw renewals at these times, the last by a clock that had been moved."""
    watch = LeaseWatch(TIMES)
    for at in renewals:
        step_s = ahead_s if at == renewals[-1] else 0.0
        watch.note_renewal(at, at + 0.1, clock_s=CLOCK_S + at + 0.05 + step_s)
    return watch


def test_lease_that_was_never_renewed_is_not_steady():
    assert not LeaseWatch(TIMES).is_steady(1_000.0)


def test_lease_is_steady_after_two_renewals_in_time():
    watch = watch_after(0.0, 3.0, 6.0)

    assert not watch.is_steady(6.0)
    assert watch.is_steady(6.2)


def test_lease_that_is_not_in_hand_is_not_steady():
    watch = watch_after(0.0, 3.0, 6.0)

    assert watch.is_steady(15.9)
    assert not watch.is_steady(16.0)


def test_gap_between_two_renewals_makes_the_lease_young_again():
    watch = watch_after(0.0, 3.0, 13.0)

    assert not watch.is_steady(19.0)
    assert watch.is_steady(19.2)


def test_lease_found_run_out_is_young_again():
    watch = watch_after(0.0, 3.0, 6.0)
    watch.note_gap(7.0)

    assert not watch.is_steady(12.9)
    assert watch.is_steady(13.0)


@pytest.mark.parametrize("moved_s", [3600.0, -3600.0, 2.0, -2.0])
def test_moved_clock_is_noticed_and_makes_the_lease_young_again(moved_s):
    watch = watch_after(0.0, 3.0, 6.0)

    step_s = watch.note_renewal(9.0, 9.1, clock_s=CLOCK_S + 9.05 + moved_s)

    assert step_s == pytest.approx(moved_s, abs=0.2)
    assert not watch.is_steady(15.0)
    assert watch.vouched_s(20.0) == pytest.approx(10.9)


def test_clock_that_is_slewed_is_not_moved():
    watch = watch_after(0.0, 3.0)

    assert watch.note_renewal(6.0, 6.1, clock_s=CLOCK_S + 6.05 + 0.9) == 0.0


def test_slow_answer_is_no_moved_clock():
    watch = watch_after(0.0)

    assert watch.note_renewal(3.0, 8.0, clock_s=CLOCK_S + 7.9) == 0.0
    assert watch.note_renewal(8.0, 8.1, clock_s=CLOCK_S + 8.05) == 0.0


def test_clock_that_was_never_moved_is_vouched_for_without_end():
    assert watch_after(0.0, 3.0).vouched_s(5.0) == float("inf")


def test_renewal_is_due_three_times_a_lease():
    assert LeaseWatch(TIMES).is_renewal_due(0.0)
    assert not watch_after(0.0).is_renewal_due(2.9)
    assert watch_after(0.0).is_renewal_due(3.0)


@pytest.mark.parametrize("times", [(10.0, 4.0), (10.0, 0.0), (-1.0, 1.0)])
def test_lease_without_room_for_lost_renewals_is_refused(times):
    with pytest.raises(ValueError, match="must last three renewals"):
        LeaseTimes(*times)
