"""The default job store: the Job table, written in batches by the job server's one writer thread.

A batch is one transaction of few statements with many rows (`batch_fold`, `row_sql`), without ORM objects. On SQLite
it is durable by WAL with synchronous=FULL; elsewhere by what the database promises for a commit. One server owns a
database at a time (`store_lock`), and a row is written only while it names this server as owner and is unfinished. The
thread that calls `load` makes all other calls. Contract: `stores/base`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from django.db import DataError, Error, IntegrityError, NotSupportedError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from gearjobs.core.changes import Accepted, Change, StoredJob
from gearjobs.core.jobs import JobHandle
from gearjobs.errors import StoreError
from gearjobs.models import Job
from gearjobs.records.batch_fold import BatchFold
from gearjobs.records.column_values import BodyLimit, TimeColumn
from gearjobs.records.output_rows import OutputRows
from gearjobs.records.row_sql import RowSql, handles_text
from gearjobs.records.store_lock import StoreLock, make_store_lock
from gearjobs.records.store_session import prepare_session, statement_limit_bytes
from gearjobs.records.stored_rows import read_jobs

#: Rows fetched, and handles named, at once.
_AT_ONCE: Final = 500
#: What a driver raises for a value that it cannot send, beside the errors that Django translates.
_DRIVER_ERRORS: Final = (Error, ValueError, OverflowError)
#: Those that are about the values alone.
_REFUSALS: Final = (DataError, IntegrityError, NotSupportedError, ValueError, OverflowError)


class RecordStore:
    """JobStore on the Job table.

    Args:
        alias: the database of the job table.
        owner: the job server's incarnation, which becomes the `owner` of its rows; at most 128 characters.
    """

    def __init__(self, alias: str, owner: str) -> None:
        self._alias = alias
        self._owner = owner
        self._lock: StoreLock | None = None
        #: The driver's connection that was made ready; another one is a reconnect.
        self._session: object = None
        self._outputs = OutputRows(alias)
        self._to_time: TimeColumn | None = None
        self._sql: RowSql | None = None
        self._body_limit = BodyLimit(None)

    def load(self) -> list[StoredJob]:
        """Open the store, own every unfinished job and return them in the order of acceptance.

        Raises:
            StoreError: no connection, no table, or another live server owns the database.
        """
        try:
            with self._translated("load the unfinished jobs"), transaction.atomic(using=self._alias):
                unfinished = Job.objects.using(self._alias).filter(finished_at=None)
                unfinished.exclude(owner=self._owner).update(owner=self._owner)
                return read_jobs(unfinished)
        except StoreError:
            self.close()
            raise

    def adopt(self, limit: int) -> list[StoredJob]:
        """Own up to `limit` rows that clients inserted themselves and return them in the order of acceptance.

        Raises:
            StoreError: nothing was adopted.
        """
        with self._translated("adopt jobs"):
            # Read first, outside of the transaction: mostly there is nothing, and then nothing is locked.
            unowned = Job.objects.using(self._alias).filter(owner="", finished_at=None)
            found = list(unowned.order_by("enqueued_at", "handle").values_list("handle", flat=True)[:limit])
            adopted: list[StoredJob] = []
            if not found:
                return adopted
            with transaction.atomic(using=self._alias):
                for start in range(0, len(found), _AT_ONCE):
                    some = found[start : start + _AT_ONCE]
                    unowned.filter(handle__in=some).update(owner=self._owner)
                    own = Job.objects.using(self._alias).filter(handle__in=some, owner=self._owner, finished_at=None)
                    adopted.extend(read_jobs(own))
            return adopted

    def commit(self, changes: Sequence[Change]) -> None:
        """Make the changes durable in one transaction.

        A row that exists already under an accepted handle is taken over if nobody owns it and it is unfinished: its
        client inserted it after it had given up on the server's answer.

        Raises:
            StoreError: none of the changes was kept.
        """
        if not changes:
            return
        with self._translated("commit a batch") as connection:
            try:
                self._write(connection, changes)
            except IntegrityError:
                self._outputs.forget_all()
                self._write(connection, changes, known=self._known(changes))

    def close(self) -> None:
        """Give the database free; a closed store may be loaded again."""
        connection = connections[self._alias]
        try:
            if self._lock is not None:
                self._lock.release(connection)
        except Error:
            # The session is gone, and the lock with it.
            pass
        finally:
            self._lock = None
            self._drop(connection)

    def _write(
        self, connection: BaseDatabaseWrapper, changes: Sequence[Change], *, known: frozenset[JobHandle] = frozenset()
    ) -> None:
        if self._to_time is None or self._sql is None:
            self._to_time, self._sql = TimeColumn(connection), RowSql(connection)
        fold = BatchFold(changes, owner=self._owner, to_time=self._to_time, body_limit=self._body_limit)
        fresh = fold.accepted.keys() - known
        with transaction.atomic(using=self._alias), connection.cursor() as cursor:
            if known:
                self._take_over(known)
                fold.accepted = {handle: fold.accepted[handle] for handle in fold.accepted if handle in fresh}
            for sql, rows in self._sql.statements(fold, owner=self._owner):
                cursor.executemany(sql, rows)
            if fold.streamed:
                rows = self._outputs.rows(fold.streamed, fresh=fresh, to_time=self._to_time)
                cursor.executemany(self._sql.insert_output, rows)
        self._outputs.forget(fold.ended())

    def _known(self, changes: Sequence[Change]) -> frozenset[JobHandle]:
        """Return the accepted handles that have a row already, each unfinished and this server's or nobody's."""
        accepted = handles_text([change.handle for change in changes if isinstance(change, Accepted)])
        known: list[str] = []
        for start in range(0, len(accepted), _AT_ONCE):
            rows = Job.objects.using(self._alias).filter(handle__in=accepted[start : start + _AT_ONCE])
            for handle, owner, finished_at in rows.values_list("handle", "owner", "finished_at"):
                if finished_at is not None or owner not in {"", self._owner}:
                    text = f"a new job must have a new handle, got {handle}, which has finished or is another server's"
                    raise StoreError(text, is_outage=False)
                known.append(handle)
        return frozenset(JobHandle(handle.encode("ascii")) for handle in known)

    def _take_over(self, known: frozenset[JobHandle]) -> None:
        names = handles_text(list(known))
        for start in range(0, len(names), _AT_ONCE):
            rows = Job.objects.using(self._alias).filter(handle__in=names[start : start + _AT_ONCE], owner="")
            rows.update(owner=self._owner)

    @contextmanager
    def _translated(self, purpose: str) -> Iterator[BaseDatabaseWrapper]:
        """Give a ready connection; whatever the database refuses becomes a StoreError."""
        connection = connections[self._alias]
        try:
            self._make_ready(connection)
            yield connection
        except _DRIVER_ERRORS as error:
            self._outputs.forget_all()
            is_outage = not isinstance(error, _REFUSALS)
            # SQLite cannot tell whether its connection works, and a new one costs nothing.
            if is_outage and (connection.vendor == "sqlite" or not connection.is_usable()):
                self._drop(connection)
            text = f"the database {self._alias!r} could not {purpose}: {type(error).__name__}: {error}"
            raise StoreError(text, is_outage=is_outage) from error

    def _make_ready(self, connection: BaseDatabaseWrapper) -> None:
        if connection.connection is not None and connection.connection is self._session:
            return
        connection.ensure_connection()
        if self._lock is None:
            self._lock = make_store_lock(connection)
        self._lock.acquire(connection)
        prepare_session(connection)
        self._body_limit = BodyLimit(statement_limit_bytes(connection))
        self._session = connection.connection

    def _drop(self, connection: BaseDatabaseWrapper) -> None:
        self._session = None
        # Inside somebody's transaction (a test's) the connection is not ours to close.
        if not connection.in_atomic_block:
            # A driver may object to closing what is broken already.
            with suppress(Error):
                connection.close()
