"""`--queue-type libsqlite3`: gearmand's own table in an SQLite file.

The table is gearmand's, with one more column for the extras, which its statements do not name: its INSERT OR REPLACE
leaves it NULL, so that a row it wrote is known as such, and it can go on with a file that we had. A batch is one
transaction, in WAL mode. An flock beside the file makes the server the only one of ours; a gearmand on the same file is
not kept out by it. Source: gearmand's libsqlite3 module; sqlite.org on pragma, wal, and what its values' types are.
"""

from __future__ import annotations

import logging
import math
import sqlite3
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gearjobs.errors import StoreError, UsageError
from gearjobs.stores.answer_limits import STATEMENT_LIMIT_S
from gearjobs.stores.commit_promises import SQLITE_LEVELS
from gearjobs.stores.deferred_table import DeferredTable
from gearjobs.stores.durability_level import DurabilityLevel
from gearjobs.stores.file_lock import FileLock, lock_file_of
from gearjobs.stores.network_file_systems import network_file_system_of
from gearjobs.stores.queue_only import RecordTable
from gearjobs.stores.queue_options import QueueOptions
from gearjobs.stores.queue_records import QueueRecord, RecordBatch, RecordName
from gearjobs.stores.table_names import checked_name
from gearjobs.stores.table_rows import record_of_row

logger = logging.getLogger("gearjobs.stores")

#: Refusals of values; everything else is an outage.
_REFUSALS: Final = (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.InterfaceError, OverflowError, ValueError)


def make_table(options: QueueOptions, durability: DurabilityLevel) -> RecordTable:
    """Return the table that the options name, unopened.

    Raises:
        UsageError: no file is named, or the table's name is none.
    """
    if not options.libsqlite3_db:
        raise UsageError("missing required --libsqlite3-db=<dbfile> argument")
    name = checked_name("--libsqlite3-table", options.libsqlite3_table)
    table = SqliteTable(Path(options.libsqlite3_db), name, durability)
    if not options.store_queue_on_shutdown:
        return table
    if durability is DurabilityLevel.MEMORY:
        return DeferredTable(table)
    logger.info("keep jobs at once all the same: --store-queue-on-shutdown needs --durability memory")
    return table


