"""What there is to a job beside itself: jobs that it enqueued, what it logged, attempts in lists; and its absence."""

from __future__ import annotations

import json
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from gearjobs.api.status_links import signed_status_url
from gearjobs.models import Job, JobOutput
from gearjobs.tasks.execution import run_job_in_place
from tests.support.fake_client import FakeClient, FakeRunningJob, client_in_place
from tests.support.job_rows import make_attempt, make_job
from tests.support.sample_tasks import add, enqueue_a_chain

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(make_user):
    return make_user("operator", "view_job", "view_payload")


@pytest.fixture
def as_operator(operator, login):
    return login(operator)


@pytest.fixture
def anna(make_user):
    return make_user("anna")


@pytest.fixture
def as_anna(anna, login):
    return login(anna)


def child_of(parent, **fields):
    return make_job("waiting", metadata={"gearjobs.parent": parent.pk}, enqueued_at=timezone.now(), **fields)


def ids_of(response):
    assert response.status_code == 200, response.content
    return [line["id"] for line in response.json()["results"]]


def test_children_are_the_jobs_that_were_enqueued_in_the_runs(as_operator):
    parent, other = make_job("running"), make_job("running")
    first, second = child_of(parent), child_of(parent)
    child_of(other)
    make_job()

    assert ids_of(as_operator.get(f"/api/jobs/{parent.pk}/children/")) == [second.pk, first.pk]
    assert ids_of(as_operator.get(f"/api/jobs/?parent={parent.pk}&count=true")) == [second.pk, first.pk]


def test_children_come_in_pages(as_operator):
    parent = make_job("running")
    children = [child_of(parent) for _ in range(3)]

    page = as_operator.get(f"/api/jobs/{parent.pk}/children/?page_size=2&fields=id").json()
    rest = as_operator.get(page["next"])

    assert [line["id"] for line in page["results"]] + ids_of(rest) == [job.pk for job in reversed(children)]


def test_job_that_has_not_run_has_no_children(as_operator, django_assert_max_num_queries):
    parent = make_job("waiting")
    child_of(parent)

    with django_assert_max_num_queries(6):
        answer = as_operator.get(f"/api/jobs/{parent.pk}/children/?count=true").json()

    assert (answer["results"], answer["next"], answer["count"]) == ([], None, {"count": 0, "is_more": False})


def test_children_of_others_are_not_seen(as_anna, anna):
    parent = make_job("running", enqueued_by=str(anna.pk))
    own = child_of(parent, enqueued_by=str(anna.pk))
    child_of(parent, enqueued_by="somebody")
    foreign = make_job("running")
    child_of(foreign, enqueued_by=str(anna.pk))

    assert ids_of(as_anna.get(f"/api/jobs/{parent.pk}/children/")) == [own.pk]
    assert as_anna.get(f"/api/jobs/{foreign.pk}/children/").status_code == 404
    assert ids_of(as_anna.get(f"/api/jobs/?parent={foreign.pk}")) == []


def test_parameters_that_children_do_not_have_are_refused(as_operator):
    assert as_operator.get(f"/api/jobs/{make_job().pk}/children/?status=FAILED").status_code == 400


def test_job_that_a_run_enqueues_names_it():
    with client_in_place(FakeClient()):
        job = FakeRunningJob(payload=b'{"args": [1], "kwargs": {}}', handle="H:parent:1")
        run_job_in_place(job, task=enqueue_a_chain, worker_id="worker-1")
        outside = add.enqueue(1)

    (child,) = Job.objects.exclude(pk=outside.id)
    assert child.metadata == {"gearjobs.parent": "H:parent:1"}
    assert outside.metadata == {}


