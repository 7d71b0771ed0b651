"""What the REST API tells of attempts, and of jobs whose work another job does."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from gearjobs.models import Job
from tests.support.job_rows import make_attempt, make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna(make_user):
    return make_user("anna")


@pytest.fixture
def as_anna(anna, login):
    return login(anna)


@pytest.fixture
def as_auditor(make_user, login):
    return login(make_user("auditor", "view_job", "view_payload"))


def url_of(job: Job) -> str:
    return f"/api/jobs/{quote(job.handle, safe=':')}/"


def test_attempts_are_told_without_traceback_and_worker(as_anna, anna):
    job = make_job("retrying", enqueued_by=str(anna.pk), attempt=2)
    rows = [make_attempt(job, 1), make_attempt(job, 2, outcome="lost", error_message="killed by signal 9")]

    told = as_anna.get(url_of(job)).json()["attempts"]

    assert [(one["number"], one["outcome"], one["error"]["message"]) for one in told] == [
        (1, "failed", "broken 1"),
        (2, "lost", "killed by signal 9"),
    ]
    assert told[0].keys() == {"number", "outcome", "started_at", "ended_at", "error"}
    assert told[0]["error"].keys() == {"class", "message"}
    assert told[0]["ended_at"].startswith(rows[0].ended_at.isoformat()[:19])


def test_traceback_and_worker_of_attempts_need_the_permission(as_auditor):
    job = make_job("running", attempt=2)
    make_attempt(job)

    (told,) = as_auditor.get(url_of(job)).json()["attempts"]

    assert (told["worker_id"], told["error"]["traceback"]) == ("worker-1", "Traceback 1")


def test_job_of_one_attempt_tells_of_none(as_auditor):
    assert as_auditor.get(url_of(make_job("failed"))).json()["attempts"] == []


def test_own_job_is_told_as_the_one_stands_that_does_its_work(as_anna, anna):
    holder = make_job("succeeded", result=b'"thumb"', version=4)
    joined = make_job("cancelled", joined_to=holder.handle, enqueued_by=str(anna.pk), version=2)

    response = as_anna.get(url_of(joined))

    told = response.json()
    assert (told["id"], told["joined_to"]) == (joined.handle, holder.handle)
    assert (told["status"], told["result"], told["error"], told["version"]) == ("SUCCESSFUL", "thumb", None, 6)
    assert as_anna.get(url_of(holder)).status_code == 404
    assert as_anna.get(url_of(joined), headers={"If-None-Match": response.headers["ETag"]}).status_code == 304


def test_joined_job_is_news_when_the_other_changes(as_anna, anna):
    holder = make_job("running")
    joined = make_job("cancelled", joined_to=holder.handle, enqueued_by=str(anna.pk))
    etag = as_anna.get(url_of(joined)).headers["ETag"]

    Job.objects.filter(pk=holder.pk).update(version=2, progress_message="half")

    response = as_anna.get(url_of(joined), headers={"If-None-Match": etag})
    assert response.status_code == 200
    assert response.json()["progress"]["message"] == "half"


def test_list_tells_joined_jobs_as_the_others_stand(as_anna, anna):
    holder = make_job("running")
    make_job("cancelled", joined_to=holder.handle, enqueued_by=str(anna.pk))

    (told,) = as_anna.get("/api/jobs/").json()["results"]

    assert (told["status"], told["error"], told["finished_at"]) == ("RUNNING", None, None)
