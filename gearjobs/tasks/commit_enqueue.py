"""Enqueuing after the commit under a backend that knows nothing of transactions.

The caller's result exists at once and is filled in when the call was enqueued. GearmanBackend needs none of it: there a
job is part of the transaction (`enqueue`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from django.db import connections, transaction

from gearjobs.settings import gearjobs_settings
from gearjobs.tasks.django_tasks import Task, TaskResultStatus
from gearjobs.tasks.handle_source import next_handle
from gearjobs.tasks.result import GearResult


def enqueue_after_commit(
    task: Task[..., Any], args: Sequence[object], *, kwargs: Mapping[str, object]
) -> GearResult[Any]:
    """Enqueue a call once the open transaction has committed, at once where there is none.

    Where several databases have one open, the job table's counts, else the first.
    """
    result: GearResult[Any] = GearResult(
        task=task,
        id=next_handle(),
        status=TaskResultStatus.READY,
        enqueued_at=None,
        started_at=None,
        finished_at=None,
        last_attempted_at=None,
        args=list(args),
        kwargs=dict(kwargs),
        backend=task.backend,
        errors=[],
        worker_ids=[],
    )

    def enqueue() -> None:
        enqueued = cast("Any", Task.enqueue)(task, *result.args, **result.kwargs)
        result.change(id=enqueued.id)
        result.take_over(enqueued)

    transaction.on_commit(enqueue, using=_alias())
    return result


def _alias() -> str:
    own = gearjobs_settings().database
    open_ones = [one.alias for one in connections.all(initialized_only=True) if one.in_atomic_block]
    return own if own in open_ones or not open_ones else open_ones[0]
