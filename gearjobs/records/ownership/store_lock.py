"""The lock that makes one job server the only one of a database, where the database is for one server.

That is SQLite: an flock on `<database>.gearjobs.lock`, which the kernel drops when the process dies, however it dies;
the file holds the owner's pid and stays. PostgreSQL and MySQL/MariaDB are shared by leases instead (`server_leases`).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final, Protocol

from django.db.backends.base.base import BaseDatabaseWrapper

from gearjobs.errors import StoreError


class StoreLock(Protocol):
    """The right to be the one server of a database."""

    def acquire(self, connection: BaseDatabaseWrapper) -> None:
        """Take the lock with this connection, or keep it.

        Raises:
            StoreError: another server has it; the text says which, where that can be known.
        """

    def release(self, connection: BaseDatabaseWrapper) -> None:
        """Give the lock back; nothing happens where it is not held."""


def make_store_lock(connection: BaseDatabaseWrapper) -> StoreLock:
    """Return the lock for the connection's database.

    Raises:
        StoreError: gearjobs does not run on this kind of database.
    """
    make = _LOCKS.get(connection.vendor)
    if make is None:
        raise StoreError(f"gearjobs runs on SQLite, PostgreSQL, MySQL and MariaDB, got {connection.vendor}")
    return make(connection)


def is_shared(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether several servers may use the database at a time."""
    return connection.vendor != "sqlite"


def _refused(connection: BaseDatabaseWrapper, holder: str) -> StoreError:
    text = f"the database {connection.alias!r} has a job server already ({holder}); one database has one server"
    return StoreError(text)


class FileLock:
    """An flock'ed file beside an SQLite database.

    Args:
        path: the lock's file, made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def acquire(self, connection: BaseDatabaseWrapper) -> None:
        """Take the lock; a lock that is held is held on."""
        if self._file is not None:
            return
        try:
            file = self._path.open("a+", encoding="ascii")
        except OSError as error:
            raise StoreError(f"cannot open the lock file {self._path}: {error.strerror}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise _refused(connection, f"pid {holder}") from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file

    def release(self, connection: BaseDatabaseWrapper) -> None:
        """Close the file, which unlocks it; it is not removed, for another server may have it open."""
        if self._file is not None:
            self._file.close()
            self._file = None


class NoLock:
    """For a database in memory, which nobody else can reach, and for one that servers share."""

    def acquire(self, connection: BaseDatabaseWrapper) -> None:
        """Do nothing."""

    def release(self, connection: BaseDatabaseWrapper) -> None:
        """Do nothing."""


def _sqlite_lock(connection: BaseDatabaseWrapper) -> StoreLock:
    name = str(connection.settings_dict["NAME"])
    if ":memory:" in name or "mode=memory" in name:
        return NoLock()
    path = Path(name.removeprefix("file:").partition("?")[0]).resolve()
    return FileLock(path.with_name(f"{path.name}.gearjobs.lock"))


_LOCKS: Final[dict[str, Callable[[BaseDatabaseWrapper], StoreLock]]] = {
    "sqlite": _sqlite_lock,
    "postgresql": lambda connection: NoLock(),
    "mysql": lambda connection: NoLock(),
}
