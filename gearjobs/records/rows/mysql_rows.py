"""Writes the rows of a batch on MySQL and MariaDB: one statement for many rows.

Inserts name many rows; an update chooses each row's values by its handle. Values stand in the text, as the drivers put
them there, too, only one by one and twenty times as slowly. Whatever is not plain printable ASCII without quotes and
backslashes is written in hexadecimal, so no value can end its literal, in whatever character set and SQL mode.

Updates name the primary key's index: with young statistics the server may take the one of owner and end, and read all
of the job server's jobs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from gearjobs.records.rows.batch_fold import BatchFold
from gearjobs.records.rows.row_sql import Row, RowSql, Table, is_constant
from gearjobs.records.sessions.session_limits import is_mariadb

#: Rows of one insert or delete: more save nothing.
_ROWS_AT_ONCE: Final = 1_000
#: Rows of one update: each looks for its handle among all of them.
_CASES_AT_ONCE: Final = 64
#: Characters of one statement's values: below every `max_allowed_packet`. A row that is longer goes alone.
_STATEMENT_CHARACTERS: Final = 262_144
#: A statement that may take so long needs more than the session's limit, where the session has one.
_LONG_S: Final = 2.0


class MysqlRows(RowSql):
    """Statements for MySQL and MariaDB.

    Args:
        connection: whose quoting and column types are used.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        super().__init__(connection)
        self._has_limits = is_mariadb(connection)
        #: What stands before a statement that may take longer than the session's limit.
        self._patience = ""

    def write(self, cursor: CursorWrapper, fold: BatchFold, *, owner: str, limit_s: float) -> None:
        """Write what a batch changes."""
        is_long = self._has_limits and limit_s >= _LONG_S
        self._patience = f"SET STATEMENT max_statement_time = {limit_s:.1f} FOR " if is_long else ""
        super().write(cursor, fold, owner=owner, limit_s=limit_s)

    def _insert(self, cursor: CursorWrapper, table: Table, names: Sequence[str], *, rows: Sequence[Row]) -> None:
        columns = dict(zip(names, zip(*rows, strict=True), strict=True))
        # What all rows have in common is written once and stands behind what differs.
        shared = {name: literal(values[0]) for name, values in columns.items() if len(rows) > 1 and is_constant(values)}
        varied = [name for name in names if name not in shared]
        fixed = {**shared, **{name: sql for name, sql in table.constants.items() if name not in names}}
        tail = "".join(f",{sql}" for sql in fixed.values())
        values_of_rows = zip(*(literals(columns[name]) for name in varied), strict=True)
        texts = [f"({','.join(values)}{tail})" for values in values_of_rows]
        into = ",".join(table.columns[name] for name in (*varied, *fixed))
        for part in _parts([len(text) for text in texts], _ROWS_AT_ONCE):
            values = ",".join(texts[part])
            cursor.execute(f"{self._patience}INSERT INTO {table.name} ({into}) VALUES {values}{table.repeatable}")  # noqa: S608 - names of the model, and literals

    def _pass_over(self, table: Table) -> str:
        # Not IGNORE, which passes over values that do not fit as well.
        return f" ON DUPLICATE KEY UPDATE {table.columns['number']} = {table.columns['number']}"

    def _update(self, cursor: CursorWrapper, names: tuple[str, ...], rows: Sequence[Row], *, owner: str) -> None:
        texts = list(zip(*map(literals, zip(*rows, strict=True)), strict=True))
        for part in _parts([sum(map(len, row)) for row in texts], _CASES_AT_ONCE):
            cursor.execute(self._update_some(names, texts[part], owner))

    def _update_some(self, names: tuple[str, ...], texts: Sequence[tuple[str, ...]], owner: str) -> str:
        columns = self._jobs.columns
        *values, handles = zip(*texts, strict=True)
        chosen = zip(names, [_choice(columns["handle"], handles, column) for column in values], strict=True)
        sets = ", ".join(f"{columns[name]} = {self._changed(name, value)}" for name, value in chosen)
        owned = f"{columns['owner']} = {literal(owner)} AND {columns['finished_at']} IS NULL"
        where = f"{columns['handle']} IN ({','.join(handles)}) AND {owned}"
        return f"{self._patience}UPDATE {self._jobs.name} FORCE INDEX (PRIMARY) SET {sets} WHERE {where}"  # noqa: S608 - likewise

    def _delete(self, cursor: CursorWrapper, table: Table, name: str, *, handles: Sequence[str]) -> None:
        for start in range(0, len(handles), _ROWS_AT_ONCE):
            some = ",".join(literals(handles[start : start + _ROWS_AT_ONCE]))
            cursor.execute(f"DELETE FROM {table.name} WHERE {table.columns[name]} IN ({some})")  # noqa: S608 - likewise


def literals(values: Sequence[object]) -> list[str]:
    """Return the values of a column, all of one type or None, as SQL."""
    if isinstance(values[0], str) and None not in values and _is_plain("".join(map(str, values))):
        return [f"'{value}'" for value in values]
    return [literal(value) for value in values]


def literal(value: object) -> str:
    """Return a value as SQL."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, str):
        return f"'{value}'" if _is_plain(value) else f"_utf8mb4 x'{value.encode().hex()}'"
    # True and False are words of SQL, too.
    return repr(value)


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and "'" not in text and "\\" not in text


def _choice(column: str, handles: Sequence[str], values: Sequence[str]) -> str:
    """Return the SQL of a value that depends on the row's handle."""
    if is_constant(values):
        return values[0]
    cases = " ".join(f"WHEN {handle} THEN {value}" for handle, value in zip(handles, values, strict=True))
    return f"CASE {column} {cases} END"


def _parts(lengths: Sequence[int], rows_at_once: int) -> Iterator[slice]:
    """Yield which rows go into which statement, given the length of each row's text."""
    start, characters = 0, 0
    for index, length in enumerate(lengths):
        if index > start and (index - start == rows_at_once or characters + length > _STATEMENT_CHARACTERS):
            yield slice(start, index)
            start, characters = index, 0
        characters += length
    if lengths:
        yield slice(start, len(lengths))
