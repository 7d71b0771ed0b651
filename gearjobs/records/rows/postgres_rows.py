"""Writes the rows of a batch on PostgreSQL: one statement for many rows, and one round trip for all statements.

A column that is the same in all rows is one parameter; the others are arrays that the server unnests. The arrays are
written here as literals (PostgreSQL manual, 8.15.2), for the driver's own way costs twenty times as much. Parameters
travel beside the text, so no value can become SQL, and a single row's payload travels as it is.

Rows must be found by their handle alone: as long as the table's statistics are young, the planner takes the index of
owner and end for the better one, and reads all of the server's jobs for each row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from gearjobs.records.rows.batch_fold import BatchFold
from gearjobs.records.rows.row_sql import Row, RowSql, Table, is_constant

#: Rows of one statement: more save nothing.
_ROWS_AT_ONCE: Final = 1_000
#: Bytes of payloads, results or pieces in one statement; as an array they are twice that long. A longer one goes alone.
_BODY_BYTES: Final = 8_388_608
#: A statement that may take so long needs more than the session's limit.
_LONG_S: Final = 2.0
#: The fields of bodies. A job's traceback stands beside its result.
_BODIES: Final = frozenset({"payload", "result", "body", "error_traceback"})


def has_pipelines(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether the driver of an open connection can send statements without waiting for each one's end."""
    return hasattr(connection.connection, "pipeline") and bool(import_module("psycopg").Pipeline.is_supported())


class PostgresRows(RowSql):
    """Statements for PostgreSQL with psycopg 3.

    Args:
        connection: whose quoting and column types are used.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        super().__init__(connection)
        # Django's own cursor writes values into the text. The driver is a choice of the project's.
        self._make_cursor: Any = import_module("psycopg").Cursor

    def write(self, cursor: CursorWrapper, fold: BatchFold, *, owner: str, limit_s: float) -> None:
        """Write what a batch changes, without waiting for each statement's end."""
        session = cursor.db.connection
        with cursor.db.wrap_database_errors, session.pipeline(), self._make_cursor(session) as binding:
            if limit_s >= _LONG_S:
                binding.execute(f"SET LOCAL statement_timeout = {limit_s * 1000:.0f}")
            super().write(binding, fold, owner=owner, limit_s=limit_s)

    def write_output(self, cursor: CursorWrapper, rows: Sequence[Row]) -> None:
        """Insert the rows of `output_rows`."""
        with cursor.db.wrap_database_errors, self._make_cursor(cursor.db.connection) as binding:
            super().write_output(binding, rows)

    def write_attempts(self, cursor: CursorWrapper, rows: Sequence[Row]) -> None:
        """Insert the rows of `attempt_rows`, but for those that are there already."""
        with cursor.db.wrap_database_errors, self._make_cursor(cursor.db.connection) as binding:
            super().write_attempts(binding, rows)

    def _insert(self, cursor: CursorWrapper, table: Table, names: Sequence[str], *, rows: Sequence[Row]) -> None:
        fixed = {name: sql for name, sql in table.constants.items() if name not in names}
        into = ", ".join(table.columns[name] for name in (*names, *fixed))
        for some in _chunks(names, rows):
            if len(some) == 1:
                cursor.execute(self._insert_text(table, names), some[0])
                continue
            source = _Source(table, names, some)
            values = ", ".join([*source.values.values(), *fixed.values()])
            sql = f"INSERT INTO {table.name} ({into}) SELECT {values} FROM {source.sql}"  # noqa: S608 - names of the model
            cursor.execute(sql + table.repeatable, source.parameters)

    def _update(self, cursor: CursorWrapper, names: tuple[str, ...], rows: Sequence[Row], *, owner: str) -> None:
        columns = self._jobs.columns
        handle = f"{self._jobs.name}.{columns['handle']}"
        # Opaque to the planner, which must not look for rows by it.
        finished_at, own = (f"{self._jobs.name}.{columns[name]}" for name in ("finished_at", "owner"))
        owned = f"CASE WHEN {finished_at} IS NULL THEN {own} END"
        for some in _chunks((*names, "handle"), rows):
            if len(some) == 1:
                values = ", ".join(f"{columns[name]} = {self._changed(name, '%s')}" for name in names)
                sql = f"UPDATE {self._jobs.name} SET {values} WHERE {handle} = %s AND {owned} = %s"  # noqa: S608 - likewise
                cursor.execute(sql, (*some[0], owner))
                continue
            source = _Source(self._jobs, (*names, "handle"), some)
            values = ", ".join(f"{columns[name]} = {self._changed(name, source.values[name])}" for name in names)
            where = f"{handle} = {source.values['handle']} AND {owned} = %s"
            sql = f"UPDATE {self._jobs.name} SET {values} FROM {source.sql} WHERE {where}"  # noqa: S608 - likewise
            cursor.execute(sql, [*source.parameters, owner])

    def _delete(self, cursor: CursorWrapper, table: Table, name: str, *, handles: Sequence[str]) -> None:
        sql = f"DELETE FROM {table.name} WHERE {table.columns[name]} = ANY(%s::{table.types[name]}[])"  # noqa: S608 - likewise
        for start in range(0, len(handles), _ROWS_AT_ONCE):
            cursor.execute(sql, (array_literal(handles[start : start + _ROWS_AT_ONCE]),))


