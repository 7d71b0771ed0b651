"""When schedules are due: chosen cases of crontabs around changes of the clock, intervals, and what is refused."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from gearjobs.errors import UsageError
from gearjobs.timetable.due_times import CronTimes, IntervalTimes, cron_fields, latest_due_times, zone_of

BERLIN = ZoneInfo("Europe/Berlin")


def due_times(expression: str, start: str, count: int = 1, zone: ZoneInfo = BERLIN) -> list[str]:
    times = CronTimes(expression, zone)
    moment = datetime.fromisoformat(start).timestamp()
    found = []
    for _ in range(count):
        due_at = times.next_after(moment)
        assert due_at is not None
        found.append(datetime.fromtimestamp(due_at, zone).isoformat(timespec="minutes"))
        moment = due_at
    return found


@pytest.mark.parametrize(
    ("expression", "due"),
    [
        ("* * * * *", "2026-05-20T10:31+02:00"),
        ("*/20 * * * *", "2026-05-20T10:40+02:00"),
        ("0 3 * * *", "2026-05-21T03:00+02:00"),
        ("0 8 * * 0", "2026-05-24T08:00+02:00"),
        ("0 8 * * 7", "2026-05-24T08:00+02:00"),
        ("0 8 * * MON-FRI", "2026-05-21T08:00+02:00"),
        ("0 0 L * *", "2026-05-31T00:00+02:00"),
        ("0 0 29 2 *", "2028-02-29T00:00+01:00"),
        ("@hourly", "2026-05-20T11:00+02:00"),
        ("@Yearly", "2027-01-01T00:00+01:00"),
    ],
)
def test_next_matching_minute_of_the_wall_clock(expression, due):
    assert due_times(expression, "2026-05-20T10:30:15+02:00") == [due]


def test_wall_time_that_is_skipped_fires_once_right_after_the_gap():
    assert due_times("0,30 2 * * *", "2026-03-28T12:00+01:00", 3) == [
        "2026-03-29T03:00+02:00",
        "2026-03-30T02:00+02:00",
        "2026-03-30T02:30+02:00",
    ]


def test_wall_time_that_is_shown_twice_fires_the_first_time():
    assert due_times("30 2 * * *", "2026-10-24T12:00+02:00", 2) == ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]
    # Asked between the two.
    assert due_times("45 2 * * *", "2026-10-25T02:40+01:00") == ["2026-10-26T02:45+01:00"]


def test_schedule_of_every_hour_follows_the_time_that_passes():
    assert due_times("30 * * * *", "2026-10-25T01:00+02:00", 3) == [
        "2026-10-25T01:30+02:00",
        "2026-10-25T02:30+02:00",
        "2026-10-25T02:30+01:00",
    ]
    assert due_times("30 * * * *", "2026-03-29T01:00+01:00", 2) == ["2026-03-29T01:30+01:00", "2026-03-29T03:30+02:00"]


def test_every_minute_of_a_day_in_another_half_of_the_year():
    assert due_times("* * 1 1 *", "2026-07-01T00:00+02:00", 2) == ["2027-01-01T00:00+01:00", "2027-01-01T00:01+01:00"]


@pytest.mark.parametrize(
    "expression",
    ["", "* * * *", "* * * * * *", "60 * * * *", "x * * * *", "0 0 30 2 *", "@reboot", "0 0 * * MON#6", "*" * 300],
)
def test_what_is_no_crontab_is_refused(expression):
    with pytest.raises(UsageError, match=r"a cron expression must .*, got|a cron expression must .*; got"):
        CronTimes(expression, BERLIN)


def test_crontab_that_matches_no_minute_of_fifty_years_is_refused():
    # The first of February as its month's second Monday.
    with pytest.raises(UsageError, match="must match some minute"):
        cron_fields("0 0 */31 2 MON#2")


@pytest.mark.parametrize("expression", ["0 0 29 2 *", "* * 29 2 *"])
def test_calendar_ends_with_the_year_9999(expression):
    times = CronTimes(expression, BERLIN)

    assert times.next_after(datetime(9999, 3, 1, tzinfo=BERLIN).timestamp()) is None


def test_white_space_between_fields_does_not_matter():
    assert cron_fields("  0  3 * *\t* ") == "0 3 * * *"


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "Europe", "\0"])
def test_unknown_zone_is_refused(name):
    with pytest.raises(UsageError, match="a time zone must be one of the tz database"):
        zone_of(name)


def test_interval_counts_from_its_anchor_and_not_from_the_last_run():
    times = IntervalTimes(600, anchor=1000.7)

    assert [times.next_after(moment) for moment in (0.0, 999.9, 1000.0, 1600.5, 9999.0)] == [
        1000.0,
        1000.0,
        1600.0,
        2200.0,
        10000.0,
    ]


@pytest.mark.parametrize("interval_s", [0, -1, 400_000_000])
def test_interval_that_is_none_is_refused(interval_s):
    with pytest.raises(UsageError, match=f"an interval must be 1 to 315360000 seconds, got {interval_s}"):
        IntervalTimes(interval_s, 0.0)


def test_latest_due_times_of_a_long_outage_are_found_without_a_walk_over_all():
    asked = []

    class Counted(IntervalTimes):
        def next_after(self, moment: float) -> float | None:
            asked.append(moment)
            return super().next_after(moment)

    found = latest_due_times(Counted(1, 0.0), since=10.0, until=1e9, most=3)

    assert found == [1e9 - 2, 1e9 - 1, 1e9]
    assert len(asked) < 500


def test_due_times_between_two_moments_include_both():
    assert latest_due_times(IntervalTimes(10, 0.0), since=10.0, until=30.0, most=9) == [10.0, 20.0, 30.0]
    assert latest_due_times(IntervalTimes(10, 0.0), since=10.0, until=9.0, most=9) == []
