"""Old runs go, the latest of each schedule stay."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from gearjobs.models import Schedule, ScheduleRun
from gearjobs.tasks.schedules.run_retention import KEPT_WITHDRAWN, prune_runs
from tests.django.schedules.conftest import DUE

pytestmark = pytest.mark.django_db


def make_runs(schedule: Schedule, count: int) -> None:
    ScheduleRun.objects.bulk_create(
        ScheduleRun(schedule=schedule, due_at=DUE + timedelta(seconds=n), decided_at=DUE, outcome="fired")
        for n in range(count)
    )


def test_latest_runs_of_each_schedule_stay(make_schedule):
    busy, quiet = make_schedule("busy"), make_schedule("quiet")
    make_runs(busy, 1200)
    make_runs(quiet, 2)

    assert prune_runs(kept=10) == 1190

    assert (busy.runs.count(), quiet.runs.count()) == (10, 2)
    assert busy.runs.order_by("due_at").first().due_at == DUE + timedelta(seconds=1190)
    assert prune_runs(kept=10) == 0


def test_schedule_that_was_withdrawn_long_ago_goes(make_schedule):
    now = timezone.now()
    Schedule.objects.filter(pk=make_schedule("old").pk).update(withdrawn_at=now - KEPT_WITHDRAWN * 2)
    Schedule.objects.filter(pk=make_schedule("new").pk).update(withdrawn_at=now)
    make_schedule("live")

    prune_runs()

    assert set(Schedule.objects.values_list("key", flat=True)) == {"new", "live"}
