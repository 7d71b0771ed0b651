"""When a schedule is due: a crontab's five fields in a time zone, or every so many seconds from an anchor.

Pure: a moment comes in as unix seconds, the next due time goes out. Cron's fields are matched by `cronsim` against the
wall clock; what the zone makes of a wall time is decided here. A schedule that names hours fires at each named wall
time once a day: at a time that the clock skips right after the gap, at one that it shows twice the first time. A
schedule of every hour of the day follows the time that passes: an hour that comes twice has its firings twice, and one
that is skipped has none. Source: Debian's cron(8), which makes a difference between the two as well.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from gearjobs.errors import UsageError

#: Longest crontab expression, in characters: what its column holds.
CRON_LIMIT: Final = 255
#: Longest interval in seconds: ten years.
INTERVAL_LIMIT_S: Final = 315_360_000
#: Words for frequent expressions, as crontab(5) has them.
NICKNAMES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

_HOURS_OF_A_DAY: Final = 24
#: No zone changes its clock there and back within it.
_SCAN_S: Final = 7 * 86_400.0
#: First look back for due times that were passed over, in seconds.
_FIRST_WINDOW_S: Final = 60.0


class DueTimes(Protocol):
    """The due times of one schedule."""

    def next_after(self, moment: float) -> float | None:
        """Return the first due time after a moment, in whole unix seconds; None when there is none to come."""


class IntervalTimes:
    """Every so many seconds.

    Args:
        interval_s: 1 to INTERVAL_LIMIT_S.
        anchor: a due time, the first one, in unix seconds; others are whole intervals later.

    Raises:
        UsageError: the interval is none.
    """

    def __init__(self, interval_s: int, anchor: float) -> None:
        if not 1 <= interval_s <= INTERVAL_LIMIT_S:
            raise UsageError(f"an interval must be 1 to {INTERVAL_LIMIT_S} seconds, got {interval_s}")
        self._interval_s = interval_s
        self._anchor = math.floor(anchor)

    def next_after(self, moment: float) -> float | None:
        """See DueTimes."""
        passed_s = math.floor(moment) - self._anchor
        if passed_s < 0:
            return float(self._anchor)
        return float(self._anchor + (passed_s // self._interval_s + 1) * self._interval_s)


class CronTimes:
    """The minutes that match a crontab's five fields.

    Args:
        expression: minute, hour, day of month, month, day of week (0 and 7 are Sunday), or one of NICKNAMES.
        zone: whose wall clock is meant.

    Raises:
        UsageError: the expression is none, or no minute ever matches.
    """

    def __init__(self, expression: str, zone: tzinfo) -> None:
        self._fields = cron_fields(expression)
        self._zone = zone
        self._is_hourly = len(CronSim(self._fields, _wall(0.0)).hours) == _HOURS_OF_A_DAY

    def next_after(self, moment: float) -> float | None:
        """See DueTimes."""
        try:
            return self._next_passing(moment) if self._is_hourly else self._next_named(moment)
        except OverflowError:
            # The calendar ends with the year 9999.
            return None

    def _next_named(self, moment: float) -> float | None:
        """Return the first moment of a matching wall time that is after `moment`."""
        for wall in CronSim(self._fields, _wall(moment + self._offset_s(moment))):
            # Within an hour that the clock shows a second time, the first ones were at their first time.
            if (due_at := self._first_moment(wall)) > moment:
                return due_at
        return None

    def _first_moment(self, wall: datetime) -> float:
        first, second = wall.replace(tzinfo=self._zone, fold=0), wall.replace(tzinfo=self._zone, fold=1)
        # By the offsets before and after: a wall time in a gap would be after it by the one, before it by the other.
        after, before = first.timestamp(), second.timestamp()
        return self._change_between(before, after) if before < after else after

    def _next_passing(self, moment: float) -> float | None:
        """Return the next match of the wall clock as it goes on from `moment`, whatever it shows twice or never."""
        start, offset_s = moment, self._offset_s(moment)
        while True:
            wall = next(CronSim(self._fields, _wall(start + offset_s)), None)
            if wall is None:
                return None
            due_at = wall.replace(tzinfo=UTC).timestamp() - offset_s
            change = self._first_change(start, due_at, offset_s)
            if change is None:
                return due_at
            # The first second after the change may match.
            start, offset_s = change - 1.0, self._offset_s(change)

    def _first_change(self, start: float, end: float, offset_s: float) -> float | None:
        """Return the first second from `start` to `end` at which the clock is no longer `offset_s` from UTC."""
        # The second before a change that was found already has the offset of before.
        low = start + 1.0
        while low < end:
            high = min(low + _SCAN_S, end)
            if self._offset_s(high) != offset_s:
                return self._change_between(low, high)
            low = high
        return None

    def _change_between(self, low: float, high: float) -> float:
        """Return the first whole second at which the clock is as far from UTC as at `high`, and not as at `low`."""
        before, after = math.floor(low), math.ceil(high)
        offset_s = self._offset_s(before)
        while after - before > 1:
            middle = (before + after) // 2
            if self._offset_s(middle) == offset_s:
                before = middle
            else:
                after = middle
        return float(after)

    def _offset_s(self, moment: float) -> float:
        offset = datetime.fromtimestamp(moment, self._zone).utcoffset()
        return 0.0 if offset is None else offset.total_seconds()


def cron_fields(expression: str) -> str:
    """Return an expression as five fields with a space between them.

    Raises:
        UsageError: it is none, or no minute ever matches.
    """
    text = expression.strip()
    fields = NICKNAMES.get(text.lower(), text).split()
    if len(text) > CRON_LIMIT or len(fields) != 5:
        raise UsageError(
            "a cron expression must have the five fields minute, hour, day of month, month and day of week, or be one "
            f"of {', '.join(NICKNAMES)}; got {expression[:75]!r}"
        )
    joined = " ".join(fields)
    try:
        next(CronSim(joined, _wall(0.0)))
    except CronSimError as error:
        raise UsageError(f"a cron expression must be one that cron knows, got {expression[:75]!r}: {error}") from error
    except StopIteration:
        raise UsageError(f"a cron expression must match some minute, got {expression[:75]!r}") from None
    return joined


def zone_of(name: str) -> tzinfo:
    """Return a time zone by its name of the tz database, such as Europe/Berlin.

    Raises:
        UsageError: this machine knows no such zone.
    """
    try:
        return ZoneInfo(name)
    except (OSError, ValueError) as error:
        # ZoneInfoNotFoundError is a KeyError with a text that says less.
        raise UsageError(_unknown_zone(name)) from error
    except KeyError:
        raise UsageError(_unknown_zone(name)) from None


def latest_due_times(times: DueTimes, *, since: float, until: float, most: int) -> list[float]:
    """Return the due times from `since` to `until`, both included; of many, the last `most`, without a walk over all.

    Args:
        times: of the schedule.
        since: whole unix seconds.
        until: unix seconds.
        most: how many at most.
    """
    window_s = _FIRST_WINDOW_S
    while True:
        is_whole = until - window_s <= since
        start = since - 1.0 if is_whole else until - window_s
        found = deque(_walk(times, start, until), maxlen=most)
        if is_whole or len(found) == most:
            return list(found)
        window_s *= 4


def _walk(times: DueTimes, start: float, until: float) -> Iterator[float]:
    due_at = times.next_after(start)
    while due_at is not None and due_at <= until:
        yield due_at
        due_at = times.next_after(due_at)


def _wall(shown_s: float) -> datetime:
    """Return a wall time, without a zone, from the seconds its clock has counted."""
    return datetime(1970, 1, 1) + timedelta(seconds=math.floor(shown_s))  # noqa: DTZ001 - no zone is meant


def _unknown_zone(name: str) -> str:
    return f"a time zone must be one of the tz database, such as Europe/Berlin, got {name[:75]!r}"
