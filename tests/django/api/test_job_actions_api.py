"""What is done to one job over HTTP, and to all that match."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from gearjobs.core.submission import CancelVerdict, ChangeVerdict
from gearjobs.models import BulkOperation, Job, JobGroup, JobMember, OperatorAction
from tests.support.api_tasks import deliver, pay, ship
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.job_rows import make_attempt, make_job

pytestmark = pytest.mark.django_db

VERBS = ("view_job", "cancel_job", "retry_job", "delete_job", "change_job", "add_job", "view_payload")


@pytest.fixture(autouse=True)
def job_server():
    with client_in_place(FakeClient()) as client:
        yield client


@pytest.fixture
def operator(make_user):
    return make_user("operator", *VERBS)


@pytest.fixture
def as_operator(operator, login):
    return login(operator)


def post(client, path, body=None, **headers):
    return client.post(f"/api/{path}", json.dumps(body or {}), content_type="application/json", headers=headers)


def kind_of(response):
    return response.json()["type"].removeprefix("urn:gearjobs:problem:")


def test_waiting_job_is_cancelled(as_operator, job_server):
    job = make_job()
    job_server.verdicts[job.pk] = CancelVerdict.CANCELLED

    response = post(as_operator, f"jobs/{job.pk}/cancel/", {"force": True, "reason": "by mistake"})

    assert (response.status_code, response.json()) == (202, {"id": job.pk, "outcome": "cancelled"})
    assert (job_server.cancelled, job_server.reasons) == ([(job.pk, True)], ["by mistake"])


def test_running_job_is_told(as_operator, job_server):
    job = make_job("running")
    job_server.verdicts[job.pk] = CancelVerdict.ASKED

    assert post(as_operator, f"jobs/{job.pk}/cancel/").json()["outcome"] == "asked"


def test_job_that_has_ended_is_not_cancelled(as_operator):
    response = post(as_operator, f"jobs/{make_job('failed').pk}/cancel/")

    assert (response.status_code, kind_of(response)) == (409, "job-ended")


def test_job_of_a_server_that_is_down_is_not_cancelled(as_operator, job_server):
    job_server.is_down = True

    response = post(as_operator, f"jobs/{make_job().pk}/cancel/")

    assert (response.status_code, kind_of(response), response.headers["Retry-After"]) == (503, "server-down", "5")


@pytest.mark.parametrize("verb", ["retry", "duplicate"])
def test_job_runs_again_as_a_new_one(as_operator, verb):
    job = make_job("failed", payload=b'{"args": [7], "kwargs": {}}', metadata={"a": 1})

    response = post(as_operator, f"jobs/{job.pk}/{verb}/")

    new = Job.objects.exclude(pk=job.pk).get()
    assert (response.status_code, response.json()["id"]) == (202, new.pk)
    assert response.headers["Location"] == f"http://testserver/api/jobs/{new.pk}/"
    assert bytes(new.payload) == bytes(job.payload)
    assert job.pk in new.metadata.values()


def test_job_runs_again_at_its_time(as_operator):
    at = timezone.now() + timedelta(hours=1)

    post(as_operator, f"jobs/{make_job('failed').pk}/retry/", {"at": at.isoformat()})

    assert Job.objects.get(status_detail="scheduled").run_at == at


def test_job_that_goes_on_is_not_run_again(as_operator):
    response = post(as_operator, f"jobs/{make_job('running').pk}/retry/")

    assert (response.status_code, kind_of(response)) == (409, "not-possible")


def test_copy_may_have_other_arguments(as_operator):
    job = make_job("running", task=ship.module_path, payload=b'{"args": [7], "kwargs": {"weight": 2}}')

    post(as_operator, f"jobs/{job.pk}/duplicate/", {"args": [8], "priority": 9})

    copy = Job.objects.exclude(pk=job.pk).get()
    assert json.loads(bytes(copy.payload)) == {"args": [8], "kwargs": {"weight": 2}}
    assert (copy.priority, copy.unique) == (9, "")


def test_copy_whose_arguments_do_not_fit_is_refused(as_operator):
    job = make_job(task=ship.module_path)

    response = post(as_operator, f"jobs/{job.pk}/duplicate/", {"kwargs": {"order": 1, "colour": "red"}})

    assert (response.status_code, kind_of(response)) == (400, "invalid-request")
    assert Job.objects.count() == 1


@pytest.mark.parametrize(
    ("task", "body", "status"),
    [
        # Closed to HTTP: nobody makes up its arguments by way of a copy.
        (pay, {"kwargs": {"card": "1"}}, 409),
        (pay, {}, 202),
        # What the serializer of the task says, and the annotations.
        (deliver, {"kwargs": {"street": "x" * 21}}, 400),
        (ship, {"args": ["seven"]}, 400),
    ],
)
def test_copy_is_given_no_arguments_that_a_call_would_not(as_operator, task, body, status):
    job = make_job("failed", task=task.module_path, payload=b'{"args": [], "kwargs": {}}')

    assert post(as_operator, f"jobs/{job.pk}/duplicate/", body).status_code == status


def test_work_that_is_shared_with_another_user_is_not_cancelled(make_user, login, job_server):
    anna = make_user("anna", "cancel_job")
    other = make_job("running", enqueued_by="somebody")
    job_server.verdicts[other.pk] = CancelVerdict.ASKED
    own = make_job("cancelled", enqueued_by=str(anna.pk), joined_to=other.pk)

    response = post(login(anna), f"jobs/{own.pk}/cancel/")

    assert (response.status_code, kind_of(response)) == (409, "not-possible")
    assert job_server.cancelled == []


@pytest.mark.parametrize("missing", ["view_payload", "add_job"])
def test_copy_with_other_arguments_is_for_who_may_see_and_enqueue(make_user, login, missing):
    client = login(make_user("someone", *(set(VERBS) - {missing})))

    assert post(client, f"jobs/{make_job().pk}/duplicate/", {"args": []}).status_code == 403


def test_job_that_nobody_has_taken_over_is_run_at_once(as_operator, job_server):
    job = make_job("scheduled", run_at=timezone.now() + timedelta(hours=1), unique="u", owner="")

    response = post(as_operator, f"jobs/{job.pk}/run-now/")

    assert (response.status_code, response.json()["id"]) == (202, job.pk)
    job.refresh_from_db()
    assert (job.run_at, job.status_detail, job.version) == (None, "waiting", 2)


def test_job_that_a_server_has_is_run_at_once_there(as_operator, job_server):
    job = make_job("retrying", run_at=timezone.now() + timedelta(hours=1))
    job_server.change_verdicts[job.pk] = ChangeVerdict.CHANGED

    assert post(as_operator, f"jobs/{job.pk}/run-now/").status_code == 202

    assert job_server.changed == [(job.pk, {"run_at": 0.0})]
    assert OperatorAction.objects.get().verb == "run_now"


@pytest.mark.parametrize("detail", ["waiting", "running", "failed"])
def test_only_what_waits_for_its_time_is_hurried(as_operator, detail):
    response = post(as_operator, f"jobs/{make_job(detail).pk}/run-now/")

    assert (response.status_code, Job.objects.count()) == (409, 1)


def test_member_of_a_group_is_run_at_once(as_operator):
    job = make_job("scheduled", run_at=timezone.now() + timedelta(hours=1), owner="")
    group = JobGroup.objects.create(id="H:g:1", root="H:g:1", total=1)
    JobMember.objects.create(job=job, stage=group)

    assert post(as_operator, f"jobs/{job.pk}/run-now/").status_code == 202
    assert (Job.objects.get().run_at, Job.objects.get().finished_at) == (None, None)


@pytest.mark.parametrize(
    ("verdict", "is_down", "status"),
    [(ChangeVerdict.STARTED, False, 409), (ChangeVerdict.UNKNOWN, False, 503), (ChangeVerdict.CHANGED, True, 503)],
)
def test_job_that_cannot_be_hurried_stays_as_it_is(as_operator, job_server, verdict, is_down, status):
    job = make_job("retrying", run_at=timezone.now() + timedelta(hours=1))
    job_server.change_verdicts[job.pk], job_server.is_down = verdict, is_down

    assert post(as_operator, f"jobs/{job.pk}/run-now/").status_code == status
    assert Job.objects.get().version == 1


def test_ended_job_is_deleted(as_operator, operator):
    job = make_job("failed")
    make_attempt(job)

    response = as_operator.delete(f"/api/jobs/{job.pk}/")

    assert (response.status_code, Job.objects.count()) == (204, 0)
    assert OperatorAction.objects.get().actor == str(operator.pk)


def test_job_that_goes_on_is_not_deleted(as_operator):
    response = as_operator.delete(f"/api/jobs/{make_job('running').pk}/")

    assert (response.status_code, kind_of(response), Job.objects.count()) == (409, "not-possible", 1)


def test_all_that_match_are_dealt_with_in_the_background(as_operator):
    make_job("failed", function="resize")

    response = post(as_operator, "jobs/actions/", {"action": "retry", "filter": {"function": "resize"}})

    operation = BulkOperation.objects.get()
    assert (response.status_code, response.json()["id"]) == (202, operation.pk)
    assert response.headers["Location"].endswith(f"/api/operations/{operation.pk}/")
    assert as_operator.get(response.headers["Location"]).json()["state"] == "waiting"


def test_dry_run_only_counts(as_operator):
    make_job("failed", function="resize")

    response = post(as_operator, "jobs/actions/", {"action": "retry", "filter": {"status": "FAILED"}, "dry_run": True})

    assert (response.status_code, response.json()) == (200, {"count": 1, "is_more": False})
    assert not BulkOperation.objects.exists()


@pytest.mark.parametrize("chosen", [{}, {"statu": "FAILED"}, {"status": "DONE"}, {"handle__in": "\0"}])
def test_filter_that_says_nothing_touches_nothing(as_operator, chosen):
    response = post(as_operator, "jobs/actions/", {"action": "delete", "filter": chosen})

    assert response.status_code == 400
    assert not BulkOperation.objects.exists()


@pytest.mark.parametrize("action", ["retry", "cancel", "delete"])
def test_each_verb_takes_its_permission(make_user, login, action):
    client = login(make_user("someone", *(set(VERBS) - {f"{action}_job"})))

    assert post(client, "jobs/actions/", {"action": action, "filter": {"function": "x"}}).status_code == 403


def test_operation_is_stopped_once(as_operator):
    made = post(as_operator, "jobs/actions/", {"action": "cancel", "filter": {"function": "x"}}).json()

    first = post(as_operator, f"operations/{made['id']}/stop/")
    second = post(as_operator, f"operations/{made['id']}/stop/")

    assert (first.json()["state"], second.status_code) == ("stopped", 409)


def test_result_is_given_as_its_worker_gave_it(as_operator):
    given = {
        b'{"a": 1.0}': ("application/json", 200),
        b"<script>": ("text/plain; charset=utf-8", 200),
        b"\xff\xd8": ("application/octet-stream", 200),
    }
    for body, (media_type, status) in given.items():
        response = as_operator.get(f"/api/jobs/{make_job('succeeded', result=body).pk}/result/")

        assert (response.content, response.headers["Content-Type"], response.status_code) == (body, media_type, status)
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert as_operator.get(f"/api/jobs/{make_job('succeeded').pk}/result/").status_code == 204


def test_result_that_is_not_there_yet(as_operator):
    response = as_operator.get(f"/api/jobs/{make_job('running').pk}/result/")

    assert (response.status_code, response.json()["status"]) == (202, "RUNNING")
    assert "Retry-After" in response.headers


@pytest.mark.parametrize(("detail", "kind"), [("failed", "job-failed"), ("timed_out", "job-timed-out")])
def test_result_that_will_never_be_there(as_operator, detail, kind):
    job = make_job(detail, error_message="no luck")

    response = as_operator.get(f"/api/jobs/{job.pk}/result/")

    assert (response.status_code, kind_of(response), response.json()["job"]) == (409, kind, job.pk)
    assert "no luck" in response.json()["detail"]


def test_timeline_tells_what_happened_in_order(as_operator):
    job = make_job("failed", attempt=2, error_message="twice")
    make_attempt(job, error_message="once")

    told = as_operator.get(f"/api/jobs/{job.pk}/timeline/").json()["results"]

    assert [one["what"] for one in told] == ["enqueued", "started", "restarted", "attempt_ended", "failed"]
    assert told[-1]["detail"] == "twice"


def test_call_is_told_without_secrets(make_user, login):
    client = login(owner := make_user("owner"))
    job = make_job(enqueued_by=str(owner.pk), payload=b'{"args": [1], "kwargs": {"password": "hunter2"}}')

    response = client.get(f"/api/jobs/{job.pk}/call/")

    assert response.json()["args"] == [1]
    assert "hunter2" not in response.content.decode()


@pytest.mark.parametrize("payload", [b'{"args": ["a\\ud800"], "kwargs": {}}', b'{"kwargs": {"\\udfff": 1}}'])
def test_call_with_half_a_character_is_told_as_far_as_it_can_be(as_operator, payload):
    response = as_operator.get(f"/api/jobs/{make_job(payload=payload).pk}/call/")

    assert response.status_code == 200
    assert "\\\\ud" in response.content.decode()


def test_many_states_are_told_at_once(as_operator, django_assert_max_num_queries):
    jobs = [make_job("running") for _ in range(5)]

    with django_assert_max_num_queries(6):
        told = post(as_operator, "jobs/status/", {"ids": [*(job.pk for job in jobs), "H:nobody:1"]}).json()

    assert set(told["results"]) == {job.pk for job in jobs}
    assert told["unknown"] == ["H:nobody:1"]


def test_list_shows_only_what_is_wanted(as_operator):
    job = make_job("running")

    told = as_operator.get("/api/jobs/?fields=id,status&count=true").json()

    assert told["results"] == [{"id": job.pk, "status": "RUNNING"}]
    assert told["count"] == {"count": 1, "is_more": False}
    assert as_operator.get("/api/jobs/?fields=id,payload").status_code == 400


@pytest.mark.parametrize(
    "query", ["page_size=x", "cursor=x", "enqueued_after=yesterday", "mine=perhaps", "colour=red", "search=%00"]
)
def test_list_refuses_what_it_does_not_know(as_operator, query):
    response = as_operator.get(f"/api/jobs/?{query}")

    assert (response.status_code, list(response.json()["errors"])) == (400, [query.partition("=")[0]])


def test_own_jobs_are_found_among_all(as_operator, operator):
    own = make_job(enqueued_by=str(operator.pk))
    make_job()

    assert [one["id"] for one in as_operator.get("/api/jobs/?mine=true").json()["results"]] == [own.pk]


def test_second_click_on_retry_names_the_job_of_the_first(as_operator):
    job = make_job("failed")
    first = post(as_operator, f"jobs/{job.pk}/retry/").json()["id"]

    response = post(as_operator, f"jobs/{job.pk}/retry/")

    assert (response.status_code, kind_of(response), response.json()["job"]) == (409, "run-again-already", first)
    assert as_operator.get(f"/api/jobs/{job.pk}/").json()["retried_as"] == first
    assert Job.objects.count() == 2
