"""A job is changed over HTTP: its metadata, and how it waits; by who has read it last."""

from __future__ import annotations

import json

import pytest

from gearjobs.core.submission import ChangeVerdict
from gearjobs.models import BLOCKED_OWNER, Job, OperatorAction
from tests.support.api_tasks import ship
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def job_server():
    with client_in_place(FakeClient()) as client:
        yield client


@pytest.fixture
def as_operator(make_user, login):
    return login(make_user("operator", "view_job", "view_payload", "change_job"))


def kind_of(response):
    return response.json()["type"].removeprefix("urn:gearjobs:problem:")


def patch(client, job, body, **headers):
    return client.patch(f"/api/jobs/{job.pk}/", json.dumps(body), content_type="application/json", headers=headers)


def test_metadata_is_changed_by_who_read_it(as_operator):
    job = make_job(metadata={"a": 1, "b": 2})
    tag = as_operator.get(f"/api/jobs/{job.pk}/").headers["ETag"]

    response = patch(as_operator, job, {"metadata": {"b": None, "c": 3}}, **{"If-Match": tag})

    assert response.json()["metadata"] == {"a": 1, "c": 3}
    assert response.headers["ETag"] != tag
    assert patch(as_operator, job, {"metadata": {}}, **{"If-Match": tag}).status_code == 412


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ({"metadata": {}}, {}, 428),
        ({"metadata": {}}, {"If-Match": '"x.1"'}, 412),
        ({"status": 1}, {"If-Match": "*"}, 400),
        ({"metadata": {"a": "x" * 20_000}}, {"If-Match": "*"}, 400),
        ({"metadata": {"gearjobs.retry_of": "H:x:1"}}, {"If-Match": "*"}, 400),
    ],
)
def test_change_that_cannot_be_is_refused(as_operator, body, headers, status):
    job = make_job(metadata={"a": 1})

    assert patch(as_operator, job, body, **headers).status_code == status
    assert Job.objects.get().metadata == {"a": 1}


def test_metadata_is_what_every_database_keeps(as_operator):
    job = make_job()
    tag = as_operator.get(f"/api/jobs/{job.pk}/").headers["ETag"]

    response = patch(as_operator, job, {"metadata": {"a": "\ud800 \0"}}, **{"If-Match": tag})

    assert response.status_code == 200
    assert "\0" not in Job.objects.get().metadata["a"]


def changed(client, job, body):
    tag = client.get(f"/api/jobs/{job.pk}/").headers["ETag"]
    return patch(client, job, body, **{"If-Match": tag})


def test_waiting_job_gets_another_priority_and_time_at_its_server(as_operator, job_server):
    job = make_job("waiting")
    job_server.change_verdicts[job.pk] = ChangeVerdict.CHANGED

    response = changed(as_operator, job, {"priority": 70, "run_after": "2096-01-31T12:00:00Z"})

    assert response.status_code == 200
    assert job_server.changed == [(job.pk, {"priority": 70, "run_at": 3_978_849_600.0})]
    assert OperatorAction.objects.get().details == {"priority": 70, "run_at": "2096-01-31T12:00:00+00:00"}


def test_job_that_nobody_has_taken_over_is_changed_in_the_table(as_operator, job_server):
    job = make_job("waiting", owner="")

    told = changed(as_operator, job, {"priority": -7, "run_after": "2096-01-31T12:00:00Z"}).json()

    assert (told["priority"], told["status_detail"], told["version"]) == (-7, "scheduled", 3)
    assert changed(as_operator, job, {"run_after": None}).json()["status_detail"] == "waiting"
    assert job_server.changed == []


@pytest.mark.parametrize(("queue", "function"), [("attic", "{name}@attic"), ("default", "{name}")])
def test_job_moves_to_the_function_of_its_task_on_the_other_queue(as_operator, job_server, queue, function):
    job = make_job("waiting", task=ship.module_path, function="else", queue="else", owner="")

    told = changed(as_operator, job, {"queue": queue}).json()

    assert (told["queue"], told["function"]) == (queue, function.format(name=ship.function_name))


@pytest.mark.parametrize(
    ("detail", "fields", "body"),
    [
        ("running", {}, {"priority": 5}),
        ("failed", {}, {"priority": 5}),
        ("blocked", {"owner": BLOCKED_OWNER}, {"run_after": None}),
        ("waiting", {"joined_to": "H:other:1"}, {"priority": 5}),
        ("waiting", {"unique": "u", "task": ship.module_path}, {"queue": "attic"}),
        ("waiting", {"task": "no.such.task", "function": "nobodys"}, {"queue": "attic"}),
        ("waiting", {"task": "json.dumps", "function": "nobodys"}, {"queue": "attic"}),
        ("waiting", {}, {"queue": "attic"}),
        ("waiting", {"task": ship.module_path}, {"queue": "two words"}),
    ],
)
def test_job_that_cannot_wait_otherwise_is_a_conflict(as_operator, job_server, detail, fields, body):
    job = make_job(detail, **fields)

    response = changed(as_operator, job, body)

    assert (response.status_code, kind_of(response)) == (409, "not-possible")
    assert job_server.changed == []


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (ChangeVerdict.STARTED, 409),
        (ChangeVerdict.BUSY, 409),
        (ChangeVerdict.UNIQUE, 409),
        (ChangeVerdict.UNKNOWN, 503),
    ],
)
def test_its_server_has_the_last_word(as_operator, job_server, verdict, status):
    job = make_job("waiting")
    job_server.change_verdicts[job.pk] = verdict

    response = changed(as_operator, job, {"priority": 5, "metadata": {"a": 1}})

    assert (response.status_code, Job.objects.get().metadata) == (status, {})


def test_metadata_and_place_are_changed_by_one_request(as_operator, job_server):
    job = make_job("waiting", owner="")

    told = changed(as_operator, job, {"priority": 5, "metadata": {"a": 1}}).json()

    assert (told["priority"], told["metadata"]) == (5, {"a": 1})
    assert sorted(OperatorAction.objects.values_list("verb", flat=True)) == ["change", "change_metadata"]


def test_metadata_that_another_wrote_while_the_server_was_asked_stay(as_operator, job_server, monkeypatch):
    job = make_job("waiting")

    def change_job(handle, **place):
        Job.objects.filter(pk=handle).update(metadata={"theirs": 1})
        return ChangeVerdict.CHANGED

    monkeypatch.setattr(job_server, "change_job", change_job)

    told = changed(as_operator, job, {"priority": 5, "metadata": {"mine": 2}}).json()

    assert told["metadata"] == {"theirs": 1, "mine": 2}


def test_of_two_changes_of_what_was_read_one_is_done(as_operator, job_server):
    job = make_job("waiting")
    job_server.change_verdicts[job.pk] = ChangeVerdict.CHANGED
    tag = as_operator.get(f"/api/jobs/{job.pk}/").headers["ETag"]

    answers = [patch(as_operator, job, {"priority": 5}, **{"If-Match": tag}).status_code for _ in range(2)]

    assert (answers, len(job_server.changed)) == ([200, 412], 1)


@pytest.mark.parametrize("body", [{"priority": 101}, {"run_after": "soon"}, {"queue": ""}, {"status": "FAILED"}])
def test_change_that_cannot_be_read_is_refused(as_operator, body):
    assert changed(as_operator, make_job(), body).status_code == 400
