"""Running selections of jobs again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from gearjobs import ServerError
from gearjobs.actions.job_selection import JobSelection
from gearjobs.actions.retry_jobs import retry_jobs
from gearjobs.models import Job
from tests.support.job_rows import make_job

# Outside of a transaction, in which nothing would go over the wire.
pytestmark = pytest.mark.django_db(transaction=True)

IMAGES = JobSelection(queues=("images",))


def test_failed_jobs_of_a_selection_run_again(job_server):
    rows = [make_job(detail, queue="images", function=f"f:{detail}") for detail in ("failed", "dead", "cancelled")]
    for detail in ("waiting", "running", "succeeded"):
        make_job(detail, queue="images")
    told = []

    report = retry_jobs(IMAGES, on_retried=lambda *handles: told.append(handles))

    assert (report.retried, report.refusals) == (3, {})
    assert [submitted.function for submitted in job_server.submitted] == ["f:failed", "f:dead", "f:cancelled"]
    assert told == [(row.handle, submitted.handle) for row, submitted in zip(rows, job_server.submitted, strict=True)]


def test_more_jobs_than_are_read_at_once_all_run_again(job_server):
    for _ in range(120):
        make_job("failed", queue="images")

    assert retry_jobs(IMAGES).retried == 120
    assert len(job_server.submitted) == 120


def test_what_fails_again_meanwhile_is_left_alone(job_server):
    # It was picked up by the next portion, and so on without an end.
    for _ in range(60):
        make_job("failed", queue="images")

    report = retry_jobs(IMAGES, limit=200, on_retried=lambda *_: _fail_anew())

    assert report.retried == 60


def _fail_anew() -> None:
    make_job("failed", queue="images", enqueued_at=timezone.now())


def test_job_named_by_its_handle_may_have_succeeded(job_server):
    done, running = make_job("succeeded"), make_job("running")

    report = retry_jobs(JobSelection(handles=(done.handle, running.handle, "H:none:1")))

    assert report.retried == 1
    assert report.refusals == {
        running.handle: f"the job {running.handle} is running; only a job that has ended can be run again",
        "H:none:1": "there is no such job",
    }


def test_names_and_payloads_that_are_no_text_survive(job_server):
    make_job("failed", queue="images", function="caf\\xe9", payload=b"\x00\xff")

    retry_jobs(IMAGES)

    ((function, payload),) = [(request.function, request.payload) for request in job_server.requests]
    assert (function, payload) == (b"caf\xe9", b"\x00\xff")


def test_jobs_may_run_later_and_a_few_of_them(job_server):
    for _ in range(3):
        make_job("failed", queue="images")
    at = timezone.now() + timedelta(hours=1)

    assert retry_jobs(IMAGES, at=at, limit=2).retried == 2
    assert {submitted.run_at for submitted in job_server.submitted} == {at.timestamp()}


def test_server_that_refuses_some_is_heard(job_server):
    job_server.refusal, job_server.takes = ServerError("QUEUE_ERROR", "full"), 1
    rows = [make_job("failed", queue="images") for _ in range(2)]

    report = retry_jobs(IMAGES)

    assert (report.retried, report.refusals) == (1, {rows[1].handle: "the job server answered QUEUE_ERROR: full"})


def test_jobs_are_kept_where_no_server_answers(job_server):
    make_job("failed", queue="images", unique="u", terms={"timeout_s": 5.0})

    job_server.is_down = True
    assert retry_jobs(IMAGES).retried == 1

    row = Job.objects.get(status="READY")
    assert (row.owner, row.unique, row.terms) == ("", "u", {"timeout_s": 5.0})


def test_user_needs_the_permission(make_user, job_server):
    with pytest.raises(PermissionDenied, match=r"gearjobs\.retry_job"):
        retry_jobs(IMAGES, user=make_user("viewer", "cancel_job"))

    assert retry_jobs(IMAGES, user=make_user("operator", "retry_job")).retried == 0
