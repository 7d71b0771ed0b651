"""Enqueuing over HTTP: what is taken, what is refused, and what is answered to a request that is sent twice."""

from __future__ import annotations

import json
from datetime import timedelta
from io import BytesIO

import pytest
from django.core.exceptions import RequestDataTooBig
from django.utils import timezone
from rest_framework.response import Response
from rest_framework.settings import api_settings

from gearjobs import gear_task
from gearjobs.api.call_schemas import mismatch, schema_of
from gearjobs.api.endpoint import BoundedJSONParser, Endpoint
from gearjobs.api.enqueue_views import unique_of
from gearjobs.api.idempotency import answered_once
from gearjobs.errors import ServerError, UniqueConflict
from gearjobs.models import IdempotentRequest, Job
from tests.support.api_tasks import deliver, pack, pay, ship
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db


DEEP = "[" * 400 + "]" * 400


@gear_task
def sign(password: str = "hunter2", note: str = "hi") -> None:
    """Never called."""


@pytest.fixture
def job_server():
    with client_in_place(FakeClient()) as client:
        yield client


@pytest.fixture
def clerk(make_user):
    return make_user("clerk", "add_job")


@pytest.fixture
def as_clerk(clerk, login, job_server):
    return login(clerk)


def post(client, body, path="/api/jobs/", **headers):
    return client.post(path, json.dumps(body), content_type="application/json", headers=headers)


def call_of(task, *args, **more):
    return {"task": task.module_path, "args": list(args), **more}


def test_call_is_enqueued_for_its_user(as_clerk, clerk):
    body = call_of(ship, 7, kwargs={"weight": 2}, priority=5, queue="post", metadata={"shop": "north"})

    response = post(as_clerk, body)

    job = Job.objects.get()
    assert response.status_code == 202
    assert response.headers["Location"] == f"http://testserver/api/jobs/{job.handle}/"
    assert response.headers["Retry-After"] == "1"
    assert response.json()["id"] == job.handle
    assert (job.task, job.priority, job.queue, job.enqueued_by) == (ship.module_path, 5, "post", str(clerk.pk))
    assert job.metadata == {"shop": "north"}
    assert json.loads(bytes(job.payload)) == {"args": [7], "kwargs": {"weight": 2}}


def test_call_may_wait_for_its_time(as_clerk):
    later = timezone.now() + timedelta(hours=1)

    post(as_clerk, call_of(ship, 7, run_after=later.isoformat()))

    assert Job.objects.get().status_detail == "scheduled"


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({}, "task", "required"),
        ({"task": "os.system", "args": ["true"]}, "task", "no such task"),
        (call_of(pay, "4111"), "task", "no such task"),
        (call_of(ship, 7, argz=[]), "argz", "no member"),
        (call_of(ship, 7, priority=101), "priority", "less than or equal to 100"),
        (call_of(ship, 7, run_after="soon"), "run_after", "wrong format"),
        (call_of(ship, 7, metadata={"gearjobs.retry_of": "x"}), "metadata", "gearjobs' own"),
        (call_of(ship), "args", "missing a required argument"),
        (call_of(deliver, "x"), "args", "keyword arguments only"),
    ],
)
def test_what_cannot_be_is_refused_by_name(as_clerk, body, field, words):
    response = post(as_clerk, body)

    problem = response.json()
    assert (response.status_code, problem["type"]) == (400, "urn:gearjobs:problem:invalid-request")
    assert list(problem["errors"]) == [field]
    assert words in json.dumps(problem["errors"])
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (call_of(ship, "seven"), {"order": ["must be an integer, got 'seven'"]}),
        (call_of(ship, True), {"order": ["must be an integer, got True"]}),
        (call_of(ship, 1, kwargs={"express": 1}), {"express": ["must be a boolean, got 1"]}),
        (call_of(pack, ["a", 2]), {"names": ["[1] must be a string, got 2"]}),
        (call_of(pack, [], "huge"), {"size": ["must be one of 'small', 'large', got 'huge'"]}),
        (call_of(pack, [], "small", {"a": "b"}), {"notes": ["must be an object or a null, got {'a': 'b'}"]}),
        (call_of(pack, [], "small", None, 1, "2"), {"more[1]": ["must be an integer, got '2'"]}),
        (
            call_of(deliver, kwargs={"street": "x" * 30}),
            {"street": ["Ensure this field has no more than 20 characters."]},
        ),
    ],
)
def test_argument_of_another_type_is_refused(as_clerk, body, wrong):
    response = post(as_clerk, body)

    assert response.status_code == 400
    assert response.json()["errors"] == {"kwargs": wrong}


