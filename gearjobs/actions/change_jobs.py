"""Letting jobs wait otherwise: at another priority, until another time, on another queue; each keeps its handle.

The server that has a job does it, as long as the job does not run; the row of a job that no server has is changed by a
statement that compares and sets. A job that moves to another queue is called by another Gearman function there
(`tasks/function_names`), so only a task's job can move; and not one with a unique, which another may have there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.utils import timezone

from gearjobs.actions.cancel_jobs import check_may_cancel
from gearjobs.actions.job_selection import JobSelection, handle_portions
from gearjobs.actions.retry_jobs import check_may_retry_jobs
from gearjobs.core.submission import ChangeVerdict
from gearjobs.errors import ServerError, ServerUnavailable, UsageError
from gearjobs.models import BLOCKED_OWNER, Job, StatusDetail
from gearjobs.protocol.attributes import MAX_PRIORITY, MIN_PRIORITY
from gearjobs.protocol.wire_text import to_text
from gearjobs.records.audit import note_action
from gearjobs.records.job_queries import all_jobs, has_permission
from gearjobs.records.unowned_jobs import NewPlace, change_unowned
from gearjobs.tasks.discovery import discover_tasks
from gearjobs.tasks.function_names import check_queue_name, function_of
from gearjobs.tasks.job_control import project_client
from gearjobs.tasks.rebuilt_task import find_task, on_queue

logger = logging.getLogger("gearjobs.actions")

User = AbstractBaseUser | AnonymousUser

#: States of a job that waits for its time.
_TIMED: Final = (StatusDetail.SCHEDULED, StatusDetail.RETRYING)
#: Years that a start may be in: further away, not every time zone has such a moment.
_YEARS: Final = range(1970, 9999)
_REFUSALS: Final = {
    ChangeVerdict.STARTED: "it runs already",
    ChangeVerdict.BUSY: "it is just being committed; ask once more",
    ChangeVerdict.UNIQUE: "it has a unique, and another job may have that on the other queue; copy it instead",
    ChangeVerdict.UNKNOWN: "it has ended",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to be another; what says nothing stays."""

    #: -100 to 100.
    priority: int | None = None
    #: The earliest start; a moment that has passed is at once.
    run_at: datetime | None = None
    #: Whether it may start at once, whatever `run_at` says.
    is_at_once: bool = False
    queue: str | None = None

    def said(self) -> dict[str, object]:
        """Return what is said, as the audit keeps it."""
        run_at = "at once" if self.is_at_once else None if self.run_at is None else _written(self.run_at)
        said = {"priority": self.priority, "run_at": run_at, "queue": self.queue}
        return {name: value for name, value in said.items() if value is not None}


@dataclass(slots=True)
class ChangeReport:
    """What became of the jobs that were to wait otherwise."""

    changed: int = 0
    #: Why not, by the handle of each that was not.
    refusals: dict[str, str] = field(default_factory=dict)


def change_job(
    job: Job,
    *,
    user: User | None = None,
    priority: int | None = None,
    run_at: datetime | None = None,
    is_at_once: bool = False,
    queue: str | None = None,
) -> None:
    """Let a job that does not run wait otherwise; what is not given stays.

    Args:
        job: its row.
        user: who wants it; None for whoever may run commands.
        priority: -100 to 100.
        run_at: the earliest start; a moment that has passed is at once.
        is_at_once: whether it may start at once, whatever `run_at` says.
        queue: the queue to move to.

    Raises:
        PermissionDenied: the user has not the permission `change_job`.
        UsageError: it runs, has ended, waits for other jobs, or cannot move; or nothing is said.
        ServerError: the job server refused.
        ServerUnavailable: the job's server does not answer.
    """
    check_may_change(user)
    change = checked_change(Change(priority=priority, run_at=run_at, is_at_once=is_at_once, queue=queue))
    _change(job, change)
    _note(change, user, target=job.handle, count=1)


def change_jobs(
    selection: JobSelection, change: Change, *, user: User | None = None, limit: int | None = None
) -> ChangeReport:
    """Let the jobs of a selection that do not run wait otherwise, and report why others do not.

    Args:
        selection: which jobs.
        change: what is to be another.
        user: who wants it; None for whoever may run commands.
        limit: at most so many jobs, the oldest first.

    Raises:
        PermissionDenied: the user has not the permission `change_job`.
        UsageError: the selection or the change says nothing, or cannot be.
        ServerUnavailable: a job's server does not answer; others may have been changed.
    """
    check_may_change(user)
    checked_change(change)
    report = ChangeReport()
    for job in _jobs_of(selection, limit):
        try:
            _change(job, change)
        except (ServerError, UsageError) as refusal:
            report.refusals[job.handle] = str(refusal)
        else:
            report.changed += 1
    if report.changed:
        _note(change, user, target=selection.target, count=report.changed)
    return report


