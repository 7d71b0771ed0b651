"""Cancelling a group, chain or chord: what waits never starts, what is queued ends, what runs is told to stop.

The whole ends as failed once its last job has ended.
"""

from __future__ import annotations

import logging

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from gearjobs.actions.cancel_jobs import check_may_cancel
from gearjobs.records.audit import note_action
from gearjobs.tasks.groups.group_result import GroupResult

logger = logging.getLogger("gearjobs.actions")


def cancel_group(group_id: str, *, user: AbstractBaseUser | AnonymousUser | None = None) -> int:
    """End all of a whole that has not ended, and return how many jobs have ended by it or were told.

    Args:
        group_id: of the whole.
        user: who wants it; None for whoever may run commands.

    Raises:
        PermissionDenied: the user has not the permission `cancel_job`.
        TaskResultDoesNotExist: there is no such whole.
    """
    check_may_cancel(user)
    count = GroupResult.get(group_id).cancel()
    logger.info("cancelled group=%s jobs=%d by=%s", group_id, count, "command" if user is None else user)
    if count:
        note_action("cancel_group", actor=user, target_kind="group", target=group_id, count=count)
    return count