class SqliteTable:
    """RecordTable in an SQLite file.

    Args:
        path: the file; made where it is missing.
        table: its table, likewise.
        durability: what a commit is to survive.
    """

    def __init__(self, path: Path, table: str, durability: DurabilityLevel) -> None:
        self._path = path.absolute()
        self._table = table
        self._durability = durability
        self._lock = FileLock(lock_file_of(self._path), f"the queue file {self._path}")
        self._session: sqlite3.Connection | None = None

    def open(self) -> str:
        """Take the lock, open the file, and make the table or the column that is missing."""
        shared = network_file_system_of(self._path)
        if shared and self._durability is not DurabilityLevel.MEMORY:
            raise StoreError(
                f"SQLite keeps no job safely on a network file system, and {self._path} is on {shared}: move it to a "
                "disk of this machine, or promise nothing with --durability memory"
            )
        self._lock.acquire()
        synchronous, words = SQLITE_LEVELS[self._durability]
        with self._working("open") as session:
            self._make_table(session)
        return f"{words} (SQLite {self._path}: WAL, synchronous={synchronous})"

    def read(self) -> Iterable[QueueRecord]:
        """Return the records in the order of their rows: gearmand's order of insertion."""
        with self._working("read") as session:
            rows = session.execute(
                f"SELECT unique_key, function_name, priority, data, when_to_run, gearjobs FROM {self._table} "  # noqa: S608 - a checked name
                "ORDER BY rowid"
            ).fetchall()
        return [record for row in rows if (record := record_of_row(row)) is not None]

    def write(self, batch: RecordBatch) -> None:
        """Do the batch in one transaction."""
        with self._working("commit") as session:
            session.execute("BEGIN IMMEDIATE")
            try:
                session.executemany(self._delete, [(one.key, one.function) for one in batch.deleted])
                session.executemany(self._put, map(_values, batch.put))
                session.executemany(self._change, map(_changes, batch.changed))
                session.execute("COMMIT")
            except BaseException:
                if session.in_transaction:
                    session.execute("ROLLBACK")
                raise

    def check(self) -> float:
        """Nothing to look at: the lock is the process's."""
        return math.inf

    def close(self) -> None:
        """Close the file, which empties the write-ahead log, and give the lock back."""
        self._drop()
        self._lock.release()

    def name_of(self, function: bytes, key: bytes) -> RecordName | None:
        """SQLite takes any bytes as text."""
        return RecordName(function, key)

    def fold(self, name: RecordName) -> Hashable:
        """Names are compared byte by byte."""
        return name

    @property
    def _named(self) -> str:
        # Bytes become text as they are, and only text equals what gearmand wrote.
        return "unique_key = CAST(? AS TEXT) AND function_name = CAST(? AS TEXT)"

    @property
    def _delete(self) -> str:
        return f"DELETE FROM {self._table} WHERE {self._named}"  # noqa: S608 - a checked name

    @property
    def _put(self) -> str:
        return (
            f"INSERT INTO {self._table} (unique_key, function_name, priority, data, when_to_run, gearjobs) "  # noqa: S608 - likewise
            "VALUES (CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, ?, ?) ON CONFLICT (unique_key, function_name) DO UPDATE "
            "SET priority = excluded.priority, data = excluded.data, when_to_run = excluded.when_to_run, "
            "gearjobs = excluded.gearjobs"
        )

    @property
    def _change(self) -> str:
        return f"UPDATE {self._table} SET priority = ?, when_to_run = ?, gearjobs = ? WHERE {self._named}"  # noqa: S608 - likewise

    @contextmanager
    def _working(self, purpose: str) -> Iterator[sqlite3.Connection]:
        """Give an open session; after an outage the next call opens the file anew, and reads what is on the disk."""
        try:
            if self._session is None:
                self._session = self._connect()
            yield self._session
        except (sqlite3.Error, *_REFUSALS) as error:
            is_outage = not isinstance(error, _REFUSALS)
            if is_outage:
                self._drop()
            text = f"the queue file {self._path} could not {purpose}: {type(error).__name__}: {error}"
            raise StoreError(text, is_outage=is_outage) from error

    def _connect(self) -> sqlite3.Connection:
        session = sqlite3.connect(self._path, timeout=STATEMENT_LIMIT_S, isolation_level=None, check_same_thread=False)
        session.text_factory = bytes
        synchronous, _ = SQLITE_LEVELS[self._durability]
        session.execute("PRAGMA journal_mode = WAL")
        session.execute(f"PRAGMA synchronous = {synchronous}")
        # macOS only: its fsync leaves the data in the disk's cache.
        session.execute(f"PRAGMA fullfsync = {int(self._durability is DurabilityLevel.FULL)}")
        return session

    def _make_table(self, session: sqlite3.Connection) -> None:
        session.execute(
            f"CREATE TABLE IF NOT EXISTS {self._table} (unique_key TEXT, function_name TEXT, priority INTEGER, "
            "data BLOB, when_to_run INTEGER, gearjobs TEXT, PRIMARY KEY (unique_key, function_name))"
        )
        columns = {row[1] for row in session.execute(f"PRAGMA table_info({self._table})")}
        # Files of gearmands before 0.25 have no time.
        for column, kind in ((b"when_to_run", "INTEGER"), (b"gearjobs", "TEXT")):
            if column not in columns:
                session.execute(f"ALTER TABLE {self._table} ADD COLUMN {column.decode()} {kind}")
        # Names that somebody wrote as bytes would equal no text: such jobs would be there again at every start.
        session.execute(
            f"UPDATE OR IGNORE {self._table} SET unique_key = CAST(unique_key AS TEXT), "  # noqa: S608 - likewise
            "function_name = CAST(function_name AS TEXT) "
            "WHERE typeof(unique_key) = 'blob' OR typeof(function_name) = 'blob'"
        )
        # Fails where nothing makes a function and a unique a row's only name.
        session.execute(f"EXPLAIN {self._put}", (b"", b"", 0, b"", 0, b"")).fetchall()

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()


def _values(record: QueueRecord) -> Sequence[bytes | int | str]:
    name, extras = record.name, record.extras.decode("ascii")
    return name.key, name.function, record.lane, record.payload, record.when, extras


def _changes(record: QueueRecord) -> Sequence[bytes | int | str]:
    return record.lane, record.when, record.extras.decode("ascii"), record.name.key, record.name.function
