"""Charts and durations: what is drawn of numbers, and what it says to who does not see it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from gearjobs.admin.activity_charts import activity_charts, histogram_chart, seconds_text
from gearjobs.admin.charts import Chart, Column, Line, draw, nice_top, short_number, sparkline
from gearjobs.admin.job_cells import duration_text
from gearjobs.records.statistics.percentiles import Histogram
from gearjobs.records.statistics.series import SeriesPoint


def rects(svg: str, kind: str) -> list[dict[str, float]]:
    """Return the numbers of the bars of a class."""
    found = re.findall(rf'<rect class="gearjobs-{kind}" ([^>]*)/>', svg)
    return [{name: float(value) for name, value in re.findall(r'(\w+)="([^"]*)"', one)} for one in found]


def test_parts_of_a_bar_stand_on_each_other():
    svg = draw(Chart(columns=[Column(parts=(("failed", 30), ("done", 70)))]))

    (failed,), (done,) = rects(svg, "failed"), rects(svg, "done")
    assert done["y"] + done["height"] == pytest.approx(failed["y"], abs=0.2)
    assert done["height"] / failed["height"] == pytest.approx(70 / 30, rel=0.01)


def test_what_is_not_nothing_is_seen():
    svg = draw(Chart(columns=[Column(parts=(("failed", 1), ("done", 100_000)))]))

    assert rects(svg, "failed")[0]["height"] >= 1


def test_line_has_a_gap_where_nothing_is_known():
    columns = [Column() for _ in range(5)]
    svg = draw(Chart(columns=columns, lines=[Line(kind="line-slow", values=[1.0, 2.0, None, None, 3.0])]))

    points = re.findall(r'<polyline class="gearjobs-line-slow" points="([^"]*)"', svg)
    assert [len(one.split()) for one in points] == [2, 2]


def test_chart_of_nothing_is_an_empty_frame():
    svg = draw(Chart(columns=[]))

    assert "<polyline" not in svg
    assert svg.count("gearjobs-grid") == 3


def test_texts_of_a_chart_are_escaped():
    svg = draw(Chart(columns=[Column(parts=(("done", 1),), title="<b>", url="/?a=1&b=<")], sentence="<i>", unit="<u>"))

    assert not re.search(r"<[biu]>", svg)
    assert 'href="/?a=1&amp;b=&lt;"' in svg


@pytest.mark.parametrize(
    ("highest", "top"), [(0, 1), (0.3, 0.5), (1, 1), (1.1, 2), (4, 5), (5, 5), (6, 10), (10, 10), (2001, 5000)]
)
def test_axis_ends_at_a_round_number(highest, top):
    assert nice_top(highest) == pytest.approx(top)


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0"), (0.05, "0.05"), (2.5, "2.5"), (500, "500"), (5_000, "5,000"), (10_000, "10 k"), (2_500_000, "2.5 M")],
)
def test_numbers_of_an_axis_are_short(value, words):
    assert short_number(value) == words


def test_sparkline_tells_its_sentence_and_draws_what_is_there():
    svg = sparkline([0, 3, 0, 6], "9 ended")

    assert svg.count("M") == 2
    assert '<span class="visually-hidden">9 ended</span>' in svg


@pytest.mark.parametrize("values", [[], [0, 0]])
def test_sparkline_of_nothing_is_flat(values):
    svg = sparkline(values, "0 ended")

    assert "<svg" not in svg
    assert "0 ended" in svg


def test_bar_leads_to_the_jobs_that_ended_then(settings):
    settings.TIME_ZONE = "UTC"
    points = [
        SeriesPoint(start, succeeded=1, failed=start // 60 % 2) for start in range(1_200_000_000, 1_200_000_180, 60)
    ]

    charts = activity_charts("Hour", points, every=15, function="resize")

    links = re.findall(r'href="([^"]*)"', charts.jobs)
    assert len(links) == 3
    assert "function=resize" in links[0]
    assert "finished_after=2008-01-10T21%3A20%3A00Z&amp;finished_before=2008-01-10T21%3A21%3A00Z" in links[0]
    assert ["status=" in link for link in links] == [point.failed > 0 for point in points]


def test_histogram_shows_the_buckets_that_are_used():
    svg = histogram_chart(Histogram([0] * 9 + [4, 8] + [0] * 8), "Runs")

    assert len(rects(svg, "done")) == 2
    assert "≤1 s: 4" in svg
    assert "≤30 s" not in svg or "≤1 ms" not in svg


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0025, "2.5 ms"),
        (0.25, "250 ms"),
        (0.9999, "1 s"),
        (2.34, "2.3 s"),
        (59.96, "60 s"),
        (150, "2.5 min"),
        (5_000, "83 min"),
        (9_000, "2.5 h"),
        (1e6, "12 d"),
    ],
)
def test_short_durations_are_told_in_one_unit(seconds, words):
    assert seconds_text(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0123, "12 ms"),
        (2.345, "2.3 s"),
        (59.96, "59.9 s"),
        (75, "1 min 15 s"),
        (7_300, "2 h 1 min"),
        (200_000, "2 d 7 h"),
        (-1, "0 ms"),
    ],
)
def test_durations_are_told_in_two_units(seconds, words):
    assert duration_text(timedelta(seconds=seconds)) == words
