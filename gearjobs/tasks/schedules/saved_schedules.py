"""Rows of schedules: read, aimed at their next due time, and made of a spec and a task.

A row is aimed whenever what it says about time changes: its next due time is the first one after that moment, so what
passed before, or while it was paused, is never caught up. What a job of it needs to know of its task is put down here,
so that whoever fires it need not import the task.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from gearjobs.core.terms import write_terms
from gearjobs.errors import UsageError
from gearjobs.models import Schedule, ScheduleRun, ScheduleSource
from gearjobs.records.rows.column_values import to_datetime, to_unix_s
from gearjobs.settings import gearjobs_settings
from gearjobs.tasks.django_tasks import normalize_json
from gearjobs.tasks.function_names import function_of
from gearjobs.tasks.job_terms import terms_of, unique_of
from gearjobs.tasks.schedules.declarations import check_call
from gearjobs.tasks.schedules.schedule_spec import ScheduleSpec
from gearjobs.tasks.task import GearTask, options_of
from gearjobs.timetable.due_times import CronTimes, DueTimes, IntervalTimes, zone_of
from gearjobs.timetable.firing_plan import CatchUp, FiringRules, fire_at

#: Columns that say when a schedule is due: a change of one aims it anew.
TIMING: tuple[str, ...] = ("cron", "interval_s", "anchor_at", "time_zone", "jitter_s")


def all_schedules() -> QuerySet[Schedule]:
    """Return every schedule, from the job table's database."""
    return Schedule.objects.using(gearjobs_settings().database)


def active_schedules() -> QuerySet[Schedule]:
    """Return the schedules that fire."""
    return all_schedules().filter(is_enabled=True, withdrawn_at=None)


def all_runs() -> QuerySet[ScheduleRun]:
    """Return what became of due times, from the job table's database."""
    return ScheduleRun.objects.using(gearjobs_settings().database)


def due_times_of(schedule: Schedule) -> DueTimes:
    """Return when a schedule is due.

    Raises:
        UsageError: its cron expression or time zone is unknown here.
    """
    if schedule.interval_s is not None:
        return IntervalTimes(schedule.interval_s, to_unix_s(schedule.anchor_at))
    return CronTimes(schedule.cron, zone_of(schedule.time_zone))


def firing_rules_of(schedule: Schedule) -> FiringRules:
    """Return what a schedule says beside its due times."""
    return FiringRules(schedule.key, CatchUp(schedule.catch_up), float(schedule.jitter_s))


def aimed_at(schedule: Schedule, due_at: float | None) -> dict[str, datetime.datetime | None]:
    """Return the columns of a schedule whose next due time this is."""
    if due_at is None:
        return {"next_due_at": None, "next_fire_at": None}
    moment = fire_at(firing_rules_of(schedule), due_at)
    return {"next_due_at": to_datetime(due_at), "next_fire_at": to_datetime(moment)}


def aim(schedule: Schedule, *, after: float) -> None:
    """Set a schedule's next due time, in memory, to the first one after a moment in unix seconds.

    Raises:
        UsageError: see `due_times_of`; nothing was set.
    """
    for name, moment in aimed_at(schedule, due_times_of(schedule).next_after(after)).items():
        setattr(schedule, name, moment)


def next_runs(schedule: Schedule, count: int, *, after: float) -> list[datetime.datetime]:
    """Return the next due times in the schedule's own time zone, without jitter.

    Raises:
        UsageError: see `due_times_of`.
    """
    times, zone = due_times_of(schedule), zone_of(schedule.time_zone)
    found: list[datetime.datetime] = []
    due_at = times.next_after(after)
    while due_at is not None and len(found) < count:
        found.append(datetime.datetime.fromtimestamp(due_at, zone))
        due_at = times.next_after(due_at)
    return found


