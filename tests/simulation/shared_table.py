"""A model of the table that several job servers share: rows, leases, fencing, take-over and unique keys.

Every method is one transaction that happens at one moment. It says what the record store promises, not how it does
it: a row is written only by its owner and only while that one is not fenced; a fence waits for the end of the lease by
this host's clock; of two unfinished jobs with one unique key there is one. What became of rows is told to the journal.
That a caller waits, hears late, or never, is `store_line`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gearjobs.core.changes import (
    Accepted,
    CancelAsked,
    Change,
    Finished,
    Forgotten,
    Hastened,
    Outcome,
    Requeued,
    Rescheduled,
    Retried,
    Started,
    StoredJob,
)
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.core.terms import NO_TERMS, JobTerms, UniqueSpan, read_terms
from gearjobs.errors import StoreError, StoreFenced
from tests.simulation.world import Host, World
from tests.support.journal import (
    CLOSED,
    FENCED,
    RowAppeared,
    RowChanged,
    RowEnded,
    RowForgotten,
    RowTaken,
    ServerLost,
    UniqueFreed,
)

#: Seconds a lease lasts.
LEASE_S = 10.0
#: Renewals in a row that a server must have made before it judges another's lease.
PROOFS = 2


@dataclass(slots=True, eq=False)
class Row:
    """One job."""

    handle: JobHandle
    function: FunctionName
    unique: bytes
    payload: bytes
    priority: int
    run_at: float
    accepted_at: float
    owner: str
    #: Counts what happened to it; 1 while nobody but its first submitter knows of it.
    version: int = 1
    attempt: int = 0
    crashes: int = 0
    worker_ids: list[str] = field(default_factory=list)
    is_running: bool = False
    is_resumable: bool = False
    terms: JobTerms = NO_TERMS
    is_cancel_asked: bool = False
    lost: int = 0


@dataclass(slots=True, eq=False)
class ServerRow:
    """One life of a server."""

    incarnation: str
    host: str
    renewed_at: float
    lease_until: float
    fenced_at: float | None = None
    #: The latest session; what an older one sends is refused.
    session: int = 0
    #: Renewals without a gap.
    renewals: int = 0
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """Who calls: a life of a server, and which of its connections to the database."""

    incarnation: str
    host: str
    number: int


class SharedTable:
    """The database.

    Args:
        world: where it is.
        host: whose clock it goes by.
        is_exclusive: whether a lock keeps every second server out (SQLite), so that there are no leases.
    """

    def __init__(self, world: World, host: Host, *, is_exclusive: bool) -> None:
        self.world = world
        self.host = host
        self.is_exclusive = is_exclusive
        self.unfinished: dict[JobHandle, Row] = {}
        self.ended: set[JobHandle] = set()
        self.servers: dict[str, ServerRow] = {}
        #: Incarnations whose processes are gone, as the operating systems of their hosts know.
        self.dead: set[str] = set()
        self._by_unique: dict[tuple[bytes, bytes], JobHandle] = {}

    def load(self, session: Session) -> list[StoredJob]:
        """Register a new life, and take what is surely nobody's any more."""
        now = self.host.wall()
        server = ServerRow(session.incarnation, session.host, now, now + LEASE_S, session=session.number)
        self.servers[session.incarnation] = server
        for other in self.servers.values():
            if other is not server and other.fenced_at is None and self._is_surely_dead(other, session):
                self._fence(other)
        return self._take(session.incarnation, limit=None)

    def renew(self, session: Session) -> float:
        """Prolong the lease; return how long it lasts."""
        server = self._present(session)
        now = self.host.wall()
        server.renewals = server.renewals + 1 if server.lease_until > now else 0
        server.renewed_at, server.lease_until = now, now + LEASE_S
        return float("inf") if self.is_exclusive else LEASE_S

    def adopt(self, session: Session, limit: int, in_doubt: list[JobHandle]) -> list[StoredJob]:
        """Take rows without an owner, and those of servers whose lease has run out.

        Args:
            session: who calls.
            limit: how many at most.
            in_doubt: what the caller took without hearing of it, which it is given now; then what it takes here.
        """
        server = self._present(session)
        self._hold_lease(server)
        if server.renewals >= PROOFS:
            now = self.host.wall()
            for other in self.servers.values():
                if other is not server and other.fenced_at is None and self._is_overdue(other, now):
                    self._fence(other)
        own = [row for handle in in_doubt if (row := self.unfinished.get(handle)) and row.owner == session.incarnation]
        taken = [_stored_job(row, 0.0) for row in own] + self._take(session.incarnation, limit=limit)
        in_doubt[:] = [job.handle for job in taken]
        return taken

    def commit(self, session: Session, changes: Sequence[Change]) -> dict[JobHandle, JobHandle]:
        """Write a batch, all or none."""
        server = self._present(session)
        self._hold_lease(server)
        joined = self._known_elsewhere(session.incarnation, changes)
        for change in changes:
            if isinstance(change, Forgotten) and change.was_refused:
                self._withdraw(session.incarnation, change.handle)
        touched: dict[JobHandle, None] = {}
        for change in changes:
            if change.handle not in joined and self._apply(session.incarnation, change, joined):
                touched[change.handle] = None
        # Of a batch only its last word on a row is ever seen.
        for handle in touched:
            if (row := self.unfinished.get(handle)) is not None:
                self._tell_change(row)
        return joined

    def close(self, session: Session) -> None:
        """End a life in order: everybody may take over at once."""
        server = self._present(session)
        server.renewed_at = server.lease_until = server.fenced_at = self.host.wall()
        server.is_closed = True
        self.world.journal.append(ServerLost(self.world.now, session.incarnation, CLOSED))

    def insert(self, row: Row) -> bool:
        """A client's transaction with a row in it commits; False when the handle is there already."""
        if row.handle in self.unfinished or row.handle in self.ended:
            return False
        # Whoever inserts a row relies on it.
        row.version = 2
        self._add(row)
        return True

    def is_known(self, handle: bytes) -> bool:
        """Whether there is or was a row of this handle."""
        return handle in self.unfinished or handle in self.ended

    def may_write(self, server: ServerRow) -> bool:
        """Whether a life is not fenced."""
        return server.fenced_at is None

    def _present(self, session: Session) -> ServerRow:
        server = self.servers.get(session.incarnation)
        if server is None or not self.may_write(server):
            raise StoreFenced(f"another job server took over from {session.incarnation}")
        if not self._is_current(server, session):
            raise StoreError("a newer session has taken the place of this one", is_outage=True)
        server.session = max(server.session, session.number)
        return server

    def _is_current(self, server: ServerRow, session: Session) -> bool:
        return session.number >= server.session

    def _hold_lease(self, server: ServerRow) -> None:
        now = self.host.wall()
        if server.lease_until <= now:
            server.renewals = 0
            server.renewed_at, server.lease_until = now, now + LEASE_S

    def _is_overdue(self, server: ServerRow, now: float) -> bool:
        return server.lease_until <= now

    def _is_surely_dead(self, server: ServerRow, session: Session) -> bool:
        if self.is_exclusive or server.is_closed:
            return True
        return server.host == session.host and server.incarnation in self.dead

    def _fence(self, server: ServerRow) -> None:
        server.fenced_at = self.host.wall()
        if server.incarnation not in self.dead and not server.is_closed:
            self.world.journal.append(ServerLost(self.world.now, server.incarnation, FENCED))

    def _take(self, incarnation: str, *, limit: int | None) -> list[StoredJob]:
        taken: list[StoredJob] = []
        now = self.host.wall()
        for row in list(self.unfinished.values()):
            if limit is not None and len(taken) == limit:
                break
            previous = self.servers.get(row.owner)
            if row.owner and (previous is None or previous.fenced_at is None):
                continue
            self.world.journal.append(RowTaken(self.world.now, row.handle, row.owner, incarnation))
            row.owner = incarnation
            if not self._is_duplicate(row):
                taken.append(_stored_job(row, self._gone_s(previous, now)))
        return taken

    def _gone_s(self, previous: ServerRow | None, now: float) -> float:
        """Return since when the previous owner has given no sign of life."""
        return 0.0 if previous is None or self.is_exclusive else max(0.0, now - previous.renewed_at)

    def _is_duplicate(self, row: Row) -> bool:
        """End a row that a client inserted, whose unique another unfinished job has; else give it that unique."""
        key = None if _has_freed_unique(row) else _unique_key(row.function, row.unique)
        holder = self.holder(key)
        if holder is None or holder == row.handle:
            if key is not None:
                self._by_unique[key] = row.handle
            return False
        self.unfinished[holder].version += 1
        self._finish(row, Finished(row.handle, Outcome.CANCELLED, b"", self.host.wall()))
        return True

    def _known_elsewhere(self, incarnation: str, changes: Iterable[Change]) -> dict[JobHandle, JobHandle]:
        """Return the acceptances whose row is another server's or has ended: each stands for itself."""
        joined: dict[JobHandle, JobHandle] = {}
        for change in changes:
            if isinstance(change, Accepted):
                known = self.unfinished.get(change.handle)
                if known is not None and known.owner not in {"", incarnation}:
                    known.version += 1
                    joined[change.handle] = change.handle
                elif change.handle in self.ended:
                    joined[change.handle] = change.handle
        return joined

    def _withdraw(self, incarnation: str, handle: JobHandle) -> None:
        """Remove a job whose submitter was told ERROR; if others rely on it, it is anybody's."""
        row = self.unfinished.get(handle)
        if row is None or row.owner != incarnation:
            return
        if self._is_relied_on(row):
            row.owner = ""
        else:
            self._forget(row)

    def _is_relied_on(self, row: Row) -> bool:
        return row.version > 1

    def _apply(self, incarnation: str, change: Change, joined: dict[JobHandle, JobHandle]) -> bool:
        """Write one change; return whether its row says something new."""
        if isinstance(change, Accepted):
            return self._accept(incarnation, change, joined)
        row = self.unfinished.get(change.handle)
        if row is None or row.owner != incarnation or (isinstance(change, Forgotten) and change.was_refused):
            return False
        row.version += 1
        if isinstance(change, Started):
            row.attempt, row.worker_ids = change.attempt, list(change.worker_ids)
            row.is_running, row.is_resumable = True, change.is_resumable
            if change.frees_unique:
                self._free_unique(row)
                self.world.journal.append(UniqueFreed(self.world.now, row.handle))
        elif isinstance(change, Requeued):
            row.crashes, row.lost = change.crashes, change.lost
            row.is_running = False
        elif isinstance(change, Retried):
            row.run_at, row.is_running = change.run_at, False
        elif isinstance(change, Hastened | Rescheduled):
            row.priority, row.run_at = change.priority, change.run_at
        elif isinstance(change, CancelAsked):
            row.is_cancel_asked = True
        elif isinstance(change, Finished):
            self._finish(row, change)
        elif isinstance(change, Forgotten):
            self._forget(row)
        return True

    def _accept(self, incarnation: str, change: Accepted, joined: dict[JobHandle, JobHandle]) -> bool:
        known = self.unfinished.get(change.handle)
        key = _unique_key(change.function, change.unique)
        holder = self.holder(key)
        if known is not None:
            if not known.owner and holder not in {None, change.handle}:
                # The row that its client inserted stays nobody's, and is ended by whoever adopts it.
                joined[change.handle] = holder or change.handle
                return False
            if not known.owner:
                known.version += 1
                if key is not None:
                    self._by_unique[key] = known.handle
                self.world.journal.append(RowTaken(self.world.now, known.handle, "", incarnation))
                known.owner = incarnation
            return False
        if holder is not None:
            joined[change.handle] = holder
            self.unfinished[holder].version += 1
            return False
        self._add(
            Row(
                change.handle,
                change.function,
                change.unique,
                change.payload,
                change.priority,
                change.run_at,
                change.accepted_at,
                incarnation,
                terms=NO_TERMS if change.details is None else read_terms(change.details.terms),
            )
        )
        return True

    def holder(self, key: tuple[bytes, bytes] | None) -> JobHandle | None:
        """Return the unfinished job that has this unique."""
        return None if key is None else self._by_unique.get(key)

    def _add(self, row: Row) -> None:
        key = _unique_key(row.function, row.unique)
        if key is not None and row.owner:
            self._by_unique.setdefault(key, row.handle)
        self.unfinished[row.handle] = row
        journal = self.world.journal
        journal.append(RowAppeared(self.world.now, row.handle, row.function, row.unique, row.payload, row.terms))
        if not row.owner:
            self._tell_change(row)

    def _finish(self, row: Row, change: Finished) -> None:
        self._remove(row)
        self.ended.add(row.handle)
        result = change.result if change.failure is None else change.failure.message.encode()
        self.world.journal.append(
            RowEnded(
                self.world.now, row.handle, row.owner, row.attempt, change.outcome.value, _run_of(result), row.crashes
            )
        )

    def _forget(self, row: Row) -> None:
        self._remove(row)
        self.world.journal.append(RowForgotten(self.world.now, row.handle))

    def _remove(self, row: Row) -> None:
        del self.unfinished[row.handle]
        self._free_unique(row)

    def _free_unique(self, row: Row) -> None:
        key = _unique_key(row.function, row.unique)
        if key is not None and self._by_unique.get(key) == row.handle:
            del self._by_unique[key]

    def _tell_change(self, row: Row) -> None:
        self.world.journal.append(
            RowChanged(self.world.now, row.handle, row.owner, row.attempt, row.is_running, row.crashes)
        )


def _unique_key(function: bytes, unique: bytes) -> tuple[bytes, bytes] | None:
    return (function, unique) if unique else None


def _has_freed_unique(row: Row) -> bool:
    return row.attempt > 0 and row.terms.unique_for is UniqueSpan.QUEUED


def _run_of(result: bytes) -> bytes:
    """Return the run a result names; what the server says itself of a job names none."""
    return result if result.startswith(b"run-") else b""


def _stored_job(row: Row, gone_s: float) -> StoredJob:
    return StoredJob(
        row.handle,
        row.function,
        row.unique,
        row.payload,
        row.priority,
        row.run_at,
        row.accepted_at,
        attempt=row.attempt,
        crashes=row.crashes,
        worker_ids=list(row.worker_ids),
        was_running=row.is_running,
        is_resumable=row.is_resumable,
        owner_gone_s=gone_s,
        terms=row.terms,
        is_cancel_asked=row.is_cancel_asked,
        lost=row.lost,
    )
