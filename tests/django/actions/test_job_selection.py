"""Which jobs a selection means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from gearjobs import UsageError
from gearjobs.actions.job_selection import JobSelection, handle_portions
from gearjobs.models import Job
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db


def selected(**words) -> list[str]:
    return [row.function for row in JobSelection(**words).rows()]


def make_some() -> None:
    make_job("waiting", function="a", task="shop.tasks.a", queue="default", unique="u1", enqueued_by="4")
    make_job("running", function="b", task="shop.tasks.b", queue="images")
    make_job("dead", function="c", task="shopping.tasks.c", queue="images", enqueued_by="4")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ({"functions": ("a", "c")}, ["a", "c"]),
        ({"tasks": ("shop.tasks.*",)}, ["a", "b"]),
        ({"tasks": ("shop.tasks.a", "shopping.*")}, ["a", "c"]),
        ({"queues": ("images",)}, ["b", "c"]),
        ({"statuses": ("ready", "dead")}, ["a", "c"]),
        ({"statuses": ("FAILED",)}, ["c"]),
        ({"statuses": ("running",)}, ["b"]),
        ({"unique": "u1"}, ["a"]),
        ({"enqueued_by": "4", "queues": ("images",)}, ["c"]),
        ({"enqueued_by": "9"}, []),
        ({"handles": ("H:none",)}, []),
    ],
)
def test_all_that_is_said_must_hold(words, found):
    make_some()

    assert selected(**words) == found


def test_times_are_from_and_up_to():
    now = timezone.now()
    for hours in (1, 2, 3):
        make_job(function=str(hours), enqueued_at=now - timedelta(hours=hours))

    assert selected(enqueued_after=now - timedelta(hours=2)) == ["2", "1"]
    assert selected(enqueued_before=now - timedelta(hours=2)) == ["3"]


def test_saying_nothing_selects_nothing():
    with pytest.raises(UsageError, match="at least one thing"):
        JobSelection().rows()


def test_unknown_status_is_refused():
    with pytest.raises(UsageError, match="got 'funny'"):
        JobSelection(statuses=("ready", "funny")).rows()


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_portions_name_each_job_once_oldest_first(at_once):
    moment = timezone.now()
    rows = [make_job(enqueued_at=moment - timedelta(seconds=number // 3)) for number in range(8)]
    expected = sorted((row.enqueued_at, row.handle) for row in rows)

    portions = list(handle_portions(Job.objects.order_by("enqueued_at", "handle"), at_once=at_once))

    assert [handle for portion in portions for handle in portion] == [handle for _, handle in expected]
    assert max(map(len, portions)) <= at_once


def test_portions_go_on_when_the_jobs_of_the_last_are_no_longer_selected():
    for _ in range(5):
        make_job(queue="images")

    seen = []
    for portion in handle_portions(JobSelection(queues=("images",)).rows(), at_once=2):
        Job.objects.filter(pk__in=portion).update(queue="other")
        seen += portion

    assert len(seen) == 5


def test_portions_end_at_a_limit():
    for _ in range(5):
        make_job()

    portions = handle_portions(Job.objects.order_by("enqueued_at", "handle"), limit=3, at_once=2)

    assert [len(portion) for portion in portions] == [2, 1]


def test_audit_is_told_what_was_said():
    selection = JobSelection(handles=("H:1",), queues=("images",), enqueued_after=datetime(2026, 11, 21, tzinfo=UTC))

    assert selection.target == "H:1"
    assert selection.said() == {
        "handles": ["H:1"],
        "queues": ["images"],
        "enqueued_after": "2026-11-21T00:00:00+00:00",
    }
    assert (JobSelection(handles=("H:1", "H:2")).target, JobSelection().said()) == ("", {})
