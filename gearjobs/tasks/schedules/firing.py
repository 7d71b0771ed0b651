"""Firing what is due: a run's row and its job, in one transaction, exactly once whoever else tries.

The transaction begins by moving the schedule on from the due time that was read. The row is locked by that, and a
second server finds it moved; should both have read another state of it, the unique constraint on schedule and due time
decides. What it costs to find out what is due is spent before, so that nothing is held locked meanwhile. No task is
imported: the row says what its jobs need.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from django.db import DataError, Error, IntegrityError, transaction
from django.utils import timezone

from gearjobs.errors import UsageError
from gearjobs.models import JobStatus, RunOutcome, Schedule, ScheduleRun
from gearjobs.protocol.attributes import SubmitAttributes
from gearjobs.protocol.wire_text import to_bytes
from gearjobs.records.job_queries import NewJob, all_jobs, insert_jobs
from gearjobs.records.rows.column_values import to_datetime, to_unix_s
from gearjobs.settings import gearjobs_settings
from gearjobs.tasks.handle_source import next_handle
from gearjobs.tasks.payload import encode_call
from gearjobs.tasks.schedules.saved_schedules import (
    active_schedules,
    aimed_at,
    all_runs,
    all_schedules,
    due_times_of,
    firing_rules_of,
)
from gearjobs.timetable.firing_plan import FiringPlan, LastJob, Overlap, Verdict, judge_overlap, plan_firing

logger = logging.getLogger("gearjobs.schedules")

#: Schedules that are looked at in one go; more are looked at right after.
PORTION: Final = 50
#: Seconds until a schedule that cannot be fired is looked at again.
PUT_OFF_S: Final = 600.0


@dataclass(slots=True)
class FiringReport:
    """What one look at the schedules did."""

    #: Jobs that were inserted.
    jobs: int = 0
    #: Jobs that are to be cancelled, since others took their place.
    replaced: list[str] = field(default_factory=list)
    #: Whether there may be more that is due.
    is_partial: bool = False


@dataclass(slots=True)
class _Firing:
    """What is about to be written for one schedule."""

    schedule: Schedule
    decided_at: datetime.datetime
    decided_by: str
    runs: list[ScheduleRun] = field(default_factory=list)
    jobs: list[NewJob] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    #: Of the last job so far.
    last_handle: str = ""

    def note(self, due_at: float, outcome: RunOutcome, handle: str = "") -> None:
        """Let a due time have come to this."""
        self.runs.append(
            ScheduleRun(
                schedule=self.schedule,
                due_at=to_datetime(due_at),
                decided_at=self.decided_at,
                outcome=outcome,
                handle=handle,
                decided_by=self.decided_by,
            )
        )


class ScheduleFirer:
    """Fires the schedules of the job table's database.

    Args:
        decided_by: says in the rows who fired.
    """

    def __init__(self, decided_by: str) -> None:
        self._decided_by = decided_by

    def fire_due(self, now: float) -> FiringReport:
        """Fire what is due at `now`, unix seconds.

        Raises:
            django.db.Error: nothing of the schedule at hand was written; those before it are fired.
        """
        report = FiringReport()
        due = list(active_schedules().filter(next_fire_at__lte=to_datetime(now)).order_by("next_fire_at")[:PORTION])
        for schedule in due:
            try:
                self._fire(schedule, now, report)
            except (UsageError, DataError) as error:
                _put_off(schedule, now, error)
            except Error:
                raise
            except Exception as error:
                # A wall: else one schedule that meets a bug, always the first in line, ended all others for good.
                logger.exception("stumble over schedule=%s", schedule.key)
                _put_off(schedule, now, error)
        report.is_partial = len(due) == PORTION
        return report

    def next_fire_at(self, now: float) -> float | None:
        """Return when something is due after `now`, by what the table says; None for never."""
        coming = active_schedules().filter(next_fire_at__gt=to_datetime(now)).order_by("next_fire_at")
        moment = coming.values_list("next_fire_at", flat=True).first()
        return None if moment is None else to_unix_s(moment)

    def aim_anew(self, now: float) -> None:
        """Bring back what waits for a time beyond its next due one: the clock was ahead when it was written."""
        for schedule in active_schedules().filter(next_due_at__gt=to_datetime(now)):
            try:
                due_at = due_times_of(schedule).next_after(now)
            except UsageError as error:
                _put_off(schedule, now, error)
                continue
            seen = schedule.next_due_at
            if due_at is not None and seen is not None and due_at < to_unix_s(seen):
                changed = active_schedules().filter(pk=schedule.pk, next_due_at=seen)
                changed.update(**aimed_at(schedule, due_at))
                logger.info("bring back schedule=%s due=%s", schedule.key, to_datetime(due_at).isoformat())

    def _fire(self, schedule: Schedule, now: float, report: FiringReport) -> None:
        if schedule.next_due_at is None:
            return
        due_at = to_unix_s(schedule.next_due_at)
        plan = plan_firing(due_times_of(schedule), firing_rules_of(schedule), due_at=due_at, now=now)
        firing = self._prepare(schedule, plan, now)
        try:
            is_ours = self._write(firing, plan.next_due_at)
        except IntegrityError as error:
            # A due time that was dealt with since we looked: the next look will know of it.
            logger.debug("leave schedule=%s to another server error=%s", schedule.key, error)
            return
        if is_ours:
            report.jobs += len(firing.jobs)
            report.replaced += firing.replaced
            _log(firing, plan)

    def _prepare(self, schedule: Schedule, plan: FiringPlan, now: float) -> _Firing:
        firing = _Firing(schedule, to_datetime(now), self._decided_by, last_handle=schedule.last_handle)
        known = _known_due_times(schedule, [*plan.missed, *plan.fired])
        for due_at in plan.missed:
            if due_at not in known:
                firing.note(due_at, RunOutcome.MISSED)
        last_job = last_job_of(schedule)
        for due_at in plan.fired:
            if due_at not in known:
                last_job = _decide(firing, due_at, last_job, now=now)
        return firing

    def _write(self, firing: _Firing, next_due_at: float | None) -> bool:
        """Write it, unless another server was first; return whether it was written."""
        schedule = firing.schedule
        columns: dict[str, object] = {**aimed_at(schedule, next_due_at)}
        if firing.jobs:
            columns |= {"last_fired_at": firing.decided_at, "last_handle": firing.last_handle}
        with transaction.atomic(using=gearjobs_settings().database):
            # First of all a write: SQLite cannot make a reading transaction a writing one where others write.
            seen = active_schedules().filter(pk=schedule.pk, next_due_at=schedule.next_due_at)
            if not seen.update(**columns):
                return False
            all_runs().bulk_create(firing.runs)
            if firing.jobs:
                insert_jobs(firing.jobs)
        return True


def fire_by_hand(schedule: Schedule, *, decided_by: str) -> str:
    """Make a job of a schedule now, whatever is due and whether it is paused; return its handle.

    Part of the transaction that is open on the job table's database, if one is. The caller nudges the job server.

    Args:
        schedule: as it was read.
        decided_by: who wants it.

    Raises:
        django.db.Error: nothing was written.
    """
    moment = timezone.now()
    job = new_job(schedule, due_at=moment.timestamp(), now=moment.timestamp())
    run = ScheduleRun(
        schedule=schedule,
        due_at=moment,
        decided_at=moment,
        outcome=RunOutcome.BY_HAND,
        handle=job.handle,
        decided_by=decided_by,
    )
    with transaction.atomic(using=gearjobs_settings().database):
        all_schedules().filter(pk=schedule.pk).update(last_fired_at=moment, last_handle=job.handle)
        all_runs().bulk_create([run])
        insert_jobs([job])
    logger.info("run schedule=%s job=%s by=%s", schedule.key, job.handle, decided_by)
    return job.handle


def new_job(schedule: Schedule, *, due_at: float, now: float) -> NewJob:
    """Return a job of a schedule, under a new handle."""
    terms = dict(schedule.terms)
    if isinstance(expires_s := terms.get("expires_at"), int | float):
        terms["expires_at"] = now + expires_s
    due = datetime.datetime.fromtimestamp(due_at, datetime.UTC).isoformat()
    attributes = SubmitAttributes(
        priority=schedule.priority,
        task=schedule.task,
        queue=schedule.queue,
        backend=schedule.backend,
        metadata={**schedule.metadata, "schedule": schedule.key, "due_at": due},
        terms=terms,
    )
    payload = encode_call(schedule.args, schedule.kwargs)
    function, unique = to_bytes(schedule.function), to_bytes(schedule.unique)
    return NewJob(next_handle(), function, payload, unique=unique, attributes=attributes)


def last_job_of(schedule: Schedule) -> LastJob:
    """Return how far the schedule's last job is; a job that is gone has ended."""
    status = all_jobs().filter(pk=schedule.last_handle, finished_at=None).values_list("status", flat=True).first()
    if status is None:
        return LastJob.ENDED
    return LastJob.WAITING if status == JobStatus.READY else LastJob.RUNNING


