"""Results of jobs as a worker or a caller holds them."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from gearjobs import GearResult
from gearjobs.tasks.django_tasks import Task, TaskResultStatus


def running_result(task: Task[..., Any], **values: object) -> GearResult[Any]:
    """Return the result of a job that has just begun its first run."""
    now = timezone.now()
    fields: dict[str, Any] = {
        "task": task,
        "id": "H:test:00000000000001",
        "status": TaskResultStatus.RUNNING,
        "enqueued_at": now,
        "started_at": now,
        "finished_at": None,
        "last_attempted_at": now,
        "args": [],
        "kwargs": {},
        "backend": "default",
        "errors": [],
        "worker_ids": ["worker-1"],
        "status_detail": "running",
    }
    return GearResult(**fields | values)
