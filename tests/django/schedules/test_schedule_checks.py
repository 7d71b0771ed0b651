"""System checks of schedules."""

from __future__ import annotations

import pytest
from django.db import OperationalError

from gearjobs.models import Schedule
from gearjobs.tasks.schedules import saved_schedules
from gearjobs.tasks.schedules.declarations import declare_schedule
from gearjobs.tasks.schedules.schedule_checks import check_declared_schedules, check_saved_schedules
from gearjobs.tasks.schedules.schedule_spec import ScheduleSpec
from tests.support.sample_tasks import add


@pytest.mark.filterwarnings("ignore:The USE_TZ setting")
def test_declared_schedules_need_time_zones(declared, settings):
    settings.USE_TZ = False
    assert check_declared_schedules() == []
    declare_schedule(add, ScheduleSpec("@daily", key="sums", args=[1]))

    (report,) = check_declared_schedules()

    assert (report.id, report.msg) == (
        "gearjobs.E121",
        "The schedule 'sums' needs USE_TZ = True: times without a zone come twice in autumn.",
    )
    settings.USE_TZ = True
    assert check_declared_schedules() == []


@pytest.mark.django_db
def test_saved_schedule_that_this_machine_cannot_read_is_reported(make_schedule):
    make_schedule("good")
    broken = make_schedule("broken", when="0 3 * * *")
    Schedule.objects.filter(pk=broken.pk).update(time_zone="Mars/Olympus")

    (report,) = check_saved_schedules(databases=["default"])

    assert report.id == "gearjobs.E122"
    assert "The schedule 'broken' cannot be fired: a time zone must be one of the tz database" in report.msg
    assert check_saved_schedules(databases=["other"]) == check_saved_schedules() == []


def test_settings_that_cannot_be_read_are_others_to_report(settings):
    settings.GEARJOBS = {"PROT": 1}

    assert check_saved_schedules(databases=["default"]) == []


def test_database_without_the_table_is_others_to_report(monkeypatch):
    def refuse():
        raise OperationalError("no such table")

    monkeypatch.setattr(saved_schedules, "active_schedules", refuse)

    assert check_saved_schedules(databases=["default"]) == []
