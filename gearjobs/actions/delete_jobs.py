"""Removing single ended jobs at once, with their output and attempts, where nobody wants to wait for retention.

Unfinished jobs stay, and jobs of groups that go on: what they are for would wait for them. Many jobs by a filter are
removed by `bulk_operation`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied

from gearjobs.records.audit import note_action
from gearjobs.records.job_queries import all_jobs, has_permission
from gearjobs.records.retention import remove_ended
from gearjobs.settings import gearjobs_settings

logger = logging.getLogger("gearjobs.actions")

#: Jobs removed in one transaction.
_AT_ONCE = 100
#: Handles that the audit names.
_HANDLES_SHOWN = 100


@dataclass(slots=True)
class DeleteReport:
    """What became of the jobs that were to go."""

    deleted: int = 0
    #: Why not, by the handle of each that stays.
    refusals: dict[str, str] = field(default_factory=dict)


def delete_jobs(handles: Iterable[str], *, user: AbstractBaseUser | AnonymousUser | None = None) -> DeleteReport:
    """Remove ended jobs.

    Args:
        handles: which.
        user: who wants it; None for whoever may run commands.

    Raises:
        PermissionDenied: the user has not the permission `delete_job`.
    """
    if user is not None and not has_permission(user, "delete_job"):
        raise PermissionDenied("you may not delete jobs; it takes the permission gearjobs.delete_job")
    wanted = list(dict.fromkeys(handles))
    report = DeleteReport()
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        known = dict(all_jobs().filter(pk__in=some).values_list("handle", "finished_at"))
        report.deleted += remove_ended(gearjobs_settings().database, [handle for handle in some if known.get(handle)])
        left = set(all_jobs().filter(pk__in=some).values_list("handle", flat=True))
        for handle in some:
            if handle not in known:
                report.refusals[handle] = "there is no such job"
            elif handle in left:
                report.refusals[handle] = "it has not ended" if known[handle] is None else "its group goes on"
    only = wanted[0] if len(wanted) == 1 else ""
    if report.deleted:
        gone = [handle for handle in wanted if handle not in report.refusals]
        details = {"handles": gone[:_HANDLES_SHOWN]}
        note_action("delete", actor=user, target_kind="job", target=only, count=report.deleted, details=details)
    logger.info("deleted jobs=%d refused=%d", report.deleted, len(report.refusals))
    return report