def call_columns(
    task: GearTask[..., Any], args: Sequence[Any], *, kwargs: Mapping[str, Any], queue: str = ""
) -> dict[str, Any]:
    """Return the columns that say what is called, and what its jobs obey.

    Args:
        task: what is called.
        args: positional arguments.
        kwargs: keyword arguments.
        queue: another queue than the task's own.

    Raises:
        UsageError: the task takes no such arguments, or its keys cannot be made of them.
    """
    if queue and queue != task.queue_name:
        task = task.using(queue_name=queue)
    normal_args, normal_kwargs = cast("tuple[list[Any], dict[str, Any]]", normalize_json([list(args), dict(kwargs)]))
    options = options_of(task)
    check_call(task, normal_args, kwargs=normal_kwargs)
    terms = terms_of(task, normal_args, kwargs=normal_kwargs, starts_at=0.0)
    return {
        "task": task.module_path,
        "function": function_of(task),
        "backend": task.backend,
        "queue": task.queue_name,
        "args": normal_args,
        "kwargs": normal_kwargs,
        # A time from the firing on; a moment that is fixed means nothing to a call that is made again and again.
        "terms": write_terms(replace(terms, expires_at=options.expires_s)),
        "unique": unique_of(task, normal_args, kwargs=normal_kwargs),
        "metadata": dict(options.metadata),
    }


def spec_columns(task: GearTask[..., Any], spec: ScheduleSpec) -> dict[str, Any]:
    """Return the columns of a schedule that a task and a spec decide."""
    return {
        **call_columns(task, spec.args, kwargs=spec.kwargs or {}),
        "priority": task.priority,
        "cron": spec.cron,
        "interval_s": spec.interval_s,
        "time_zone": spec.time_zone,
        "overlap": spec.overlap,
        "catch_up": spec.catch_up,
        "jitter_s": spec.jitter_s,
    }


def save_schedule(task: GearTask[..., Any], spec: ScheduleSpec) -> Schedule:
    """Make a schedule, or change the one that has its key; a schedule declared in code is left alone.

    Part of the transaction that is open on the job table's database, if one is.

    Raises:
        UsageError: the spec has no key, or the key is that of a schedule in code.
        django.db.Error: as any write may.
    """
    if not spec.key:
        raise UsageError(f"a schedule made at run time must have a key=, got none for {task.module_path}")
    columns = spec_columns(task, spec)
    alias = gearjobs_settings().database
    try:
        with transaction.atomic(using=alias):
            return _write(spec.key, columns)
    except IntegrityError:
        # Somebody made it at the same time.
        with transaction.atomic(using=alias):
            return _write(spec.key, columns)


def _write(key: str, columns: dict[str, Any]) -> Schedule:
    schedule = all_schedules().select_for_update().filter(key=key).first()
    if schedule is None:
        return create_schedule(key, columns, source=ScheduleSource.ADMIN)
    if schedule.source == ScheduleSource.CODE:
        raise UsageError(f"the schedule {key!r} is declared in code, for {schedule.task}; change it there")
    change_schedule(schedule, columns)
    return schedule


def create_schedule(key: str, columns: Mapping[str, Any], *, source: ScheduleSource) -> Schedule:
    """Insert a schedule that is due from now on.

    Raises:
        IntegrityError: there is one with the key; the transaction around, if there is one, goes on.
    """
    now = timezone.now().replace(microsecond=0)
    schedule = Schedule(**{"key": key, "source": source, "anchor_at": now, "created_at": now, **columns})
    aim(schedule, after=to_unix_s(now))
    alias = gearjobs_settings().database
    with transaction.atomic(using=alias):
        schedule.save(using=alias, force_insert=True)
    return schedule


def change_schedule(schedule: Schedule, columns: Mapping[str, Any]) -> bool:
    """Write what differs, and aim the schedule anew where that is about time and it fires; return whether anything did.

    Raises:
        UsageError: see `due_times_of`; nothing was written.
    """
    changed = [name for name, value in columns.items() if getattr(schedule, name) != value]
    for name in changed:
        setattr(schedule, name, columns[name])
    if schedule.is_active and set(changed) & {*TIMING, "is_enabled", "withdrawn_at"}:
        aim(schedule, after=timezone.now().timestamp())
        changed += ["next_due_at", "next_fire_at"]
    if changed:
        # Else what a job server writes meanwhile were undone.
        schedule.save(using=gearjobs_settings().database, update_fields=changed)
    return bool(changed)
