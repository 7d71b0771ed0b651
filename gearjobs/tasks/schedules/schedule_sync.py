"""Bringing the table of schedules in line with what the code declares; done once when worker processes are started.

What is new is inserted, what differs is changed, what is gone from the code rests (`withdrawn_at`) until it is declared
again, or retention removes it. Pausing is the operator's: it survives. Several may do this at a time: each write is of
one row, and does nothing where another was first.
"""

from __future__ import annotations

import logging

from django.db import Error, IntegrityError
from django.utils import timezone

from gearjobs.errors import UsageError
from gearjobs.models import Schedule, ScheduleSource
from gearjobs.tasks.django_tasks import InvalidTask
from gearjobs.tasks.registry import task_at
from gearjobs.tasks.schedules.declarations import Declaration, declared_schedules
from gearjobs.tasks.schedules.saved_schedules import (
    all_schedules,
    call_columns,
    change_schedule,
    create_schedule,
    spec_columns,
)
from gearjobs.tasks.task import GearTask

logger = logging.getLogger("gearjobs.schedules")


def sync_schedules() -> None:
    """Make the table say what the code says; a database that does not let it is logged, for workers can do without.

    All tasks must have been imported.
    """
    declared = declared_schedules()
    try:
        known = {schedule.key: schedule for schedule in all_schedules()}
        for one in declared:
            _put_down(one, known.get(one.key))
        _withdraw([schedule for key, schedule in known.items() if key not in {one.key for one in declared}])
        _refresh([schedule for schedule in known.values() if schedule.source == ScheduleSource.ADMIN])
    except Error as error:
        # Without a table of jobs, as with a gearmand, there are no schedules, and nobody misses them.
        level = logging.WARNING if declared else logging.DEBUG
        logger.log(level, "leave schedules=%d as the database has them error=%s", len(declared), error)


def _put_down(declared: Declaration, known: Schedule | None) -> None:
    try:
        columns = {**spec_columns(declared.task, declared.spec), "withdrawn_at": None}
    except (UsageError, InvalidTask) as error:
        logger.error("leave schedule=%s as the database has it: %s", declared.key, error)
        return
    if known is None:
        try:
            create_schedule(declared.key, columns, source=ScheduleSource.CODE)
        except IntegrityError:
            logger.debug("find schedule=%s made by another process", declared.key)
        else:
            logger.info("make schedule=%s task=%s", declared.key, declared.task.module_path)
    elif known.source != ScheduleSource.CODE:
        logger.error(
            "leave schedule=%s: one made in the admin has the key; rename either task=%s",
            declared.key,
            declared.task.module_path,
        )
    elif change_schedule(known, columns):
        logger.info("change schedule=%s task=%s", declared.key, declared.task.module_path)


def _withdraw(schedules: list[Schedule]) -> None:
    for schedule in schedules:
        if schedule.source == ScheduleSource.CODE and schedule.withdrawn_at is None:
            all_schedules().filter(pk=schedule.pk).update(withdrawn_at=timezone.now())
            logger.info("withdraw schedule=%s: the code does not declare it any more", schedule.key)


def _refresh(schedules: list[Schedule]) -> None:
    """Put down anew what tasks say of the jobs of schedules that were made by hand."""
    for schedule in schedules:
        task = task_at(schedule.task)
        if not isinstance(task, GearTask):
            logger.warning("find no task=%s of schedule=%s in this project", schedule.task, schedule.key)
            continue
        try:
            change_schedule(schedule, call_columns(task, schedule.args, kwargs=schedule.kwargs, queue=schedule.queue))
        except (UsageError, InvalidTask) as error:
            logger.warning("leave schedule=%s as it is: %s", schedule.key, error)
