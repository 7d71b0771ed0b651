"""A Unix socket that a server listens on: who may connect is what its file's permissions say.

The file appears before anybody is let in, and with its permissions. It outlives a server that was killed, so the next
one has to tell a socket that nobody listens on from one in use: a lock beside it, held as long as the server lives,
says so even to servers that start at once. Whatever else stands in the socket's place is left alone. Source: the lock
files of PostgreSQL's sockets.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from gearjobs.errors import UsageError
from gearjobs.servers import UNIX_PREFIX


class UnixListener(socket.socket):
    """A listening Unix socket; closing it removes its file.

    Args:
        path: where its file is made; the lock stands beside it, with `.lock` behind its name.
        mode: the file's permissions.
        backlog: connections the kernel may queue before they are accepted.

    Raises:
        UsageError: another server listens there, or the file cannot be made.
    """

    def __init__(self, path: str, *, mode: int, backlog: int) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        self._path = Path(path)
        self._lock = -1
        self._inode = 0
        try:
            self._lock = _lock_beside(self._path)
            _remove_stale(self._path)
            self.bind(path)
            self._inode = self._path.lstat().st_ino
            # Nobody is let in before listen(), whatever the permissions were till now.
            self._path.chmod(mode)
            self.listen(backlog)
        except OSError as error:
            self.close()
            raise UsageError(f"cannot listen on {UNIX_PREFIX}{path}: {error.strerror or error}") from error
        except UsageError:
            self.close()
            raise

    def close(self) -> None:
        """Listen no more, and remove the file, unless another program has put its own there."""
        super().close()
        if self._inode:
            with suppress(OSError):
                if self._path.lstat().st_ino == self._inode:
                    self._path.unlink()
            self._inode = 0
        if self._lock >= 0:
            # The lock's file stays: removed, it could be another's by now.
            os.close(self._lock)
            self._lock = -1


def _lock_beside(path: Path) -> int:
    """Return the descriptor of the lock, which is free again when this process ends."""
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise UsageError(f"cannot listen on {UNIX_PREFIX}{path}: another job server listens there") from error
    return descriptor


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens on; what else is there makes bind() fail."""
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        if probe.connect_ex(str(path)) == errno.ECONNREFUSED:
            path.unlink()
