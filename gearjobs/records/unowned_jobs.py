"""Ending and changing jobs that no server has: rows of clients that nobody adopted yet, and jobs that wait for others.

The job server is the only writer of the rows it owns; what nobody owns may be ended by whoever gets there first. The
statement compares and sets in one, so a server that adopts the row in the same moment has it, or finds it ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from django.db.models import F
from django.utils import timezone

from gearjobs.core.changes import Outcome
from gearjobs.models import BLOCKED_OWNER, JobStatus, StatusDetail
from gearjobs.records.groups.advance import GroupAdvance
from gearjobs.records.job_queries import all_jobs
from gearjobs.records.rows.column_values import CANCEL_REASON_LIMIT, fit_text
from gearjobs.records.rows.failure_columns import failure_values
from gearjobs.records.sessions.writing_transaction import in_writing_transaction
from gearjobs.settings import gearjobs_settings

#: What stands for an owner in the row of a job that no server has.
NO_SERVER: Final = ("", BLOCKED_OWNER)

#: Handles named in one statement.
_AT_ONCE: Final = 500


def cancel_unowned(handles: Sequence[str], *, reason: str = "", using: str | None = None) -> int:
    """End those of the jobs as cancelled that are unfinished and nobody's; return how many.

    Args:
        handles: of any jobs.
        reason: why, for their records; may be empty.
        using: alias of the database, where it is not that of the settings.
    """
    alias = using or gearjobs_settings().database
    chunks = [handles[start : start + _AT_ONCE] for start in range(0, len(handles), _AT_ONCE)]
    return sum(in_writing_transaction(alias, partial(_cancel_some, chunk, alias, reason)) for chunk in chunks)


@dataclass(slots=True)
class NewPlace:
    """Where a job is to wait; what says nothing stays."""

    #: -100 to 100.
    priority: int | None = None
    run_at: datetime | None = None
    #: Whether it may start at once, whatever `run_at` says.
    is_at_once: bool = False
    #: In the form of `protocol/wire_text`.
    function: str = ""
    #: The queue that goes with the function.
    queue: str = ""


def change_unowned(handle: str, place: NewPlace, *, using: str | None = None) -> bool:
    """Let a job that is unfinished and nobody's wait otherwise; return whether it was such a job.

    Args:
        handle: of any job.
        place: where it is to wait.
        using: alias of the database, where it is not that of the settings.
    """
    values: dict[str, Any] = {}
    if place.priority is not None:
        values["priority"] = place.priority
    if place.is_at_once or place.run_at is not None:
        run_at = None if place.is_at_once else place.run_at
        is_later = run_at is not None and run_at > timezone.now()
        values["run_at"] = run_at
        values["status_detail"] = StatusDetail.SCHEDULED if is_later else StatusDetail.WAITING
    if place.function:
        values |= {"function": place.function, "queue": place.queue}
    unowned = all_jobs(using=using).filter(pk=handle, owner="", finished_at=None)
    return bool(unowned.update(**values, version=F("version") + 1))


def _cancel_some(handles: Sequence[str], alias: str, reason: str) -> int:
    jobs = all_jobs(using=alias).filter(pk__in=handles)
    unowned = jobs.filter(owner__in=NO_SERVER, finished_at=None)
    # Locked, so that of two who cancel a job at a time one counts it.
    locked = unowned.filter(membership__isnull=False).order_by("pk").select_for_update()
    members = list(locked.values_list("pk", flat=True))
    ended = unowned.update(
        status=JobStatus.FAILED,
        status_detail=StatusDetail.CANCELLED,
        finished_at=timezone.now(),
        owner="",
        # A server may have given it one, and then given the job back.
        unique_key=None,
        cancel_reason=fit_text(reason, CANCEL_REASON_LIMIT),
        version=F("version") + 1,
        **failure_values(Outcome.CANCELLED, None),
    )
    if members:
        # Without locks a server may have adopted one in this moment: it counts it when it ends there.
        own = jobs.filter(pk__in=members, owner="", status_detail=StatusDetail.CANCELLED)
        GroupAdvance(alias).jobs_ended(list(own.values_list("pk", flat=True)))
    return ended