def test_logs_are_lines_of_text(as_operator):
    job = make_job("succeeded")
    now = timezone.now()
    bodies = [(False, b"data"), (True, b"10:00 INFO a\n10:01 INFO b"), (True, b'{"left": 3}')]
    for number, (is_warning, body) in enumerate(bodies, 1):
        JobOutput.objects.create(job=job, sequence=number, is_warning=is_warning, body=body, streamed_at=now)

    told = as_operator.get(f"/api/jobs/{job.pk}/logs/").json()

    assert [(piece["sequence"], piece["lines"]) for piece in told["results"]] == [
        (2, ["10:00 INFO a", "10:01 INFO b"]),
        (3, ['{"left": 3}']),
    ]
    assert (told["since"], told["is_over"], told["hidden"]) == (3, False, False)
    assert as_operator.get(f"/api/jobs/{job.pk}/logs/?since=3").json()["is_over"] is True
    assert as_operator.get(f"/api/jobs/{job.pk}/logs/?since=-1").status_code == 400


def test_logs_of_others_take_the_permission_to_see_payloads(make_user, login):
    job = make_job("succeeded")
    JobOutput.objects.create(job=job, sequence=1, is_warning=True, body=b"secret", streamed_at=timezone.now())

    told = login(make_user("viewer", "view_job")).get(f"/api/jobs/{job.pk}/logs/").json()

    assert (told["results"], told["hidden"]) == ([], True)


def test_list_shows_attempts_where_they_are_wanted(as_operator, django_assert_max_num_queries):
    twice, once = make_job("failed", attempt=2), make_job("succeeded")
    make_attempt(twice)
    for _ in range(3):
        make_attempt(make_job("failed", attempt=2))

    with django_assert_max_num_queries(6):
        lines = as_operator.get("/api/jobs/?expand=attempts").json()["results"]

    told = {line["id"]: line["attempts"] for line in lines}
    assert (told[once.pk], [one["error"]["message"] for one in told[twice.pk]]) == ([], ["broken 1"])
    assert "attempts" not in as_operator.get("/api/jobs/").json()["results"][0]
    assert as_operator.get("/api/jobs/?expand=payload").status_code == 400


def test_attempts_in_lists_tell_no_more_than_elsewhere(as_anna, anna):
    make_attempt(make_job("failed", attempt=2, enqueued_by=str(anna.pk)))

    ((attempt,),) = [line["attempts"] for line in as_anna.get("/api/jobs/?expand=attempts").json()["results"]]

    assert "worker_id" not in attempt
    assert "traceback" not in attempt["error"]


@pytest.mark.parametrize("path", ["", "status/"])
def test_job_that_was_read_and_pruned_is_gone(as_operator, path):
    handle = make_job("succeeded").pk
    tag = as_operator.get(f"/api/jobs/{handle}/").headers["ETag"]
    Job.objects.all().delete()

    response = as_operator.get(f"/api/jobs/{handle}/{path}", headers={"If-None-Match": tag})

    assert (response.status_code, response.json()["type"]) == (410, "urn:gearjobs:problem:job-gone")
    assert as_operator.get(f"/api/jobs/{handle}/{path}").status_code == 404


def test_change_of_a_job_that_was_pruned_meanwhile_says_so(make_user, login):
    client = login(make_user("operator", "view_job", "change_job"))
    handle = make_job("succeeded").pk
    tag = client.get(f"/api/jobs/{handle}/").headers["ETag"]
    Job.objects.all().delete()

    body = json.dumps({"metadata": {}})
    response = client.patch(f"/api/jobs/{handle}/", body, content_type="application/json", headers={"If-Match": tag})

    assert response.status_code == 410


def test_tag_that_is_made_up_tells_nothing_of_others_jobs(as_anna):
    job = make_job("succeeded")

    answers = {
        as_anna.get(f"/api/jobs/{handle}/", headers={"If-None-Match": f'"{handle}.1"'}).status_code
        for handle in (job.pk, "H:none:1")
    }

    assert answers == {410}


def test_signed_link_outlives_its_job(client, monkeypatch):
    job = make_job("succeeded")
    url = signed_status_url(job.pk, max_age=timedelta(days=1))
    job.delete()

    # It may be that the job's transaction is still open.
    assert client.get(url).status_code == 404
    later = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: later)
    assert client.get(url).status_code == 410
