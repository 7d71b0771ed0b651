"""`fire_schedules`: time passes for schedules, and for nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from gearjobs import gear_task
from gearjobs.models import ScheduleRun
from gearjobs.tasks.schedules import declarations
from gearjobs.tasks.schedules.declarations import declare_schedule

pytestmark = pytest.mark.django_db


@gear_task
def sweep() -> str:
    return "swept"


@pytest.fixture
def every(monkeypatch):
    """Declare how often `sweep` is to run, and nothing else."""
    monkeypatch.setattr(declarations, "_declared", {})
    return lambda when: declare_schedule(sweep, when)


def test_schedule_is_fired_when_its_time_has_come(gearjobs, every):
    every(timedelta(hours=1))

    assert gearjobs.fire_schedules(timezone.now() + timedelta(minutes=30)) == []
    (fired,) = gearjobs.fire_schedules(timezone.now() + timedelta(minutes=90))

    assert gearjobs.assert_enqueued(sweep, count=1).id == fired.id
    assert gearjobs.drain()[0].return_value == "swept"


def test_each_due_time_is_decided_by_the_schedules_own_policy(gearjobs, every):
    every(timedelta(hours=1))

    gearjobs.fire_schedules(timezone.now() + timedelta(minutes=210))

    # The first job waits, so that the others overlap.
    gearjobs.assert_enqueued(sweep, count=1)
    assert sorted(ScheduleRun.objects.values_list("outcome", flat=True)) == ["fired", "overlapped", "overlapped"]


def test_time_without_an_end_is_refused(gearjobs, every):
    every(timedelta(seconds=1))

    with pytest.raises(AssertionError, match="due more than 1000 times"):
        gearjobs.fire_schedules(timezone.now() + timedelta(days=365))
