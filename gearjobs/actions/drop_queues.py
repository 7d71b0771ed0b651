"""Forgetting functions that nobody uses: without jobs and without workers, as gearmand's `drop function` means it.

Every job server of the project forgets what it knows of the function, and what operators said of it goes with it. Jobs
that ended stay in the table, and the figures of the past stay figures.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from gearjobs.actions.pause_queues import check_may_control, check_names
from gearjobs.client.admin_client import AdminClient
from gearjobs.errors import GearjobsError
from gearjobs.protocol.admin_text import AdminError, line_word
from gearjobs.protocol.wire_text import to_bytes
from gearjobs.records.audit import note_action
from gearjobs.records.queue_controls import forget_queue
from gearjobs.tasks.job_control import project_client, project_servers
from gearjobs.tasks.site_security import site_security

logger = logging.getLogger("gearjobs.actions")

#: Seconds a server may take to answer.
ANSWER_TIMEOUT_S: Final = 5.0


@dataclass(slots=True)
class DropReport:
    """What became of functions that were to be forgotten."""

    dropped: list[str] = field(default_factory=list)
    #: What servers said of the others, by the function.
    refusals: dict[str, str] = field(default_factory=dict)


def drop_queues(functions: Iterable[str], *, user: AbstractBaseUser | AnonymousUser | None = None) -> DropReport:
    """Let every job server forget the functions that have neither jobs nor workers.

    Args:
        functions: names as texts, as in the job table.
        user: who wants it; None for whoever may run commands.

    Raises:
        PermissionDenied: the user has not the permission `control_queue`.
        UsageError: a name is empty.
    """
    check_may_control(user)
    report = DropReport()
    for name in check_names(functions):
        refusals = [said for address in project_servers() if (said := _drop(address, name))]
        if refusals:
            report.refusals[name] = "; ".join(refusals)
            continue
        if forget_queue(name):
            project_client().queues_changed()
        report.dropped.append(name)
        note_action("drop_queue", actor=user, target_kind="queue", target=name)
    logger.info("drop functions=%s by=%s", ",".join(report.dropped), "command" if user is None else user)
    return report


def _drop(address: str, function: str) -> str:
    """Let a server forget a function; return why it did not, empty where it knows it no more."""
    try:
        with AdminClient(address, timeout_s=ANSWER_TIMEOUT_S, security=site_security()) as admin:
            answer = admin.command(b"drop function " + line_word(to_bytes(function)))
    except GearjobsError as error:
        return f"{address}: {error}"
    said = answer.decode("utf-8", "replace").strip()
    if said == "OK" or AdminError.FUNCTION_NOT_FOUND in said:
        return ""
    return f"{address}: {said.removeprefix('ERR').replace('+', ' ').strip()}"
