"""Clearing functions: their waiting jobs end as cancelled; what runs, is scheduled, or comes meanwhile, stays.

Each job server of the project clears what waits in it, in portions of its own. What no server has is ended in the
table, and so is, one by one, what a server has that takes no such line from here: it lets anybody cancel single jobs
who may cancel them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Q, QuerySet
from django.utils import timezone

from gearjobs.actions.cancel_jobs import check_may_cancel
from gearjobs.actions.job_selection import handle_portions
from gearjobs.actions.pause_queues import check_may_control, check_names
from gearjobs.client.admin_client import AdminClient
from gearjobs.errors import GearjobsError, ServerError
from gearjobs.models import Job, StatusDetail
from gearjobs.protocol.wire_text import to_bytes
from gearjobs.records.audit import note_action
from gearjobs.records.job_queries import all_jobs
from gearjobs.records.unowned_jobs import cancel_unowned
from gearjobs.tasks.job_control import CancelOutcome, cancel_one, project_client, project_servers
from gearjobs.tasks.site_security import site_security

logger = logging.getLogger("gearjobs.actions")

#: Seconds a server may take to begin.
ANSWER_TIMEOUT_S = 5.0
#: Why, in the records of the jobs.
REASON = "cleared with its queue"


@dataclass(frozen=True, slots=True)
class ClearReport:
    """What became of jobs that were to be cleared."""

    cleared: int
    #: Those that wait at servers that did not answer, or let nobody from here cancel them.
    left: int
    #: What servers said, or that they said nothing.
    problems: tuple[str, ...]


def clear_queues(functions: Iterable[str], *, user: AbstractBaseUser | AnonymousUser | None = None) -> ClearReport:
    """Cancel the jobs of the functions that wait for a worker.

    Args:
        functions: names as texts, as in the job table.
        user: who wants it; None for whoever may run commands.

    Raises:
        PermissionDenied: the user has not the permissions `control_queue` and `cancel_job`.
        UsageError: a name is empty.
    """
    check_may_control(user)
    check_may_cancel(user)
    names = check_names(functions)
    before = timezone.now()
    cleared = left = 0
    problems: list[str] = []
    for name in names:
        done, could_not, trouble = _clear(name, before)
        cleared, left = cleared + done, left + could_not
        problems += trouble
        details = {"problems": trouble, "left": could_not}
        note_action("clear_queue", actor=user, target_kind="queue", target=name, count=done, details=details)
    by = "command" if user is None else user
    logger.info("clear functions=%s jobs=%d left=%d by=%s", ",".join(names), cleared, left, by)
    return ClearReport(cleared, left, tuple(dict.fromkeys(problems)))


def _clear(function: str, before: datetime) -> tuple[int, int, list[str]]:
    """Clear one function; return how many jobs were cleared and how many could not be, and why."""
    waiting = _waiting(function, before)
    cleared, problems = 0, []
    # First: what is nobody's now may be a server's by and by.
    for portion in handle_portions(waiting.filter(owner="")):
        cleared += cancel_unowned(portion, reason=REASON)
    for address in project_servers():
        try:
            with AdminClient(address, timeout_s=ANSWER_TIMEOUT_S, security=site_security()) as admin:
                cleared += admin.clear(to_bytes(function))
        except GearjobsError as error:
            problems.append(f"{address}: {error}")
    if not problems:
        return cleared, 0, []
    counts = _cancel_each(waiting)
    return cleared + counts[CancelOutcome.CANCELLED], counts[CancelOutcome.UNREACHABLE], problems


def _cancel_each(waiting: QuerySet[Job]) -> dict[CancelOutcome, int]:
    counts = dict.fromkeys(CancelOutcome, 0)
    client = project_client()
    for portion in handle_portions(waiting):
        for handle in portion:
            try:
                counts[cancel_one(handle, client=client, reason=REASON)] += 1
            except ServerError:
                counts[CancelOutcome.UNREACHABLE] += 1
    return counts


def _waiting(function: str, before: datetime) -> QuerySet[Job]:
    """Return the rows of jobs that are ready to run, oldest first; a time that has come is not written into them."""
    is_due = Q(run_at=None) | Q(run_at__lte=before)
    ready = Q(status_detail=StatusDetail.WAITING) | (
        Q(status_detail__in=(StatusDetail.SCHEDULED, StatusDetail.RETRYING)) & is_due
    )
    rows = all_jobs().filter(ready, finished_at=None, function=function, enqueued_at__lte=before)
    return rows.order_by("enqueued_at", "handle")
