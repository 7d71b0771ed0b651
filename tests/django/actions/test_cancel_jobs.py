"""Cancelling selections of jobs."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied

from gearjobs import ServerError, UsageError
from gearjobs.actions.cancel_jobs import cancel_jobs
from gearjobs.actions.job_selection import JobSelection
from gearjobs.core.submission import CancelVerdict
from gearjobs.models import Job
from gearjobs.tasks.job_control import CancelOutcome
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db

IMAGES = JobSelection(queues=("images",))


def counted(report) -> dict[str, int]:
    return {str(outcome): count for outcome, count in report.counts.items() if count}


def test_unfinished_jobs_of_a_selection_are_cancelled_in_order(job_server):
    rows = [make_job(detail, queue="images") for detail in ("waiting", "running", "succeeded")]
    unowned = make_job("waiting", queue="images", owner="")
    make_job("waiting", queue="other")
    job_server.verdicts = {rows[0].handle: CancelVerdict.CANCELLED, rows[1].handle: CancelVerdict.ASKED}
    told = []

    report = cancel_jobs(IMAGES, on_outcome=lambda handle, outcome: told.append((handle, outcome)))

    assert counted(report) == {"cancelled": 2, "asked": 1}
    assert report.is_complete
    assert sorted(told) == sorted(
        [
            (rows[0].handle, CancelOutcome.CANCELLED),
            (rows[1].handle, CancelOutcome.ASKED),
            (unowned.handle, CancelOutcome.CANCELLED),
        ]
    )
    assert Job.objects.get(pk=unowned.handle).status_detail == "cancelled"


def test_force_is_passed_on(job_server):
    row = make_job("running", queue="images")

    cancel_jobs(IMAGES, force=True)

    assert job_server.cancelled == [(row.handle, True)]


def test_jobs_named_by_handle_are_told_of_each(job_server):
    ended, lost = make_job("failed"), make_job("running")

    report = cancel_jobs(JobSelection(handles=(ended.handle, lost.handle, "H:none:1")))

    assert counted(report) == {"ended": 1, "unreachable": 1, "unknown": 1}
    assert not report.is_complete


def test_job_without_a_row_may_be_a_servers_own(job_server):
    job_server.verdicts["H:foreground:1"] = CancelVerdict.CANCELLED

    report = cancel_jobs(JobSelection(handles=("H:foreground:1",)))

    assert counted(report) == {"cancelled": 1}


def test_handle_that_does_not_fit_the_other_words_is_left_alone(job_server):
    row = make_job("running", queue="other")

    report = cancel_jobs(JobSelection(handles=(row.handle,), queues=("images",)))

    assert (counted(report), job_server.cancelled) == ({}, [])


def test_limit_takes_the_oldest(job_server):
    oldest = make_job(queue="images", owner="")
    make_job(queue="images", owner="")

    assert counted(cancel_jobs(IMAGES, limit=1)) == {"cancelled": 1}
    assert Job.objects.get(status="FAILED").handle == oldest.handle


def test_server_that_refuses_is_heard(job_server):
    make_job("running", queue="images")
    job_server.refusal = ServerError("ACCESS_DENIED", "you may not")

    with pytest.raises(ServerError, match="ACCESS_DENIED"):
        cancel_jobs(IMAGES)


def test_user_needs_the_permission(make_user, job_server):
    make_job(queue="images", owner="")

    with pytest.raises(PermissionDenied, match=r"gearjobs\.cancel_job"):
        cancel_jobs(IMAGES, user=make_user("viewer", "view_job", "retry_job"))

    report = cancel_jobs(IMAGES, user=make_user("operator", "cancel_job"))
    assert counted(report) == {"cancelled": 1}


def test_empty_selection_cancels_nothing():
    with pytest.raises(UsageError):
        cancel_jobs(JobSelection())
