"""Letting selections of jobs wait otherwise."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from gearjobs.actions.change_jobs import Change, change_job, change_jobs
from gearjobs.actions.job_selection import JobSelection
from gearjobs.core.submission import ChangeVerdict
from gearjobs.errors import UsageError
from gearjobs.models import Job, OperatorAction
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db

IMAGES = JobSelection(queues=("images",))


def test_unfinished_jobs_of_a_selection_wait_otherwise(job_server):
    unowned, owned, running = (
        make_job("waiting", queue="images", owner=""),
        make_job("scheduled", queue="images"),
        make_job("running", queue="images"),
    )
    make_job("failed", queue="images")
    job_server.change_verdicts.update({owned.handle: ChangeVerdict.CHANGED, running.handle: ChangeVerdict.STARTED})

    report = change_jobs(IMAGES, Change(priority=9))

    assert (report.changed, report.refusals) == (
        2,
        {running.handle: f"the job {running.handle} cannot be changed: it runs already"},
    )
    assert Job.objects.get(pk=unowned.pk).priority == 9
    action = OperatorAction.objects.get()
    assert (action.verb, action.count, action.details) == ("change", 2, {"priority": 9})


def test_jobs_may_be_put_off_some_at_a_time(job_server):
    at = timezone.now() + timedelta(hours=1)
    for _ in range(3):
        make_job("waiting", queue="images", owner="")

    assert change_jobs(IMAGES, Change(run_at=at), limit=2).changed == 2

    assert Job.objects.filter(run_at=at, status_detail="scheduled").count() == 2


def test_job_that_its_server_is_just_taking_over_is_changed_there(job_server):
    job = make_job("waiting", owner="")
    Job.objects.update(owner="server-1")
    job_server.change_verdicts[job.handle] = ChangeVerdict.CHANGED

    change_job(job, priority=3)

    assert job_server.changed == [(job.handle, {"priority": 3})]


@pytest.mark.parametrize(("change", "words"), [({}, "say a priority"), ({"priority": 101}, "from -100 to 100")])
def test_change_that_says_nothing_or_too_much_is_refused(job_server, change, words):
    with pytest.raises(UsageError, match=words):
        change_jobs(IMAGES, Change(**change))


def test_user_needs_the_permission(make_user, job_server):
    job = make_job("waiting", owner="")
    with pytest.raises(PermissionDenied, match=r"gearjobs\.change_job"):
        change_job(job, user=make_user("viewer", "retry_job"), priority=5)

    change_job(job, user=make_user("operator", "change_job"), priority=5)
    assert Job.objects.get().priority == 5
