"""Removing what operators look at when its time is over, and making hours of old minutes.

Each step is one short transaction over few rows, the oldest first, as in `retention`; who takes steps when is
`pruning`'s business. Several servers may do it at once: minutes become hours only in the hands of whoever deletes them.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import models, transaction
from django.utils import timezone

from gearjobs.models import (
    HOUR_S,
    MINUTE_S,
    BulkOperation,
    FailureGroup,
    FunctionRollup,
    IdempotentRequest,
    OperatorAction,
)
from gearjobs.records.statistics.rollup_writer import COUNTED, upsert
from gearjobs.settings import GearjobsSettings, gearjobs_settings

#: Seconds that rows by the minute stay: two days.
MINUTES_KEPT_S: Final = 2 * 24 * HOUR_S
#: Days that operations stay that were carried out.
OPERATIONS_DAYS: Final = 30.0
#: Rows read, or removed, at once.
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class _Age:
    """Rows of one table that go when they are old."""

    model: type[models.Model]
    #: The column that says how old a row is.
    column: str
    kept: Callable[[GearjobsSettings], datetime.timedelta | None]


def _days(days: float) -> datetime.timedelta | None:
    return datetime.timedelta(days=days) if days else None


_AGES: Final = (
    _Age(FailureGroup, "last_seen_at", lambda settings: _days(settings.results.groups_days)),
    _Age(OperatorAction, "at", lambda settings: _days(settings.results.audit_days)),
    _Age(BulkOperation, "asked_at", lambda settings: _days(OPERATIONS_DAYS)),
    _Age(IdempotentRequest, "at", lambda settings: datetime.timedelta(hours=settings.api.idempotency_h)),
)


class FigureSweep:
    """Goes once through what is old.

    Args:
        using: alias of the database, where it is not that of the settings.
        now: unix seconds; the present when not given.
    """

    def __init__(self, *, using: str | None = None, now: float | None = None) -> None:
        settings = gearjobs_settings()
        self._alias = using or settings.database
        now_s = time.time() if now is None else now
        whole_hours_s = int((now_s - MINUTES_KEPT_S) // HOUR_S) * HOUR_S
        last_hour_s = int(now_s - settings.results.figures_days * 24 * HOUR_S)
        self._steps: list[Callable[[], bool]] = [
            lambda: _merge_minutes(self._alias, before_s=whole_hours_s),
            lambda: _delete_hours(self._alias, before_s=last_hour_s),
        ]
        moment = timezone.now()
        for age in _AGES:
            kept = age.kept(settings)
            if kept is not None:
                self._steps.append(_deletion(self._alias, age, moment - kept))

    @property
    def is_over(self) -> bool:
        """Whether everything was looked at."""
        return not self._steps

    def step(self) -> None:
        """Do the next bit."""
        if self._steps and not self._steps[0]():
            del self._steps[0]


def _deletion(alias: str, age: _Age, before: datetime.datetime) -> Callable[[], bool]:
    def delete() -> bool:
        old = age.model._default_manager.using(alias).filter(**{f"{age.column}__lt": before}).order_by(age.column)
        keys = list(old.values_list("pk", flat=True)[:_AT_ONCE])
        age.model._default_manager.using(alias).filter(pk__in=keys).delete()
        return len(keys) == _AT_ONCE

    return delete


def _delete_hours(alias: str, *, before_s: int) -> bool:
    old = FunctionRollup.objects.using(alias).filter(width_s=HOUR_S, starts_s__lt=before_s)
    keys = list(old.order_by("starts_s").values_list("pk", flat=True)[:_AT_ONCE])
    FunctionRollup.objects.using(alias).filter(pk__in=keys).delete()
    return len(keys) == _AT_ONCE


def _merge_minutes(alias: str, *, before_s: int) -> bool:
    """Make hours of some old minutes; return whether there may be more."""
    rows = FunctionRollup.objects.using(alias)
    minutes = list(rows.filter(width_s=MINUTE_S, starts_s__lt=before_s).order_by("starts_s")[:_AT_ONCE])
    if not minutes:
        return False
    with transaction.atomic(using=alias):
        # The deletion first: of two who are at it one finds less than it read, and SQLite lets nobody write who read.
        deleted, _ = rows.filter(pk__in=[minute.pk for minute in minutes]).delete()
        if deleted != len(minutes):
            transaction.set_rollback(True, using=alias)
            return False
        upsert(_hours(alias, minutes), using=alias)
    return len(minutes) == _AT_ONCE


def _hours(alias: str, minutes: Sequence[FunctionRollup]) -> list[FunctionRollup]:
    """Return the hours of these minutes, with what they have already."""
    hours: dict[tuple[int, str], FunctionRollup] = {}
    known = FunctionRollup.objects.using(alias).filter(
        width_s=HOUR_S,
        starts_s__in={_hour(minute) for minute in minutes},
        function_key__in={minute.function_key for minute in minutes},
        server="",
    )
    for hour in known:
        hours[hour.starts_s, hour.function_key] = hour
    for minute in minutes:
        key = (_hour(minute), minute.function_key)
        if key not in hours:
            hours[key] = FunctionRollup(
                starts_s=key[0], width_s=HOUR_S, function_key=key[1], function=minute.function, server=""
            )
        _add(hours[key], minute)
    wanted = {(_hour(minute), minute.function_key) for minute in minutes}
    # With a key of its own each is inserted, or written in the place of the one that is there.
    return [_without_key(hour) for key, hour in hours.items() if key in wanted]


def _without_key(hour: FunctionRollup) -> FunctionRollup:
    hour.pk = None
    return hour


def _hour(minute: FunctionRollup) -> int:
    return minute.starts_s // HOUR_S * HOUR_S


def _add(hour: FunctionRollup, minute: FunctionRollup) -> None:
    for name in COUNTED:
        mine, more = getattr(hour, name), getattr(minute, name)
        setattr(hour, name, _longer(mine, more) if isinstance(mine, list) else mine + more)


def _longer(mine: list[Any], more: list[Any]) -> list[Any]:
    length = max(len(mine), len(more))
    filled = [*mine, *[0] * (length - len(mine))], [*more, *[0] * (length - len(more))]
    return [one + other for one, other in zip(*filled, strict=True)]
