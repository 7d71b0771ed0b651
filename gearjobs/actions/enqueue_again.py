"""A copy of a job, with other arguments, or another time, if one likes.

A copy is a job of its own: it has the function, terms and queue of the other one, no unique, and no time unless one is
named.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied

from gearjobs.actions.retry_jobs import check_may_retry_jobs
from gearjobs.core.terms import read_terms, write_terms
from gearjobs.errors import ServerError, UsageError
from gearjobs.models import Job
from gearjobs.protocol.attributes import SubmitAttributes
from gearjobs.protocol.wire_text import to_bytes
from gearjobs.records.audit import note_action
from gearjobs.records.job_queries import has_permission
from gearjobs.tasks.handle_source import next_handle
from gearjobs.tasks.job_control import RETRY_OF, project_client
from gearjobs.tasks.keeping import NewSubmission, keep
from gearjobs.tasks.payload import decode_call, encode_call
from gearjobs.tasks.registry import task_at
from gearjobs.tasks.schedules.declarations import check_call
from gearjobs.tasks.submitter import submitter
from gearjobs.tasks.task import GearTask

logger = logging.getLogger("gearjobs.actions")

User = AbstractBaseUser | AnonymousUser

#: Where a job's metadata name the job it is a copy of.
COPY_OF: Final = "gearjobs.copy_of"


def duplicate_job(
    job: Job,
    *,
    user: User | None = None,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    priority: int | None = None,
) -> str:
    """Enqueue a copy of a job and return its handle.

    Args:
        job: its row, whole; in any state.
        user: who wants it; None for whoever may run commands.
        args: other positional arguments; None for the same.
        kwargs: other keyword arguments; None for the same.
        priority: -100 to 100; None for the same.

    Raises:
        PermissionDenied: the user has not the permission `retry_job`; to change arguments it takes `add_job` as well.
        UsageError: the task takes no such arguments, or the job has a reducer.
        ServerError: the job server refused the job.
        ServerUnavailable: neither a job server nor the database could keep it.
    """
    check_may_retry_jobs(user)
    is_changed = args is not None or kwargs is not None
    if user is not None and is_changed and not has_permission(user, "add_job"):
        raise PermissionDenied("you may not enqueue jobs; it takes the permission gearjobs.add_job")
    payload = _payload(job, args, kwargs) if is_changed else None
    return copy_job(job, user=user, payload=payload, priority=priority)


def copy_job(
    job: Job,
    *,
    user: User | None = None,
    payload: bytes | None = None,
    priority: int | None = None,
    run_at: datetime | None = None,
) -> str:
    """Enqueue a copy of a job, with another payload if one is given, and return its handle.

    Args:
        job: its row, whole; in any state.
        user: who wants it; None for whoever may run commands.
        payload: what its worker is given; None for the same.
        priority: -100 to 100; None for the same.
        run_at: the earliest start; None for at once.

    Raises:
        The same as `duplicate_job`.
    """
    check_may_retry_jobs(user)
    if user is not None and payload is not None and not has_permission(user, "add_job"):
        raise PermissionDenied("you may not enqueue jobs; it takes the permission gearjobs.add_job")
    if job.reducer:
        raise UsageError(f"the job {job.handle} has a reducer, which a background submission of ours cannot name")
    handle = _enqueue(
        job,
        bytes(job.payload) if payload is None else payload,
        priority=job.priority if priority is None else priority,
        run_at=run_at,
    )
    logger.info("duplicated job=%s as=%s by=%s", job.handle, handle, "command" if user is None else user)
    note_action("duplicate", actor=user, target_kind="job", target=job.handle, details={"as": handle})
    return handle


def _payload(job: Job, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None) -> bytes:
    known_args, known_kwargs = decode_call(bytes(job.payload))
    new_args = known_args if args is None else list(args)
    new_kwargs = known_kwargs if kwargs is None else dict(kwargs)
    task = task_at(job.task)
    if isinstance(task, GearTask):
        check_call(task, new_args, kwargs=new_kwargs)
    return encode_call(new_args, new_kwargs)


def _enqueue(job: Job, payload: bytes, *, priority: int, run_at: datetime | None = None) -> str:
    terms = read_terms(job.terms)
    run_at_s = run_at.timestamp() if run_at is not None else 0.0
    if terms.expires_at:
        # As long from now as it was from then.
        waited_from = max(job.enqueued_at, job.run_at or job.enqueued_at).timestamp()
        terms = replace(terms, expires_at=max(time.time(), run_at_s) + max(0.0, terms.expires_at - waited_from))
    submission = NewSubmission(
        handle=next_handle(),
        function=to_bytes(job.function),
        payload=payload,
        attributes=SubmitAttributes(
            priority=priority,
            run_at=run_at_s,
            task=job.task,
            queue=job.queue,
            backend=job.backend,
            enqueued_by=submitter() or job.enqueued_by,
            # It is not the work of the one before that is done again.
            metadata={**{key: value for key, value in job.metadata.items() if key != RETRY_OF}, COPY_OF: job.handle},
            terms=write_terms(terms),
        ),
    )
    (outcome,) = keep([submission], project_client())
    if isinstance(outcome, ServerError):
        raise outcome
    return outcome