def _decide(firing: _Firing, due_at: float, last_job: LastJob, *, now: float) -> LastJob:
    """Note what becomes of a due time; return how far the last job is then."""
    verdict = judge_overlap(Overlap(firing.schedule.overlap), last_job)
    if verdict is Verdict.SKIP:
        firing.note(due_at, RunOutcome.OVERLAPPED)
        return last_job
    if verdict is Verdict.JOIN:
        firing.note(due_at, RunOutcome.JOINED, firing.last_handle)
        return last_job
    if verdict is Verdict.REPLACE:
        firing.replaced.append(firing.last_handle)
    job = new_job(firing.schedule, due_at=due_at, now=now)
    firing.jobs.append(job)
    firing.last_handle = job.handle
    firing.note(due_at, RunOutcome.FIRED, job.handle)
    return LastJob.WAITING


def _known_due_times(schedule: Schedule, due_times: Sequence[float]) -> set[float]:
    """Return those that have a row already."""
    if not due_times:
        return set()
    runs = all_runs().filter(schedule=schedule, due_at__in=[to_datetime(due_at) for due_at in due_times])
    return {to_unix_s(moment) for moment in runs.values_list("due_at", flat=True)}


def _put_off(schedule: Schedule, now: float, problem: Exception) -> None:
    """Leave alone for a while a schedule that cannot be fired here, so that it holds up no other."""
    logger.error("cannot fire schedule=%s, again in %.0f s: %s", schedule.key, PUT_OFF_S, problem)
    later = to_datetime(now + PUT_OFF_S)
    active_schedules().filter(pk=schedule.pk, next_due_at=schedule.next_due_at).update(next_fire_at=later)


def _log(firing: _Firing, plan: FiringPlan) -> None:
    key = firing.schedule.key
    for run in firing.runs:
        logger.debug("%s schedule=%s due=%s job=%s", run.outcome, key, run.due_at.isoformat(), run.handle or "none")
    if plan.missed:
        logger.info("miss schedule=%s due_times=%d since=%s", key, len(plan.missed), to_datetime(plan.missed[0]))
