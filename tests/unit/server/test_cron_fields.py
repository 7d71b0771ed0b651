"""When SUBMIT_JOB_SCHED's fields let a job run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from gearjobs.errors import WireError
from gearjobs.server.cron_fields import scheduled_time


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process in a zone with summer time."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


pytestmark = pytest.mark.usefixtures("zone")

# A Wednesday.
NOW = "2026-05-20T10:30:15+02:00"


def next_time(fields: str, *, now: str = NOW) -> str:
    due_at = scheduled_time(
        [field.encode() for field in fields.split(" ")], now=datetime.fromisoformat(now).timestamp()
    )
    return datetime.fromtimestamp(due_at).astimezone().isoformat(timespec="minutes")


@pytest.mark.parametrize(
    ("fields", "due"),
    [
        ("* * * * *", "2026-05-20T10:31+02:00"),
        ("30 10 * * *", "2026-05-21T10:30+02:00"),
        ("0 12 * * *", "2026-05-20T12:00+02:00"),
        ("*/20 * * * *", "2026-05-20T10:40+02:00"),
        ("5,50-59 * * * *", "2026-05-20T10:50+02:00"),
        ("0 0 1 1 *", "2027-01-01T00:00+01:00"),
        ("0 0 29 2 *", "2028-02-29T00:00+01:00"),
        ("0 0 * jan *", "2027-01-01T00:00+01:00"),
    ],
)
def test_next_matching_minute_of_the_servers_clock(fields, due):
    assert next_time(fields) == due


@pytest.mark.parametrize("fields", [" 12   ", "-1 12 -1 -1 -1"])
def test_empty_field_and_minus_one_mean_any(fields):
    assert next_time(fields) == "2026-05-20T12:00+02:00"


@pytest.mark.parametrize(
    ("weekday", "date"),
    [
        ("0", "2026-05-25"),
        ("6", "2026-05-24"),
        ("2", "2026-05-27"),
        ("5-6", "2026-05-23"),
        ("0,3", "2026-05-21"),
        ("*/2", "2026-05-22"),
        ("3/3", "2026-05-21"),
        ("1-5/2", "2026-05-21"),
        ("SUN", "2026-05-24"),
        ("mon-fri", "2026-05-21"),
        ("FRI,0", "2026-05-22"),
    ],
)
def test_days_of_the_week_count_from_monday(weekday, date):
    assert next_time(f"0 8 * * {weekday}") == f"{date}T08:00+02:00"


def test_minute_that_the_clock_skips_in_spring_comes_after_the_gap():
    assert next_time("30 2 * * *", now="2026-03-29T01:00:00+01:00") == "2026-03-29T03:30+02:00"


def test_minute_that_the_clock_shows_twice_in_autumn_is_the_one_still_to_come():
    assert next_time("30 2 * * *", now="2026-10-25T01:00:00+02:00") == "2026-10-25T02:30+02:00"
    assert next_time("45 * * * *", now="2026-10-25T02:40:00+01:00") == "2026-10-25T02:45+01:00"


@pytest.mark.parametrize(
    "fields",
    [
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 7",
        "* * * * 5-2",
        "* * * * 0/0",
        "*/0 * * * *",
        "0 0 30 2 *",
        "0 0 31 4,6 *",
        "x * * * *",
        "* * L * *",
        "* * * * 5L",
        "* * * * 0#2",
        "1,,2 * * * *",
        "jan * * * *",
        "-2 * * * *",
        "100 * * * *",
        "* * * * monday",
        "\xe9 * * * *",
        ",".join(["1"] * 61) + " * * * *",
    ],
)
def test_what_is_no_crontab_is_refused(fields):
    with pytest.raises(WireError, match=r"INVALID_PACKET: SUBMIT_JOB_SCHED must give a crontab's five fields .*, got"):
        next_time(fields)
