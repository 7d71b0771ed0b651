"""Muting groups of failures that are known, and writing down what is known of them.

A muted group counts on, and is shown again when its time is over.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied

from gearjobs.records.audit import note_action
from gearjobs.records.failures.failure_queries import all_groups
from gearjobs.records.job_queries import has_permission

User = AbstractBaseUser | AnonymousUser


def mute_failures(fingerprints: Iterable[str], *, until: datetime | None, user: User | None = None) -> int:
    """Mute groups, or show them again; return how many there are.

    Args:
        fingerprints: which.
        until: until when; None to show them again.
        user: who wants it; None for whoever may run commands.

    Raises:
        PermissionDenied: the user has not the permission `manage_failures`.
    """
    _check(user)
    wanted = sorted(set(fingerprints))
    count = all_groups().filter(pk__in=wanted).update(muted_until=until)
    if count:
        details = {"fingerprints": wanted[:100], "until": until.isoformat() if until else ""}
        verb = "mute" if until else "unmute"
        target = wanted[0] if len(wanted) == 1 else ""
        note_action(verb, actor=user, target_kind="failure", target=target, count=count, details=details)
    return count


def note_failure(fingerprint: str, note: str, *, user: User | None = None) -> bool:
    """Write down what is known of a group; return whether there is one.

    Raises:
        PermissionDenied: the user has not the permission `manage_failures`.
    """
    _check(user)
    is_known = bool(all_groups().filter(pk=fingerprint).update(note=note))
    if is_known:
        note_action("note", actor=user, target_kind="failure", target=fingerprint, details={"note": note})
    return is_known


def _check(user: User | None) -> None:
    if user is not None and not has_permission(user, "manage_failures"):
        raise PermissionDenied("you may not do this to failures; it takes the permission gearjobs.manage_failures")
