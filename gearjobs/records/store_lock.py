"""One job server per database: the lock that a store holds as long as it is open.

SQLite: an flock on `<database>.gearjobs.lock`, which the kernel drops when the process dies, however it dies; the file
holds the owner's pid and stays. PostgreSQL and MySQL/MariaDB: a session lock on the store's own connection, so that
whoever lost the connection has lost the lock, and a store that reconnects must win it again before it writes. Behind a
pooler that shares sessions between transactions such locks do not hold: connect directly.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import IO, Final, Protocol

from django.db.backends.base.base import BaseDatabaseWrapper

from gearjobs.errors import StoreError
from gearjobs.models import Job

#: How long a session lock is waited for: a server that was killed a moment ago may still be leaving.
PATIENCE_S: Final = 2.0
_PAUSE_S: Final = 0.05


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
    """A database in memory: nobody else can reach it."""

    def acquire(self, connection: BaseDatabaseWrapper) -> None:
        """Do nothing."""

    def release(self, connection: BaseDatabaseWrapper) -> None:
        """Do nothing."""


class _SessionLock:
    """What the session locks share: patience, and knowing which session they were taken in."""

    def __init__(self) -> None:
        self._session: object = None

    def acquire(self, connection: BaseDatabaseWrapper) -> None:
        if self._session is not None and self._session is connection.connection:
            return
        deadline = time.monotonic() + PATIENCE_S
        while not self._try(connection):
            if time.monotonic() > deadline:
                raise _refused(connection, self._holder(connection))
            time.sleep(_PAUSE_S)
        self._session = connection.connection

    def release(self, connection: BaseDatabaseWrapper) -> None:
        if self._session is not None and self._session is connection.connection:
            self._unlock(connection)
        self._session = None

    def _try(self, connection: BaseDatabaseWrapper) -> bool:
        raise NotImplementedError

    def _holder(self, connection: BaseDatabaseWrapper) -> str:
        raise NotImplementedError

    def _unlock(self, connection: BaseDatabaseWrapper) -> None:
        raise NotImplementedError


class PostgresLock(_SessionLock):
    """An advisory lock; its key is made of the schema and the table, for a database may hold several projects."""

    _SPACE: Final = 0x6765_6172  # "gear"

    def _try(self, connection: BaseDatabaseWrapper) -> bool:
        with connection.cursor() as cursor:
            # Shown in pg_stat_activity, where the server that is refused reads it.
            name = f"gearjobs server pid {os.getpid()} on {socket.gethostname()}"
            cursor.execute("SELECT set_config('application_name', %s, false)", [name[:63]])
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [self._SPACE, self._key(connection)])
            return bool(cursor.fetchone()[0])

    def _holder(self, connection: BaseDatabaseWrapper) -> str:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT activity.application_name FROM pg_locks JOIN pg_stat_activity activity USING (pid)"
                " WHERE locktype = 'advisory' AND granted AND classid::bigint = %s AND objid::bigint = %s"
                " AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
                [self._SPACE, self._key(connection)],
            )
            row = cursor.fetchone()
        return str(row[0]) if row and row[0] else "unknown"

    def _unlock(self, connection: BaseDatabaseWrapper) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [self._SPACE, self._key(connection)])

    def _key(self, connection: BaseDatabaseWrapper) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_schema()")
            schema = cursor.fetchone()[0]
        return _digest(f"{schema}.{Job._meta.db_table}") & 0x7FFF_FFFF


class MysqlLock(_SessionLock):
    """A named lock; names are the whole server's, so the database's name is in it."""

    def __init__(self, database: str) -> None:
        super().__init__()
        # At most 64 characters, and compared without case.
        self._name = f"gearjobs-{_digest(f'{database}.{Job._meta.db_table}'):08x}"

    def _try(self, connection: BaseDatabaseWrapper) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT GET_LOCK(%s, 0)", [self._name])
            return bool(cursor.fetchone()[0])

    def _holder(self, connection: BaseDatabaseWrapper) -> str:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id, host FROM information_schema.processlist WHERE id = IS_USED_LOCK(%s)", [self._name]
            )
            row = cursor.fetchone()
        return f"connection {row[0]} from {row[1]}" if row else "unknown"

    def _unlock(self, connection: BaseDatabaseWrapper) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT RELEASE_LOCK(%s)", [self._name])


def _digest(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:4], "big")


def _sqlite_lock(connection: BaseDatabaseWrapper) -> StoreLock:
    name = str(connection.settings_dict["NAME"])
    if ":memory:" in name or "mode=memory" in name:
        return NoLock()
    path = Path(name.removeprefix("file:").partition("?")[0]).resolve()
    return FileLock(path.with_name(f"{path.name}.gearjobs.lock"))


_LOCKS: Final[dict[str, Callable[[BaseDatabaseWrapper], StoreLock]]] = {
    "sqlite": _sqlite_lock,
    "postgresql": lambda connection: PostgresLock(),
    "mysql": lambda connection: MysqlLock(str(connection.settings_dict["NAME"])),
}
