"""Who is let in where: every method of every endpoint, for every kind of user, over the whole URLconf."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from gearjobs.actions.bulk_operation import start_bulk
from gearjobs.api.status_links import signed_status_url
from gearjobs.models import BulkOperation, BulkVerb, FailureGroup, Job, JobGroup, JobMember, Schedule
from gearjobs.records.job_filter import JobFilter
from gearjobs.tasks.schedules.saved_schedules import save_schedule
from gearjobs.tasks.schedules.schedule_spec import ScheduleSpec
from tests.support.api_rows import ROWS, EndpointRow, endpoints, methods_of, url_of
from tests.support.api_tasks import pay, ship
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.job_rows import make_attempt, make_job

pytestmark = pytest.mark.django_db

#: Stands in everything of a job that is not everybody's.
CANARY = "c4n4ry"
CLOSED = [row for row in ROWS if not row.is_open]
CHANGING = [row for row in CLOSED if row.method != "GET"]
ABOUT_SOMEBODY = [row for row in ROWS if row.about]
#: Every verb, and no permission to see what others have.
ALL_VERBS = sorted({codename for row in ROWS if row.about for codename in row.needs} | {"view_payload"})


@pytest.fixture(autouse=True)
def job_server():
    with client_in_place(FakeClient()) as client:
        yield client


@pytest.fixture
def bobs(make_user):
    """What belongs to Bob, as arguments of URLs."""
    bob = make_user("bob")
    error: dict[str, Any] = {"error_class": "a.Broken", "error_message": "no", "error_traceback": CANARY}
    job = make_job(
        "succeeded", enqueued_by=str(bob.pk), payload=json.dumps({"args": [CANARY]}).encode(), attempt=2,
        result=json.dumps(CANARY).encode(), metadata={"note": CANARY}, worker_ids=[CANARY],
    )  # fmt: skip
    make_attempt(job, worker_id=CANARY, **error)
    job.outputs.create(sequence=1, body=CANARY.encode(), streamed_at=job.enqueued_at)
    make_job("failed", enqueued_by=str(bob.pk), **{**error, "payload": CANARY.encode()})
    group = JobGroup.objects.create(id="H:group:1", root="H:group:1", kind="group", total=1, enqueued_by=str(bob.pk))
    JobMember.objects.create(job=job, stage=group)
    operation = start_bulk(BulkVerb.CANCEL, JobFilter(functions=("none",)), user=None)
    BulkOperation.objects.update(asked_by=str(bob.pk))
    failure = FailureGroup.objects.create(fingerprint="f" * 64, function="resize")
    schedule = save_schedule(ship, ScheduleSpec("0 3 * * *", key="nightly", args=[1]))
    return {
        "handle": job.handle,
        "group_id": group.pk,
        "pk": schedule.pk,
        "operation_id": operation.pk,
        "fingerprint": failure.pk,
        "worker_id": "worker-1",
        "verb": "quiet",
        "name": ship.module_path,
        "token": signed_status_url(job.handle).rstrip("/").rpartition("/")[2],
    }


def send(client: Client, row: EndpointRow, arguments, **headers):
    body = json.dumps(row.body) if row.method != "GET" else None
    return client.generic(
        row.method, url_of(row, arguments), body or "", content_type="application/json", headers=headers
    )


def test_every_endpoint_has_its_rows():
    there = {(name, method) for name, view in endpoints().items() for method in methods_of(view)}

    assert there == {(row.name, row.method) for row in ROWS}


@pytest.mark.parametrize("row", CLOSED, ids=lambda row: row.label)
def test_who_is_not_logged_in_is_refused(bobs, row):
    response = send(Client(), row, bobs)

    assert response.status_code in {401, 403}
    assert CANARY not in response.content.decode()


@pytest.mark.parametrize("row", [row for row in ROWS if row.is_open], ids=lambda row: row.label)
def test_open_endpoints_answer_anybody(bobs, row):
    response = send(Client(), row, bobs)

    assert response.status_code == 200
    assert CANARY not in response.content.decode()


@pytest.mark.parametrize("row", [row for row in CLOSED if row.needs], ids=lambda row: row.label)
def test_each_permission_is_needed(bobs, make_user, login, row):
    for place, missing in enumerate(row.needs):
        others = [codename for codename in row.needs if codename != missing]
        client = login(make_user(f"user{place}", *others, *([] if missing == "view_job" else ["view_job"])))

        assert send(client, row, bobs).status_code == 403, f"without {missing}"


@pytest.mark.parametrize("row", CLOSED, ids=lambda row: row.label)
def test_permissions_are_enough(bobs, make_user, login, row):
    seeing = ("view_job", "view_payload", "view_jobgroup", "view_bulkoperation")
    client = login(make_user("operator", *seeing, "cancel_job", *row.needs))

    assert send(client, row, bobs).status_code not in {401, 403, 404, 500}


@pytest.mark.parametrize("row", ABOUT_SOMEBODY, ids=lambda row: row.label)
def test_what_others_have_is_not_found_whatever_one_may_do(bobs, make_user, login, row):
    client = login(make_user("anna", *ALL_VERBS))

    response = send(client, row, bobs)

    assert response.status_code == 404
    assert CANARY not in response.content.decode()


@pytest.mark.parametrize("name", ["job-list", "group-list", "operation-list"])
def test_lists_have_nothing_of_others(bobs, make_user, login, name):
    client = login(make_user("anna", *ALL_VERBS))

    response = send(client, EndpointRow(name, "GET"), bobs)

    assert response.json()["results"] == []


def test_states_of_others_are_unknown(bobs, make_user, login):
    client = login(make_user("anna", *ALL_VERBS))
    row = EndpointRow("job-statuses", "POST", body={"ids": [bobs["handle"]]})

    assert send(client, row, bobs).json() == {"results": {}, "unknown": [bobs["handle"]]}


@pytest.mark.parametrize("query", ["search=args.0:c4n4ry", "search=meta.note:c4n4ry"])
def test_nobody_probes_what_they_may_not_see(bobs, make_user, login, query):
    client = login(make_user("viewer", "view_job"))

    assert client.get(f"/api/jobs/?{query}").status_code == 403


@pytest.mark.parametrize(
    ("query", "status"),
    [
        # Masked where it is shown: whether there is a match would tell it all the same.
        ("search=args.card:4111", 403),
        ("search=args.0:4111", 403),
        ("search=args.a.api_token.b:1", 403),
        ("search=args.note:hi", 200),
        # Shown to nobody without view_payload.
        ("worker=host-1", 403),
    ],
)
def test_nobody_probes_what_is_hidden_of_their_own_jobs(make_user, login, query, status):
    anna = make_user("anna")
    body = json.dumps({"args": ["4111"], "kwargs": {"note": "hi"}}).encode()
    make_job("succeeded", enqueued_by=str(anna.pk), task=pay.module_path, payload=body)

    assert login(anna).get(f"/api/jobs/?{query}").status_code == status
    assert login(make_user("auditor", "view_payload")).get(f"/api/jobs/?{query}").status_code == 200


def test_operation_probes_nothing_either(make_user, login):
    client = login(make_user("anna", "delete_job"))
    asked = {"action": "delete", "filter": {"search": "args.card:4111"}, "dry_run": True}

    assert client.post("/api/jobs/actions/", asked, content_type="application/json").status_code == 403


@pytest.mark.parametrize("row", [row for row in ROWS if row.method == "GET"], ids=lambda row: row.label)
def test_who_sees_all_jobs_sees_neither_payload_nor_result_nor_traceback(bobs, make_user, login, row):
    names = {codename for one in ROWS for codename in one.needs} - {"view_payload"}
    client = login(make_user("viewer", "view_job", "view_jobgroup", *names))

    assert CANARY not in send(client, row, bobs).content.decode()


@pytest.mark.parametrize("row", CHANGING, ids=lambda row: row.label)
def test_session_without_the_token_changes_nothing(bobs, make_user, row):
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("root", is_superuser=True))
    before = (Job.objects.count(), Schedule.objects.count())

    response = send(client, row, bobs)

    assert response.status_code == 403
    assert "CSRF" in response.json()["detail"]
    assert (Job.objects.count(), Schedule.objects.count()) == before


@pytest.mark.parametrize(
    "name", sorted({row.name for row in CHANGING} - {row.name for row in ROWS if row.method == "GET"})
)
def test_what_changes_something_is_not_done_by_reading(bobs, make_user, login, name):
    client = login(make_user("root", is_superuser=True))

    assert send(client, EndpointRow(name, "GET"), bobs).status_code == 405


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.label)
def test_answers_are_not_kept_by_caches_in_between(bobs, make_user, login, row):
    client = login(make_user("root", is_superuser=True))

    assert "no-cache" in send(client, row, bobs).headers.get("Cache-Control", "")
