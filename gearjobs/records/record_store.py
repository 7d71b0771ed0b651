"""The default job store: the Job table, written in batches by the job server's one writer thread.

A batch is one transaction of few statements with many rows (`batch_fold`, `row_sql`), without ORM objects. On SQLite
it is durable by WAL with synchronous=FULL, and one server has the database to itself (`store_lock`); on PostgreSQL and
MySQL/MariaDB by what the database promises for a commit, and servers share it by leases (`server_leases`, `take_over`).
A row is written only while it names this server as owner and is unfinished. The thread that calls `load` makes all
other calls. Contract: `stores/base`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from django.db import DataError, Error, IntegrityError, NotSupportedError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from gearjobs.core.changes import Change, StoredJob
from gearjobs.core.jobs import JobHandle
from gearjobs.errors import StoreError
from gearjobs.records.failures.fingerprint import Fingerprints
from gearjobs.records.failures.group_counts import count_failures
from gearjobs.records.groups.advance import GroupAdvance
from gearjobs.records.ownership.lease_watch import LeaseTimes
from gearjobs.records.ownership.server_leases import ServerLease, end_only, register, register_only
from gearjobs.records.ownership.store_lock import StoreLock, is_shared, make_store_lock
from gearjobs.records.ownership.take_over import TakeOver
from gearjobs.records.rows.attempt_rows import attempt_rows, explain, trim_attempts
from gearjobs.records.rows.batch_fold import BatchFold
from gearjobs.records.rows.column_values import BodyLimit, TimeColumn
from gearjobs.records.rows.output_rows import OutputRows
from gearjobs.records.rows.row_dialects import make_row_sql
from gearjobs.records.rows.row_sql import RowSql, body_bytes, handles_text
from gearjobs.records.rows.shared_uniques import Known, Overtaken, find_known, give_keys, take, withdraw
from gearjobs.records.sessions.deadlocks import run_again
from gearjobs.records.sessions.session_limits import SessionLimits
from gearjobs.records.sessions.store_session import StoreSession, statement_limit_bytes
from gearjobs.stores.answer_limits import CALL_LIMIT_S, LOAD_LIMIT_S
from gearjobs.stores.durability_level import DurabilityLevel

#: How often a batch is tried that meets what other servers insert and end at the same moment.
_TRIES: Final = 5
#: What a driver raises for a value that it cannot send, beside the errors that Django translates.
_DRIVER_ERRORS: Final = (Error, ValueError, OverflowError)
#: Those that are about the values alone.
_REFUSALS: Final = (DataError, IntegrityError, NotSupportedError, ValueError, OverflowError)


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A batch whose outcome was not heard."""

    batch: int
    changes: Sequence[Change]
    joined: dict[JobHandle, JobHandle]


