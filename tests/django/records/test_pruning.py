"""The thread that removes ended jobs beside a job server."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from gearjobs.models import Job, OperatorAction
from gearjobs.records import pruning
from gearjobs.records.pruning import Pruning, make_pruning
from gearjobs.records.retention import KeptFor, Sweep
from tests.support.eventually import eventually
from tests.support.job_rows import make_job

DAY = KeptFor(timedelta(days=1), timedelta(days=1))


@pytest.mark.django_db(transaction=True)
def test_ended_jobs_are_removed_beside_the_server():
    for _ in range(50):
        make_job("succeeded", finished_at=timezone.now() - timedelta(days=2))
    kept = make_job("succeeded")
    thread = Pruning(DAY, first_s=0.0)

    thread.start()
    try:
        eventually(lambda: Job.objects.count() == 1, 20, "the old jobs to go")
    finally:
        thread.stop()

    assert Job.objects.get() == kept


@pytest.mark.django_db(transaction=True)
def test_sweep_that_stumbles_is_followed_by_another(monkeypatch, caplog):
    make_job("succeeded", finished_at=timezone.now() - timedelta(days=2))
    steps = iter([ZeroDivisionError("a bug")])
    whole = Sweep.step

    def stumble_once(sweep):
        for error in steps:
            raise error
        return whole(sweep)

    monkeypatch.setattr(Sweep, "step", stumble_once)
    monkeypatch.setattr(pruning, "EVERY_S", 0.01)
    thread = Pruning(DAY, first_s=0.0)

    thread.start()
    try:
        eventually(lambda: not Job.objects.exists(), 20, "the second sweep")
    finally:
        thread.stop()

    assert "stumble while removing ended jobs" in caplog.text


def test_stop_without_a_start_is_nothing():
    Pruning(DAY).stop()


@pytest.mark.parametrize(("queue_type", "is_made"), [("database", True), ("builtin", False)])
def test_server_that_keeps_no_rows_removes_none(queue_type, is_made):
    assert (make_pruning(queue_type) is not None) is is_made


@pytest.mark.django_db(transaction=True)
def test_old_figures_go_also_where_jobs_stay_for_ever(monkeypatch):
    monkeypatch.setattr(pruning, "PAUSE_S", 0.0)
    OperatorAction.objects.create(verb="retry", at=timezone.now() - timedelta(days=400))
    job = make_job("succeeded", finished_at=timezone.now() - timedelta(days=400))
    thread = Pruning(KeptFor(None, None), first_s=0.0)

    thread.start()
    try:
        eventually(lambda: not OperatorAction.objects.exists(), 20, "the old action to go")
    finally:
        thread.stop()

    assert Job.objects.get() == job