def test_serializer_says_what_the_task_is_given(as_clerk):
    response = post(as_clerk, call_of(deliver, kwargs={"street": "High Street 1", "day": "2026-01-31"}))

    assert response.status_code == 202
    assert json.loads(bytes(Job.objects.get().payload))["kwargs"] == {"street": "High Street 1", "day": "2026-01-31"}


def test_body_that_is_no_json_is_a_problem(as_clerk):
    response = as_clerk.post("/api/jobs/", "{", content_type="application/json")

    assert (response.status_code, response.headers["Content-Type"]) == (400, "application/problem+json")
    assert as_clerk.post("/api/jobs/", {"task": "x"}).status_code == 415


def test_request_sent_twice_is_carried_out_once(as_clerk):
    body = call_of(ship, 7)

    first = post(as_clerk, body, **{"Idempotency-Key": "order-7"})
    second = post(as_clerk, body, **{"Idempotency-Key": "order-7"})

    assert Job.objects.count() == 1
    assert (second.status_code, second.json()) == (202, first.json())
    assert second.headers["Location"] == first.headers["Location"]
    assert (first.headers.get("Idempotency-Replayed"), second.headers["Idempotency-Replayed"]) == (None, "true")


def test_key_of_another_request_is_refused(as_clerk):
    post(as_clerk, call_of(ship, 7), **{"Idempotency-Key": "order-7"})

    response = post(as_clerk, call_of(ship, 8), **{"Idempotency-Key": "order-7"})

    assert (response.status_code, response.json()["type"]) == (422, "urn:gearjobs:problem:key-used")


def test_request_whose_first_one_is_under_way_is_to_come_back(as_clerk):
    post(as_clerk, call_of(ship, 7), **{"Idempotency-Key": "order-7"})
    IdempotentRequest.objects.update(status=None)

    response = post(as_clerk, call_of(ship, 7), **{"Idempotency-Key": "order-7"})

    assert (response.status_code, response.headers["Retry-After"]) == (409, "1")


def test_request_whose_first_one_was_lost_is_carried_out(as_clerk):
    post(as_clerk, call_of(ship, 7), **{"Idempotency-Key": "order-7"})
    IdempotentRequest.objects.update(status=None, at=timezone.now() - timedelta(minutes=5))

    assert post(as_clerk, call_of(ship, 7), **{"Idempotency-Key": "order-7"}).status_code == 202


def test_refused_request_may_be_sent_again_with_its_key(as_clerk):
    refused = post(as_clerk, call_of(ship, "seven"), **{"Idempotency-Key": "order-7"})

    accepted = post(as_clerk, call_of(ship, 7), **{"Idempotency-Key": "order-7"})

    assert (refused.status_code, accepted.status_code) == (400, 202)


def test_answer_is_kept_whatever_the_project_makes_of_times(make_user, login, monkeypatch):
    # A time that is no text could not be kept, and the operation was started once more.
    monkeypatch.setattr(api_settings, "DATETIME_FORMAT", None)
    client = login(make_user("root", is_superuser=True))
    asked = {"action": "delete", "filter": {"function": "none"}}

    first, second = (post(client, asked, "/api/jobs/actions/", **{"Idempotency-Key": "k"}) for _ in range(2))

    assert (first.status_code, second.headers.get("Idempotency-Replayed")) == (202, "true")
    assert first.json() == second.json()


def test_request_that_was_taken_for_lost_leaves_the_next_ones_answer_alone(clerk, rf):
    bare = rf.post("/", "{}", content_type="application/json", headers={"Idempotency-Key": "k"})
    request = Endpoint().initialize_request(bare)
    request.user = clerk

    def slow() -> Response:
        IdempotentRequest.objects.update(at=timezone.now() - timedelta(hours=1))
        answered_once(request, lambda: Response({"number": 2}))
        return Response({"number": 1})

    answered_once(request, slow)

    assert IdempotentRequest.objects.get().answer["body"] == {"number": 2}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("[" * 50_000, 400),
        (f'{{"task": "{ship.module_path}", "args": [1], "metadata": {{"a": {DEEP}}}}}', 202),
        (f'{{"task": "{pack.module_path}", "kwargs": {{"order": {DEEP}}}}}', 400),
    ],
)
def test_depth_of_a_body_is_no_trouble(as_clerk, body, status):
    assert as_clerk.post("/api/jobs/", body, content_type="application/json").status_code == status