def run_job_now(job: Job, *, user: User | None = None) -> None:
    """Let a job run that waits for its time; for whoever may both cancel it and run it again.

    Args:
        job: its row.
        user: who wants it; None for whoever may run commands.

    Raises:
        PermissionDenied: the user has not the permissions `retry_job` and `cancel_job`.
        UsageError: it does not wait for a time.
        ServerError: the job server refused.
        ServerUnavailable: the job's server does not answer.
    """
    check_may_retry_jobs(user)
    check_may_cancel(user)
    if job.status_detail not in _TIMED:
        raise UsageError(
            f"the job {job.handle} is {job.status_detail}; only one that waits for its time can be hurried"
        )
    _change(job, Change(is_at_once=True))
    logger.info("hurried job=%s by=%s", job.handle, "command" if user is None else user)
    note_action("run_now", actor=user, target_kind="job", target=job.handle)


def check_may_change(user: User | None) -> None:
    """Refuse a user without the permission.

    Raises:
        PermissionDenied: the user has it not.
    """
    if user is not None and not has_permission(user, "change_job"):
        raise PermissionDenied("you may not change waiting jobs; it takes the permission gearjobs.change_job")


def checked_change(change: Change) -> Change:
    """Return the change if it says something that can be.

    Raises:
        UsageError: it does not.
    """
    check_start(change.run_at)
    if not change.said():
        raise UsageError("say a priority, a time or a queue for the job")
    if change.priority is not None and not MIN_PRIORITY <= change.priority <= MAX_PRIORITY:
        raise UsageError(f"a priority must be from {MIN_PRIORITY} to {MAX_PRIORITY}, got {change.priority}")
    if change.queue is not None:
        check_queue_name(change.queue)
    return change


def check_start(run_at: datetime | None) -> None:
    """Refuse a time that no clock will show.

    Raises:
        UsageError: it is one.
    """
    if run_at is not None and run_at.year not in _YEARS:
        raise UsageError(f"a time must be in the years {_YEARS.start} to {_YEARS.stop - 1}, got {run_at.year}")


def check_may_wait_otherwise(job: Job) -> None:
    """Refuse a job of which the row says that nothing can be changed.

    Raises:
        UsageError: it has ended, another one does its work, or it waits for others.
    """
    if job.joined_to:
        raise UsageError(f"the job {job.handle} shares its work with {job.joined_to}; change that one")
    if job.finished_at is not None:
        raise UsageError(f"the job {job.handle} cannot be changed: it has ended")
    if job.owner == BLOCKED_OWNER:
        raise UsageError(f"the job {job.handle} cannot be changed: it waits for other jobs of its group")


def _jobs_of(selection: JobSelection, limit: int | None) -> Iterator[Job]:
    rows = selection.rows()
    if not selection.handles:
        rows = rows.filter(finished_at=None)
    for portion in handle_portions(rows, limit=limit):
        yield from all_jobs().filter(pk__in=portion).defer("payload", "result").order_by("enqueued_at", "handle")


def _change(job: Job, change: Change) -> None:
    check_may_wait_otherwise(job)
    place = _place_of(job, change)
    if job.owner == "" and change_unowned(job.handle, place):
        return
    run_at_s = None if place.run_at is None else place.run_at.timestamp()
    verdict = project_client().change_job(
        job.handle,
        priority=place.priority,
        run_at=0.0 if place.is_at_once else run_at_s,
        function=place.function,
        queue=place.queue,
    )
    if verdict is ChangeVerdict.CHANGED:
        return
    still = all_jobs().filter(pk=job.handle, finished_at=None)
    if verdict is ChangeVerdict.UNKNOWN and still.exists():
        raise ServerUnavailable(f"the job {job.handle} is at a job server that did not answer")
    raise UsageError(f"the job {job.handle} cannot be changed: {_REFUSALS[verdict]}")


def _place_of(job: Job, change: Change) -> NewPlace:
    place = NewPlace(priority=change.priority, run_at=change.run_at, is_at_once=change.is_at_once)
    if change.queue is None or change.queue == job.queue:
        return place
    if job.unique:
        raise UsageError(f"the job {job.handle} cannot be moved: {_REFUSALS[ChangeVerdict.UNIQUE]}")
    discover_tasks()
    try:
        task = find_task(job.task, function=job.function) if job.task else None
    except SuspiciousOperation:
        task = None
    if task is None:
        raise UsageError(f"the job {job.handle} cannot be moved: only jobs of tasks that are known here have a queue")
    place.function, place.queue = to_text(function_of(on_queue(task, change.queue)).encode()), change.queue
    return place


def _written(moment: datetime) -> str:
    return (moment if timezone.is_naive(moment) else moment.astimezone(UTC)).isoformat()


def _note(change: Change, user: User | None, *, target: str, count: int) -> None:
    logger.info("changed jobs=%d %s by=%s", count, change.said(), "command" if user is None else user)
    note_action("change", actor=user, target_kind="job", target=target, count=count, details=change.said())
