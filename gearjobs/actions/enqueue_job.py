"""Enqueuing a job by hand: of a declared task with arguments, or of any function with the payload's own bytes.

A task's job is what its `enqueue` would make: on its queue, with its terms and its unique. A function that no task of
this project answers to is a worker's of another program; what its payload means is that one's.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied

from gearjobs.errors import ServerError, UsageError
from gearjobs.protocol.attributes import SubmitAttributes
from gearjobs.protocol.wire_text import to_bytes
from gearjobs.records.audit import note_action
from gearjobs.records.job_queries import has_permission
from gearjobs.tasks.discovery import discover_tasks
from gearjobs.tasks.django_tasks import InvalidTask
from gearjobs.tasks.function_names import function_of
from gearjobs.tasks.handle_source import next_handle
from gearjobs.tasks.job_control import project_client
from gearjobs.tasks.keeping import NewSubmission, keep
from gearjobs.tasks.payload import PAYLOAD_LIMIT_BYTES
from gearjobs.tasks.rebuilt_task import on_queue
from gearjobs.tasks.registry import task_of_function
from gearjobs.tasks.schedules.declarations import check_call
from gearjobs.tasks.submitter import submitter
from gearjobs.tasks.task import FUNCTION_LIMIT_BYTES, GearTask

logger = logging.getLogger("gearjobs.actions")

User = AbstractBaseUser | AnonymousUser
AnyTask = GearTask[..., Any]


def called_by(function: str) -> AnyTask | None:
    """Return the task that a function calls, on the queue that its name says; None where no task of ours does."""
    discover_tasks()
    task = task_of_function(function)
    if task is None:
        name, _, queue = function.rpartition("@")
        task = task_of_function(name) if queue else None
        task = on_queue(task, queue) if task is not None else None
    return task if isinstance(task, GearTask) else None


def enqueue_call(
    task: AnyTask,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    user: User | None = None,
    priority: int | None = None,
    run_at: datetime | None = None,
) -> str:
    """Enqueue a call of a task, and return the job's handle.

    Args:
        task: on the queue that is meant.
        args: by place.
        kwargs: by name.
        user: who wants it; None for whoever may run commands.
        priority: -100 to 100; None for the task's own.
        run_at: the earliest start; None for at once.

    Raises:
        PermissionDenied: the user has not the permission `add_job`.
        UsageError: the task takes no such arguments, or its backend no such priority or time.
        ServerError: the job server refused the job.
        ServerUnavailable: neither a job server nor the database could keep it.
    """
    _check_may_add(user)
    check_call(task, args, kwargs=kwargs)
    try:
        handle: str = task.using(priority=priority, run_after=run_at).enqueue(*args, **kwargs).id
    except InvalidTask as error:
        raise UsageError(str(error)) from error
    _note(function_of(task), handle, user)
    return handle


def enqueue_payload(
    function: str,
    payload: bytes,
    *,
    user: User | None = None,
    priority: int = 0,
    run_at: datetime | None = None,
) -> str:
    """Enqueue a job of any function, and return its handle.

    Args:
        function: its name as text, as in the job table.
        payload: what its worker is given.
        user: who wants it; None for whoever may run commands.
        priority: -100 to 100.
        run_at: the earliest start; None for at once.

    Raises:
        PermissionDenied: the user has not the permission `add_job`.
        UsageError: there is no name, or that or the payload is too long.
        ServerError: the job server refused the job.
        ServerUnavailable: neither a job server nor the database could keep it.
    """
    _check_may_add(user)
    if not function:
        raise UsageError("a function's name must not be empty")
    if len(to_bytes(function)) > FUNCTION_LIMIT_BYTES:
        raise UsageError(f"a function's name may have {FUNCTION_LIMIT_BYTES} bytes, got {len(to_bytes(function))}")
    if len(payload) > PAYLOAD_LIMIT_BYTES:
        raise UsageError(f"a payload may have {PAYLOAD_LIMIT_BYTES} bytes, got {len(payload)}")
    run_at_s = run_at.timestamp() if run_at is not None else 0.0
    attributes = SubmitAttributes(priority=priority, run_at=run_at_s, enqueued_by=submitter())
    submission = NewSubmission(
        handle=next_handle(), function=to_bytes(function), payload=payload, attributes=attributes
    )
    (outcome,) = keep([submission], project_client())
    if isinstance(outcome, ServerError):
        raise outcome
    _note(function, outcome, user)
    return outcome


def _check_may_add(user: User | None) -> None:
    if user is not None and not has_permission(user, "add_job"):
        raise PermissionDenied("you may not enqueue jobs; it takes the permission gearjobs.add_job")


def _note(function: str, handle: str, user: User | None) -> None:
    logger.info("enqueued job=%s function=%s by=%s", handle, function, "command" if user is None else user)
    note_action("enqueue", actor=user, target_kind="job", target=handle, details={"function": function})