def test_body_that_is_too_large_is_refused(as_clerk, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000

    response = post(as_clerk, call_of(ship, 7, metadata={"a": "x" * 1000}))

    assert (response.status_code, response.json()["type"]) == (413, "urn:gearjobs:problem:too-large")


@pytest.mark.parametrize("limit", [10, None])
def test_body_whose_length_nobody_said_is_bounded_too(settings, limit):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = limit
    body = BytesIO(b"[1, 2, 3, 4]")

    if limit is None:
        assert BoundedJSONParser().parse(body) == [1, 2, 3, 4]
    else:
        with pytest.raises(RequestDataTooBig):
            BoundedJSONParser().parse(body)


def test_schema_keeps_a_secret_default():
    properties = schema_of(sign)["properties"]

    assert "default" not in properties["password"]
    assert properties["note"]["default"] == "hi"


def test_keys_are_a_users_own(as_clerk, make_user, login):
    other = login(make_user("other", "add_job"))

    post(as_clerk, call_of(ship, 7), **{"Idempotency-Key": "order-7"})
    post(other, call_of(ship, 8), **{"Idempotency-Key": "order-7"})

    assert Job.objects.count() == 2


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_key_that_cannot_be_is_refused(as_clerk, key):
    assert post(as_clerk, call_of(ship, 7), **{"Idempotency-Key": key}).status_code == 400


def test_many_calls_are_enqueued_at_once(as_clerk):
    body = {"task": ship.module_path, "calls": [{"args": [1]}, {"kwargs": {"order": 2}}]}

    response = post(as_clerk, body, "/api/jobs/bulk/")

    assert response.status_code == 202
    assert {one["id"] for one in response.json()["results"]} == set(Job.objects.values_list("handle", flat=True))
    assert response.json()["refused"] == 0


@pytest.mark.parametrize("calls", [[], [{}], [{"args": 1}], [{"args": [1]}, {"argz": [1]}], [{"args": ["x"]}]])
def test_many_calls_are_enqueued_all_or_none(as_clerk, calls):
    response = post(as_clerk, {"task": ship.module_path, "calls": calls}, "/api/jobs/bulk/")

    assert response.status_code == 400
    assert not Job.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("refusal", "status", "kind"),
    [
        (UniqueConflict("UNIQUE_TAKEN", "taken by H:x:1"), 409, "unique-taken"),
        (ServerError("QUEUE_ERROR", "Job queue is full"), 429, "queue-full"),
        (ServerError("ACCESS_DENIED", "no"), 502, "server-refused"),
    ],
)
def test_refusal_of_the_job_server_is_a_problem(as_clerk, job_server, refusal, status, kind):
    job_server.refusal = refusal

    response = post(as_clerk, call_of(ship, 7))

    assert (response.status_code, response.json()["type"]) == (status, f"urn:gearjobs:problem:{kind}")


def test_uniques_of_two_users_never_meet():
    # Keys may be any text: that of "a" with "b:c" was that of "a:b" with "c".
    assert unique_of("a", "b:c") != unique_of("a:b", "c")


@pytest.mark.django_db(transaction=True)
def test_unique_of_the_request_is_the_users_own_by_the_letter(as_clerk, clerk, job_server):
    post(as_clerk, call_of(ship, 7, unique="order:{7}"))

    assert job_server.submitted[0].unique == f"{len(str(clerk.pk))}.{clerk.pk}:order:{{7}}"


@pytest.mark.django_db(transaction=True)
def test_call_that_joins_a_job_of_others_tells_nothing_of_it(as_clerk, job_server):
    job_server.joins = make_job("succeeded", result=b'"secret"').pk

    response = post(as_clerk, call_of(ship, 7), "/api/jobs/?wait=5")

    assert (response.status_code, set(response.json())) == (202, {"id", "url", "status_url"})


def test_tasks_are_told_with_the_schema_of_their_arguments(as_clerk):
    told = {one["name"]: one for one in as_clerk.get("/api/tasks/").json()["results"]}

    assert pay.module_path not in told
    assert told[ship.module_path]["description"] == "Send an order on its way."
    assert told[pack.module_path]["max_attempts"] == 3
    assert as_clerk.get(f"/api/tasks/{ship.module_path}/").json() == told[ship.module_path]
    assert as_clerk.get(f"/api/tasks/{pay.module_path}/").status_code == 404


def test_schema_of_a_signature():
    schema = schema_of(pack)

    assert schema["properties"] == {
        "names": {"type": "array", "items": {"type": "string"}},
        "size": {"enum": ["small", "large"], "default": "small"},
        "notes": {
            "anyOf": [{"type": "object", "additionalProperties": {"type": "integer"}}, {"type": "null"}],
            "default": None,
        },
    }
    assert (schema["required"], schema["additionalProperties"]) == (["names"], True)


def test_schema_of_a_serializer():
    schema = schema_of(deliver)

    assert schema["properties"] == {"street": {"type": "string", "description": "With the number."}, "day": {}}
    assert (schema["required"], schema["additionalProperties"]) == (["street"], False)


def test_object_is_checked_within():
    schema = {"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"]}

    assert mismatch({}, schema) == "['a'] is missing"
    assert mismatch({"a": 1}, schema) == "['a'] must be a null, got 1"
    assert mismatch({"a": None, "b": 1}, schema) is None
