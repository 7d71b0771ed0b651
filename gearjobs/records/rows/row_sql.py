"""Writes the rows of a batch: statements of few shapes, each with many rows.

What is written and in which order is decided here for every database; the statements here are SQLite's, which has no
network to save, and `postgres_rows` and `mysql_rows` say the same in one statement for many rows. `row_dialects` knows
which is whose. Names come from the model. An update ends with the conditions that make it safe to repeat and impossible
to regress: the row must be this server's and unfinished.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from gearjobs.core.jobs import JobHandle
from gearjobs.models import Job, JobAttempt, JobOutput, JobStatus
from gearjobs.records.rows.attempt_rows import ATTEMPT_FIELDS
from gearjobs.records.rows.batch_fold import ACCEPTED_FIELDS, BatchFold, JobWrite

#: Values of a row, in the order of the columns named beside it.
Row = tuple[Any, ...]

#: The columns of a fresh row that are the same for every job, as SQL.
_FRESH: Final[dict[str, str]] = {
    "status": f"'{JobStatus.READY.value}'",
    "started_at": "NULL",
    "last_attempted_at": "NULL",
    "finished_at": "NULL",
    "attempt": "0",
    "crashes": "0",
    "worker_ids": "'[]'",
    "progress_numerator": "0",
    "progress_denominator": "0",
    "progress_message": "''",
    "error_class": "''",
    "error_message": "''",
    "error_traceback": "''",
    "version": "1",
    "is_resumable": "FALSE",
    "result": "NULL",
}
_OUTPUT_FIELDS: Final = ("job", "sequence", "is_warning", "body", "streamed_at")


@dataclass(frozen=True, slots=True)
class Table:
    """A table as SQL: quoted names, the columns by field."""

    name: str
    columns: Mapping[str, str]
    #: Each column's type, without a length: a cast to one would cut silently.
    types: Mapping[str, str]
    #: Columns that an insert fills with the same SQL in every row, unless they are among those it names.
    constants: Mapping[str, str]
    #: What stands behind an insert that may find its row there.
    repeatable: str = ""


class RowSql:
    """Statements for SQLite.

    Args:
        connection: whose quoting and column types are used.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._jobs = _table(connection, Job, _FRESH)
        self._outputs = _table(connection, JobOutput, {})
        attempts = _table(connection, JobAttempt, {})
        self._attempts = replace(attempts, repeatable=self._pass_over(attempts))
        self._updates: dict[tuple[str, ...], str] = {}

    def write(self, cursor: CursorWrapper, fold: BatchFold, *, owner: str, limit_s: float) -> None:
        """Write what a batch changes; jobs end before others are inserted, which may have the same unique.

        Args:
            cursor: inside the batch's transaction.
            fold: the batch.
            owner: the server's incarnation.
            limit_s: seconds that the database may take for a statement, these and those of the batch's output.
        """
        fresh = [row for handle, row in fold.accepted.items() if handle not in fold.writes]
        inserts: defaultdict[tuple[str, ...], list[Row]] = defaultdict(list)
        updates: defaultdict[tuple[str, ...], list[Row]] = defaultdict(list)
        forgotten = []
        for handle, write in fold.writes.items():
            if write.is_forgotten:
                forgotten.append(handle.decode("ascii"))
            elif (row := fold.accepted.get(handle)) is not None:
                values = _whole_row(row, write)
                inserts[tuple(values)].append(tuple(values.values()))
            elif write.values:
                values = _increments(write)
                updates[tuple(values)].append((*values.values(), handle.decode("ascii")))
        for names, rows in updates.items():
            self._update(cursor, names, rows, owner=owner)
        if forgotten:
            for table in (self._outputs, self._attempts):
                self._delete(cursor, table, "job", handles=forgotten)
            self._delete(cursor, self._jobs, "handle", handles=forgotten)
        if fresh:
            self._insert(cursor, self._jobs, ACCEPTED_FIELDS, rows=fresh)
        for names, rows in inserts.items():
            self._insert(cursor, self._jobs, names, rows=rows)

    def write_output(self, cursor: CursorWrapper, rows: Sequence[Row]) -> None:
        """Insert the rows of `output_rows`."""
        if not rows:
            return
        self._insert(cursor, self._outputs, _OUTPUT_FIELDS, rows=rows)

    def write_attempts(self, cursor: CursorWrapper, rows: Sequence[Row]) -> None:
        """Insert the rows of `attempt_rows`, but for those that are there already."""
        self._insert(cursor, self._attempts, ATTEMPT_FIELDS, rows=rows)

    def _pass_over(self, table: Table) -> str:
        """Return what lets an insert pass over rows whose unique columns are taken."""
        return " ON CONFLICT DO NOTHING"

    def _insert(self, cursor: CursorWrapper, table: Table, names: Sequence[str], *, rows: Sequence[Row]) -> None:
        """Insert rows; `names` are the fields of their values."""
        cursor.executemany(self._insert_text(table, names), rows)

    def _update(self, cursor: CursorWrapper, names: tuple[str, ...], rows: Sequence[Row], *, owner: str) -> None:
        """Change this owner's unfinished jobs; a row is the values of `names`, then the handle."""
        cursor.executemany(self._update_text(names), [(*row, owner) for row in rows])

    def _delete(self, cursor: CursorWrapper, table: Table, name: str, *, handles: Sequence[str]) -> None:
        """Delete what belongs to the jobs; `name` is the field with the handle."""
        sql = f"DELETE FROM {table.name} WHERE {table.columns[name]} = %s"  # noqa: S608 - names of the model
        cursor.executemany(sql, [(handle,) for handle in handles])

    def _insert_text(self, table: Table, names: Sequence[str]) -> str:
        fixed = {name: sql for name, sql in table.constants.items() if name not in names}
        columns = ", ".join(table.columns[name] for name in (*names, *fixed))
        values = ", ".join([*["%s"] * len(names), *fixed.values()])
        return f"INSERT INTO {table.name} ({columns}) VALUES ({values}){table.repeatable}"  # noqa: S608 - likewise

    def _update_text(self, names: tuple[str, ...]) -> str:
        if (known := self._updates.get(names)) is not None:
            return known
        columns = self._jobs.columns
        values = ", ".join(f"{columns[name]} = {self._changed(name, '%s')}" for name in names)
        where = f"{columns['handle']} = %s AND {columns['owner']} = %s AND {columns['finished_at']} IS NULL"
        sql = self._updates[names] = f"UPDATE {self._jobs.name} SET {values} WHERE {where}"  # noqa: S608 - likewise
        return sql

    def _changed(self, name: str, value: str) -> str:
        """Return what an update makes of a column, given the SQL of the batch's value."""
        column = f"{self._jobs.name}.{self._jobs.columns[name]}"
        shapes = {
            "started_at": f"COALESCE({column}, {value})",
            "cancel_asked_at": f"COALESCE({column}, {value})",
            "version": f"{column} + {value}",
        }
        return shapes.get(name, value)


