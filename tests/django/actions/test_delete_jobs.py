"""Removing single jobs."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied

from gearjobs.actions.delete_jobs import delete_jobs
from gearjobs.models import Job, JobAttempt, OperatorAction
from tests.support.job_rows import make_attempt, make_job

pytestmark = pytest.mark.django_db


def test_ended_jobs_go_with_what_belongs_to_them():
    job = make_job("failed")
    make_attempt(job)

    report = delete_jobs([job.handle])

    assert (report.deleted, report.refusals, Job.objects.count(), JobAttempt.objects.count()) == (1, {}, 0, 0)
    assert (OperatorAction.objects.get().verb, OperatorAction.objects.get().target) == ("delete", job.handle)


def test_audit_names_the_jobs_that_went():
    gone, stays = [make_job("failed") for _ in range(2)], make_job("running")

    delete_jobs([*(job.handle for job in gone), stays.handle])

    action = OperatorAction.objects.get()
    assert (action.target, action.count, action.details) == ("", 2, {"handles": [job.handle for job in gone]})


def test_jobs_that_have_not_ended_stay():
    job = make_job("running")

    report = delete_jobs([job.handle, "H:nobody"])

    assert report.refusals == {job.handle: "it has not ended", "H:nobody": "there is no such job"}
    assert (report.deleted, OperatorAction.objects.exists()) == (0, False)


def test_deleting_takes_its_permission():
    job = make_job("failed")

    with pytest.raises(PermissionDenied, match=r"gearjobs\.delete_job"):
        delete_jobs([job.handle], user=get_user_model().objects.create_user("anna"))
    assert Job.objects.exists()