class _Source:
    """Rows as something to select from.

    Args:
        table: whose column types the values have.
        names: the fields of the values of a row, the one with the handle among them.
        rows: at least two, with different handles.
    """

    def __init__(self, table: Table, names: Sequence[str], rows: Sequence[Row]) -> None:
        #: What stands for each field's value in the statement, in the order of `names`.
        self.values: dict[str, str] = {}
        constants: list[Any] = []
        arrays: list[Any] = []
        columns: list[str] = []
        types: list[str] = []
        for name, values in zip(names, zip(*rows, strict=True), strict=True):
            kind = table.types[name]
            if is_constant(values):
                constants.append(values[0])
                self.values[name] = f"%s::{kind}"
            else:
                arrays.append(array_literal(values))
                types.append(f"%s::{kind}[]")
                columns.append(f"c{len(columns)}")
                self.values[name] = f"batch.{columns[-1]}"
        #: What stands behind FROM.
        self.sql = f"unnest({', '.join(types)}) AS batch({', '.join(columns)})"
        #: In the order of a statement that names its values before its source.
        self.parameters = [*constants, *arrays]


def array_literal(values: Sequence[object]) -> str:
    """Return the values of a column, all of one type or None, as the text of an array."""
    if None in values:
        return "{" + ",".join(["NULL" if value is None else _quoted((value,)) for value in values]) + "}"
    return "{" + _quoted(values) + "}"


def _quoted(values: Sequence[Any]) -> str:
    first = values[0]
    if isinstance(first, bytes):
        return '"\\\\x' + '","\\\\x'.join([value.hex() for value in values]) + '"'
    if not isinstance(first, str):
        return '"' + '","'.join(map(str, values)) + '"'
    text = '","'.join(values)
    if "\\" in text or text.count('"') != 2 * (len(values) - 1):
        text = '","'.join([value.replace("\\", "\\\\").replace('"', '\\"') for value in values])
    return f'"{text}"'


def _chunks(names: Sequence[str], rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Yield the rows in parts that a statement takes."""
    place = next((index for index, name in enumerate(names) if name in _BODIES), None)
    part: list[Row] = []
    body_bytes = 0
    for row in rows:
        size = 0 if place is None else len(row[place] or b"")
        if part and (len(part) == _ROWS_AT_ONCE or body_bytes + size > _BODY_BYTES):
            yield part
            part, body_bytes = [], 0
        part.append(row)
        body_bytes += size
    if part:
        yield part
