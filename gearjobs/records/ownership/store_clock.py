"""The database's own clock, as an expression of its statements: microseconds of unix time, whatever the time zone.

It alone says whether a lease has run out: all servers of a database read the same one, and a server whose machine has
another time harms nobody. PostgreSQL reads it when the expression is computed, the others when the statement starts.
"""

from __future__ import annotations

from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BigIntegerField, Func
from django.db.models.sql.compiler import SQLCompiler

from gearjobs.errors import StoreError

US_PER_S: Final = 1_000_000

_CLOCKS: Final = {
    "postgresql": "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint",
    "mysql": "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))",
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)",
}


class StoreClock(Func):
    """Now, for queries and updates of the ORM."""

    output_field = BigIntegerField()

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, *args: Any, **extra: Any
    ) -> tuple[str, tuple[str | int, ...]]:
        return clock_sql(connection), ()


def clock_sql(connection: BaseDatabaseWrapper) -> str:
    """Return the expression.

    Raises:
        StoreError: gearjobs does not run on this kind of database.
    """
    clock = _CLOCKS.get(connection.vendor)
    if clock is None:
        raise StoreError(f"gearjobs runs on SQLite, PostgreSQL, MySQL and MariaDB, got {connection.vendor}")
    return clock


def read_clock_us(connection: BaseDatabaseWrapper) -> int:
    """Return what the database's clock says."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {clock_sql(connection)}")
        return int(cursor.fetchone()[0])
