"""Setting how many jobs of a function may wait, run at once and start in a time, at each job server of the database.

Limits are each server's own, as those that tasks state. They are written into the table that the servers read, and
hold over restarts; `maxqueue` of the admin lines holds only where nothing is said here.
"""

from __future__ import annotations

import logging
import math
from dataclasses import asdict, dataclass
from typing import Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied

from gearjobs.actions.pause_queues import check_names
from gearjobs.core.terms import MAX_TERM_COUNT, MAX_TERM_S
from gearjobs.errors import UsageError
from gearjobs.records.audit import note_action
from gearjobs.records.job_queries import has_permission
from gearjobs.records.queue_controls import control_of, say_of_queue
from gearjobs.tasks.job_control import project_client

logger = logging.getLogger("gearjobs.actions")

_COUNTS: Final = ("max_high", "max_normal", "max_low", "concurrency", "rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """The limits of a function."""

    #: Jobs that may be there, whatever their priority, when one more of this lane comes; 0: any number, None: as
    #: `maxqueue` says.
    max_high: int | None = None
    max_normal: int | None = None
    max_low: int | None = None
    #: Jobs that may run at the same time; 0 for any number.
    concurrency: int = 0
    #: Jobs that may start within `per_s` seconds; 0 for any number.
    rate: int = 0
    per_s: float = 0.0


def limits_of(function: str) -> QueueLimits:
    """Return the limits that operators set."""
    row = control_of(function)
    if row is None:
        return QueueLimits()
    return QueueLimits(
        max_high=row.max_high,
        max_normal=row.max_normal,
        max_low=row.max_low,
        concurrency=row.concurrency,
        rate=row.rate,
        per_s=row.per_s,
    )


def change_queue_limits(
    function: str, limits: QueueLimits, *, user: AbstractBaseUser | AnonymousUser | None = None
) -> bool:
    """Let these be all limits of the function; return whether they were others before.

    Args:
        function: its name as text, as in the job table; it need not be known yet.
        limits: all of them.
        user: who wants it; None for whoever may run commands.

    Raises:
        PermissionDenied: the user has not the permission `change_queue`.
        UsageError: a limit cannot be, or the name is empty.
    """
    if user is not None and not has_permission(user, "change_queue"):
        raise PermissionDenied("you may not set limits of queues; it takes the permission gearjobs.change_queue")
    check_names([function])
    _check(limits)
    by = "" if user is None else str(user.pk)
    was_changed = say_of_queue(function, asdict(limits), changed_by=by)
    if was_changed:
        project_client().queues_changed()
        logger.info("limit function=%s limits=%s by=%s", function, limits, by or "command")
        note_action("limit_queue", actor=user, target_kind="queue", target=function, details=asdict(limits))
    return was_changed


def _check(limits: QueueLimits) -> None:
    for name in _COUNTS:
        count = getattr(limits, name)
        if count is not None and (isinstance(count, bool) or not 0 <= count <= MAX_TERM_COUNT):
            raise UsageError(f"{name} must be from 0 (any number) to {MAX_TERM_COUNT}, got {count!r}")
    if not (math.isfinite(limits.per_s) and 0 <= limits.per_s <= MAX_TERM_S):
        raise UsageError(f"per_s must be seconds from 0 to {MAX_TERM_S:.0f}, got {limits.per_s!r}")
    if bool(limits.rate) != bool(limits.per_s):
        raise UsageError(f"a rate must have its per_s, and no other; got rate={limits.rate} per_s={limits.per_s}")