class RecordStore:
    """JobStore on the Job table.

    Args:
        alias: the database of the job table.
        owner: the name of this server's life, which becomes the `owner` of its rows; at most 120 characters. A store
            that is loaded again, and one whose name is taken, has a number behind it.
        lease: the numbers of its lease where several servers share the database.
        durability: what a commit is to survive.
    """

    def __init__(
        self,
        alias: str,
        owner: str,
        *,
        lease: LeaseTimes | None = None,
        durability: DurabilityLevel = DurabilityLevel.FULL,
    ) -> None:
        self._alias = alias
        self._name = owner
        self._times = lease or LeaseTimes()
        #: The incarnation: the `owner` of this server's rows.
        self._owner = owner
        self._lock: StoreLock | None = None
        self._lease: ServerLease | None = None
        self._take_over: TakeOver | None = None
        self._doubt: _Doubt | None = None
        #: Changes, by identity, that are committed although their call failed, and that no later call has told of.
        self._untold: dict[int, Change] = {}
        self._untold_joined: dict[JobHandle, JobHandle] = {}
        #: The driver's connection that was made ready; another one is a reconnect.
        self._session: object = None
        self._limits = SessionLimits(alias)
        self._rules = StoreSession(alias, durability)
        self._outputs = OutputRows(alias)
        self._fingerprints = Fingerprints()
        self._to_time: TimeColumn | None = None
        self._sql: RowSql | None = None
        self._body_limit = BodyLimit(None)

    def load(self) -> list[StoredJob]:
        """Open the store, begin a life, and own every unfinished job that has no living owner.

        Raises:
            StoreError: no connection, no table, or another live server owns the database.
        """
        self._forget_life()
        try:
            with self._translated("load the unfinished jobs", limit_s=LOAD_LIMIT_S) as connection:
                return self._begin_life(connection).load()
        except StoreError:
            self.close()
            raise

    def renew(self) -> float:
        """Renew the lease; return for how many seconds the jobs are surely this server's, from the call on.

        Raises:
            StoreFenced: another server took the jobs over.
            StoreError: the lease was not renewed, as far as anybody knows.
        """
        if self._lease is None:
            return math.inf
        with self._translated("renew the lease") as connection:
            return self._lease.renew(connection)

    def adopt(self, limit: int) -> list[StoredJob]:
        """Own up to `limit` jobs that clients inserted themselves, or that servers left which are gone.

        Raises:
            StoreFenced: another server took this one's jobs over.
            StoreError: nothing was adopted, or what was is given back by the next call.
        """
        if self._take_over is None:
            raise StoreError("a store must be loaded before jobs are adopted")
        with self._translated("adopt jobs"):
            return self._take_over.adopt(limit)

    def commit(self, changes: Sequence[Change]) -> dict[JobHandle, JobHandle]:
        """Make the changes durable in one transaction.

        Returns:
            The acceptances that were not kept, and the job that stands for each: one of the same unique, or the job
            itself where its row is another server's or has finished. A row that nobody owns is taken over instead: its
            client inserted it after it had given up on the server's answer.

        Raises:
            StoreFenced: another server took this one's jobs over; none of the changes was kept.
            StoreError: none of the changes was kept, unless the connection broke while they were committed.
        """
        if not changes:
            return {}
        with self._translated("commit a batch") as connection:
            rest, joined = self._not_committed(changes)
            if rest:
                joined.update(run_again(connection, partial(self._commit, connection, rest)))
            self._note_told(changes)
            return joined

    def close(self) -> None:
        """Let any other server have the jobs; a closed store may be loaded again."""
        connection = connections[self._alias]
        try:
            if self._take_over is not None and self._session is not None and self._session is connection.connection:
                self._end_life()
            if self._lock is not None:
                self._lock.release(connection)
        except Error:
            # The session is gone; the lease runs out by itself.
            pass
        finally:
            self._lock = None
            self._forget_life()
            self._drop(connection)

    def _begin_life(self, connection: BaseDatabaseWrapper) -> TakeOver:
        if is_shared(connection):
            lease = register(self._alias, self._name, times=self._times)
            lease.begin_session(connection)
            lease.renew(connection)
            self._lease, self._owner = lease, lease.incarnation
        else:
            register_only(self._alias, self._owner)
        self._take_over = TakeOver(self._alias, self._owner, lease=self._lease)
        return self._take_over

    def _end_life(self) -> None:
        if self._lease is None:
            end_only(self._alias)
        else:
            self._lease.end()

    def _forget_life(self) -> None:
        self._lease = self._take_over = self._doubt = None
        self._untold, self._untold_joined = {}, {}
        self._owner = self._name

    def _commit(self, connection: BaseDatabaseWrapper, changes: Sequence[Change]) -> dict[JobHandle, JobHandle]:
        known = Known()
        for _ in range(_TRIES - 1):
            try:
                self._write_once(connection, changes, known=known)
                return known.joined
            except (IntegrityError, Overtaken):
                known = find_known(self._alias, changes, owner=self._owner)
        self._write_once(connection, changes, known=known)
        return known.joined

    def _write_once(self, connection: BaseDatabaseWrapper, changes: Sequence[Change], *, known: Known) -> None:
        """Write a batch, and remember it for as long as nobody knows what became of it."""
        if self._lease is None:
            self._write(connection, changes, known=known)
            return
        self._doubt = _Doubt(self._lease.batch + 1, changes, known.joined)
        self._write(connection, changes, known=known)
        self._lease.batch += 1
        self._doubt = None

    def _not_committed(self, changes: Sequence[Change]) -> tuple[Sequence[Change], dict[JobHandle, JobHandle]]:
        """Return what of the changes an earlier call has not committed, and what it would have returned of them.

        That call lost its session before it had an answer; the present one knows which batch was the last. It may bring
        only some of that batch's changes, and fail itself: the rest is remembered.
        """
        doubt, self._doubt = self._doubt, None
        if doubt is not None and self._lease is not None and self._lease.batch == doubt.batch:
            # The very same: two changes may well say the same.
            self._untold.update((id(change), change) for change in doubt.changes)
            self._untold_joined.update(doubt.joined)
        if not self._untold:
            return changes, {}
        again = {change.handle for change in changes if id(change) in self._untold}
        joined = {handle: into for handle, into in self._untold_joined.items() if handle in again}
        return [change for change in changes if id(change) not in self._untold], joined

    def _note_told(self, changes: Sequence[Change]) -> None:
        told = [self._untold.pop(id(change), None) for change in changes] if self._untold else []
        if not any(told):
            # They come first when a batch is tried again: what is left was given up.
            self._untold, self._untold_joined = {}, {}

    def _write(self, connection: BaseDatabaseWrapper, changes: Sequence[Change], *, known: Known) -> None:
        if self._to_time is None or self._sql is None:
            self._to_time, self._sql = TimeColumn(connection), make_row_sql(connection)
        if known.joined:
            changes = [change for change in changes if change.handle not in known.joined]
        fold = BatchFold(
            changes,
            owner=self._owner,
            to_time=self._to_time,
            body_limit=self._body_limit,
            fingerprints=self._fingerprints,
        )
        refused = fold.take_refused()
        if self._lease is not None:
            fold.sort_accepted()
        fold.accepted = {handle: row for handle, row in fold.accepted.items() if handle not in known.taken}
        limit_s = self._limits.allow(body_bytes(fold))
        try:
            # Read before the transaction: SQLite refuses one that reads first and writes what others have changed.
            pieces = self._outputs.rows(fold.streamed, fresh=fold.accepted.keys(), to_time=self._to_time)
            attempts = attempt_rows(
                self._alias, fold.attempts(), fresh=fold.accepted.keys(), owner=self._owner, to_time=self._to_time
            )
            with transaction.atomic(using=self._alias), connection.cursor() as cursor:
                if self._lease is not None:
                    self._lease.hold_for_batch(connection)
                self._settle(known, refused)
                self._sql.write(cursor, fold, owner=self._owner, limit_s=limit_s)
                if pieces:
                    self._sql.write_output(cursor, pieces)
                if attempts:
                    self._sql.write_attempts(cursor, attempts)
                    trim_attempts(self._alias, attempts)
                if fold.explained:
                    explain(self._alias, fold.explained)
                if fold.failures:
                    count_failures(self._alias, fold.failures)
                if fold.members:
                    GroupAdvance(self._alias).jobs_ended(handles_text(fold.members))
                if forgotten := fold.forgotten():
                    GroupAdvance(self._alias).jobs_gone(handles_text(forgotten))
        except Exception:
            # Pieces were counted that were not kept.
            self._outputs.forget_all()
            raise
        self._outputs.forget(fold.ended())

    def _settle(self, known: Known, refused: Sequence[JobHandle]) -> None:
        """Write what is unusual in a batch; mostly there is nothing."""
        if known.taken or known.relied:
            take(self._alias, known, owner=self._owner)
        if known.taken and give_keys(self._alias, [handle.decode("ascii") for handle in known.taken]):
            raise Overtaken("another server was given a job of the same unique", is_outage=False)
        if refused:
            withdraw(self._alias, refused, owner=self._owner)

    @contextmanager
    def _translated(self, purpose: str, *, limit_s: float = CALL_LIMIT_S) -> Iterator[BaseDatabaseWrapper]:
        """Give a ready connection; whatever the database refuses becomes a StoreError."""
        connection = connections[self._alias]
        try:
            with self._limits.call(limit_s):
                self._make_ready(connection)
                yield connection
        except _DRIVER_ERRORS as error:
            self._outputs.forget_all()
            is_outage = not isinstance(error, _REFUSALS)
            if is_outage and not _is_alive(connection):
                self._drop(connection)
            text = f"the database {self._alias!r} could not {purpose}: {type(error).__name__}: {error}"
            raise StoreError(text, is_outage=is_outage) from error

    def _make_ready(self, connection: BaseDatabaseWrapper) -> None:
        if connection.connection is not None and connection.connection is self._session:
            return
        self._limits.open(connection)
        if self._lock is None:
            self._lock = make_store_lock(connection)
        self._lock.acquire(connection)
        self._rules.prepare(connection)
        self._body_limit = BodyLimit(statement_limit_bytes(connection))
        if self._lease is not None:
            self._lease.begin_session(connection)
        self._session = connection.connection

    def _drop(self, connection: BaseDatabaseWrapper) -> None:
        self._session = None
        # Inside somebody's transaction (a test's) the connection is not ours to close.
        if not connection.in_atomic_block:
            # A driver may object to closing what is broken already.
            with suppress(Error):
                connection.close()
        self._limits.close(connection)


def _is_alive(connection: BaseDatabaseWrapper) -> bool:
    # SQLite cannot tell whether its connection works, and a new one costs nothing. Without one there is nothing to ask.
    return connection.vendor != "sqlite" and connection.connection is not None and connection.is_usable()
