"""Rows of the job table for tests that do not care how they came about."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

from django.utils import timezone

from gearjobs.models import DETAIL_STATUS, Job, JobAttempt, StatusDetail
from gearjobs.tasks.job_control import RETRY_OF

_numbers = itertools.count(1)


def make_job(detail: str = "waiting", **fields: Any) -> Job:
    """Insert a job in a state, with times that fit it."""
    status = DETAIL_STATUS[StatusDetail(detail)]
    now = timezone.now()
    times = {"enqueued_at": now - timedelta(seconds=30)}
    if detail not in {"waiting", "scheduled"}:
        times |= {"started_at": now - timedelta(seconds=20), "last_attempted_at": now - timedelta(seconds=20)}
        fields.setdefault("attempt", 1)
        fields.setdefault("worker_ids", ["worker-1"])
    if status in {"FAILED", "SUCCESSFUL"}:
        times["finished_at"] = now - timedelta(seconds=5)
    if status == "FAILED" and detail != "cancelled":
        fields.setdefault("fingerprint", f"f-{detail}")
    values = {
        "handle": f"H:test:00000000000000{next(_numbers):010d}",
        "function": "resize",
        "owner": "server-1",
        "payload": b'{"args": [1], "kwargs": {}}',
        "status": status,
        "status_detail": detail,
        **times,
        **fields,
    }
    return Job.objects.create(**values)


def make_attempt(job: Job, number: int = 1, *, outcome: str = "failed", **fields: Any) -> JobAttempt:
    """Insert an attempt of a job that another one followed."""
    ended_at = timezone.now() - timedelta(seconds=10)
    values = {
        "worker_id": f"worker-{number}",
        "started_at": ended_at - timedelta(seconds=2.5),
        "ended_at": ended_at,
        "error_class": "album.errors.Broken",
        "error_message": f"broken {number}",
        "error_traceback": f"Traceback {number}",
        **fields,
    }
    return JobAttempt.objects.create(job=job, number=number, outcome=outcome, **values)


def jobs_run_again() -> list[Job]:
    """Return the jobs that do ended jobs' work again, in the order of their making."""
    return list(Job.objects.filter(metadata__has_key=RETRY_OF).order_by("handle"))
