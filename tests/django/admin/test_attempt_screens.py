"""What the admin's pages show of attempts, of deaths, and of jobs whose work another job does."""

from __future__ import annotations

import pytest
from django.contrib.admin.utils import quote

from gearjobs.models import Job
from tests.support.job_rows import make_attempt, make_job

pytestmark = pytest.mark.django_db

LIST = "/admin/gearjobs/job/"


@pytest.fixture
def as_viewer(make_user, login):
    return login(make_user("viewer", "view_job", is_staff=True))


@pytest.fixture
def as_auditor(make_user, login):
    return login(make_user("auditor", "view_job", "view_payload", is_staff=True))


def page_of(client, job: Job) -> str:
    response = client.get(f"{LIST}{quote(job.handle)}/change/")
    assert response.status_code == 200
    return str(response.content.decode())


def test_page_lists_every_attempt_with_worker_duration_and_error(as_viewer):
    job = make_job("running", attempt=3)
    make_attempt(job, 1)
    make_attempt(job, 2, outcome="lost", error_message="killed by signal 9 <b>", started_at=None)

    page = page_of(as_viewer, job)

    assert '<li value="1">' in page
    assert '<li value="2">' in page
    assert "after 2.5 s" in page
    assert all(words in page for words in ("worker-1", "worker lost", "broken 1", "killed by signal 9 &lt;b&gt;"))
    assert "Traceback 1" not in page


def test_tracebacks_of_attempts_are_for_those_with_the_permission(as_auditor):
    job = make_job("failed", attempt=2)
    make_attempt(job)

    assert "Traceback 1" in page_of(as_auditor, job)


def test_page_of_a_job_of_one_attempt_has_no_list(as_viewer):
    assert "Attempts before" not in page_of(as_viewer, make_job("failed"))


def test_page_of_a_dead_job_tells_the_cause_and_its_payload(as_auditor):
    job = make_job("dead", attempt=3, crashes=3, error_message="killed by signal 9 with 812 MiB", payload=b"poison")

    page = page_of(as_auditor, job)

    assert "Cause of death" in page
    assert "killed by signal 9 with 812 MiB" in page
    assert "poison" in page


def test_page_tells_that_a_job_was_told_to_stop(as_viewer):
    job = make_job("running")
    Job.objects.filter(pk=job.pk).update(cancel_asked_at=job.started_at)

    assert "told to stop" in page_of(as_viewer, job)


def test_joined_job_is_shown_as_the_other_stands_in_list_and_page(as_viewer):
    holder = make_job("running", progress_numerator=1, progress_denominator=4)
    joined = make_job("cancelled", joined_to=holder.handle, error_class="gearjobs.errors.JobCoalesced")

    listed = as_viewer.get(LIST).content.decode()
    page = page_of(as_viewer, joined)

    assert listed.count('value="25.0"') == 2
    assert ">cancelled</span>" not in listed
    assert holder.handle in page
    assert "JobCoalesced" not in page
