"""What the process may do: how many files it may open, whether it may leave a core file, and as whom it runs.

All is settled before the first file, thread or socket is opened, in this order: only root may raise a hard limit.
"""

from __future__ import annotations

import codecs
import os
import pwd
import resource

from gearjobs.errors import UsageError


def set_file_limit(wanted: int) -> int:
    """Set how many files the process may have open.

    Args:
        wanted: 0 for as many as the user may have.

    Returns:
        The limit that holds now.

    Raises:
        UsageError: the system does not allow it; the old limit holds.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted or hard
    # Where the hard limit is "no limit", any number is below it.
    new_hard = hard if hard == resource.RLIM_INFINITY else max(hard, limit)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, new_hard))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"Failed to set limit for the number of file descriptors to {limit}: {error}. "
            "Try running as root or giving a smaller value to -f."
        ) from error
    return limit


def allow_core_file() -> None:
    """Let a process that dies of a fault leave a core file, as large as its user may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def switch_user(name: str) -> None:
    """Become the user, with the user's groups, for good.

    Raises:
        UsageError: there is no such user, or the process is not root's.
    """
    if os.geteuid() != 0:
        raise UsageError("Must be root to switch users.")
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        raise UsageError(f"Could not find user : {name}") from None
    # What getaddrinfo would load later, from where the user may not be able to read.
    codecs.lookup("idna")
    try:
        os.initgroups(name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    except OSError as error:
        raise UsageError(f"Could not switch to user : {name}: {error}") from error