def handles_text(handles: Sequence[JobHandle]) -> list[str]:
    """Return handles as the table's primary keys."""
    return [handle.decode("ascii") for handle in handles]


def body_bytes(fold: BatchFold) -> int:
    """Return how much a batch writes of what may be long."""
    rows: list[Any] = list(fold.accepted.values())
    ends: list[Any] = [write.values["result"] for write in fold.writes.values() if write.values.get("result")]
    # The payload is the last column.
    streamed = sum(len(piece.body) for piece in fold.streamed) + sum(len(end.error[-1]) for end in fold.attempts())
    return sum(len(row[-1]) for row in rows) + sum(map(len, ends)) + streamed


def is_constant(values: Sequence[object]) -> bool:
    """Tell whether a column has one value in all rows."""
    return values.count(values[0]) == len(values)


def _whole_row(row: Row, write: JobWrite) -> dict[str, object]:
    values = dict(zip(ACCEPTED_FIELDS, row, strict=True))
    values.update(write.values)
    values["version"] = 1 + write.versions
    values.setdefault("crashes", 0)
    return values


def _increments(write: JobWrite) -> dict[str, object]:
    return {**write.values, "version": write.versions}


def _table(connection: BaseDatabaseWrapper, model: type[models.Model], constants: Mapping[str, str]) -> Table:
    quote = connection.ops.quote_name
    fields = model._meta.concrete_fields
    types = {field.name: str(field.db_type(connection)).partition("(")[0] for field in fields}
    return Table(quote(model._meta.db_table), {f.name: quote(str(f.column)) for f in fields}, types, constants)
