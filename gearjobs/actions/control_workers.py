"""Telling workers, by way of the job servers, to take no jobs, to take them again, or to end.

A worker does it when it comes to it: a running job ends first. Who may say so, the servers decide: as with admin lines
that change something, by default whoever is on their own machine.
"""

from __future__ import annotations

import logging
from typing import Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied

from gearjobs.errors import UsageError
from gearjobs.records.audit import note_action
from gearjobs.records.job_queries import has_permission
from gearjobs.tasks.job_control import project_client

logger = logging.getLogger("gearjobs.actions")

#: What workers can be told.
WORKER_VERBS: Final = ("quiet", "resume", "stop")


def control_workers(worker_id: str, verb: str, *, user: AbstractBaseUser | AnonymousUser | None = None) -> int:
    """Tell workers something and return how many were told.

    Args:
        worker_id: a worker's client id, or the beginning of several and `*`.
        verb: one of WORKER_VERBS.
        user: who wants it; None for whoever may run commands.

    Raises:
        PermissionDenied: the user has not the permission `control_worker`.
        UsageError: there is no such verb, or no name is given.
        ServerError: a job server refused.
        ServerUnavailable: no job server answered.
    """
    if user is not None and not has_permission(user, "control_worker"):
        raise PermissionDenied("you may not tell workers anything; it takes the permission gearjobs.control_worker")
    if verb not in WORKER_VERBS:
        raise UsageError(f"workers can be told {', '.join(WORKER_VERBS)}, got {verb!r}")
    if not worker_id:
        raise UsageError("a worker's name, or the beginning of several and *, is wanted; got none")
    told = project_client().control_workers(worker_id, verb)
    by = "command" if user is None else user
    logger.info("control workers=%s verb=%s told=%d by=%s", worker_id, verb, told, by)
    if told:
        note_action(f"{verb}_worker", actor=user, target_kind="worker", target=worker_id, count=told)
    return told
