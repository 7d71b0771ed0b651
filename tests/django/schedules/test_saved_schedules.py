"""Rows of schedules: made and changed at run time, and brought in line with what the code declares."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from gearjobs.errors import UsageError
from gearjobs.models import Schedule
from gearjobs.tasks.schedules import saved_schedules, schedule_sync
from gearjobs.tasks.schedules.declarations import declare_schedule
from gearjobs.tasks.schedules.saved_schedules import next_runs
from gearjobs.tasks.schedules.schedule_spec import ScheduleSpec
from gearjobs.tasks.schedules.schedule_sync import sync_schedules
from tests.django.schedules.conftest import next_due
from tests.support.sample_tasks import add, resize_picture

pytestmark = pytest.mark.django_db


def test_task_makes_a_schedule_at_run_time():
    made = resize_picture.schedule("0 3 * * *", key="pictures", args=["a.jpg"], kwargs={"width": 7}, tz="UTC")

    row = Schedule.objects.get()
    assert row == made
    assert (row.function, row.queue, row.priority, row.source) == ("resize", "images", 10, "admin")
    assert (row.args, row.kwargs, row.cron, row.time_zone) == (["a.jpg"], {"width": 7}, "0 3 * * *", "UTC")
    assert next_due(row) == row.next_fire_at
    assert next_due(row) > timezone.now()
    assert (next_due(row).hour, next_due(row).minute) == (3, 0)


def test_schedule_on_another_queue_goes_to_that_queues_function():
    row = resize_picture.using(queue_name="night").schedule("@daily", key="pictures", args=["a.jpg"])

    assert (row.queue, row.function) == ("night", "resize@night")


def test_same_key_changes_the_schedule_and_aims_it_anew():
    first = add.schedule(timedelta(days=300), key="sums", args=[1])

    again = add.schedule(timedelta(days=1), key="sums", args=[2])

    assert (again.pk, again.args, again.interval_s) == (first.pk, [2], 86_400)
    assert next_due(again) < next_due(first)
    assert Schedule.objects.get().next_due_at == again.next_due_at


def test_what_is_not_about_time_leaves_the_aim_alone(make_schedule):
    schedule = make_schedule()

    add.schedule(timedelta(minutes=10), key="sums", args=[5])

    row = Schedule.objects.get()
    assert (row.args, row.next_due_at) == ([5], schedule.next_due_at)


def test_two_who_make_it_at_once_make_one(monkeypatch):
    original, calls = saved_schedules.create_schedule, []

    def create(key, columns, *, source):
        calls.append(key)
        if len(calls) == 1:
            # The other one is faster.
            original(key, columns, source=source)
        return original(key, columns, source=source)

    monkeypatch.setattr(saved_schedules, "create_schedule", create)

    add.schedule("@daily", key="sums", args=[1])

    assert Schedule.objects.count() == 1


def test_schedule_at_run_time_needs_a_key_that_is_not_the_codes(declared):
    declare_schedule(add, ScheduleSpec("@daily", key="sums", args=[1]))
    sync_schedules()

    with pytest.raises(UsageError, match="must have a key="):
        add.schedule("@daily", key="")
    with pytest.raises(UsageError, match="the schedule 'sums' is declared in code"):
        add.schedule("@daily", key="sums", args=[1])


def test_declared_schedules_are_put_down_changed_and_withdrawn(declared):
    declare_schedule(add, ScheduleSpec("@daily", key="sums", args=[1]))
    sync_schedules()
    first = Schedule.objects.get()
    declared.clear()
    declare_schedule(add, ScheduleSpec("@hourly", key="sums", args=[1]))
    sync_schedules()
    second = Schedule.objects.get()
    declared.clear()
    sync_schedules()
    third = Schedule.objects.get()

    assert (first.cron, first.source, first.is_active) == ("0 0 * * *", "code", True)
    assert (second.pk, second.cron) == (first.pk, "0 * * * *")
    assert next_due(second) <= timezone.now() + timedelta(hours=1)
    assert not third.is_active
    assert third.withdrawn_at is not None


def test_pause_of_a_declared_schedule_survives(declared):
    declare_schedule(add, ScheduleSpec("@daily", key="sums", args=[1]))
    sync_schedules()
    Schedule.objects.update(is_enabled=False)

    sync_schedules()
    declared.clear()
    sync_schedules()
    declare_schedule(add, ScheduleSpec("@hourly", key="sums", args=[1]))
    sync_schedules()

    row = Schedule.objects.get()
    assert (row.is_enabled, row.withdrawn_at, row.cron) == (False, None, "0 * * * *")


def test_what_comes_back_is_due_from_then_on(declared):
    declare_schedule(add, ScheduleSpec("@daily", key="sums", args=[1]))
    sync_schedules()
    long_ago = timezone.now() - timedelta(days=9)
    Schedule.objects.update(withdrawn_at=long_ago, next_due_at=long_ago, next_fire_at=long_ago)

    sync_schedules()

    assert next_due(Schedule.objects.get()) > timezone.now()


def test_schedule_of_the_admin_with_a_declared_key_is_left_alone(declared, make_schedule, caplog):
    make_schedule("sums")
    declare_schedule(add, ScheduleSpec("@daily", key="sums", args=[1]))

    sync_schedules()

    assert (Schedule.objects.get().source, Schedule.objects.get().interval_s) == ("admin", 600)
    assert "leave schedule=sums: one made in the admin has the key" in caplog.text


def test_schedules_made_by_hand_follow_their_tasks_options(declared, make_schedule, caplog):
    Schedule.objects.filter(pk=make_schedule("sums").pk).update(function="an.old.name", terms={"timeout_s": 3.0})
    Schedule.objects.filter(pk=make_schedule("gone").pk).update(task="no.such.task")
    Schedule.objects.filter(pk=make_schedule("wrong").pk).update(args=[1, 2, 3])

    sync_schedules()

    row = Schedule.objects.get(key="sums")
    assert (row.function, row.terms) == (add.function_name, {})
    assert "find no task=no.such.task of schedule=gone" in caplog.text
    assert "leave schedule=wrong as it is: tests.support.sample_tasks.add cannot be called" in caplog.text


def test_declaration_whose_call_cannot_be_made_is_logged_and_stops_no_other(declared, caplog, monkeypatch):
    declare_schedule(add, ScheduleSpec("@daily", key="one", args=[1]))
    declare_schedule(resize_picture, ScheduleSpec("@daily", key="two", args=["a"]))
    original = saved_schedules.spec_columns

    def refuse(task, spec):
        if task is add:
            raise UsageError("no key for it")
        return original(task, spec)

    monkeypatch.setattr(schedule_sync, "spec_columns", refuse)

    sync_schedules()

    assert "leave schedule=one as the database has it: no key for it" in caplog.text
    assert Schedule.objects.get().key == "two"


def test_database_that_is_away_stops_no_workers(declared, monkeypatch, caplog):
    def refuse():
        raise OperationalError("no such table")

    monkeypatch.setattr(schedule_sync, "all_schedules", refuse)
    sync_schedules()
    quiet = caplog.text
    declare_schedule(add, ScheduleSpec("@daily", args=[1]))

    sync_schedules()

    assert quiet == ""
    assert "leave schedules=1 as the database has them error=no such table" in caplog.text


@pytest.mark.usefixtures("declared")
def test_another_process_that_makes_the_same_schedule_is_no_error(monkeypatch):
    declare_schedule(add, ScheduleSpec("@daily", key="sums", args=[1]))
    sync_schedules()
    monkeypatch.setattr(schedule_sync, "all_schedules", Schedule.objects.none)

    sync_schedules()

    assert Schedule.objects.count() == 1


def test_next_runs_are_in_the_schedules_own_zone(make_schedule):
    schedule = make_schedule(when="0 3 * * *", tz="Asia/Tokyo")

    runs = next_runs(schedule, 2, after=next_due(schedule).timestamp())

    assert [run.isoformat() for run in runs] == ["2026-05-21T03:00:00+09:00", "2026-05-22T03:00:00+09:00"]
