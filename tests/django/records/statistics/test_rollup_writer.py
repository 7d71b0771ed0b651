"""Rows of figures: written whole, again and again, and put together for whoever asks."""

from __future__ import annotations

import pytest
from django.db import DatabaseError

from gearjobs.core.changes import Outcome
from gearjobs.core.jobs import FunctionName
from gearjobs.core.tallies import JobTallies
from gearjobs.models import FunctionRollup
from gearjobs.records.statistics import rollup_writer
from gearjobs.records.statistics.rollup_writer import RollupWriter, make_rollup_writer
from gearjobs.records.statistics.series import series, sparklines, summary, totals
from tests.support.core_builders import make_job, make_running
from tests.support.eventually import eventually

pytestmark = pytest.mark.django_db

NOON_S = 1_700_000_040

MINUTE = 1_800_000_000
RESIZE, CROP = FunctionName(b"resize"), FunctionName(b"Resize")


class Clock:
    now = float(MINUTE)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def writer(clock):
    return RollupWriter("server-1", JobTallies(), clock=clock)


def run(writer, function=RESIZE, outcome=Outcome.SUCCEEDED, took_s=0.2):
    job = make_running()
    job.function = function
    writer.tallies.job_submitted(job)
    writer.tallies.job_ended(job, outcome, job.started_at + took_s)


def test_minute_is_written_once_however_often(writer, clock):
    run(writer)
    writer.write()
    run(writer, outcome=Outcome.FAILED)
    clock.now += 5
    writer.write()

    row = FunctionRollup.objects.get(function="resize")
    assert (row.starts_s, row.width_s, row.server) == (MINUTE, 60, "server-1")
    assert (row.enqueued, row.succeeded, row.failed, sum(row.run_counts)) == (2, 1, 1, 2)
    assert row.run_s == pytest.approx(0.4)


def test_functions_are_told_apart_as_the_wire_does(writer, clock):
    run(writer, RESIZE)
    run(writer, CROP)
    writer.write()

    found = {total.function: total.enqueued for total in totals(now=clock.now)}
    assert found == {"resize": 1, "Resize": 1}


def test_rows_that_the_database_refused_are_written_by_the_next_call(writer, clock, monkeypatch):
    run(writer)

    def refuse(*args, **options):
        raise DatabaseError("no")

    with monkeypatch.context() as patched:
        patched.setattr(rollup_writer, "upsert", refuse)
        with pytest.raises(DatabaseError):
            writer.write()
    clock.now += 120
    writer.write()

    assert FunctionRollup.objects.get(function="resize").starts_s == MINUTE


def test_rows_that_wait_for_the_database_are_bounded(writer, clock, monkeypatch):
    monkeypatch.setattr(rollup_writer, "PENDING_LIMIT", 2)
    run(writer, RESIZE)
    run(writer, CROP)

    assert writer.write() == 2


def test_series_has_every_step_and_all_servers(writer, clock):
    other = RollupWriter("server-2", JobTallies(), clock=clock)
    for one in (writer, other):
        run(one)
        one.write()
    clock.now += 120

    points = series(span_s=180, now=clock.now)
    assert [(point.starts_s - MINUTE, point.succeeded) for point in points] == [(0, 2), (60, 0), (120, 0)]
    assert points[0].runs.percentile_s(0.95) == pytest.approx(0.2425)


def test_series_of_a_function_and_its_sum(writer, clock):
    run(writer)
    run(writer, CROP)
    writer.write()

    whole = summary(series("resize", span_s=3600, step_s=600, now=clock.now))
    assert (whole.enqueued, whole.succeeded) == (1, 1)
    assert whole.runs.mean_s == pytest.approx(0.2)
    assert summary([]).enqueued == 0


@pytest.mark.parametrize(("span_s", "step_s"), [(3600, 90), (3600, 0), (0, 60), (60 * 60 * 24 * 30, 60)])
def test_series_of_other_steps_is_refused(span_s, step_s):
    with pytest.raises(ValueError, match="whole minutes"):
        series(span_s=span_s, step_s=step_s)


@pytest.mark.parametrize(("span_s", "step_s", "steps"), [(90, 60, 2), (3600, 420, 9), (60, 86_400, 1)])
def test_span_that_is_no_multiple_of_the_step_loses_nothing(span_s, step_s, steps):
    # Its steps began beside the minutes, and nothing was in them.
    FunctionRollup.objects.create(starts_s=NOON_S - NOON_S % step_s, enqueued=3)

    points = series(span_s=span_s, step_s=step_s, now=NOON_S + 30.0)

    assert (len(points), points[-1].enqueued) == (steps, 3)


def test_sparklines_of_a_page_are_one_query(writer, clock, django_assert_num_queries):
    run(writer)
    writer.write()
    clock.now += 60

    with django_assert_num_queries(1):
        lines = sparklines(["resize", "nothing"], span_s=180, now=clock.now)
    assert lines == {"resize": [0, 1, 0], "nothing": [0, 0, 0]}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("error", "words"), [(DatabaseError("no room"), "cannot write figures"), (ZeroDivisionError(), "stumble while")]
)
def test_trouble_is_logged_and_the_next_write_has_everything(monkeypatch, caplog, error, words):
    monkeypatch.setattr(rollup_writer, "EVERY_S", 0.01)
    troubles = iter([error])
    whole = rollup_writer.upsert

    def stumble_once(rows, *, using):
        for trouble in troubles:
            raise trouble
        whole(rows, using=using)

    monkeypatch.setattr(rollup_writer, "upsert", stumble_once)
    made = RollupWriter("server-4", JobTallies())
    made.tallies.job_submitted(make_job())

    made.start()
    try:
        eventually(FunctionRollup.objects.filter(server="server-4").exists, 10.0, "the second write")
    finally:
        made.stop()
    assert words in caplog.text


def test_stop_without_a_start_is_nothing(writer):
    writer.stop()


def test_server_without_the_job_table_writes_nothing():
    assert (make_rollup_writer("builtin"), make_rollup_writer("Database") is None) == (None, False)


@pytest.mark.django_db(transaction=True)
def test_last_figures_are_written_at_the_end():
    made = RollupWriter("server-3", JobTallies())
    made.start()
    made.tallies.job_submitted(make_job(function=RESIZE))

    made.stop()

    rows = FunctionRollup.objects.filter(server="server-3", enqueued=1)
    eventually(lambda: rows.count() == 2, 5.0, "the last figures")
