"""Pausing functions and letting them go on, at every job server of the database and over restarts.

What runs goes on; jobs that come wait. It is written into the table that the servers read, and those that can be
reached are told at once; the others find it within a second or two. Servers whose jobs are not in this database are
paused by their own admin line.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied

from gearjobs.errors import UsageError
from gearjobs.records.audit import note_action
from gearjobs.records.job_queries import has_permission
from gearjobs.records.queue_controls import NOTE_LIMIT, say_of_queue
from gearjobs.tasks.job_control import project_client

logger = logging.getLogger("gearjobs.actions")

User = AbstractBaseUser | AnonymousUser


def pause_queues(functions: Iterable[str], *, user: User | None = None, note: str = "") -> int:
    """Let no job of the functions start from now on; return how many were not paused until now.

    Args:
        functions: names as texts, as in the job table; they need not be known yet.
        user: who wants it; None for whoever may run commands.
        note: why, for whoever wonders later.

    Raises:
        PermissionDenied: the user has not the permission `control_queue`.
        UsageError: a name is empty.
    """
    return _switch(functions, user, {"is_paused": True, "note": note[:NOTE_LIMIT]})


def resume_queues(functions: Iterable[str], *, user: User | None = None) -> int:
    """Let jobs of the functions start again; return how many were paused until now; raises as `pause_queues` does."""
    return _switch(functions, user, {"is_paused": False, "note": ""})


def check_may_control(user: User | None) -> None:
    """Refuse a user without the permission.

    Raises:
        PermissionDenied: the user has it not.
    """
    if user is not None and not has_permission(user, "control_queue"):
        raise PermissionDenied("you may not pause, resume or clear queues; it takes gearjobs.control_queue")


def check_names(functions: Iterable[str]) -> list[str]:
    """Return the functions, each once.

    Raises:
        UsageError: a name is empty.
    """
    names = list(dict.fromkeys(functions))
    if "" in names:
        raise UsageError("a function's name must not be empty")
    return names


def _switch(functions: Iterable[str], user: User | None, fields: dict[str, object]) -> int:
    check_may_control(user)
    by = "" if user is None else str(user.pk)
    names = check_names(functions)
    changed = [name for name in names if say_of_queue(name, fields, changed_by=by)]
    if changed:
        project_client().queues_changed()
        verb = "pause_queue" if fields["is_paused"] else "resume_queue"
        logger.info("%s functions=%s by=%s", verb, ",".join(changed), by or "command")
        for name in changed:
            note_action(verb, actor=user, target_kind="queue", target=name, details={"note": fields["note"]})
    return len(changed)
