"""Each action that changes jobs is one row of the audit, however many jobs it was for."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from gearjobs.actions.cancel_jobs import cancel_jobs
from gearjobs.actions.job_selection import JobSelection
from gearjobs.actions.prune_jobs import prune_jobs
from gearjobs.actions.retry_jobs import retry_jobs
from gearjobs.models import OperatorAction
from gearjobs.records.retention import KeptFor
from tests.support.job_rows import make_job

# Outside of a transaction, in which nothing would go over the wire.
pytestmark = pytest.mark.django_db(transaction=True)

IMAGES = JobSelection(queues=("images",))


def test_jobs_that_were_cancelled(job_server):
    for _ in range(3):
        make_job("waiting", queue="images", owner="")

    cancel_jobs(IMAGES, reason="too many")

    action = OperatorAction.objects.get()
    assert (action.verb, action.count, action.target) == ("cancel", 3, "")
    assert action.details == {"selection": {"queues": ["images"]}, "force": False, "reason": "too many"}


def test_job_that_was_retried(job_server):
    job = make_job("failed")

    retry_jobs(JobSelection(handles=(job.handle,)))

    action = OperatorAction.objects.get()
    assert (action.verb, action.count, action.target) == ("retry", 1, job.handle)


def test_jobs_that_were_pruned():
    make_job("failed", finished_at=timezone.now() - timedelta(days=9))

    prune_jobs(KeptFor(None, timedelta(days=1)))

    assert OperatorAction.objects.get().verb == "prune"


def test_nothing_done_is_nothing_written_down(job_server):
    cancel_jobs(IMAGES)
    retry_jobs(IMAGES)
    prune_jobs(KeptFor(None, timedelta(days=1)))

    assert not OperatorAction.objects.exists()
