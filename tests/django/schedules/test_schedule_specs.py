"""What code may say of a schedule, and what it is refused at the import of its module."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

import pytest

from gearjobs import ScheduleSpec, gear_task, periodic
from gearjobs.errors import UsageError
from gearjobs.tasks.django_tasks import Task
from gearjobs.tasks.schedules.declarations import declare_schedule, declared_schedules
from gearjobs.tasks.schedules.schedule_spec import as_spec
from tests.support.sample_tasks import add, echo, remember


def test_crontab_and_interval_are_read():
    nightly, often = ScheduleSpec("0  3 * * *", tz="Asia/Tokyo"), ScheduleSpec(timedelta(minutes=5), jitter=30)

    assert (nightly.cron, nightly.interval_s, nightly.time_zone) == ("0 3 * * *", None, "Asia/Tokyo")
    assert (often.cron, often.interval_s, often.jitter_s) == ("", 300, 30)


def test_time_zone_is_the_projects_unless_another_is_said(settings):
    settings.TIME_ZONE = "America/New_York"

    assert ScheduleSpec("0 3 * * *").time_zone == "America/New_York"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ScheduleSpec("0 3 * *"), "a cron expression must have the five fields"),
        (lambda: ScheduleSpec("0 3 * * *", tz="Mars/Olympus"), "a time zone must be one of the tz database"),
        (lambda: ScheduleSpec(timedelta(0)), "an interval must be 1 to 315360000 seconds, got 0"),
        (lambda: ScheduleSpec(timedelta(seconds=1.5)), "an interval must be whole seconds"),
        (lambda: ScheduleSpec("@daily", overlap="wait"), "overlap must be one of skip, queue, coalesce, replace"),
        (lambda: ScheduleSpec("@daily", catch_up="some"), "catch_up must be one of none, last, all, got 'some'"),
        (lambda: ScheduleSpec("@daily", jitter=-1), "jitter must be 0 to 86400 seconds, got -1"),
        (lambda: ScheduleSpec("@daily", jitter=True), "jitter must be seconds or a timedelta, got True"),
        (lambda: ScheduleSpec("@daily", key="k" * 256), "a schedule's key must be at most 255 printable characters"),
        (lambda: ScheduleSpec("@daily", key="a\nb"), "a schedule's key must be at most 255 printable characters"),
        (lambda: ScheduleSpec("@daily", args=[object()]), "the arguments must be JSON"),
        (
            lambda: as_spec(cast("timedelta", 60)),
            "a schedule must be a cron expression, a timedelta or a ScheduleSpec, got 60",
        ),
    ],
)
def test_what_cannot_be_is_refused_at_once(make, words):
    with pytest.raises(UsageError, match=words):
        make()


def test_periodic_declares_and_returns_the_task(declared):
    task = periodic("0 3 * * *", args=[1])(periodic("@hourly", key="sums", kwargs={"a": 2})(add))

    assert task is add
    assert [(one.key, one.task, one.spec.cron) for one in declared_schedules()] == [
        ("sums", add, "0 * * * *"),
        ("tests.support.sample_tasks.add", add, "0 3 * * *"),
    ]


@gear_task(name="reports.nightly", schedule="0 3 * * *")
def nightly_report() -> None: ...


@periodic(timedelta(hours=1))
@gear_task(name="reports.hourly", takes_context=True)
def hourly_report(context: object, size: int = 3) -> None: ...


def test_gear_task_and_periodic_declare_at_import():
    found = {one.key: one.spec for one in declared_schedules()}

    assert found[nightly_report.module_path].cron == "0 3 * * *"
    assert found[hourly_report.module_path].interval_s == 3600


@pytest.mark.usefixtures("declared")
def test_two_schedules_of_a_task_need_keys():
    declare_schedule(echo, "@daily")

    with pytest.raises(UsageError, match=r"echo has two schedules with the key .*; give each a key= of its own"):
        declare_schedule(echo, "@hourly")


@pytest.mark.usefixtures("declared")
def test_key_of_another_task_is_refused():
    declare_schedule(echo, ScheduleSpec("@daily", key="mine"))

    with pytest.raises(
        UsageError, match=r"add cannot have the schedule 'mine', which is tests.support.sample_tasks.echo"
    ):
        declare_schedule(add, ScheduleSpec("@daily", key="mine", args=[1]))


def test_module_that_is_imported_again_replaces_its_declarations(declared):
    declare_schedule(nightly_report, "@daily")
    again = nightly_report.using(priority=3)

    declare_schedule(again, "@hourly")

    (one,) = declared_schedules()
    assert (one.task, one.spec.cron) == (again, "0 * * * *")


@pytest.mark.usefixtures("declared")
def test_arguments_that_the_task_does_not_take_are_refused():
    with pytest.raises(
        UsageError, match=r"remember cannot be called with these arguments: missing a required argument"
    ):
        declare_schedule(remember, "@daily")
    with pytest.raises(UsageError, match="got an unexpected keyword argument 'c'"):
        declare_schedule(add, ScheduleSpec("@daily", kwargs={"a": 1, "c": 2}))


@pytest.mark.parametrize("below", [len, Task])
def test_schedule_needs_a_task_below(below):
    with pytest.raises(UsageError, match="a schedule needs a task made by @gear_task, and stands above that decorator"):
        periodic("@daily")(below)
