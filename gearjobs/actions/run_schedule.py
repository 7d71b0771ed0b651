"""Running a schedule now, beside its due times: one more job of it, also of a paused one, and whatever still runs.

Its due times stay as they are. The job is in the table when this returns; the job servers are told of it.
"""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db import transaction

from gearjobs.client.client import Client
from gearjobs.models import Schedule
from gearjobs.records.audit import note_action
from gearjobs.records.job_queries import has_permission
from gearjobs.settings import gearjobs_settings
from gearjobs.tasks.job_control import project_client
from gearjobs.tasks.schedules.firing import fire_by_hand


def run_schedule(
    schedule: Schedule, *, user: AbstractBaseUser | AnonymousUser | None = None, client: Client | None = None
) -> str:
    """Enqueue a job of a schedule and return its handle.

    Args:
        schedule: any, paused or not.
        user: who wants it; None for whoever may run commands.
        client: of the servers to tell; all of the project's when not given.

    Raises:
        PermissionDenied: the user has not the permission `run_schedule`.
    """
    if user is not None and not has_permission(user, "run_schedule"):
        raise PermissionDenied("you may not run schedules; it takes the permission gearjobs.run_schedule")
    handle = fire_by_hand(schedule, decided_by="command" if user is None else str(user))
    # Raises nothing: a server that does not hear it looks for such rows by itself once a second.
    transaction.on_commit((client or project_client()).adopt_jobs, using=gearjobs_settings().database)
    note_action("run_schedule", actor=user, target_kind="schedule", target=schedule.key, details={"job": handle})
    return handle
