"""The lock that makes one job server the only one of a database, where the database is for one server.

That is SQLite: an flock on `<database>.gearjobs.lock` (`stores/file_lock`). PostgreSQL and MySQL/MariaDB are shared by
leases instead (`server_leases`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from django.db.backends.base.base import BaseDatabaseWrapper

from gearjobs.errors import StoreError
from gearjobs.stores.file_lock import FileLock, lock_file_of


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


class DatabaseFileLock:
    """An flock'ed file beside an SQLite database.

    Args:
        path: the database.
        alias: Django's name of it.
    """

    def __init__(self, path: Path, alias: str) -> None:
        self._lock = FileLock(lock_file_of(path), f"the database {alias!r}")

    def acquire(self, connection: BaseDatabaseWrapper) -> None:
        """Take the lock, which is the process's and not the connection's."""
        self._lock.acquire()

    def release(self, connection: BaseDatabaseWrapper) -> None:
        """Give it back."""
        self._lock.release()


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
    return DatabaseFileLock(path, connection.alias)


_LOCKS: Final[dict[str, Callable[[BaseDatabaseWrapper], StoreLock]]] = {
    "sqlite": _sqlite_lock,
    "postgresql": lambda connection: NoLock(),
    "mysql": lambda connection: NoLock(),
}
