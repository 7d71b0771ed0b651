"""System checks of schedules: what would keep them from firing, said at start-up.

`gearjobs.E121` schedules are declared and USE_TZ is off; with `--database`, `gearjobs.E122` a schedule in the table has
a cron expression or a time zone that this machine does not know. What is wrong with a declaration itself is refused at
the import of its module, which `gearjobs.E111` reports.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core import checks
from django.db import Error

from gearjobs.errors import SettingsError, UsageError
from gearjobs.settings import gearjobs_settings
from gearjobs.tasks.discovery import discover_tasks
from gearjobs.tasks.django_tasks import InvalidTask
from gearjobs.tasks.late_records import saved_schedules
from gearjobs.tasks.schedules.declarations import declared_schedules


def check_declared_schedules(**_: Any) -> list[checks.CheckMessage]:
    """Report that times have no zone, where the applications' tasks declare schedules."""
    with suppress(UsageError, InvalidTask):
        # What cannot be declared is reported by the check of tasks.
        discover_tasks()
    declared = declared_schedules()
    if settings.USE_TZ or not declared:
        return []
    return [
        checks.Error(
            f"The schedule {declared[0].key!r} needs USE_TZ = True: times without a zone come twice in autumn.",
            hint="Set USE_TZ = True; without it, job servers fire no schedules.",
            id="gearjobs.E121",
        )
    ]


def check_saved_schedules(*, databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Report schedules of the table that this machine cannot read."""
    try:
        if not databases or gearjobs_settings().database not in databases:
            return []
        return list(_unreadable())
    except (Error, SettingsError):
        # There is no such table yet, no database, or no way to know which: others say so.
        return []


def _unreadable() -> Iterable[checks.CheckMessage]:
    for schedule in saved_schedules.active_schedules():
        try:
            saved_schedules.due_times_of(schedule)
        except UsageError as error:
            yield checks.Error(
                f"The schedule {schedule.key!r} cannot be fired: {error}.",
                hint="Change it in the admin, or install the package tzdata where a time zone is unknown.",
                id="gearjobs.E122",
            )
