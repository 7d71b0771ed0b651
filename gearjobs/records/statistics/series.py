"""What jobs did over time, for charts and tables: rows of figures put together, of all servers.

Nothing here looks at the job table. One query each, over rows that are few: those of one function, or of all functions
together, or sums that the database makes. What ran in the foreground is in it as well.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import Min, QuerySet, Sum

from gearjobs.models import ALL_FUNCTIONS, HOUR_S, MINUTE_S, FunctionRollup
from gearjobs.protocol.wire_text import to_bytes
from gearjobs.records.rows.function_keys import function_key
from gearjobs.records.statistics.percentiles import Histogram
from gearjobs.settings import gearjobs_settings

#: The columns that are counts.
COUNTS: Final = ("enqueued", "succeeded", "failed", "cancelled", "retried", "lost")
#: Functions that totals are given of at most: those that did most.
FUNCTIONS_SHOWN: Final = 1_000
#: Points of a series at most.
POINTS_LIMIT: Final = 2_000


@dataclass(slots=True)
class SeriesPoint:
    """One step of a series."""

    #: Unix seconds.
    starts_s: int
    enqueued: int = 0
    succeeded: int = 0
    #: Ended in any other way but cancelled.
    failed: int = 0
    cancelled: int = 0
    retried: int = 0
    #: Runs that were cut short.
    lost: int = 0
    runs: Histogram = field(default_factory=Histogram)
    waits: Histogram = field(default_factory=Histogram)


@dataclass(slots=True)
class FunctionTotals:
    """One function within a stretch of time."""

    function: str
    enqueued: int
    succeeded: int
    failed: int
    cancelled: int
    retried: int
    lost: int
    #: Seconds of all runs, and of all waits.
    run_s: float
    wait_s: float


def series(
    function: str | None = None,
    *,
    span_s: int = HOUR_S,
    step_s: int = MINUTE_S,
    now: float | None = None,
    using: str | None = None,
) -> list[SeriesPoint]:
    """Return what happened, step by step up to now; steps in which nothing did are there, too.

    Args:
        function: as in a job's row; None for all functions together.
        span_s: how far back, in seconds.
        step_s: the length of a step in seconds: whole minutes, or whole hours for what is older than two days.
        now: unix seconds; the present when not given.
        using: alias of the database, where it is not that of the settings.

    Raises:
        ValueError: the step is no whole minute, or there were more than POINTS_LIMIT steps.
    """
    if step_s < MINUTE_S or step_s % MINUTE_S or not 0 < span_s <= step_s * POINTS_LIMIT:
        raise ValueError(
            f"a step must be whole minutes and a span at most {POINTS_LIMIT} of them, got {step_s} s and {span_s} s"
        )
    now = time.time() if now is None else now
    last = int(now // step_s) * step_s
    # A span that is no multiple of the step begins with the step that it begins in.
    steps = -(-span_s // step_s)
    points = {start: SeriesPoint(start) for start in range(last - (steps - 1) * step_s, last + step_s, step_s)}
    key = ALL_FUNCTIONS if function is None else function_key(to_bytes(function))
    rows = _rows(using).filter(function_key=key, width_s__in=(MINUTE_S, HOUR_S), starts_s__gte=min(points))
    for row in rows.values_list("starts_s", *COUNTS, "run_counts", "run_s", "wait_counts", "wait_s").iterator():
        point = points.get(row[0] // step_s * step_s)
        if point is not None:
            _add(point, row)
    return list(points.values())


def summary(points: Iterable[SeriesPoint]) -> SeriesPoint:
    """Return the steps of a series as one."""
    whole: SeriesPoint | None = None
    for point in points:
        whole = whole or SeriesPoint(point.starts_s)
        for name in COUNTS:
            setattr(whole, name, getattr(whole, name) + getattr(point, name))
        whole.runs.add(point.runs.counts, point.runs.total_s)
        whole.waits.add(point.waits.counts, point.waits.total_s)
    return whole or SeriesPoint(0)


def totals(*, span_s: int = HOUR_S, now: float | None = None, using: str | None = None) -> list[FunctionTotals]:
    """Return what each function's jobs did lately, those that were enqueued most first: at most FUNCTIONS_SHOWN."""
    now = time.time() if now is None else now
    widths = (MINUTE_S,) if span_s <= 2 * 24 * HOUR_S else (MINUTE_S, HOUR_S)
    rows = _rows(using).filter(width_s__in=widths, starts_s__gt=now - span_s - MINUTE_S).exclude(function_key="")
    sums = {name: Sum(name) for name in (*COUNTS, "run_s", "wait_s")}
    found: Any = rows.values("function_key").annotate(name=Min("function"), **sums)
    return [
        FunctionTotals(row["name"], *(row[name] for name in (*COUNTS, "run_s", "wait_s")))
        for row in found.order_by("-enqueued", "name")[:FUNCTIONS_SHOWN]
    ]


def sparklines(
    functions: Sequence[str],
    *,
    span_s: int = HOUR_S,
    step_s: int = MINUTE_S,
    now: float | None = None,
    using: str | None = None,
) -> dict[str, list[int]]:
    """Return how many jobs of each of these functions ended in each step up to now, in one query.

    Args:
        functions: as in a job's row: those of one page.
        span_s: how far back, in seconds.
        step_s: the length of a step in seconds: whole minutes.
        now: unix seconds; the present when not given.
        using: alias of the database, where it is not that of the settings.
    """
    now = time.time() if now is None else now
    first = int(now // step_s) * step_s - span_s + step_s
    lines = {function: [0] * (span_s // step_s) for function in functions}
    by_key = {function_key(to_bytes(function)): line for function, line in lines.items()}
    rows = _rows(using).filter(width_s=MINUTE_S, function_key__in=list(by_key), starts_s__gte=first)
    for key, starts_s, *ended in rows.values_list("function_key", "starts_s", "succeeded", "failed", "cancelled"):
        place = (starts_s - first) // step_s
        if place < len(by_key[key]):
            by_key[key][place] += sum(ended)
    return lines


def _rows(using: str | None) -> QuerySet[FunctionRollup]:
    return FunctionRollup.objects.using(using or gearjobs_settings().database)


def _add(point: SeriesPoint, row: Sequence[object]) -> None:
    _, *counts, run_counts, run_s, wait_counts, wait_s = row
    for name, count in zip(COUNTS, counts, strict=True):
        setattr(point, name, getattr(point, name) + count)
    point.runs.add(run_counts, run_s)  # type: ignore[arg-type]  # a row of values has no types
    point.waits.add(wait_counts, wait_s)  # type: ignore[arg-type]  # likewise
