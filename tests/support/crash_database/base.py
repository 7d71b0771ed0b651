"""A Django database engine that is SQLite by way of apsw, so that its files may lie on a disk that can lose power.

Django's own SQLite engine with another driver below it: `OPTIONS["vfs"]` names the VFS. Only what the job table's store
and plain ORM calls need of the driver is here, errors included.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import apsw
from django.db.backends.sqlite3 import base

_ERRORS: dict[type[apsw.Error], type[sqlite3.Error]] = {
    apsw.ConstraintError: sqlite3.IntegrityError,
    apsw.BusyError: sqlite3.OperationalError,
    apsw.FullError: sqlite3.OperationalError,
    apsw.IOError: sqlite3.OperationalError,
    apsw.CantOpenError: sqlite3.OperationalError,
    apsw.SQLError: sqlite3.OperationalError,
}


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        raise _ERRORS.get(type(error), sqlite3.DatabaseError)(str(error)) from error


class Cursor:
    """The part of DB-API 2 that Django uses of a cursor."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self.rowcount = -1
        self.arraysize = 1

    @property
    def lastrowid(self) -> int:
        return self._connection.last_insert_rowid()

    @property
    def description(self) -> Any:
        with _translated():
            try:
                return self._cursor.description
            except apsw.ExecutionCompleteError:
                return None

    def execute(self, query: str, params: Sequence[Any] = ()) -> Cursor:
        with _translated():
            before = self._connection.total_changes()
            self._cursor.execute(_marks(query) if params else query, tuple(params))
            self.rowcount = self._connection.total_changes() - before
        return self

    def executemany(self, query: str, rows: Iterable[Sequence[Any]]) -> Cursor:
        with _translated():
            self._cursor.executemany(_marks(query), [tuple(row) for row in rows])
        return self

    def fetchone(self) -> Any:
        with _translated():
            return self._cursor.fetchone()

    def fetchmany(self, size: int = 1) -> list[Any]:
        rows = (self.fetchone() for _ in range(size))
        return [row for row in rows if row is not None]

    def fetchall(self) -> list[Any]:
        with _translated():
            return self._cursor.fetchall()

    def __iter__(self) -> Iterator[Any]:
        while (row := self.fetchone()) is not None:
            yield row

    def close(self) -> None:
        self._cursor.close(force=True)


def _marks(query: str) -> str:
    """Return the query with SQLite's placeholders for Django's."""
    return base.FORMAT_QMARK_REGEX.sub("?", query).replace("%%", "%")


class Connection:
    """The part of DB-API 2 that Django uses of a connection."""

    def __init__(self, path: str, vfs: str) -> None:
        self._connection = apsw.Connection(path, vfs=vfs)
        #: Set by Django, which begins its transactions by itself.
        self.isolation_level: str | None = None

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def cursor(self, factory: object = None) -> Cursor:
        return Cursor(self._connection)

    def execute(self, query: str) -> Cursor:
        return self.cursor().execute(query)

    def commit(self) -> None:
        if self.in_transaction:
            self.execute("COMMIT")

    def rollback(self) -> None:
        if self.in_transaction:
            self.execute("ROLLBACK")

    def close(self) -> None:
        with _translated():
            self._connection.close()


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's SQLite, on a VFS."""

    def get_connection_params(self) -> dict[str, Any]:
        self.transaction_mode = None
        return {"path": str(self.settings_dict["NAME"]), "vfs": self.settings_dict["OPTIONS"]["vfs"]}

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection = Connection(**conn_params)
        connection.execute("PRAGMA foreign_keys = ON")
        return connection
