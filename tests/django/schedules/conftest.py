"""Schedules for tests: rows, their moments, and declarations that are forgotten again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gearjobs.models import Job, Schedule, ScheduleSource
from gearjobs.tasks.schedules import declarations
from gearjobs.tasks.schedules.firing import ScheduleFirer
from gearjobs.tasks.schedules.saved_schedules import create_schedule, spec_columns
from gearjobs.tasks.schedules.schedule_spec import ScheduleSpec
from tests.support.sample_tasks import add

#: A due time of the schedules that `make_schedule` makes.
DUE = datetime(2026, 5, 20, 10, 0, tzinfo=UTC)


@pytest.fixture
def declared(monkeypatch) -> dict[str, declarations.Declaration]:
    """What is declared during the test, and nothing else."""
    found: dict[str, declarations.Declaration] = {}
    monkeypatch.setattr(declarations, "_declared", found)
    return found


@pytest.fixture
def make_schedule(db):
    """Make a schedule of `add(1, 2)` every ten minutes, whose next due time is DUE."""

    def make(key: str = "sums", *, when: Any = timedelta(minutes=10), **words: Any) -> Schedule:
        spec = ScheduleSpec(when, key=key, args=[1, 2], **words)
        schedule = create_schedule(key, spec_columns(add, spec), source=ScheduleSource.ADMIN)
        schedule.anchor_at = schedule.next_due_at = schedule.next_fire_at = DUE
        schedule.save()
        return schedule

    return make


@pytest.fixture
def firer() -> ScheduleFirer:
    """A server's side of it."""
    return ScheduleFirer("box:7")


def next_due(schedule: Schedule) -> datetime:
    """Return a schedule's next due time, which it must have."""
    assert schedule.next_due_at is not None
    return schedule.next_due_at


def seconds_after(seconds: float) -> float:
    """Return a moment so long after DUE, as unix seconds."""
    return DUE.timestamp() + seconds


def end_job(handle: str) -> None:
    """Let a job have ended."""
    Job.objects.filter(pk=handle).update(status="SUCCESSFUL", status_detail="succeeded", finished_at=DUE)


def start_job(handle: str) -> None:
    """Let a job have been started."""
    Job.objects.filter(pk=handle).update(status="RUNNING", status_detail="running", owner="box:7")
