"""Doing something to all jobs that match a filter: asked for here, carried out beside a job server (`tasks/bulk_runs`).

What is meant is settled at this moment: jobs that are enqueued later are not touched. Who may not see everybody's jobs
reaches their own.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from gearjobs.errors import UsageError
from gearjobs.models import BulkOperation, BulkState, BulkVerb
from gearjobs.records.audit import note_action
from gearjobs.records.job_filter import JobFilter
from gearjobs.records.job_pages import BoundedCount, count_up_to
from gearjobs.records.job_queries import all_jobs, has_permission, may_view_all
from gearjobs.settings import gearjobs_settings
from gearjobs.tasks.bulk_runs import meant_by
from gearjobs.tasks.handle_source import next_handle

logger = logging.getLogger("gearjobs.actions")

User = AbstractBaseUser | AnonymousUser

_PERMISSIONS: Final = {
    BulkVerb.RETRY: "retry_job",
    BulkVerb.CANCEL: "cancel_job",
    BulkVerb.DELETE: "delete_job",
}


def start_bulk(verb: BulkVerb, job_filter: JobFilter, *, user: User | None = None) -> BulkOperation:
    """Have something done to all jobs that match; return the operation, which somebody carries out soon.

    Args:
        verb: what: of those that match, failed jobs are retried, unfinished ones cancelled, ended ones deleted.
        job_filter: to which jobs.
        user: who wants it; None for whoever may run commands.

    Raises:
        PermissionDenied: the user has not the permission `retry_job`, `cancel_job` or `delete_job`.
        UsageError: the filter says nothing, or cannot be.
    """
    expected = count_matching(verb, job_filter, user=user)
    asked_by = "" if user is None else str(user.pk)
    operation = BulkOperation.objects.using(gearjobs_settings().database).create(
        pk=next_handle(),
        verb=verb,
        filter=_of_user(job_filter, user).to_json(),
        cut_off_at=timezone.now(),
        expected=expected.count,
        is_more_expected=expected.is_more,
        asked_by=asked_by,
    )
    details = {"filter": operation.filter, "operation": operation.pk}
    note_action(f"bulk_{verb}", actor=user, target_kind="job", count=expected.count, details=details)
    logger.info("start operation=%s verb=%s expected=%s by=%s", operation.pk, verb, expected, asked_by or "command")
    return operation


def count_matching(verb: BulkVerb, job_filter: JobFilter, *, user: User | None = None) -> BoundedCount:
    """Return how many jobs an operation would be for, as far as that is counted.

    Raises:
        The same as `start_bulk`.
    """
    permission = _PERMISSIONS[verb]
    if user is not None and not has_permission(user, permission):
        raise PermissionDenied(f"you may not {verb} jobs; it takes the permission gearjobs.{permission}")
    if job_filter.is_empty:
        raise UsageError("say at least one thing about the jobs that are meant")
    return count_up_to(all_jobs().filter(meant_by(verb, timezone.now())), _of_user(job_filter, user))


def stop_bulk(operation: BulkOperation, *, user: User | None = None) -> bool:
    """Let an operation do no more; return whether it had not ended. What it did stays done.

    Raises:
        PermissionDenied: the user may not do what it does.
    """
    permission = _PERMISSIONS[BulkVerb(operation.verb)]
    if user is not None and not has_permission(user, permission):
        raise PermissionDenied(f"you may not stop it; it takes the permission gearjobs.{permission}")
    rows = BulkOperation.objects.using(gearjobs_settings().database).filter(pk=operation.pk)
    going_on = rows.filter(state__in=(BulkState.WAITING, BulkState.RUNNING))
    is_stopped = bool(going_on.update(state=BulkState.STOPPED, finished_at=timezone.now()))
    if is_stopped:
        note_action("stop_bulk", actor=user, target_kind="operation", target=operation.pk)
    return is_stopped


def _of_user(job_filter: JobFilter, user: User | None) -> JobFilter:
    if user is None or may_view_all(user):
        return job_filter
    own = str(user.pk)
    if job_filter.enqueued_by not in {"", own}:
        raise PermissionDenied("you may not touch other users' jobs; it takes the permission gearjobs.view_job")
    return replace(job_filter, enqueued_by=own)
