"""ScheduleSpec: when a task is to be called, with which arguments, as code says it.

What can be wrong is refused when the spec is made: a typing error in a crontab is no surprise of the first night. It
knows neither the table nor a task; `declarations` brings it together with a task, `saved_schedules` with a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, TypedDict

from django.conf import settings

from gearjobs.errors import UsageError
from gearjobs.tasks.payload import encode_call
from gearjobs.timetable.due_times import IntervalTimes, cron_fields, zone_of
from gearjobs.timetable.firing_plan import JITTER_LIMIT_S, CatchUp, Overlap

#: Longest key, in characters: what its column holds.
KEY_LIMIT: Final = 255

#: A crontab's five fields, or the time between two runs.
When = str | timedelta


class ScheduleWords(TypedDict, total=False):
    """What `@periodic` and `task.schedule()` take beside the time; each is a field of ScheduleSpec."""

    args: Sequence[Any]
    kwargs: Mapping[str, Any] | None
    tz: str
    overlap: str
    catch_up: str
    jitter: float | timedelta


@dataclass(frozen=True, slots=True)
class ScheduleSpec:
    """When a task is called, and how.

    Raises:
        UsageError: a value cannot be; the text says what was expected.
    """

    #: A crontab's five fields or one of its nicknames (`"0 3 * * *"`, `"@hourly"`), or the time between two runs.
    when: When
    #: Name of the schedule, unlike that of any other; by default the task's dotted path.
    key: str = field(default="", kw_only=True)
    #: Positional arguments of each call.
    args: Sequence[Any] = field(default=(), kw_only=True)
    #: Keyword arguments of each call.
    kwargs: Mapping[str, Any] | None = field(default=None, kw_only=True)
    #: Time zone whose wall clock a crontab means; by default TIME_ZONE.
    tz: str = field(default="", kw_only=True)
    #: What happens when the last run has not ended: "skip", "queue", "coalesce" or "replace".
    overlap: str = field(default=Overlap.SKIP.value, kw_only=True)
    #: What happens to runs that no job server was there for: "none", "last" or "all".
    catch_up: str = field(default=CatchUp.LAST.value, kw_only=True)
    #: Seconds, at most a day: each run starts within so long after its due time, always the same for one due time.
    jitter: float | timedelta = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        if isinstance(self.when, str):
            cron_fields(self.when)
            zone_of(self.time_zone)
        else:
            IntervalTimes(_whole_seconds(self.when, "an interval"), 0.0)
        if len(self.key) > KEY_LIMIT or not (self.key.isprintable() or not self.key):
            raise UsageError(
                f"a schedule's key must be at most {KEY_LIMIT} printable characters, got {self.key[:75]!r}"
            )
        _check_word(self.overlap, Overlap, "overlap")
        _check_word(self.catch_up, CatchUp, "catch_up")
        if not 0 <= self.jitter_s <= JITTER_LIMIT_S:
            raise UsageError(f"jitter must be 0 to {JITTER_LIMIT_S} seconds, got {self.jitter!r}")
        encode_call(self.args, self.kwargs or {})

    @property
    def cron(self) -> str:
        """The crontab's five fields; empty for an interval."""
        return cron_fields(self.when) if isinstance(self.when, str) else ""

    @property
    def interval_s(self) -> int | None:
        """Seconds between two due times; None for a crontab."""
        return None if isinstance(self.when, str) else _whole_seconds(self.when, "an interval")

    @property
    def jitter_s(self) -> int:
        """The jitter in whole seconds."""
        return _whole_seconds(self.jitter, "jitter")

    @property
    def time_zone(self) -> str:
        """Name of the time zone meant."""
        return self.tz or str(settings.TIME_ZONE)


def as_spec(given: When | ScheduleSpec) -> ScheduleSpec:
    """Return what `@gear_task(schedule=...)` was given as a spec.

    Raises:
        UsageError: it is neither a crontab, nor a timedelta, nor a spec, or one that cannot be.
    """
    if isinstance(given, ScheduleSpec):
        return given
    if isinstance(given, str | timedelta):
        return ScheduleSpec(given)
    raise UsageError(f"a schedule must be a cron expression, a timedelta or a ScheduleSpec, got {given!r}")


def _whole_seconds(given: float | timedelta, what: str) -> int:
    if isinstance(given, bool) or not isinstance(given, int | float | timedelta):
        raise UsageError(f"{what} must be seconds or a timedelta, got {given!r}")
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    if seconds != int(seconds):
        raise UsageError(f"{what} must be whole seconds, got {given!r}")
    return int(seconds)


def _check_word(word: str, words: type[StrEnum], what: str) -> None:
    if word not in set(words):
        raise UsageError(f"{what} must be one of {', '.join(words)}, got {word!r}")
