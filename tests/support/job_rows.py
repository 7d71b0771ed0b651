"""Rows of the job table for tests that do not care how they came about."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

from django.utils import timezone

from gearjobs.models import DETAIL_STATUS, Job, StatusDetail

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
