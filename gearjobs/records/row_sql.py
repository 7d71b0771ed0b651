"""The statements that write job rows: few, of fixed shapes, each sent once per batch with many rows of parameters.

Names come from the model, values are always parameters but for the constants of a fresh row, which stand in the text.
An update ends with the conditions that make it safe to repeat and impossible to regress: the row must be this server's
and unfinished. The same text runs on SQLite, PostgreSQL and MySQL/MariaDB.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper

from gearjobs.core.jobs import JobHandle
from gearjobs.models import Job, JobOutput, JobStatus
from gearjobs.records.batch_fold import ACCEPTED_FIELDS, BatchFold, JobWrite

#: A statement and the parameters of each of its executions.
Statement = tuple[str, Sequence[tuple[Any, ...]]]

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
    "result": "NULL",
}
_OUTPUT_FIELDS: Final = ("job", "sequence", "is_warning", "body", "streamed_at")


class RowSql:
    """Statements for one database.

    Args:
        connection: whose quoting is used.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        quote = connection.ops.quote_name
        self._table = quote(Job._meta.db_table)
        self._columns = {field.name: quote(str(field.column)) for field in Job._meta.concrete_fields}
        self._output_table = quote(JobOutput._meta.db_table)
        self._output_columns = {field.name: quote(str(field.column)) for field in JobOutput._meta.concrete_fields}
        self._insert_fresh = self._insert(ACCEPTED_FIELDS)
        self._updates: dict[tuple[str, ...], str] = {}
        output_columns = ", ".join(self._output_columns[name] for name in _OUTPUT_FIELDS)
        #: Inserts the rows of `output_rows`.
        self.insert_output = f"INSERT INTO {self._output_table} ({output_columns}) VALUES (%s, %s, %s, %s, %s)"  # noqa: S608 - names of the model

    def statements(self, fold: BatchFold, *, owner: str) -> Iterator[Statement]:
        """Return what writes the batch; the statements touch different rows, so their order says nothing."""
        fresh = [row for handle, row in fold.accepted.items() if handle not in fold.writes]
        if fresh:
            yield self._insert_fresh, fresh
        inserts: defaultdict[tuple[str, ...], list[tuple[Any, ...]]] = defaultdict(list)
        updates: defaultdict[tuple[str, ...], list[tuple[Any, ...]]] = defaultdict(list)
        forgotten = []
        for handle, write in fold.writes.items():
            if write.is_forgotten:
                forgotten.append((handle.decode("ascii"),))
            elif (row := fold.accepted.get(handle)) is not None:
                values = self._whole_row(row, write)
                inserts[tuple(values)].append(tuple(values.values()))
            elif write.values:
                values = self._increments(write)
                updates[tuple(values)].append((*values.values(), handle.decode("ascii"), owner))
        for names, rows in inserts.items():
            yield self._insert(names), rows
        for names, rows in updates.items():
            yield self._update(names), rows
        if forgotten:
            yield f"DELETE FROM {self._output_table} WHERE {self._output_columns['job']} = %s", forgotten  # noqa: S608 - likewise
            yield f"DELETE FROM {self._table} WHERE {self._columns['handle']} = %s", forgotten  # noqa: S608 - likewise

    def _whole_row(self, row: tuple[object, ...], write: JobWrite) -> dict[str, object]:
        values = dict(zip(ACCEPTED_FIELDS, row, strict=True))
        values.update(write.values)
        values["version"] = 1 + write.versions
        values["crashes"] = write.crashes
        return values

    def _increments(self, write: JobWrite) -> dict[str, object]:
        values = {**write.values, "version": write.versions}
        if write.crashes:
            values["crashes"] = write.crashes
        return values

    def _insert(self, names: Sequence[str]) -> str:
        constants = {name: sql for name, sql in _FRESH.items() if name not in names}
        columns = ", ".join(self._columns[name] for name in (*names, *constants))
        values = ", ".join([*["%s"] * len(names), *constants.values()])
        return f"INSERT INTO {self._table} ({columns}) VALUES ({values})"  # noqa: S608 - names of the model

    def _update(self, names: tuple[str, ...]) -> str:
        if (known := self._updates.get(names)) is not None:
            return known
        column = self._columns
        shapes = {
            "started_at": f"COALESCE({column['started_at']}, %s)",
            "version": f"{column['version']} + %s",
            "crashes": f"{column['crashes']} + %s",
        }
        values = ", ".join(f"{column[name]} = {shapes.get(name, '%s')}" for name in names)
        where = f"{column['handle']} = %s AND {column['owner']} = %s AND {column['finished_at']} IS NULL"
        sql = self._updates[names] = f"UPDATE {self._table} SET {values} WHERE {where}"  # noqa: S608 - names of the model
        return sql


def handles_text(handles: Sequence[JobHandle]) -> list[str]:
    """Return handles as the table's primary keys."""
    return [handle.decode("ascii") for handle in handles]
