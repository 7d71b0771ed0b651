"""Due times against a naive model, which looks at every minute of a few days and at what the wall clock shows.

The days lie around changes of the clock: summer time in both hemispheres, half an hour of it, a gap at midnight, an
offset of three quarters, a zone that changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gearjobs.timetable.due_times import CronTimes, IntervalTimes, latest_due_times

#: Zone, and a day around which its clock changes.
CHANGES = [
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("America/Santiago", "2026-09-06"),
    ("America/Santiago", "2026-04-05"),
    ("Pacific/Chatham", "2026-09-27"),
    ("Pacific/Apia", "2011-12-30"),
    ("Africa/Cairo", "2026-04-24"),
    ("Asia/Kolkata", "2026-03-29"),
    ("UTC", "2026-03-29"),
]
MINUTE_S = 60.0


@dataclass(frozen=True)
class Fields:
    """What a crontab's fields mean, as sets."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] | None
    weekdays: frozenset[int] | None

    @property
    def expression(self) -> str:
        return f"{_listed(self.minutes)} {_listed(self.hours)} {_listed(self.days)} * {_listed(self.weekdays)}"

    @property
    def is_hourly(self) -> bool:
        return len(self.hours) == 24

    def match(self, wall: datetime) -> bool:
        on_day = self.days is None or wall.day in self.days
        on_weekday = self.weekdays is None or wall.isoweekday() % 7 in self.weekdays
        # Cron's own oddity: of two that are given, either will do.
        is_its_day = (on_day or on_weekday) if self.days and self.weekdays else (on_day and on_weekday)
        return wall.minute in self.minutes and wall.hour in self.hours and is_its_day


def _listed(values: frozenset[int] | None) -> str:
    return "*" if values is None else ",".join(str(value) for value in sorted(values))


def naive_due_times(fields: Fields, zone: ZoneInfo, start: float, end: float) -> Iterator[float]:
    """Go through every minute as it passes, and ask the wall clock."""
    shown = wall_at(start, zone)
    at = start + MINUTE_S
    seen: set[datetime] = set()
    while at <= end:
        wall = wall_at(at, zone)
        skipped = [shown + timedelta(minutes=n) for n in range(1, int((wall - shown) / timedelta(minutes=1)))]
        if fields.is_hourly:
            is_due = fields.match(wall)
        else:
            is_due = (fields.match(wall) and wall not in seen) or any(fields.match(one) for one in skipped)
        if is_due:
            yield at
        seen.add(wall)
        shown, at = wall, at + MINUTE_S


def wall_at(moment: float, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(moment, zone).replace(tzinfo=None)


def all_due_times(times: CronTimes, start: float, end: float) -> list[float]:
    found = []
    due_at = times.next_after(start)
    while due_at is not None and due_at <= end:
        found.append(due_at)
        due_at = times.next_after(due_at)
    return found


def some(values: range, *, most: int) -> st.SearchStrategy[frozenset[int]]:
    return st.frozensets(st.sampled_from(values), min_size=1, max_size=most)


every_hour = st.just(frozenset(range(24)))
crontabs = st.builds(
    Fields,
    minutes=some(range(60), most=4),
    hours=every_hour | some(range(24), most=3) | some(range(4), most=3),
    days=st.none() | some(range(1, 32), most=8),
    weekdays=st.none() | some(range(7), most=4),
)
#: Three days before the change until three days after it.
SPAN_S = 6 * 86_400.0


def start_before(day: str) -> float:
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() - SPAN_S / 2


@settings(max_examples=60, deadline=None)
@given(change=st.sampled_from(CHANGES), fields=crontabs)
@example(("Europe/Berlin", "2026-03-29"), Fields(frozenset({0, 30}), frozenset({2}), None, None))
@example(("Europe/Berlin", "2026-10-25"), Fields(frozenset({0, 30}), frozenset({2}), None, None))
@example(("America/Santiago", "2026-09-06"), Fields(frozenset({0}), frozenset({0}), None, None))
@example(("Pacific/Apia", "2011-12-30"), Fields(frozenset({15}), frozenset({12}), frozenset({30}), None))
@example(("Australia/Lord_Howe", "2026-10-04"), Fields(frozenset({5, 20}), frozenset(range(24)), None, None))
def test_due_times_are_those_of_a_clock_that_is_looked_at_every_minute(change, fields):
    zone, start = ZoneInfo(change[0]), start_before(change[1])
    times = CronTimes(fields.expression, zone)

    found = all_due_times(times, start, start + SPAN_S)

    assert found == list(naive_due_times(fields, zone, start, start + SPAN_S))


@settings(max_examples=60, deadline=None)
@given(change=st.sampled_from(CHANGES), fields=crontabs, passed=st.floats(0.0, SPAN_S / 2))
def test_next_due_time_is_the_same_from_wherever_one_looks(change, fields, passed):
    zone, start = ZoneInfo(change[0]), start_before(change[1])
    times = CronTimes(fields.expression, zone)
    moment = start + passed

    later = [due_at for due_at in naive_due_times(fields, zone, start, start + SPAN_S) if due_at > moment]

    found = times.next_after(moment)
    assert found is not None
    assert found > moment
    assert not later or found == later[0]


@given(
    interval_s=st.integers(1, 10_000_000),
    anchor=st.floats(0, 4e9),
    moment=st.floats(0, 4e9),
)
def test_interval_is_due_whole_intervals_after_its_anchor(interval_s, anchor, moment):
    due_at = IntervalTimes(interval_s, anchor).next_after(moment)

    assert due_at is not None
    assert due_at > moment
    assert due_at >= math.floor(anchor)
    assert (due_at - math.floor(anchor)) % interval_s == 0
    assert due_at == math.floor(anchor) or due_at - interval_s <= moment


@settings(max_examples=40, deadline=None)
@given(
    change=st.sampled_from(CHANGES),
    fields=crontabs,
    passed=st.floats(60.0, SPAN_S),
    most=st.integers(1, 120),
)
def test_latest_due_times_are_the_end_of_all_of_them(change, fields, passed, most):
    zone, start = ZoneInfo(change[0]), start_before(change[1])
    times = CronTimes(fields.expression, zone)

    found = latest_due_times(times, since=start, until=start + passed, most=most)

    assert found == all_due_times(times, start - 1, start + passed)[-most:]
