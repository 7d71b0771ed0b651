"""`--queue-type MySQL`: gearmand's own table in MySQL or MariaDB.

The table is gearmand's, with one more column for the extras, which its statements do not name: a row without them is
one that it wrote, and it can go on with a table that we had. gearmand makes its columns text, which the server compares
by the rules of a language: there, names beyond ASCII are left to the extras, and letters count as one in both cases.
Where we make the table, its columns are bytes. Source: gearmand's MySQL module; MySQL manual on GET_LOCK.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, TypeVar

import pymysql
from pymysql.cursors import SSCursor

from gearjobs.errors import StoreError
from gearjobs.stores.answer_limits import CONNECT_LIMIT_S, MARIADB_LIMITS, MYSQL_LIMITS, STATEMENT_LIMIT_S
from gearjobs.stores.commit_promises import MYSQL_SETTINGS, MysqlSettings, mysql_promise
from gearjobs.stores.durability_level import DurabilityLevel
from gearjobs.stores.queue_options import QueueOptions
from gearjobs.stores.queue_records import QueueRecord, RecordBatch, RecordName
from gearjobs.stores.server_table import FUNCTION_LIMIT, KEY_LIMIT, ROWS_OF_A_PAGE, WHEN_LIMIT, ServerTable
from gearjobs.stores.table_names import checked_name
from gearjobs.stores.table_rows import Row

#: Where distributions have the socket that `localhost` means to MySQL's own clients.
_SOCKETS: Final = (Path("/run/mysqld/mysqld.sock"), Path("/var/lib/mysql/mysql.sock"), Path("/tmp/mysql.sock"))  # noqa: S108 - MySQL's own choice
#: Rows that one statement names: the server looks each of them up in the index.
_NAMED_AT_ONCE: Final = 50
#: Bytes of a statement beside the values of its longest row.
_STATEMENT_BYTES: Final = 4_096
#: The columns that name a row.
_KEYS: Final = {"unique_key", "function_name"}

_One = TypeVar("_One")
_Value = str | int | bytes


def make_table(options: QueueOptions, durability: DurabilityLevel) -> MysqlTable:
    """Return the table that the options name, unopened.

    Raises:
        UsageError: the table's name is none.
    """
    checked_name("--mysql-table", options.mysql_table)
    return MysqlTable(options, durability)


class MysqlTable(ServerTable):
    """RecordTable in MySQL or MariaDB.

    Args:
        options: where it is, and who to be there; the table is made where it is missing.
        durability: what a commit is to survive.
    """

    errors = pymysql.Error
    refusals = (pymysql.DataError, pymysql.IntegrityError, pymysql.NotSupportedError)

    def __init__(self, options: QueueOptions, durability: DurabilityLevel) -> None:
        super().__init__(f"the queue table {options.mysql_table} of MySQL", durability)
        self._options = options
        self._table = options.mysql_table
        #: Whether the columns of names are bytes.
        self._has_bytes = False
        self._statement_limit_bytes = 0
        self._is_mariadb = False
        #: Seconds that a statement may take; 0 where the server does not limit it.
        self._limit_s = 0.0

    def name_of(self, function: bytes, key: bytes) -> RecordName | None:
        """Return the name, if the columns hold it and tell it from all others."""
        if len(function) > FUNCTION_LIMIT or len(key) > KEY_LIMIT:
            return None
        if not self._has_bytes and not (function.isascii() and key.isascii()):
            return None
        return RecordName(function, key)

    def fold(self, name: RecordName) -> Hashable:
        """Return the name as a language's rules see what is ASCII in it."""
        if self._has_bytes:
            return name
        return name.function.lower().rstrip(b" "), name.key.lower().rstrip(b" ")

    def _connect(self) -> Any:
        options = self._options
        host = options.mysql_host
        socket = host if host.startswith("/") else ""
        if host == "localhost":
            socket = next((str(place) for place in _SOCKETS if place.exists()), "")
        session = pymysql.connect(
            host="localhost" if socket else host,
            unix_socket=socket or None,
            port=options.mysql_port,
            user=options.mysql_user or None,
            password=options.mysql_password,
            database=options.mysql_db or None,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=CONNECT_LIMIT_S,
            # The greeting is waited for by this one; later answers are the watch's business.
            read_timeout=CONNECT_LIMIT_S,
        )
        session._read_timeout = None  # noqa: SLF001 - PyMySQL has no public name for it
        return session

    def _prepare(self) -> str:
        ((version, limit_bytes, database),) = self._ask("SELECT VERSION(), @@max_allowed_packet, DATABASE()")
        if database is None:
            raise StoreError("a database must be named with --mysql-db")
        self._is_mariadb = "mariadb" in version.lower()
        self._statement_limit_bytes = int(limit_bytes)
        self._limit()
        self._ask("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        self._make_table()
        ((engine,),) = self._ask(
            "SELECT engine FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = %s",
            [self._table],
        )
        ((flush, log_bin, sync_binlog, binlog_format),) = self._ask(f"SELECT {MYSQL_SETTINGS}")
        return mysql_promise(
            self._place,
            self._durability,
            found=MysqlSettings(flush, log_bin, sync_binlog, binlog_format),
            engine=str(engine),
            product="MariaDB" if self._is_mariadb else "MySQL",
        )

    def _limit(self) -> None:
        self._ask(MARIADB_LIMITS if self._is_mariadb else MYSQL_LIMITS)
        self._limit_s = STATEMENT_LIMIT_S if self._is_mariadb else 0.0

    def _make_table(self) -> None:
        kinds = self._column_kinds()
        if not kinds:
            self._ask(
                f"CREATE TABLE {self._table} (unique_key VARBINARY({KEY_LIMIT}), "
                f"function_name VARBINARY({FUNCTION_LIMIT}), priority INT, data LONGBLOB, when_to_run INT, "
                "gearjobs LONGTEXT CHARACTER SET ascii, UNIQUE KEY (unique_key, function_name)) ENGINE=InnoDB"
            )
            kinds = self._column_kinds()
        elif "gearjobs" not in kinds:
            self._ask(f"ALTER TABLE {self._table} ADD COLUMN gearjobs LONGTEXT CHARACTER SET ascii")
        self._has_bytes = all(kinds.get(name) == "varbinary" for name in _KEYS)
        self._require_unique_names()

    def _column_kinds(self) -> dict[str, str]:
        rows = self._ask(
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = DATABASE() AND table_name = %s",
            [self._table],
        )
        return {str(name).lower(): str(kind).lower() for name, kind in rows}

    def _require_unique_names(self) -> None:
        rows = self._ask(
            "SELECT index_name, column_name FROM information_schema.statistics "
            "WHERE table_schema = DATABASE() AND table_name = %s AND non_unique = 0",
            [self._table],
        )
        indexes: dict[str, set[str]] = {}
        for index, column in rows:
            indexes.setdefault(index, set()).add(str(column).lower())
        if _KEYS not in indexes.values():
            raise StoreError(
                f"{self._place} must have each function and unique once: "
                f"ALTER TABLE {self._table} ADD UNIQUE KEY (unique_key, function_name)"
            )

    def _session_number(self) -> int:
        return int(self._session.thread_id())

    def _try_lock(self) -> bool:
        ((is_held,),) = self._ask("SELECT GET_LOCK(%s, 0)", [self._lock_name()])
        return bool(is_held)

    def _lock_holder(self) -> int:
        ((holder,),) = self._ask("SELECT IS_USED_LOCK(%s)", [self._lock_name()])
        return int(holder or 0)

    def _lock_name(self) -> str:
        # Locks are the whole server's, and their names 64 characters at most.
        place = f"{self._options.mysql_db}.{self._table}".encode()
        return f"gearjobs:{blake2b(place, digest_size=16).hexdigest()}"

    def _end_session(self, number: int) -> None:
        self._ask(f"KILL {number:d}")

    def _read(self) -> Iterator[Sequence[Row]]:
        # Sent row by row while they are read: that takes as long as it does, and no copy of the whole is made.
        self._ask(f"SET SESSION {'max_statement_time' if self._is_mariadb else 'max_execution_time'} = 0")
        with self._session.cursor(SSCursor) as cursor:
            cursor.execute(
                f"SELECT unique_key, function_name, priority, data, when_to_run, gearjobs FROM {self._table}"  # noqa: S608 - a checked name
            )
            while rows := cursor.fetchmany(ROWS_OF_A_PAGE):
                yield rows
        self._limit()

    def _write(self, batch: RecordBatch, limit_s: float) -> None:
        for record in batch.put:
            self._require_room(record)
        if self._limit_s not in {0.0, limit_s}:
            # MariaDB's; MySQL limits no writing.
            self._ask(f"SET SESSION max_statement_time = {limit_s:.3f}")
            self._limit_s = limit_s
        self._session.begin()
        with self._session.cursor() as cursor:
            for names in _few(batch.deleted):
                cursor.execute(f"DELETE FROM {self._table} WHERE {_named(names)}", self._parts_of(names))  # noqa: S608 - a checked name
            if batch.put:
                # Written as one statement, or a few of at most a megabyte, by the driver.
                cursor.executemany(self._put, [self._put_values(record) for record in batch.put])
            for records in _few(batch.changed):
                cursor.execute(self._change(records), self._change_values(records))
        self._session.commit()

    def _require_room(self, record: QueueRecord) -> None:
        """Refuse what is too long for a statement, for which the server would end the session."""
        room_bytes = self._statement_limit_bytes - _STATEMENT_BYTES - len(record.extras)
        # The driver writes each byte as two digits.
        if 2 * len(record.payload) > room_bytes:
            text = (
                f"a payload of {len(record.payload)} bytes is more than half of max_allowed_packet="
                f"{self._statement_limit_bytes} of {self._place}"
            )
            raise StoreError(text, is_outage=False)

    @property
    def _put(self) -> str:
        return (
            f"INSERT INTO {self._table} (unique_key, function_name, priority, data, when_to_run, gearjobs) "  # noqa: S608 - a checked name
            "VALUES (%s, %s, %s, %s, %s, %s) ON DUPLICATE KEY UPDATE priority = VALUES(priority), "
            "data = VALUES(data), when_to_run = VALUES(when_to_run), gearjobs = VALUES(gearjobs)"
        )

    def _change(self, records: Sequence[QueueRecord]) -> str:
        cases = " ".join(["WHEN unique_key = %s AND function_name = %s THEN %s"] * len(records))
        columns = ", ".join(f"{name} = CASE {cases} END" for name in ("priority", "when_to_run", "gearjobs"))
        return f"UPDATE {self._table} SET {columns} WHERE {_named(records)}"  # noqa: S608 - likewise

    def _put_values(self, record: QueueRecord) -> tuple[_Value, ...]:
        key, function = self._parts_of([record.name])
        extras = record.extras.decode("ascii")
        return key, function, record.lane, record.payload, min(record.when, WHEN_LIMIT), extras

    def _change_values(self, records: Sequence[QueueRecord]) -> list[_Value]:
        """Return the values of the three columns, each behind its row's name, and the names once more."""
        names = [self._parts_of([record.name]) for record in records]
        columns: tuple[list[_Value], ...] = (
            [record.lane for record in records],
            [min(record.when, WHEN_LIMIT) for record in records],
            [record.extras.decode("ascii") for record in records],
        )
        values = [
            part for column in columns for name, value in zip(names, column, strict=True) for part in (*name, value)
        ]
        return values + [part for name in names for part in name]

    def _parts_of(self, names: Sequence[RecordName]) -> list[_Value]:
        """Return keys and functions as literals that find their rows in the index: of the columns' own kind."""
        parts = [part for name in names for part in (name.key, name.function)]
        return list(parts) if self._has_bytes else [part.decode() for part in parts]


def _few(whole: Sequence[_One]) -> Iterator[Sequence[_One]]:
    return (whole[start : start + _NAMED_AT_ONCE] for start in range(0, len(whole), _NAMED_AT_ONCE))


def _named(rows: Sequence[object]) -> str:
    return " OR ".join(["(unique_key = %s AND function_name = %s)"] * len(rows))
