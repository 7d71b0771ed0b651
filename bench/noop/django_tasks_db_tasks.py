"""django-tasks-db: Django's tasks as rows of the project's database, which its workers ask for jobs once a second."""

from __future__ import annotations

import time

from django_tasks import task
from django_tasks.base import TaskResult
from django_tasks_db.models import DBTaskResult


@task()
def noop(number: int) -> int:
    """Do nothing."""
    return number


def enqueue(number: int) -> TaskResult[int]:
    """Enqueue one job."""
    return noop.enqueue(number)


def wait(job: TaskResult[int], timeout_s: float) -> object:
    """Return its result."""
    deadline = time.monotonic() + timeout_s
    while not job.is_finished and time.monotonic() < deadline:
        time.sleep(0.005)
        job.refresh()
    return job.return_value if job.is_finished else None


def ended() -> int:
    """Count the results."""
    return DBTaskResult.objects.filter(status="SUCCESSFUL").count()
