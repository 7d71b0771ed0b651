"""A copy of a job, with other arguments if one likes; and a job that waits for its time, run at once.

A copy is a job of its own: it has the function, terms and queue of the other one, no unique and no time. A job that
waits for its time belongs to a job server, which knows no other time for it: it is cancelled, and a copy takes its
place. Should the copy fail to be enqueued, the cancelled row is there to be retried.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied

from gearjobs.actions.cancel_jobs import check_may_cancel
from gearjobs.actions.retry_jobs import check_may_retry_jobs
from gearjobs.core.terms import read_terms, write_terms
from gearjobs.errors import ServerError, ServerUnavailable, UsageError
from gearjobs.models import Job, JobMember, StatusDetail
from gearjobs.protocol.attributes import SubmitAttributes
from gearjobs.protocol.wire_text import to_bytes
from gearjobs.records.audit import note_action
from gearjobs.records.job_queries import has_permission
from gearjobs.settings import gearjobs_settings
from gearjobs.tasks.handle_source import next_handle
from gearjobs.tasks.job_control import CancelOutcome, cancel_one, project_client
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
#: States of a job that waits for its time.
_TIMED: Final = (StatusDetail.SCHEDULED, StatusDetail.RETRYING)


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
    if job.reducer:
        raise UsageError(f"the job {job.handle} has a reducer, which a background submission of ours cannot name")
    payload = _payload(job, args, kwargs) if is_changed else bytes(job.payload)
    handle = _enqueue(job, payload, priority=job.priority if priority is None else priority)
    logger.info("duplicated job=%s as=%s by=%s", job.handle, handle, "command" if user is None else user)
    note_action("duplicate", actor=user, target_kind="job", target=job.handle, details={"as": handle})
    return handle


def run_job_now(job: Job, *, user: User | None = None) -> str:
    """Let a job run that waits for its time, and return the handle of the job that takes its place.

    Args:
        job: its row, whole.
        user: who wants it; None for whoever may run commands.

    Raises:
        PermissionDenied: the user has not the permissions `retry_job` and `cancel_job`.
        UsageError: it does not wait for a time, or belongs to a group, which would fail with it.
        ServerError: the job server refused the copy; the job is cancelled, and can be retried.
        ServerUnavailable: the job could not be cancelled, and stays as it is; or the copy could not be kept.
    """
    check_may_retry_jobs(user)
    check_may_cancel(user)
    if job.status_detail not in _TIMED:
        raise UsageError(
            f"the job {job.handle} is {job.status_detail}; only one that waits for its time can be hurried"
        )
    if JobMember.objects.using(gearjobs_settings().database).filter(job=job.handle).exists():
        raise UsageError(f"the job {job.handle} belongs to a group, which would fail if another took its place")
    outcome = cancel_one(job.handle, client=project_client())
    if outcome is CancelOutcome.UNREACHABLE:
        raise ServerUnavailable(f"the job {job.handle} is at a job server that did not answer")
    if outcome is not CancelOutcome.CANCELLED:
        raise UsageError(f"the job {job.handle} does not wait for its time any more")
    handle = _enqueue(job, bytes(job.payload), priority=job.priority, unique=to_bytes(job.unique))
    logger.info("hurried job=%s as=%s by=%s", job.handle, handle, "command" if user is None else user)
    note_action("run_now", actor=user, target_kind="job", target=job.handle, details={"as": handle})
    return handle


def _payload(job: Job, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None) -> bytes:
    known_args, known_kwargs = decode_call(bytes(job.payload))
    new_args = known_args if args is None else list(args)
    new_kwargs = known_kwargs if kwargs is None else dict(kwargs)
    task = task_at(job.task)
    if isinstance(task, GearTask):
        check_call(task, new_args, kwargs=new_kwargs)
    return encode_call(new_args, new_kwargs)


def _enqueue(job: Job, payload: bytes, *, priority: int, unique: bytes = b"") -> str:
    terms = read_terms(job.terms)
    if terms.expires_at:
        # As long from now as it was from then.
        waited_from = max(job.enqueued_at, job.run_at or job.enqueued_at).timestamp()
        terms = replace(terms, expires_at=time.time() + max(0.0, terms.expires_at - waited_from))
    submission = NewSubmission(
        handle=next_handle(),
        function=to_bytes(job.function),
        payload=payload,
        unique=unique,
        attributes=SubmitAttributes(
            priority=priority,
            task=job.task,
            queue=job.queue,
            backend=job.backend,
            enqueued_by=submitter() or job.enqueued_by,
            metadata={**job.metadata, COPY_OF: job.handle},
            terms=write_terms(terms),
        ),
    )
    (outcome,) = keep([submission], project_client())
    if isinstance(outcome, ServerError):
        raise outcome
    return outcome
