"""The common half of gearmand's tables in database servers: one watched session that holds the lock.

The lock is the session's: the server gives it back when the session ends, however it ends. A session that broke is
opened anew by the next call, and takes the lock again; where another job server has it by then, this one is fenced.
What was left of an own session that broke is ended first, for its database server may not have noticed yet. What is
said to which server is in `gearmand_postgres` and `gearmand_mysql`.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, NoReturn

from gearjobs.errors import StoreError, StoreFenced
from gearjobs.stores.answer_limits import CALL_LIMIT_S, LOAD_LIMIT_S, STATEMENT_LIMIT_S, extra_time_s
from gearjobs.stores.durability_level import DurabilityLevel
from gearjobs.stores.queue_records import QueueRecord, RecordBatch, RecordName
from gearjobs.stores.session_watch import SessionWatch
from gearjobs.stores.table_rows import Row, record_of_row

#: Seconds the lock is waited for at the start: a server that was killed a moment ago may seem to have it still.
LOCK_PATIENCE_S: Final = 2.0
_LOCK_PAUSE_S: Final = 0.05
#: What the columns of gearmand's tables hold.
KEY_LIMIT: Final = 64
FUNCTION_LIMIT: Final = 255
#: Rows that are asked for at a time.
ROWS_OF_A_PAGE: Final = 1_000
#: The most that `when_to_run`, an INTEGER, can say: in 2038.
WHEN_LIMIT: Final = 2**31 - 1
#: What a driver raises for values that it cannot send.
_UNSENDABLE: Final = (ValueError, OverflowError)


class ServerTable(ABC):
    """RecordTable in a database server.

    Args:
        place: the table, for messages.
        durability: what a commit is to survive.
    """

    #: The driver's error that all others are of, and those that are about values alone.
    errors: type[Exception]
    refusals: tuple[type[Exception], ...]

    def __init__(self, place: str, durability: DurabilityLevel) -> None:
        self._place = place
        self._durability = durability
        self._watch = SessionWatch(place)
        #: The driver's connection.
        self._session: Any = None
        #: How the server calls the session that had the lock last; 0 before the first.
        self._holder = 0
        self._promise = ""

    def open(self) -> str:
        """Connect, make what is missing, take the lock."""
        self._holder = 0
        with self._working("open the queue", limit_s=LOAD_LIMIT_S):
            return self._promise

    def read(self) -> Iterable[QueueRecord]:
        """Return all records, in the order that the server gives them."""
        records: list[QueueRecord] = []
        with self._working("read the queue", limit_s=LOAD_LIMIT_S):
            for rows in self._read():
                self._watch.allow(LOAD_LIMIT_S)
                records += [record for row in rows if (record := record_of_row(row)) is not None]
        return records

    def write(self, batch: RecordBatch) -> None:
        """Do the batch in one transaction."""
        # Rounded, so that ordinary batches are all allowed the same.
        more_s = round(extra_time_s(sum(len(record.payload) for record in batch.put)), 1)
        with self._working("commit a batch", limit_s=CALL_LIMIT_S + more_s):
            self._write(batch, STATEMENT_LIMIT_S + more_s)

    def check(self) -> float:
        """Ask the server for a sign of life: a session that broke while nothing was written is opened anew."""
        with self._working("be reached"):
            self._ask("SELECT 1")
        return math.inf

    def close(self) -> None:
        """End the session, and the lock with it."""
        self._drop()
        self._watch.end()

    @abstractmethod
    def name_of(self, function: bytes, key: bytes) -> RecordName | None:
        """Return the name as gearmand would have it; None where its columns cannot hold it."""

    @abstractmethod
    def fold(self, name: RecordName) -> Hashable:
        """Return the same for names that its columns take for one."""

    @abstractmethod
    def _connect(self) -> Any:
        """Open a session with the limits of `answer_limits`."""

    @abstractmethod
    def _prepare(self) -> str:
        """Make the table or the column that is missing, and set the session to the durability; return the promise."""

    @abstractmethod
    def _session_number(self) -> int:
        """Return how the server calls this session."""

    @abstractmethod
    def _try_lock(self) -> bool:
        """Take the table's lock, unless another session has it."""

    @abstractmethod
    def _lock_holder(self) -> int:
        """Return the session that has the lock; 0 where nobody has."""

    @abstractmethod
    def _end_session(self, number: int) -> None:
        """Have the server end a session of the same user."""

    @abstractmethod
    def _read(self) -> Iterator[Sequence[Row]]:
        """Return the rows of the table in pages."""

    @abstractmethod
    def _write(self, batch: RecordBatch, limit_s: float) -> None:
        """Write the batch; its statements may take so long where that is more than STATEMENT_LIMIT_S."""

    def _ask(self, sql: str, values: object = None) -> list[tuple[Any, ...]]:
        """Return the rows of a statement."""
        with self._session.cursor() as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall()) if cursor.description else []

    @contextmanager
    def _working(self, purpose: str, *, limit_s: float = CALL_LIMIT_S) -> Iterator[None]:
        """Have a session that holds the lock; whatever the server refuses becomes a StoreError."""
        self._watch.allow(limit_s)
        try:
            self._have_session(limit_s)
            yield
        except (StoreFenced, StoreError) as error:
            if error.is_outage:
                self._drop()
            raise
        except (self.errors, OSError, *_UNSENDABLE) as error:
            is_outage = not isinstance(error, (*self.refusals, *_UNSENDABLE))
            if is_outage or not self._roll_back():
                self._drop()
            text = f"{self._place} could not {purpose}: {type(error).__name__}: {error}"
            raise StoreError(text, is_outage=is_outage) from error
        finally:
            self._watch.rest()

    def _have_session(self, limit_s: float) -> None:
        if self._session is not None:
            return
        self._session = self._connect()
        self._watch.begin(self._session)
        self._watch.allow(limit_s)
        self._promise = self._prepare()
        self._take_lock()
        self._holder = self._session_number()

    def _take_lock(self) -> None:
        patience_ends_at = time.monotonic() + LOCK_PATIENCE_S
        while not self._try_lock():
            holder = self._lock_holder()
            if self._holder:
                self._win_back(holder)
            if time.monotonic() > patience_ends_at:
                text = f"{self._place} has a job server already (session {holder}); one table has one server"
                raise StoreError(text)
            time.sleep(_LOCK_PAUSE_S)

    def _win_back(self, holder: int) -> NoReturn:
        """Have the lock given back by the session that broke; the next call finds it free."""
        if holder and holder != self._holder:
            raise StoreFenced(f"{self._place} has another job server now (session {holder})")
        if holder:
            self._end_session(holder)
        raise StoreError(f"{self._place} is locked still by a session of this server that broke (session {holder})")

    def _roll_back(self) -> bool:
        """End the transaction that was refused; return whether the session is fit for the next one."""
        try:
            self._session.rollback()
        except (self.errors, OSError):
            return False
        return True

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            # A driver may object to closing what is broken already.
            with suppress(self.errors, OSError):
                session.close()
