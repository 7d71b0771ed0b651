"""`manage.py jobs_schedules`: the list, pausing, resuming, running now."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from gearjobs.models import Job, Schedule, ScheduleRun
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.sample_tasks import add

pytestmark = pytest.mark.django_db


@pytest.fixture
def schedules():
    add.schedule("0 3 * * *", key="nightly", args=[1], tz="Asia/Tokyo")
    add.schedule(timedelta(minutes=15), key="often", args=[2])


def run(*words: str, **options) -> str:
    out = StringIO()
    call_command("jobs_schedules", *words, stdout=out, **options)
    return out.getvalue()


@pytest.mark.usefixtures("schedules")
def test_schedules_are_listed_with_their_next_runs():
    said = run(next=2).splitlines()

    assert said[0] == "nightly  tests.support.sample_tasks.add  At 03:00 every day (Asia/Tokyo)  (on)"
    assert [line[-14:] for line in said[1:3]] == ["03:00:00+09:00"] * 2
    assert said[3] == "often  tests.support.sample_tasks.add  every 15 minutes  (on)"


@pytest.mark.usefixtures("schedules")
def test_schedules_are_told_to_programs():
    said = json.loads(run("nightly", json=True))

    assert (said["key"], said["cron"], said["interval_s"], said["args"]) == ("nightly", "0 3 * * *", None, [1])
    assert (said["is_active"], len(said["next_runs"]), said["problem"]) == (True, 3, "")


@pytest.mark.usefixtures("schedules")
def test_schedule_is_disabled_and_enabled():
    assert "(paused)" in run("nightly", "--disable")
    assert not Schedule.objects.get(key="nightly").is_enabled
    assert Schedule.objects.get(key="often").is_enabled

    assert "(on)" in run("nightly", "--enable")
    assert Schedule.objects.get(key="nightly").is_enabled


@pytest.mark.usefixtures("schedules")
def test_schedule_is_run_now():
    with client_in_place(FakeClient()):
        said = run("often", "--run-now")

    assert said == f"often  {Job.objects.get().handle}\n"
    assert ScheduleRun.objects.get().decided_by == "command"


@pytest.mark.usefixtures("schedules")
@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["nihgtly"], "there is no schedule 'nihgtly'; there are: nightly, often"),
        (["--disable"], "name the schedules that are meant"),
        (["--run-now"], "name the schedules that are meant"),
    ],
)
def test_what_cannot_be_meant_is_refused(words, problem):
    with pytest.raises(CommandError, match=problem):
        run(*words)


@pytest.mark.usefixtures("schedules")
def test_schedule_that_this_machine_cannot_read_is_listed_with_the_reason():
    Schedule.objects.filter(key="nightly").update(time_zone="Mars/Olympus", is_enabled=False)

    with pytest.raises(CommandError, match="got 'Mars/Olympus'"):
        run("nightly", "--enable")
    Schedule.objects.filter(key="nightly").update(is_enabled=True)
    assert "a time zone must be one of the tz database" in run("nightly")
    assert "got 'Mars/Olympus'" in json.loads(run("nightly", json=True))["problem"]
