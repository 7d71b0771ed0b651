"""Pausing schedules and letting them go on; what was due in between is not caught up.

A pause holds for schedules declared in code as well, over every restart, until somebody lets them go on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied

from gearjobs.models import Schedule
from gearjobs.records.audit import note_action
from gearjobs.records.job_queries import has_permission
from gearjobs.tasks.schedules.saved_schedules import change_schedule

logger = logging.getLogger("gearjobs.actions")

User = AbstractBaseUser | AnonymousUser


def pause_schedules(schedules: Iterable[Schedule], *, user: User | None = None) -> int:
    """Let schedules fire no more; return how many did until now.

    Args:
        schedules: any.
        user: who wants it; None for whoever may run commands.

    Raises:
        PermissionDenied: the user has not the permission `change_schedule`.
    """
    return _switch(schedules, user, is_enabled=False)


def resume_schedules(schedules: Iterable[Schedule], *, user: User | None = None) -> int:
    """Let schedules fire from their next due time on; return how many did not until now.

    Args:
        schedules: any; one that the code does not declare any more rests all the same.
        user: who wants it; None for whoever may run commands.

    Raises:
        PermissionDenied: the user has not the permission `change_schedule`.
        UsageError: this machine knows the time zone of one not; those before it go on.
    """
    return _switch(schedules, user, is_enabled=True)


def _switch(schedules: Iterable[Schedule], user: User | None, *, is_enabled: bool) -> int:
    if user is not None and not has_permission(user, "change_schedule"):
        raise PermissionDenied("you may not pause schedules; it takes the permission gearjobs.change_schedule")
    changed = [schedule.key for schedule in schedules if change_schedule(schedule, {"is_enabled": is_enabled})]
    if changed:
        word, by = "resumed" if is_enabled else "paused", "command" if user is None else user
        logger.info("%s schedules=%s by=%s", word, ",".join(changed), by)
        verb = "resume_schedule" if is_enabled else "pause_schedule"
        only = changed[0] if len(changed) == 1 else ""
        note_action(
            verb, actor=user, target_kind="schedule", target=only, count=len(changed), details={"keys": changed[:100]}
        )
    return len(changed)
