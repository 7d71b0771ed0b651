"""What operators look at goes when its time is over, and minutes become hours."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import transaction
from django.utils import timezone

from gearjobs.models import BulkOperation, FailureGroup, FunctionRollup, IdempotentRequest, OperatorAction
from gearjobs.records import old_figures
from gearjobs.records.old_figures import FigureSweep
from gearjobs.records.statistics.series import series

pytestmark = pytest.mark.django_db

HOUR = 1_800_000_000 // 3600 * 3600
NOW = HOUR + 5 * 86_400


def make(starts_s: int, enqueued: int, **values) -> FunctionRollup:
    values = {"function_key": "k", "function": "resize", "server": "s1", **values}
    return FunctionRollup.objects.create(starts_s=starts_s, enqueued=enqueued, **values)


def sweep(now: float = NOW) -> None:
    sweep = FigureSweep(now=now)
    for _ in range(100):
        if sweep.is_over:
            return
        sweep.step()
    raise AssertionError("the sweep has no end")


def test_old_minutes_of_all_servers_become_an_hour():
    make(HOUR, 1, run_counts=[1], run_s=0.5)
    make(HOUR + 60, 2, run_counts=[0, 3], run_s=1.0)
    make(HOUR, 4, server="s2")
    make(HOUR, 8, function_key="")

    sweep()

    rows = FunctionRollup.objects.order_by("function_key").values_list("width_s", "enqueued", "run_counts", "run_s")
    assert list(rows) == [(3600, 8, [], 0.0), (3600, 7, [1, 3], 1.5)]


def test_minute_that_comes_late_is_added_to_its_hour():
    make(HOUR, 1)
    sweep()
    make(HOUR + 120, 2)

    sweep()

    row = FunctionRollup.objects.get()
    assert (row.width_s, row.enqueued, row.server) == (3600, 3, "")


def test_young_minutes_stay():
    make(NOW - 86_400, 1)

    sweep()

    assert FunctionRollup.objects.get().width_s == 60


def test_series_does_not_change_when_minutes_become_hours():
    for minute in range(60):
        make(HOUR + minute * 60, 1, function_key="")
    before = [point.enqueued for point in series(span_s=86_400, step_s=3600, now=HOUR + 7200)]

    sweep()

    assert [point.enqueued for point in series(span_s=86_400, step_s=3600, now=HOUR + 7200)] == before


def test_more_minutes_than_a_step_takes_are_merged_as_well(monkeypatch):
    monkeypatch.setattr(old_figures, "_AT_ONCE", 7)
    for minute in range(20):
        make(HOUR + minute * 60, 1)

    sweep()

    assert FunctionRollup.objects.get().enqueued == 20


def test_old_hours_go():
    make(HOUR - 91 * 86_400, 1, width_s=3600)
    make(HOUR, 1, width_s=3600)

    sweep(now=HOUR)

    assert FunctionRollup.objects.count() == 1


def test_each_table_has_its_time(settings):
    settings.GEARJOBS = {"RESULTS": {"GROUPS_DAYS": 0}}
    old = timezone.now() - timedelta(days=400)
    FailureGroup.objects.create(fingerprint="f", function="resize", last_seen_at=old)
    OperatorAction.objects.create(verb="retry", at=old)
    OperatorAction.objects.create(verb="retry", at=timezone.now() - timedelta(days=300))
    BulkOperation.objects.create(id="B", verb="retry", asked_at=old)
    IdempotentRequest.objects.create(user="1", key="k", digest="d", at=timezone.now() - timedelta(hours=25))
    IdempotentRequest.objects.create(user="1", key="l", digest="d")

    sweep()

    models = (FailureGroup, OperatorAction, BulkOperation, IdempotentRequest)
    assert [model.objects.count() for model in models] == [1, 1, 0, 1]


def test_minutes_that_another_server_merges_at_the_same_time_are_counted_once(monkeypatch):
    make(HOUR, 1)
    make(HOUR + 60, 2)

    def snatch(using):
        FunctionRollup.objects.filter(starts_s=HOUR).delete()
        return transaction.atomic(using=using)

    snatched = SimpleNamespace(atomic=snatch, set_rollback=transaction.set_rollback)
    monkeypatch.setattr(old_figures, "transaction", snatched)
    assert not old_figures._merge_minutes("default", before_s=NOW)

    assert [row.width_s for row in FunctionRollup.objects.all()] == [60]
