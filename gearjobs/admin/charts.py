"""Charts as SVG that the server draws: bars that stand on each other, lines, sparklines.

No script makes them, and nothing in them has a style: the classes are in `static/gearjobs/screens.css`, so that dark
mode and any Content-Security-Policy hold. The picture is hidden from screen readers, which are told its sentence
instead. Time runs from left to right in every language.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from django.utils.formats import number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

#: Units of the drawing: its width and height, and what its labels need at the left, above and below.
_WIDTH: Final = 560
_HEIGHT: Final = 150
_LEFT: Final = 46
_TOP: Final = 8
_BOTTOM: Final = 20
_PLOT_WIDTH: Final = _WIDTH - _LEFT - 4
_PLOT_HEIGHT: Final = _HEIGHT - _TOP - _BOTTOM
#: Units of a sparkline.
_SPARK_WIDTH: Final = 120
_SPARK_HEIGHT: Final = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One step of a chart."""

    #: Class and height of each part of the bar, from below.
    parts: tuple[tuple[str, float], ...] = ()
    #: What the mouse is told.
    title: str = ""
    #: Where a click leads; empty for nowhere.
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line over the columns; it has a gap where there is no value."""

    kind: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What is drawn."""

    columns: Sequence[Column]
    lines: Sequence[Line] = ()
    #: Text below a column, by its place.
    labels: dict[int, str] = field(default_factory=dict)
    #: The sentence for who does not see it.
    sentence: str = ""
    #: What stands behind the numbers at the left.
    unit: str = ""


def draw(chart: Chart) -> SafeString:
    """Return the chart's picture and its sentence."""
    top = nice_top(_highest(chart))
    step = _PLOT_WIDTH / max(1, len(chart.columns))
    return format_html(
        '<div class="gearjobs-chart" dir="ltr"><svg viewBox="0 0 {} {}" aria-hidden="true" focusable="false">'
        '{}{}{}{}</svg><span class="visually-hidden">{}</span></div>',
        _WIDTH,
        _HEIGHT,
        _grid(top, chart.unit),
        format_html_join(
            "", "{}", ((_bar(one, place, step=step, top=top),) for place, one in enumerate(chart.columns))
        ),
        format_html_join("", "{}", ((_line(line, step, top),) for line in chart.lines)),
        _labels(chart.labels, step),
        chart.sentence,
    )


def sparkline(values: Sequence[float], label: str = "") -> SafeString:
    """Return a small picture of numbers, one after the other; nothing where all are zero.

    Args:
        values: not below zero.
        label: the sentence for who does not see it, and for the mouse.
    """
    highest = max(values, default=0)
    if not highest:
        return format_html(
            '<span class="gearjobs-sparkline gearjobs-flat"><span class="visually-hidden">{}</span></span>', label
        )
    width = _SPARK_WIDTH / len(values)
    # One path for all bars: a list has hundreds of pictures.
    bars = "".join(
        f"M{_n(place * width)} {_SPARK_HEIGHT}v-{_n(height)}h{_n(width * 0.8)}v{_n(height)}z"
        for place, value in enumerate(values)
        # What is not nothing is to be seen.
        if value and (height := max(1.5, _SPARK_HEIGHT * value / highest))
    )
    return format_html(
        '<span class="gearjobs-sparkline" dir="ltr" title="{0}"><svg viewBox="0 0 {1} {2}" aria-hidden="true" '
        'focusable="false"><path d="{3}"/></svg><span class="visually-hidden">{0}</span></span>',
        label,
        _SPARK_WIDTH,
        _SPARK_HEIGHT,
        bars,
    )


def nice_top(highest: float) -> float:
    """Return the upper end of an axis: 1, 2 or 5 times a power of ten, not below what is shown."""
    if highest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    return next((factor * power for factor in (1, 2, 5) if factor * power >= highest * (1 - 1e-9)), 10 * power)


def short_number(value: float) -> str:
    """Return a number short enough for an axis."""
    for size, suffix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= (10 * size if size == 1e3 else size):
            return number_format(value / size, 0 if value % size == 0 else 1) + suffix
    if value >= 1 or not value:
        return number_format(value, 0 if value == int(value) else 1, force_grouping=True)
    return f"{value:.2g}"


def _highest(chart: Chart) -> float:
    bars = [sum(height for _, height in column.parts) for column in chart.columns]
    points = [value for line in chart.lines for value in line.values if value is not None]
    return max([*bars, *points], default=0.0)


def _grid(top: float, unit: str) -> SafeString:
    heights = [(share, share * top) for share in (0.0, 0.5, 1.0)]
    return format_html_join(
        "",
        '<line class="gearjobs-grid" x1="{0}" x2="{1}" y1="{2}" y2="{2}"/>'
        '<text class="gearjobs-tick" x="{3}" y="{4}" text-anchor="end">{5}</text>',
        (
            (_LEFT, _WIDTH - 4, _n(_y(share)), _LEFT - 5, _n(_y(share) + 3.5), short_number(value) + unit)
            for share, value in heights
        ),
    )


def _bar(column: Column, place: int, *, step: float, top: float) -> SafeString:
    x, below = _LEFT + place * step, 0.0
    rects: list[tuple[str, str, str, str, str]] = []
    for kind, height in column.parts:
        if height:
            share = max(height / top, 1.5 / _PLOT_HEIGHT)
            y = _y(below + share)
            rects.append((kind, _n(x + step * 0.1), _n(y), _n(step * 0.8), _n(_PLOT_HEIGHT * share)))
            below += share
    bars = format_html_join("", '<rect class="gearjobs-{}" x="{}" y="{}" width="{}" height="{}"/>', rects)
    # The whole height can be pointed at, not only a bar of two units.
    ground = format_html(
        '<rect class="gearjobs-ground" x="{}" y="{}" width="{}" height="{}"/>', _n(x), _TOP, _n(step), _PLOT_HEIGHT
    )
    title = format_html("<title>{}</title>", column.title) if column.title else ""
    if column.url and rects:
        return format_html('<a href="{}" tabindex="-1">{}{}{}</a>', column.url, title, ground, bars)
    return format_html("<g>{}{}{}</g>", title, ground, bars)


def _line(line: Line, step: float, top: float) -> SafeString:
    runs: list[list[str]] = [[]]
    for place, value in enumerate(line.values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(f"{_n(_LEFT + (place + 0.5) * step)},{_n(_y(value / top))}")
    # A value between two gaps is a point, for a line of one point is not drawn.
    return format_html_join(
        "",
        '<polyline class="gearjobs-{}" points="{}"/>',
        ((line.kind, " ".join(points if len(points) > 1 else points * 2)) for points in runs if points),
    )


def _labels(labels: dict[int, str], step: float) -> SafeString:
    return format_html_join(
        "",
        '<text class="gearjobs-tick" x="{}" y="{}" text-anchor="middle">{}</text>',
        ((_n(_LEFT + (place + 0.5) * step), _HEIGHT - 5, text) for place, text in labels.items()),
    )


def _y(share: float) -> float:
    return _TOP + _PLOT_HEIGHT * (1 - min(1.0, share))


def _n(value: float) -> str:
    # Never by the language: SVG reads points.
    return f"{value:.1f}".removesuffix(".0")
