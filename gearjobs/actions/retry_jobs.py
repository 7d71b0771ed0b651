"""Running jobs again that have ended: each as a new job with the same function, payload and terms.

Of a selection by what rows say, those that failed run again, in whatever way they did; one that is named by its handle
may also have succeeded. The old rows stay as they are but for the new one's handle: each job is run again once, however
often it is asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from gearjobs.actions.job_selection import JobSelection, handle_portions
from gearjobs.errors import UsageError
from gearjobs.models import Job, JobStatus
from gearjobs.records.audit import note_action
from gearjobs.records.job_queries import all_jobs, has_permission
from gearjobs.tasks.job_control import check_may_retry, project_client, retry_rows

#: Rows read at once, whole: payloads may be large.
_AT_ONCE: Final = 50

logger = logging.getLogger("gearjobs.actions")


@dataclass(slots=True)
class RetryReport:
    """What became of the jobs that were to run again."""

    #: Jobs that were enqueued again.
    retried: int = 0
    #: Why not, by the handle of each that was not.
    refusals: dict[str, str] = field(default_factory=dict)


def retry_jobs(
    selection: JobSelection,
    *,
    user: AbstractBaseUser | AnonymousUser | None = None,
    at: datetime | None = None,
    limit: int | None = None,
    on_retried: Callable[[str, str], None] = lambda handle, new_handle: None,
) -> RetryReport:
    """Enqueue the failed jobs of a selection again, and ended jobs named by handle whatever they ended as.

    Args:
        selection: which jobs.
        user: who wants it; None for whoever may run commands.
        at: the earliest start; None for at once.
        limit: at most so many jobs, the oldest first.
        on_retried: told of each job, and the one that does its work again.

    Raises:
        PermissionDenied: the user has not the permission `retry_job`.
        django.db.Error: as any write may; some may have been enqueued.
        UsageError: the selection says nothing, or a status is none.
    """
    check_may_retry_jobs(user)
    client = project_client()
    report = RetryReport()
    rows = selection.rows()
    if not selection.handles:
        # Not what runs again by this and fails once more meanwhile: there might be no end to it.
        rows = rows.filter(status=JobStatus.FAILED, enqueued_at__lte=timezone.now(), retried_as="")
    for portion in handle_portions(rows, limit=limit, at_once=_AT_ONCE):
        jobs = _checked(list(all_jobs().filter(pk__in=portion).order_by("enqueued_at", "handle")), report)
        for job, outcome in zip(jobs, retry_rows(jobs, client=client, at=at), strict=True):
            if isinstance(outcome, UsageError):
                report.refusals[job.handle] = str(outcome)
            else:
                report.retried += 1
                on_retried(job.handle, outcome)
    known = set(selection.rows().filter(pk__in=selection.handles).values_list("handle", flat=True))
    report.refusals |= {handle: "there is no such job" for handle in selection.handles if handle not in known}
    by = "command" if user is None else user
    logger.info("retried jobs=%d refused=%d by=%s", report.retried, len(report.refusals), by)
    if report.retried:
        details = {"selection": selection.said(), "refused": len(report.refusals)}
        target, count = selection.target, report.retried
        note_action("retry", actor=user, target_kind="job", target=target, count=count, details=details)
    return report


def check_may_retry_jobs(user: AbstractBaseUser | AnonymousUser | None) -> None:
    """Refuse a user without the permission.

    Raises:
        PermissionDenied: the user has it not.
    """
    if user is not None and not has_permission(user, "retry_job"):
        raise PermissionDenied("you may not run jobs again; it takes the permission gearjobs.retry_job")


def _checked(jobs: Sequence[Job], report: RetryReport) -> list[Job]:
    """Return the jobs that may run again, and report why the others may not."""
    allowed = []
    for job in jobs:
        try:
            check_may_retry(job)
        except UsageError as refusal:
            report.refusals[job.handle] = str(refusal)
        else:
            allowed.append(job)
    return allowed
