"""The charts of what jobs did: how many ended and came in an hour or a day, how long they ran and waited.

Made of the points of a series (`records/statistics/series`). A click on a bar leads to the jobs that ended then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from gearjobs.admin.charts import Chart, Column, Line, draw
from gearjobs.admin.screen_links import FAILED_WORDS, jobs_link
from gearjobs.core.tallies import BUCKET_ENDS_S
from gearjobs.records.statistics.percentiles import Histogram
from gearjobs.records.statistics.series import SeriesPoint, summary

#: The two views: how far back, the length of a step, and steps between two labels.
HOUR: Final = (3_600, 60, 15)
DAY: Final = (86_400, 600, 24)
#: Units of a duration: in seconds, and up to which duration each is used.
_UNITS: Final = ((0.001, 0.9995, "ms"), (1.0, 119.5, "s"), (60.0, 7_170.0, "min"), (3_600.0, 172_000.0, "h"))


@dataclass(frozen=True, slots=True)
class ActivityCharts:
    """A stretch of time in two pictures."""

    heading: str
    jobs: SafeString
    durations: SafeString
    whole: SeriesPoint


def activity_charts(heading: str, points: Sequence[SeriesPoint], *, every: int, function: str = "") -> ActivityCharts:
    """Return the charts of a series.

    Args:
        heading: what stretch it is.
        points: at least two.
        every: steps between two labels.
        function: whose jobs a click leads to; empty for all.
    """
    step_s = points[1].starts_s - points[0].starts_s
    labels = {
        place: date_format(_local(point.starts_s), "H:i")
        for place, point in enumerate(points)
        if point.starts_s // step_s % every == 0 and 0 < place < len(points) - 1
    }
    whole = summary(points)
    jobs = Chart(
        columns=[_column(point, step_s, function) for point in points],
        lines=[Line(kind="line-enqueued", values=[point.enqueued for point in points])],
        labels=labels,
        sentence=_sentence(heading, whole),
    )
    slow = [point.runs.percentile_s(0.95) for point in points]
    slow_whole = whole.runs.percentile_s(0.95)
    durations = Chart(
        columns=[Column(title=_slow_title(point, seconds)) for point, seconds in zip(points, slow, strict=True)],
        lines=[Line(kind="line-slow", values=slow)],
        labels=labels,
        unit=" s",
        sentence=""
        if slow_whole is None
        else _("95 of 100 runs took at most %(time)s.") % {"time": seconds_text(slow_whole)},
    )
    return ActivityCharts(heading, draw(jobs), draw(durations), whole)


def histogram_chart(histogram: Histogram, sentence: str) -> SafeString:
    """Return how many runs, or waits, took how long; the buckets are the figures', each as wide as the next."""
    counts = histogram.counts
    last = max((place for place, count in enumerate(counts) if count), default=0)
    first = min((place for place, count in enumerate(counts) if count), default=0)
    shown = range(max(0, first - 1), min(len(counts), max(last, first + 6) + 2))
    columns = [Column(parts=(("done", counts[place]),), title=_bucket_title(place, counts[place])) for place in shown]
    # Every second one has room.
    labels = {place - shown.start: _bucket_label(place) for place in shown[::2]}
    return draw(Chart(columns=columns, labels=labels, sentence=sentence))


def seconds_text(seconds: float) -> str:
    """Return a short duration for people, rounded."""
    for size, limit, unit in _UNITS:
        if seconds < limit:
            number = round(seconds / size, 1)
            # One decimal where it tells something.
            is_exact = number < 10 and not number.is_integer()
            return f"{number_format(number, 1) if is_exact else round(number)} {unit}"
    return f"{number_format(round(seconds / 86_400), force_grouping=True)} d"


def _column(point: SeriesPoint, step_s: int, function: str) -> Column:
    title = _("%(time)s: %(done)s done, %(failed)s failed, %(enqueued)s enqueued") % {
        "time": date_format(_local(point.starts_s), "H:i"),
        "done": number_format(point.succeeded, force_grouping=True),
        "failed": number_format(point.failed, force_grouping=True),
        "enqueued": number_format(point.enqueued, force_grouping=True),
    }
    status = FAILED_WORDS if point.failed else ""
    url = jobs_link(
        status=status,
        function=function,
        finished_after=_iso(point.starts_s),
        finished_before=_iso(point.starts_s + step_s),
    )
    return Column(parts=(("failed", point.failed), ("done", point.succeeded)), title=title, url=url)


def _sentence(heading: str, whole: SeriesPoint) -> str:
    return _("%(heading)s: %(enqueued)s jobs enqueued, %(done)s done, %(failed)s failed.") % {
        "heading": heading,
        "enqueued": number_format(whole.enqueued, force_grouping=True),
        "done": number_format(whole.succeeded, force_grouping=True),
        "failed": number_format(whole.failed, force_grouping=True),
    }


def _slow_title(point: SeriesPoint, seconds: float | None) -> str:
    time = date_format(_local(point.starts_s), "H:i")
    return time if seconds is None else f"{time}: {seconds_text(seconds)}"


def _bucket_label(place: int) -> str:
    return f"≤{seconds_text(BUCKET_ENDS_S[place])}" if place < len(BUCKET_ENDS_S) else "∞"


def _bucket_title(place: int, count: int) -> str:
    return f"{_bucket_label(place)}: {number_format(count, force_grouping=True)}"


def _local(seconds: float) -> datetime:
    moment = datetime.fromtimestamp(seconds, UTC)
    return timezone.localtime(moment)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
