"""What a commit on this database survives: the session is set to the level asked for, and the promise said in words.

What a session can set, it sets (SQLite's `synchronous`, PostgreSQL's `synchronous_commit`). What only an administrator
can set is read, and `stores/commit_promises` decides whether it is enough. Source: sqlite.org/pragma.html.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper

from gearjobs.errors import StoreError
from gearjobs.models import Job
from gearjobs.stores.commit_promises import (
    MEMORY_WORDS,
    MYSQL_SETTINGS,
    SQLITE_LEVELS,
    MysqlSettings,
    mysql_promise,
    postgres_promise,
)
from gearjobs.stores.durability_level import DurabilityLevel
from gearjobs.stores.network_file_systems import network_file_system_of


def promise(connection: BaseDatabaseWrapper, level: DurabilityLevel) -> str:
    """Set the open session to the level; return what it promises, with the settings that the promise rests on.

    Raises:
        StoreError: the database cannot keep it.
    """
    return _PROMISES[connection.vendor](connection, level)


def _promise_sqlite(connection: BaseDatabaseWrapper, level: DurabilityLevel) -> str:
    name = str(connection.settings_dict["NAME"])
    if ":memory:" in name or "mode=memory" in name:
        return f"{MEMORY_WORDS}: the database is in memory"
    path = Path(name.removeprefix("file:").partition("?")[0]).resolve()
    file_system = network_file_system_of(path)
    if file_system and level is not DurabilityLevel.MEMORY:
        raise StoreError(
            f"SQLite keeps no job safely on a network file system, and {path} is on {file_system}: move the database"
            " to a disk of this machine, use PostgreSQL or MariaDB, or promise nothing with --durability memory"
        )
    synchronous, words = SQLITE_LEVELS[level]
    # SQLite refuses both inside a transaction (a test's).
    if not connection.in_atomic_block:
        with connection.cursor() as cursor:
            # Readers and the writer do not block each other; a commit is one fsync.
            cursor.execute("PRAGMA journal_mode = WAL")
            # Python's own build may default to less.
            cursor.execute(f"PRAGMA synchronous = {synchronous}")
            # macOS only: its fsync leaves the data in the disk's cache.
            cursor.execute(f"PRAGMA fullfsync = {int(level is DurabilityLevel.FULL)}")
    return f"{words} (SQLite: WAL, synchronous={synchronous})"


def _promise_postgres(connection: BaseDatabaseWrapper, level: DurabilityLevel) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('fsync'), current_setting('synchronous_commit')")
        fsync, found = cursor.fetchone()
        synchronous, words = postgres_promise(_place(connection), level, fsync=fsync, synchronous=found)
        cursor.execute("SELECT set_config('synchronous_commit', %s, false)", [synchronous])
    return words


def _promise_mysql(connection: BaseDatabaseWrapper, level: DurabilityLevel) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {MYSQL_SETTINGS}")
        found = MysqlSettings(*cursor.fetchone())
        engine = _engine(cursor)
    return mysql_promise(_place(connection), level, found=found, engine=engine, product=connection.display_name)


def _engine(cursor: Any) -> str:
    cursor.execute(
        "SELECT engine FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = %s",
        [Job._meta.db_table],
    )
    (engine,) = cursor.fetchone()
    return str(engine)


def _place(connection: BaseDatabaseWrapper) -> str:
    return f"the database {connection.alias!r}"


_PROMISES: Final[dict[str, Callable[[BaseDatabaseWrapper, DurabilityLevel], str]]] = {
    "sqlite": _promise_sqlite,
    "postgresql": _promise_postgres,
    "mysql": _promise_mysql,
}
