"""Cancelling jobs: those that wait end at once, those that run are told, or ended by force.

Goes through the jobs one by one and in portions, so that a million of them hold up neither a server nor the database.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied

from gearjobs.actions.job_selection import JobSelection, handle_portions
from gearjobs.records.audit import note_action
from gearjobs.records.job_queries import has_permission
from gearjobs.tasks.job_control import CancelOutcome, cancel_one, project_client

logger = logging.getLogger("gearjobs.actions")


@dataclass(slots=True)
class CancelReport:
    """What became of the jobs that were to be cancelled."""

    #: jobs by outcome.
    counts: dict[CancelOutcome, int] = field(default_factory=lambda: dict.fromkeys(CancelOutcome, 0))

    @property
    def is_complete(self) -> bool:
        """Whether none was left that somebody else must care for."""
        return not (self.counts[CancelOutcome.UNREACHABLE] or self.counts[CancelOutcome.UNKNOWN])


def cancel_jobs(
    selection: JobSelection,
    *,
    user: AbstractBaseUser | AnonymousUser | None = None,
    force: bool = False,
    reason: str = "",
    limit: int | None = None,
    on_outcome: Callable[[str, CancelOutcome], None] = lambda handle, outcome: None,
) -> CancelReport:
    """Cancel the unfinished jobs of a selection, and jobs named by handle whatever their state.

    Args:
        selection: which jobs.
        user: who wants it; None for whoever may run commands.
        force: end runs at once, too, with their worker processes where they do not stop.
        reason: why, for the jobs' records; may be empty.
        limit: at most so many jobs, the oldest first.
        on_outcome: told of each job as it is done.

    Raises:
        PermissionDenied: the user has not the permission `cancel_job`.
        UsageError: the selection says nothing, or a status is none.
    """
    check_may_cancel(user)
    client = project_client()
    report = CancelReport()
    rows = selection.rows()
    if not selection.handles:
        rows = rows.filter(finished_at=None)
    for portion in handle_portions(rows, limit=limit):
        for handle in portion:
            outcome = cancel_one(handle, client=client, force=force, reason=reason)
            _count(handle, outcome, report=report, on_outcome=on_outcome)
    for handle in _without_row(selection):
        outcome = cancel_one(handle, client=client, force=force, reason=reason)
        _count(handle, outcome, report=report, on_outcome=on_outcome)
    _log(report, user, is_forced=force)
    count = report.counts[CancelOutcome.CANCELLED] + report.counts[CancelOutcome.ASKED]
    if count:
        details = {"selection": selection.said(), "force": force, "reason": reason}
        note_action("cancel", actor=user, target_kind="job", target=selection.target, count=count, details=details)
    return report


def check_may_cancel(user: AbstractBaseUser | AnonymousUser | None) -> None:
    """Refuse a user without the permission.

    Raises:
        PermissionDenied: the user has it not.
    """
    if user is not None and not has_permission(user, "cancel_job"):
        raise PermissionDenied("you may not cancel jobs; it takes the permission gearjobs.cancel_job")


def _without_row(selection: JobSelection) -> list[str]:
    """Return the handles of jobs that have none: foreground jobs, and those of a stock server."""
    if selection != JobSelection(handles=selection.handles):
        return []
    known = set(selection.rows().values_list("handle", flat=True))
    return [handle for handle in dict.fromkeys(selection.handles) if handle not in known]


def _count(
    handle: str, outcome: CancelOutcome, *, report: CancelReport, on_outcome: Callable[[str, CancelOutcome], None]
) -> None:
    report.counts[outcome] += 1
    on_outcome(handle, outcome)


def _log(report: CancelReport, user: AbstractBaseUser | AnonymousUser | None, *, is_forced: bool) -> None:
    counts = " ".join(f"{outcome}={count}" for outcome, count in report.counts.items() if count)
    logger.info("cancelled jobs: %s forced=%s by=%s", counts or "none", is_forced, "command" if user is None else user)
