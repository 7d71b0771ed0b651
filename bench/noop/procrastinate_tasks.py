"""Procrastinate: jobs in PostgreSQL, which tells workers of new ones; it keeps that a job succeeded, and no value.

Coroutines are what its workers run best, so the task is one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob


@app.task
async def noop(number: int) -> int:
    """Do nothing."""
    return number


def enqueue(number: int) -> tuple[int, int]:
    """Enqueue one job."""
    return noop.defer(number=number), number


def enqueue_many(numbers: Iterable[int]) -> None:
    """Enqueue many jobs by one call."""
    noop.batch_defer(*({"number": number} for number in numbers))


def wait(job: tuple[int, int], timeout_s: float) -> object:
    """Return the number once the job succeeded: it has no other result."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if ProcrastinateJob.objects.values_list("status", flat=True).get(id=job[0]) == "succeeded":
            return job[1]
        time.sleep(0.005)
    return None


def ended() -> int:
    """Count the jobs that succeeded."""
    return ProcrastinateJob.objects.filter(status="succeeded").count()
