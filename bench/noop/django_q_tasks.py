"""django-q2: jobs in Redis or in the project's database, results always in the database; all of them are kept."""

from __future__ import annotations

from django_q.models import Success
from django_q.tasks import async_task, result


def noop(number: int) -> int:
    """Do nothing."""
    return number


def enqueue(number: int) -> str:
    """Enqueue one job."""
    return str(async_task(noop, number))


def wait(job: str, timeout_s: float) -> object:
    """Return its result."""
    return result(job, wait=int(timeout_s * 1000))


def ended() -> int:
    """Count the results."""
    return Success.objects.count()
