"""`--queue-type Postgres`: gearmand's own table in PostgreSQL.

The table is gearmand's, with one more column for the extras, which its statements do not name: a row without them is
one that it wrote, and it can go on with a table that we had. Each part of a batch is one statement with arrays of
values, in one transaction. Names that are no text of the database are not gearmand's either: it refuses such jobs, and
here they are named by their handle. Source: gearmand's Postgres module; PostgreSQL manual on advisory locks.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, Final

import psycopg

from gearjobs.stores.answer_limits import CONNECT_LIMIT_S, POSTGRES_LIMITS, STATEMENT_LIMIT_S, UNACKNOWLEDGED_MS
from gearjobs.stores.commit_promises import postgres_promise
from gearjobs.stores.durability_level import DurabilityLevel
from gearjobs.stores.queue_options import QueueOptions
from gearjobs.stores.queue_records import QueueRecord, RecordBatch, RecordName
from gearjobs.stores.server_table import FUNCTION_LIMIT, KEY_LIMIT, ROWS_OF_A_PAGE, WHEN_LIMIT, ServerTable
from gearjobs.stores.table_names import checked_name
from gearjobs.stores.table_rows import Row

#: The first half of the advisory lock's name; the second is the table's number.
_LOCK_SPACE: Final = int.from_bytes(b"gear", "big")
#: A table that is filled and emptied all day looks small to the planner at any moment: it must use the index.
_PLANNER: Final = (("enable_seqscan", "off"), ("enable_hashjoin", "off"), ("enable_mergejoin", "off"))
#: Seconds for a statement from which on the session's own limit is lifted.
_LONG_S: Final = STATEMENT_LIMIT_S + 0.1


def make_table(options: QueueOptions, durability: DurabilityLevel) -> PostgresTable:
    """Return the table that the options name, unopened.

    Raises:
        UsageError: the table's name is none.
    """
    table = checked_name("--libpq-table", options.libpq_table, may_have_schema=True)
    return PostgresTable(options.libpq_conninfo, table, durability)


class PostgresTable(ServerTable):
    """RecordTable in PostgreSQL.

    Args:
        conninfo: how to connect.
        table: made where it is missing.
        durability: what a commit is to survive.
    """

    errors = psycopg.Error
    refusals = (psycopg.DataError, psycopg.IntegrityError, psycopg.NotSupportedError)

    def __init__(self, conninfo: str, table: str, durability: DurabilityLevel) -> None:
        super().__init__(f"the queue table {table} of PostgreSQL", durability)
        self._conninfo = conninfo
        self._table = table
        #: Whether the database's text can be anything that is UTF-8.
        self._is_utf8 = False

    def name_of(self, function: bytes, key: bytes) -> RecordName | None:
        """Return the name, if both of it are text that fits its column."""
        return (
            RecordName(function, key) if self._fits(function, FUNCTION_LIMIT) and self._fits(key, KEY_LIMIT) else None
        )

    def fold(self, name: RecordName) -> Hashable:
        """PostgreSQL tells apart what differs."""
        return name

    def _fits(self, raw: bytes, limit: int) -> bool:
        try:
            text = raw.decode("utf-8" if self._is_utf8 else "ascii")
        except UnicodeDecodeError:
            return False
        return len(text) <= limit and "\0" not in text

    def _connect(self) -> Any:
        return psycopg.connect(
            self._conninfo,
            autocommit=True,
            connect_timeout=CONNECT_LIMIT_S,
            tcp_user_timeout=UNACKNOWLEDGED_MS,
            fallback_application_name="gearjobs job server",
            client_encoding="utf-8",
        )

    def _prepare(self) -> str:
        limits = (*POSTGRES_LIMITS, *_PLANNER)
        columns = ", ".join(["set_config(%s, %s, false)"] * len(limits))
        self._ask(f"SELECT {columns}", [word for pair in limits for word in pair])
        ((fsync, found, encoding),) = self._ask(
            "SELECT current_setting('fsync'), current_setting('synchronous_commit'), current_setting('server_encoding')"
        )
        self._is_utf8 = encoding == "UTF8"
        synchronous, words = postgres_promise(self._place, self._durability, fsync=fsync, synchronous=found)
        self._ask("SELECT set_config('synchronous_commit', %s, false)", [synchronous])
        self._make_table()
        return words

    def _make_table(self) -> None:
        ((known,),) = self._ask("SELECT to_regclass(%s)", [self._table])
        if known is None:
            self._ask(
                f"CREATE TABLE {self._table} (unique_key VARCHAR({KEY_LIMIT}), "
                f"function_name VARCHAR({FUNCTION_LIMIT}), priority INTEGER, "
                "data BYTEA, when_to_run INTEGER, gearjobs TEXT, UNIQUE (unique_key, function_name))"
            )
        elif not self._ask(
            "SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = 'gearjobs' AND NOT attisdropped",
            [self._table],
        ):
            self._ask(f"ALTER TABLE {self._table} ADD COLUMN gearjobs TEXT")
        # Fails where nothing makes a function and a unique a row's only name.
        self._ask(f"EXPLAIN {self._put}", [[], [], [], [], [], []])

    def _session_number(self) -> int:
        return int(self._session.info.backend_pid)

    def _try_lock(self) -> bool:
        ((is_held,),) = self._ask(f"SELECT pg_try_advisory_lock({_LOCK_SPACE}, {self._lock_number})", [self._table])
        return bool(is_held)

    def _lock_holder(self) -> int:
        rows = self._ask(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND database = "  # noqa: S608 - two numbers
            "(SELECT oid FROM pg_database WHERE datname = current_database()) "
            f"AND classid = {_LOCK_SPACE} AND objid::bigint = {self._lock_number}",
            [self._table],
        )
        return int(rows[0][0]) if rows else 0

    def _end_session(self, number: int) -> None:
        self._ask("SELECT pg_terminate_backend(%s)", [number])

    @property
    def _lock_number(self) -> str:
        return "(to_regclass(%s)::oid::bigint & 2147483647)::int"

    def _read(self) -> Iterator[Sequence[Row]]:
        # By a cursor of the server: each page is a statement with a limit of its own, and no copy of the whole is made.
        with self._session.transaction():
            self._ask("SELECT set_config('enable_seqscan', 'on', true)")
            with self._session.cursor(name="gearjobs_queue") as cursor:
                cursor.execute(
                    f"SELECT unique_key, function_name, priority, data, when_to_run, gearjobs FROM {self._table}"  # noqa: S608 - a checked name
                )
                while rows := cursor.fetchmany(ROWS_OF_A_PAGE):
                    yield rows

    def _write(self, batch: RecordBatch, limit_s: float) -> None:
        steps: list[tuple[str, list[Any]]] = []
        if limit_s > _LONG_S:
            # Until the end of the transaction.
            limit = f"{limit_s * 1000:.0f}"
            steps.append(("SELECT set_config('statement_timeout', %s, true)", [limit]))
        if batch.deleted:
            steps.append((self._delete, _name_arrays(batch.deleted)))
        if batch.put:
            steps.append((self._put, _arrays(batch.put, with_payload=True)))
        if batch.changed:
            steps.append((self._change, _arrays(batch.changed, with_payload=False)))
        if len(steps) == 1:
            # A transaction by itself, without the way there and back for its begin and its end.
            self._session.execute(*steps[0])
            return
        with self._session.transaction():
            for sql, values in steps:
                self._session.execute(sql, values)

    @property
    def _delete(self) -> str:
        return (
            f"DELETE FROM {self._table} USING unnest(%s::text[], %s::text[]) AS one(key, function) "  # noqa: S608 - a checked name
            "WHERE unique_key = one.key AND function_name = one.function"
        )

    @property
    def _put(self) -> str:
        return (
            f"INSERT INTO {self._table} (unique_key, function_name, priority, when_to_run, gearjobs, data) "  # noqa: S608 - likewise
            "SELECT * FROM unnest(%s::text[], %s::text[], %s::int[], %s::int[], %s::text[], %b::bytea[]) "
            "ON CONFLICT (unique_key, function_name) DO UPDATE SET priority = excluded.priority, "
            "when_to_run = excluded.when_to_run, gearjobs = excluded.gearjobs, data = excluded.data"
        )

    @property
    def _change(self) -> str:
        return (
            f"UPDATE {self._table} SET priority = one.priority, when_to_run = one.run_at, gearjobs = one.extras "  # noqa: S608 - likewise
            "FROM unnest(%s::text[], %s::text[], %s::int[], %s::int[], %s::text[]) "
            "AS one(key, function, priority, run_at, extras) "
            "WHERE unique_key = one.key AND function_name = one.function"
        )


def _name_arrays(names: list[RecordName]) -> list[list[Any]]:
    return [[name.key.decode() for name in names], [name.function.decode() for name in names]]


def _arrays(records: list[QueueRecord], *, with_payload: bool) -> list[list[Any]]:
    """Return the columns of the records, in the order of the statements."""
    columns: list[list[Any]] = [
        *_name_arrays([record.name for record in records]),
        [record.lane for record in records],
        [min(record.when, WHEN_LIMIT) for record in records],
        [record.extras.decode("ascii") for record in records],
    ]
    if with_payload:
        columns.append([record.payload for record in records])
    return columns
