"""What a database session must be before the store writes through it.

Run once for every connection the store opens, before its first batch: what must hold for a commit to be durable is set,
what must hold for any batch to be kept is checked, and said in a sentence with the remedy instead of failing at the
first job.
"""

from __future__ import annotations

from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper

from gearjobs.errors import StoreError
from gearjobs.models import Job, JobOutput

#: How long SQLite waits for another writer (a web process inside its transaction) before it gives up.
SQLITE_BUSY_TIMEOUT_MS: Final = 10_000


def prepare_session(connection: BaseDatabaseWrapper) -> None:
    """Make the session fit for the store.

    Raises:
        StoreError: the tables are missing, or cannot hold every name.
    """
    if connection.vendor == "sqlite":
        _prepare_sqlite(connection)
    _check_tables(connection)
    if connection.vendor == "mysql":
        _check_charset(connection)


def statement_limit_bytes(connection: BaseDatabaseWrapper) -> int | None:
    """Return how long a statement with its values may be, or None where the wire's own limit is the lower one.

    MySQL ends the session of whoever sends more, which must not look like a server that is down.
    """
    if connection.vendor != "mysql":
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@max_allowed_packet")
        (limit_bytes,) = cursor.fetchone()
    return int(limit_bytes)


def _prepare_sqlite(connection: BaseDatabaseWrapper) -> None:
    # SQLite refuses the last two inside a transaction (a test's).
    if connection.in_atomic_block:
        return
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_TIMEOUT_MS}")
        # Readers and the writer do not block each other; a commit is one fsync.
        cursor.execute("PRAGMA journal_mode = WAL")
        # A commit survives power loss. Python's own build may default to less.
        cursor.execute("PRAGMA synchronous = FULL")


def _check_tables(connection: BaseDatabaseWrapper) -> None:
    existing = connection.introspection.table_names()
    for table in (Job._meta.db_table, JobOutput._meta.db_table):
        if table not in existing:
            command = f"manage.py migrate --database {connection.alias}"
            raise StoreError(f"the database {connection.alias!r} has no table {table}: run {command}")


def _check_charset(connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT character_set_name FROM information_schema.columns"
            " WHERE table_schema = DATABASE() AND table_name = %s AND column_name = 'function'",
            [Job._meta.db_table],
        )
        (charset,) = cursor.fetchone()
    if charset != "utf8mb4":
        remedy = f"ALTER TABLE {Job._meta.db_table} CONVERT TO CHARACTER SET utf8mb4"
        raise StoreError(
            f"the job table must have the character set utf8mb4 to hold every name, got {charset}: {remedy}"
        )
