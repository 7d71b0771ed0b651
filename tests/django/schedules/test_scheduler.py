"""The thread that fires schedules: when it looks, what it tells, and what it lives through."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from gearjobs.errors import ServerUnavailable
from gearjobs.models import Job, Schedule, ScheduleRun
from gearjobs.tasks.schedules import scheduler as module
from gearjobs.tasks.schedules import server_side
from gearjobs.tasks.schedules.firing import FiringReport
from gearjobs.tasks.schedules.scheduler import Scheduler
from gearjobs.tasks.schedules.server_side import make_scheduler
from tests.django.schedules.conftest import next_due
from tests.support.eventually import eventually
from tests.support.fake_client import FakeClient

WAIT_S = 10.0


@pytest.fixture
def told() -> list[str]:
    """What the thread told others, in order."""
    return []


@pytest.fixture
def scheduler(transactional_db, told):
    """A thread beside a server; it ends with the test."""
    scheduler = Scheduler("box:7", on_jobs=lambda: told.append("jobs"), cancel=told.append)
    yield scheduler
    scheduler.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "gearjobs-schedules"]


def due_now(schedule: Schedule) -> None:
    moment = timezone.now().replace(microsecond=0)
    Schedule.objects.filter(pk=schedule.pk).update(anchor_at=moment, next_due_at=moment, next_fire_at=moment)


def test_due_schedule_is_fired_and_the_server_told(scheduler, make_schedule, told):
    due_now(make_schedule())

    scheduler.start()

    eventually(lambda: told, WAIT_S, "the server to be told")
    assert (Job.objects.count(), ScheduleRun.objects.get().decided_by) == (1, "box:7")


def test_it_wakes_when_the_next_one_is_due(scheduler, make_schedule):
    due_now(make_schedule(when=timedelta(seconds=1), overlap="queue"))

    scheduler.start()

    eventually(lambda: ScheduleRun.objects.count() >= 3, WAIT_S, "three firings")
    runs = list(ScheduleRun.objects.order_by("due_at"))
    assert [run.due_at - runs[0].due_at for run in runs[:3]] == [timedelta(seconds=n) for n in range(3)]
    assert all(timedelta(0) <= run.decided_at - run.due_at < timedelta(seconds=2) for run in runs)


def test_schedule_that_is_made_meanwhile_is_noticed(scheduler, make_schedule, told):
    scheduler.start()
    due_now(make_schedule())

    eventually(lambda: told, WAIT_S, "the server to be told")


def test_job_that_was_replaced_is_cancelled(scheduler, make_schedule, told):
    due_now(make_schedule(when=timedelta(seconds=1), overlap="replace"))

    scheduler.start()

    eventually(ScheduleRun.objects.exists, WAIT_S, "a firing")
    first = ScheduleRun.objects.order_by("due_at")[0]
    eventually(lambda: first.handle in told, WAIT_S, "the first job's cancellation")


def test_outage_is_waited_for_and_told_once(scheduler, told, monkeypatch, caplog):
    caplog.set_level("INFO", "gearjobs.schedules")
    monkeypatch.setattr(module, "RETRY_S", (0.01, 0.02))
    answers = iter([OperationalError("gone"), OperationalError("gone"), OperationalError("gone")])

    def fire_due(now: float) -> FiringReport:
        if error := next(answers, None):
            raise error
        return FiringReport(jobs=1)

    monkeypatch.setattr(scheduler._firer, "fire_due", fire_due)

    scheduler.start()

    eventually(lambda: told, WAIT_S, "a firing after the outage")
    assert caplog.text.count("cannot fire schedules until the database answers error=gone") == 1
    eventually(lambda: "fire schedules again" in caplog.text, WAIT_S, "the good news")


def test_bug_at_one_look_does_not_end_all_others(scheduler, told, monkeypatch, caplog):
    monkeypatch.setattr(module, "RETRY_S", (0.01, 0.02))
    answers = iter([RuntimeError("a bug")])

    def fire_due(now: float) -> FiringReport:
        if error := next(answers, None):
            raise error
        return FiringReport(jobs=1)

    monkeypatch.setattr(scheduler._firer, "fire_due", fire_due)

    scheduler.start()

    eventually(lambda: told, WAIT_S, "a firing after the bug")
    assert "RuntimeError: a bug" in caplog.text


def test_rest_of_many_is_looked_at_at_once(scheduler, told, monkeypatch):
    reports = iter([FiringReport(jobs=50, is_partial=True), FiringReport(jobs=1)])
    monkeypatch.setattr(scheduler._firer, "fire_due", lambda now: next(reports, FiringReport()))

    scheduler.start()

    # Far within the pause between two looks.
    eventually(lambda: len(told) == 2, module.LOOK_S / 2, "the rest")


def test_clock_that_was_put_back_is_noticed():
    watch = module._StepWatch()

    assert watch.was_put_back(1000.0, 10.0)
    assert not watch.was_put_back(1005.0, 15.0)
    assert not watch.was_put_back(5000.0, 16.0)
    assert not watch.was_put_back(5000.0, 17.0)
    assert watch.was_put_back(1400.0, 18.0)


def test_schedules_are_aimed_anew_when_it_begins(scheduler, make_schedule):
    schedule = make_schedule()
    ahead = timezone.now() + timedelta(days=9)
    Schedule.objects.filter(pk=schedule.pk).update(next_due_at=ahead, next_fire_at=ahead)

    scheduler.start()

    eventually(lambda: next_due(Schedule.objects.get()) < ahead, WAIT_S, "a nearer due time")


def test_scheduler_that_was_never_started_can_be_stopped():
    Scheduler("box:7", on_jobs=list, cancel=str).stop()


@pytest.mark.parametrize(
    ("queue_type", "wanted", "words"),
    [("database", "off", "--schedules off"), ("builtin", "on", "--queue-type builtin keeps jobs outside")],
)
def test_server_that_fires_none_says_why(queue_type, wanted, words, caplog):
    caplog.set_level("INFO", "gearjobs.schedules")

    assert make_scheduler(queue_type, wanted, on_jobs=list) is None
    assert words in caplog.text


@pytest.mark.filterwarnings("ignore:The USE_TZ setting")
def test_without_time_zones_nothing_is_fired(settings, caplog):
    settings.USE_TZ = False

    assert make_scheduler("database", "on", on_jobs=list) is None
    assert "they need USE_TZ = True" in caplog.text


def test_server_on_the_job_table_fires():
    assert make_scheduler("Database", "on", on_jobs=list) is not None


@pytest.mark.django_db
def test_replaced_job_that_nobody_has_yet_ends_as_cancelled(make_schedule, firer, monkeypatch):
    make_schedule(overlap="replace")
    firer.fire_due(timezone.now().timestamp())
    handle = Job.objects.get().handle
    monkeypatch.setattr(server_side, "project_client", FakeClient)

    server_side._cancel(handle)

    assert Job.objects.get().status_detail == "cancelled"


def test_replaced_job_whose_server_cannot_be_asked_is_logged(monkeypatch, caplog):
    def refuse(handle, *, client):
        raise ServerUnavailable("nobody there")

    monkeypatch.setattr(server_side, "cancel_one", refuse)

    server_side._cancel("H:x:1")

    assert "cannot cancel job=H:x:1, which was replaced error=nobody there" in caplog.text
