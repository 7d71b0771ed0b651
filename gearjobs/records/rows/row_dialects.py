"""Which statements write job rows on which database.

Where a driver cannot do what the faster way needs (psycopg 2, a libpq without pipelines), the statements of `row_sql`
serve on every database.
"""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

from gearjobs.records.rows.mysql_rows import MysqlRows
from gearjobs.records.rows.postgres_rows import PostgresRows, has_pipelines
from gearjobs.records.rows.row_sql import RowSql


def make_row_sql(connection: BaseDatabaseWrapper) -> RowSql:
    """Return what writes rows through an open connection."""
    if connection.vendor == "mysql":
        return MysqlRows(connection)
    if connection.vendor == "postgresql" and has_pipelines(connection):
        return PostgresRows(connection)
    return RowSql(connection)
