"""Schedules over HTTP: made, changed, paused, run and deleted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gearjobs.models import Job, OperatorAction, Schedule, ScheduleSource
from gearjobs.records.masking import MASK
from gearjobs.tasks.schedules.saved_schedules import save_schedule
from gearjobs.tasks.schedules.schedule_spec import ScheduleSpec
from tests.support.api_tasks import pay, ship
from tests.support.fake_client import FakeClient, client_in_place

pytestmark = pytest.mark.django_db

MADE = {"key": "nightly", "task": ship.module_path, "args": [7], "cron": "0 3 * * *", "time_zone": "Asia/Tokyo"}


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.fixture(autouse=True)
def job_server():
    with client_in_place(FakeClient()) as client:
        yield client


@pytest.fixture
def as_planner(make_user, login):
    verbs = [f"{verb}_schedule" for verb in ("view", "add", "change", "delete", "run")]
    return login(make_user("planner", *verbs))


@pytest.fixture
def schedule():
    return save_schedule(ship, ScheduleSpec("0 3 * * *", key="nightly", args=[7]))


@pytest.fixture
def declared(schedule):
    Schedule.objects.update(source=ScheduleSource.CODE)
    return schedule


def send(client, method, path, body=None):
    return client.generic(method, f"/api/schedules/{path}", json.dumps(body or {}), content_type="application/json")


def test_schedule_is_made(as_planner):
    response = send(as_planner, "POST", "", MADE)

    schedule = Schedule.objects.get()
    assert (response.status_code, response.headers["Location"]) == (201, response.json()["url"])
    assert (schedule.key, schedule.function, schedule.time_zone) == ("nightly", ship.function_name, "Asia/Tokyo")
    assert response.json()["when"] == "At 03:00 every day (Asia/Tokyo)"
    assert len(response.json()["next_runs"]) == 5
    assert as_planner.get(response.json()["url"]).json()["key"] == "nightly"
    assert OperatorAction.objects.get().verb == "add_schedule"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"task": "os.system"}, "task"),
        ({"args": []}, "args"),
        ({"args": ["\0"]}, "args"),
        ({"args": ["\ud800"]}, "args"),
        ({"kwargs": {"weight": nested(200)}}, "args"),
        ({"cron": "0 25 * * *"}, "cron"),
        ({"interval_s": 60}, "cron"),
        ({"cron": ""}, "cron"),
        ({"time_zone": "Moon/Crater"}, "time_zone"),
        ({"overlap": "perhaps"}, "overlap"),
        ({"priority": 101}, "priority"),
        ({"key": "a\nb"}, "key"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_schedule_that_cannot_be_is_refused_by_name(as_planner, change, field):
    response = send(as_planner, "POST", "", {**MADE, **change})

    assert (response.status_code, list(response.json()["errors"])) == (400, [field])
    assert not Schedule.objects.exists()


def test_secrets_in_the_arguments_are_masked(as_planner):
    # Whoever may see schedules need not see what they are called with.
    made = send(
        as_planner, "POST", "", {**MADE, "task": pay.module_path, "args": ["4111"], "kwargs": {"password": "x"}}
    )

    assert (made.json()["args"], made.json()["kwargs"]) == ([MASK], {"password": MASK})
    assert (Schedule.objects.get().args, Schedule.objects.get().kwargs) == (["4111"], {"password": "x"})
    assert "4111" not in as_planner.get("/api/schedules/").content.decode()


def test_mask_is_not_taken_for_a_value(as_planner):
    schedule = save_schedule(pay, ScheduleSpec("0 3 * * *", key="payday", args=["4111"]))

    response = send(as_planner, "PATCH", f"{schedule.pk}/", {"args": [MASK], "jitter_s": 5})

    assert (response.status_code, list(response.json()["errors"])) == (400, ["args"])
    assert Schedule.objects.get().args == ["4111"]
    assert send(as_planner, "PATCH", f"{schedule.pk}/", {"jitter_s": 5}).status_code == 200


def test_key_is_taken_once(as_planner, schedule):
    response = send(as_planner, "POST", "", MADE)

    assert (response.status_code, response.json()["type"]) == (409, "urn:gearjobs:problem:key-taken")


def test_change_leaves_what_it_does_not_name(as_planner, schedule):
    response = send(as_planner, "PATCH", f"{schedule.pk}/", {"interval_s": 60, "jitter_s": 5})

    told = response.json()
    assert (told["cron"], told["interval_s"], told["jitter_s"], told["args"]) == ("", 60, 5, [7])
    assert send(as_planner, "PATCH", f"{schedule.pk}/", {"key": "other"}).status_code == 400


def test_declared_schedule_can_only_be_paused(as_planner, declared):
    changed = send(as_planner, "PATCH", f"{declared.pk}/", {"interval_s": 60})
    paused = send(as_planner, "PATCH", f"{declared.pk}/", {"is_enabled": False})

    assert (changed.status_code, changed.json()["type"]) == (409, "urn:gearjobs:problem:declared-in-code")
    assert paused.json()["is_enabled"] is False


def test_schedule_is_paused_and_resumed(as_planner, schedule):
    assert send(as_planner, "POST", f"{schedule.pk}/pause/").json()["is_enabled"] is False
    assert send(as_planner, "POST", f"{schedule.pk}/resume/").json()["is_enabled"] is True


def test_schedule_is_run_beside_its_times(as_planner, schedule):
    response = send(as_planner, "POST", f"{schedule.pk}/run/")

    runs = as_planner.get(f"/api/schedules/{schedule.pk}/runs/").json()["results"]
    assert (response.status_code, response.json()["id"]) == (202, Job.objects.get().pk)
    assert [(run["outcome"], run["handle"]) for run in runs] == [("by_hand", Job.objects.get().pk)]


def test_schedule_is_deleted(as_planner, schedule):
    assert send(as_planner, "DELETE", f"{schedule.pk}/").status_code == 204
    assert as_planner.get(f"/api/schedules/{schedule.pk}/").status_code == 404


def test_declared_schedule_is_not_deleted(as_planner, declared):
    assert send(as_planner, "DELETE", f"{declared.pk}/").status_code == 409
    assert Schedule.objects.exists()


def test_schedules_are_listed_in_pages(as_planner):
    for number in range(3):
        save_schedule(ship, ScheduleSpec("0 3 * * *", key=f"nightly {number}", args=[7]))

    first = as_planner.get("/api/schedules/?page_size=2").json()
    second = as_planner.get(first["next"]).json()

    assert len(first["results"]) == 2
    assert {one["key"] for one in first["results"] + second["results"]} == {f"nightly {n}" for n in range(3)}
    assert as_planner.get("/api/schedules/?colour=red").status_code == 400
