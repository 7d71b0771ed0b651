"""What a database session must be before the store writes through it.

Run for every connection the store opens, before its first batch: the session gets its level of durability
(`durability_promise`), and what must hold for any batch to be kept is checked, and said in a sentence with the remedy
instead of failing at the first job. How long the database may take is `session_limits`'s.
"""

from __future__ import annotations

import logging
from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper

from gearjobs.errors import StoreError
from gearjobs.models import Job, JobAttempt, JobGroup, JobMember, JobOutput, JobServer
from gearjobs.records.sessions.durability_promise import promise
from gearjobs.stores.durability_level import DurabilityLevel

logger = logging.getLogger("gearjobs.records")

_TABLES: Final = (Job, JobAttempt, JobGroup, JobMember, JobOutput, JobServer)
#: A column of each table that has peers' words.
_WORDS: Final = ((Job, "function"), (JobAttempt, "error_message"))


class StoreSession:
    """Makes the sessions of one store fit for it.

    Args:
        alias: of the database.
        level: what a commit is to survive.
    """

    def __init__(self, alias: str, level: DurabilityLevel) -> None:
        self._alias = alias
        self._level = level
        self._promised = ""

    def prepare(self, connection: BaseDatabaseWrapper) -> None:
        """Make an open session fit, and say once what it promises.

        Raises:
            StoreError: the tables are missing, cannot hold every name, or lose what must be kept.
        """
        promised = promise(connection, self._level)
        _check_tables(connection)
        if connection.vendor == "mysql":
            _check_charset(connection)
        if promised != self._promised:
            self._promised = promised
            logger.info("keep jobs database=%s durability=%s: %s", self._alias, self._level, promised)


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


def _check_tables(connection: BaseDatabaseWrapper) -> None:
    existing = connection.introspection.table_names()
    for table in (model._meta.db_table for model in _TABLES):
        if table not in existing:
            command = f"manage.py migrate --database {connection.alias}"
            raise StoreError(f"the database {connection.alias!r} has no table {table}: run {command}")


def _check_charset(connection: BaseDatabaseWrapper) -> None:
    for model, column in _WORDS:
        table = model._meta.db_table
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT character_set_name FROM information_schema.columns"
                " WHERE table_schema = DATABASE() AND table_name = %s AND column_name = %s",
                [table, column],
            )
            (charset,) = cursor.fetchone()
        if charset != "utf8mb4":
            remedy = f"ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb4"
            raise StoreError(
                f"the table {table} must have the character set utf8mb4 to hold every name, got {charset}: {remedy}"
            )
