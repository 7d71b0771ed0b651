"""Running selections of jobs again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from gearjobs.actions.job_selection import JobSelection
from gearjobs.actions.retry_jobs import retry_jobs
from gearjobs.models import Job
from tests.support.job_rows import jobs_run_again, make_job

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
    again = jobs_run_again()
    assert [job.function for job in again] == ["f:failed", "f:dead", "f:cancelled"]
    assert told == [(row.handle, job.handle) for row, job in zip(rows, again, strict=True)]
    assert job_server.nudges == 1


def test_more_jobs_than_are_read_at_once_all_run_again(job_server):
    for _ in range(120):
        make_job("failed", queue="images")

    assert retry_jobs(IMAGES).retried == 120
    assert len(jobs_run_again()) == 120


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

    (job,) = jobs_run_again()
    assert (job.function, bytes(job.payload)) == ("caf\\xe9", b"\x00\xff")


def test_jobs_may_run_later_and_a_few_of_them(job_server):
    for _ in range(3):
        make_job("failed", queue="images")
    at = timezone.now() + timedelta(hours=1)

    assert retry_jobs(IMAGES, at=at, limit=2).retried == 2
    assert {(job.run_at, job.status_detail) for job in jobs_run_again()} == {(at, "scheduled")}


def test_selection_that_is_retried_twice_runs_once(job_server):
    rows = [make_job("failed", queue="images") for _ in range(3)]

    assert [retry_jobs(IMAGES).retried, retry_jobs(IMAGES).retried] == [3, 0]

    assert {job.retried_as for job in Job.objects.filter(pk__in=[row.pk for row in rows])} == {
        job.handle for job in jobs_run_again()
    }


def test_job_that_is_named_twice_runs_once_and_the_other_time_is_told(job_server):
    row = make_job("failed")
    named = JobSelection(handles=(row.handle,))
    retry_jobs(named)
    (again,) = jobs_run_again()

    report = retry_jobs(named)

    assert (report.retried, len(jobs_run_again())) == (0, 1)
    assert report.refusals == {
        row.handle: f"the job {row.handle} was run again already, as {again.handle}; "
        "run that one again, or copy this one"
    }


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
