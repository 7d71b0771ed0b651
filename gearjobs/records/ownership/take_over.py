"""Taking over jobs that have no living owner: rows that clients inserted, and what servers left that are gone.

On a shared database every live server looks. A server whose lease has run out is fenced first; then its jobs are
adopted in chunks, each in one transaction that skips rows which another server has locked, so that the servers share
the work and no job goes to two. Who judges another's lease must be sure of its own (`lease_watch`), but for a process
of this machine that is provably dead. On a database for one server everything unfinished is that server's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Final

from django.db import IntegrityError, connections, transaction
from django.db.models import F, Q, QuerySet

from gearjobs.core.changes import StoredJob
from gearjobs.models import BLOCKED_OWNER, Job, JobServer
from gearjobs.records.job_queries import in_index_order, unfinished_owners
from gearjobs.records.ownership.server_leases import ServerLease, be_durable, forget_idle
from gearjobs.records.ownership.store_clock import US_PER_S, StoreClock
from gearjobs.records.rows.column_values import to_datetime
from gearjobs.records.rows.shared_uniques import Overtaken, give_keys
from gearjobs.records.rows.stored_rows import list_sizes, read_jobs, read_sized
from gearjobs.records.sessions.deadlocks import run_again
from gearjobs.stores.process_identity import ProcessIdentity

logger = logging.getLogger("gearjobs.records")

#: Rows of one transaction while a server starts: nobody waits for its replies yet.
LOAD_CHUNK: Final = 2_000
#: Seconds between two looks for jobs whose owner has no row: nothing of ours leaves such jobs, but an upgrade may.
STRAY_INTERVAL_S: Final = 10.0
#: A sign of life so far in the future means that the database's clock was put back.
_FUTURE_US: Final = US_PER_S
#: How often a chunk is tried whose uniques other servers are inserting.
_TRIES: Final = 5


@dataclass(slots=True)
class Source:
    """An owner whose jobs may be adopted."""

    #: Empty for rows that clients inserted.
    owner: str
    #: Seconds since its last sign of life.
    gone_s: float = 0.0
    #: True where its row in JobServer goes with its last unfinished job.
    has_row: bool = False


#: The rows that clients inserted.
_INSERTED: Final = Source("")


class TakeOver:
    """Adopts jobs for one server.

    Args:
        alias: the database of the job table.
        owner: this server's incarnation.
        lease: its lease, or None where it has the database to itself.
    """

    def __init__(self, alias: str, owner: str, *, lease: ServerLease | None) -> None:
        self._alias = alias
        self._owner = owner
        self._lease = lease
        #: Jobs that are this server's, but that no call has returned yet: what came after them in a call may fail.
        self._adopted: list[StoredJob] = []
        #: Handles of a chunk whose commit is not known to have succeeded.
        self._in_doubt: list[str] = []
        #: Up to when the jobs of a server are adopted: those before are entries that the index has still to forget.
        self._reached: dict[str, float] = {}
        self._strays_at = 0.0
        self._strays: list[str] = []

    def load(self) -> list[StoredJob]:
        """Adopt all there is to adopt, in the order of acceptance."""
        if self._lease is None:
            return self._load_all()
        _fence_dead(self._alias)
        for source in chain([_INSERTED], self._servers_gone()):
            while self._take(source, LOAD_CHUNK):
                self._lease.renew_if_due(connections[self._alias])
        return self._hand_over()

    def adopt(self, limit: int) -> list[StoredJob]:
        """Adopt up to `limit` jobs, each source's in the order of acceptance."""
        self._claim_in_doubt()
        # Rows that clients inserted first: somebody may be waiting for them this very moment. But not all of the time:
        # a flood of them must not keep the jobs of a dead server from being taken over.
        share = (limit + 1) // 2
        is_flood = self._take(_INSERTED, share) == share
        for source in self._servers_gone():
            if len(self._adopted) >= limit:
                break
            self._take(source, limit - len(self._adopted))
        if is_flood and len(self._adopted) < limit:
            self._take(_INSERTED, limit - len(self._adopted))
        return self._hand_over()

    def _hand_over(self) -> list[StoredJob]:
        adopted, self._adopted = self._adopted, []
        return sorted(adopted, key=lambda job: (job.accepted_at, job.handle))

    def _load_all(self) -> list[StoredJob]:
        with transaction.atomic(using=self._alias):
            unfinished = Job.objects.using(self._alias).filter(finished_at=None).exclude(owner=BLOCKED_OWNER)
            unfinished.exclude(owner=self._owner).update(owner=self._owner)
            # What cannot be a job is set aside first, and gets no key.
            jobs = read_jobs(unfinished)
            keyless = unfinished.filter(unique_key=None).exclude(unique="").order_by("enqueued_at", "handle")
            ended = give_keys(self._alias, list(keyless.values_list("handle", flat=True)))
            return [job for job in jobs if job.handle.decode("ascii") not in ended]

    def _servers_gone(self) -> Iterator[Source]:
        if self._lease is None:
            return
        silent = _silent_servers(self._alias, self._owner)
        if any(server.fenced_at_us is None for server in silent):
            _set_clock_back(self._alias, silent)
            if self._fence_expired(self._lease):
                silent = _silent_servers(self._alias, self._owner)
        for server in silent:
            if server.fenced_at_us is not None:
                gone_s = max(0.0, min(server.silent_us / US_PER_S, self._lease.watch.vouched_s(time.monotonic())))
                yield Source(server.incarnation, gone_s, has_row=True)
        for owner in self._stray_owners():
            yield Source(owner)

    def _fence_expired(self, lease: ServerLease) -> list[str]:
        """Fence the servers whose leases have run out, if this one may judge; return them."""
        if not lease.watch.is_steady(time.monotonic()):
            return []
        return run_again(connections[self._alias], partial(self._fence_expired_once, lease))

    def _fence_expired_once(self, lease: ServerLease) -> list[str]:
        with transaction.atomic(using=self._alias):
            lease.hold(connections[self._alias])
            # The lease may have been found run out just now: then so may everybody's.
            if not lease.watch.is_steady(time.monotonic()):
                return []
            expired = JobServer.objects.using(self._alias).filter(fenced_at_us=None, lease_until_us__lte=StoreClock())
            others = _locked(expired.exclude(incarnation=self._owner), self._alias)
            found = list(others.values_list("incarnation", flat=True))
            _fence(self._alias, found)
        for incarnation in found:
            logger.warning("take over the jobs of server=%s: its lease has run out", incarnation)
        return found

    def _stray_owners(self) -> list[str]:
        """Return owners of unfinished jobs that are registered nowhere."""
        now = time.monotonic()
        if now >= self._strays_at:
            self._strays_at = now + STRAY_INTERVAL_S
            # The owners first: a server registers before it owns anything.
            owners = list(unfinished_owners(using=self._alias))
            known = set(JobServer.objects.using(self._alias).values_list("incarnation", flat=True))
            self._strays = [owner for owner in owners if owner not in known]
        return self._strays

    def _take(self, source: Source, limit: int) -> int:
        """Adopt a chunk of a source's jobs; none left makes the source's row go, if it is a server's.

        Returns:
            How many rows were looked at: not all of them need be jobs.
        """
        waiting = self._waiting(source)
        # Mostly there is nothing, and then nothing is locked.
        if not in_index_order(waiting, "enqueued_at").values_list("owner")[:1]:
            if self._reached.pop(source.owner, None) is not None:
                # What others had locked meanwhile may be left before.
                return self._take(source, limit)
            if source.has_row:
                forget_idle(self._alias, source.owner)
            return 0
        return run_again(connections[self._alias], partial(self._take_again, waiting, source, limit))

    def _take_again(self, waiting: QuerySet[Job], source: Source, limit: int) -> int:
        for _ in range(_TRIES - 1):
            try:
                return self._take_once(waiting, source, limit)
            except (IntegrityError, Overtaken):
                # Another server has inserted, or ended, a job of the same unique at this moment.
                continue
        return self._take_once(waiting, source, limit)

    def _take_once(self, waiting: QuerySet[Job], source: Source, limit: int) -> int:
        first = in_index_order(waiting, "enqueued_at", "handle")
        # SQLite must not read before it writes in a transaction; nobody else writes these rows there.
        found = list_sizes(first[:limit]) if self._lease is None else []
        self._in_doubt = []
        with transaction.atomic(using=self._alias):
            if self._lease is not None:
                self._lease.hold(connections[self._alias])
                found = list_sizes(_locked(first, self._alias)[:limit])
            handles = self._in_doubt = [handle for handle, _ in found]
            # By handle alone: they are locked, and by their owner the planner might look at all of its jobs.
            Job.objects.using(self._alias).filter(handle__in=handles).update(owner=self._owner)
            jobs = read_sized(self._alias, found, owner_gone_s=source.gone_s)
            if any(job.unique for job in jobs):
                ended = give_keys(self._alias, handles)
                jobs = [job for job in jobs if job.handle.decode("ascii") not in ended]
        self._in_doubt = []
        self._adopted += jobs
        if jobs and source.has_row:
            self._reached[source.owner] = jobs[-1].accepted_at
        return len(found)

    def _waiting(self, source: Source) -> QuerySet[Job]:
        waiting = Job.objects.using(self._alias).filter(finished_at=None, owner=source.owner)
        reached = self._reached.get(source.owner)
        # Earlier by more than a float rounds.
        return waiting if reached is None else waiting.filter(enqueued_at__gte=to_datetime(reached - 0.001))

    def _claim_in_doubt(self) -> None:
        """Count the jobs of a chunk as adopted that was committed after all, though the answer was lost."""
        if self._in_doubt:
            own = Job.objects.using(self._alias).filter(handle__in=self._in_doubt, owner=self._owner, finished_at=None)
            self._adopted += read_jobs(own)
            self._in_doubt = []


@dataclass(frozen=True, slots=True)
class _Silent:
    """A server that may write no more, or has not renewed its lease in time."""

    incarnation: str
    renewed_at_us: int
    #: None where it is not fenced yet.
    fenced_at_us: int | None
    #: Since its last sign of life; negative where the clock was put back since.
    silent_us: int


def _silent_servers(alias: str, owner: str) -> list[_Silent]:
    rows = JobServer.objects.using(alias).annotate(silent_us=StoreClock() - F("renewed_at_us"))
    lost = Q(lease_until_us__lte=StoreClock()) | Q(renewed_at_us__gt=StoreClock() + _FUTURE_US)
    found = rows.filter(lost | Q(fenced_at_us__isnull=False)).exclude(incarnation=owner).order_by("started_at")
    return [_Silent(*row) for row in found.values_list("incarnation", "renewed_at_us", "fenced_at_us", "silent_us")]


def _set_clock_back(alias: str, servers: list[_Silent]) -> None:
    """Let leases begin now that begin in the future: the database's clock was put back, and they would last long."""
    for server in servers:
        if server.fenced_at_us is None and server.silent_us < -_FUTURE_US:
            rows = JobServer.objects.using(alias).filter(fenced_at_us=None)
            same = rows.filter(incarnation=server.incarnation, renewed_at_us=server.renewed_at_us)
            lease_us = F("lease_until_us") - F("renewed_at_us")
            if same.update(lease_until_us=StoreClock() + lease_us, renewed_at_us=StoreClock()):
                back_s = -server.silent_us / US_PER_S
                logger.warning(
                    "shorten lease of server=%s: the database's clock went back by %.1f s", server.incarnation, back_s
                )


def _fence_dead(alias: str) -> None:
    """Fence servers whose process is provably dead, without waiting for their leases."""
    for row in JobServer.objects.using(alias).filter(fenced_at_us=None):
        if ProcessIdentity(row.host, row.pid, row.boot_id, row.process_start).is_surely_dead():
            logger.warning("take over the jobs of server=%s: its process has ended", row.incarnation)
            _fence(alias, [row.incarnation])


def _fence(alias: str, incarnations: list[str]) -> None:
    with transaction.atomic(using=alias):
        be_durable(connections[alias])
        rows = JobServer.objects.using(alias).filter(incarnation__in=incarnations, fenced_at_us=None)
        rows.update(fenced_at_us=StoreClock())


def _locked(rows: QuerySet, alias: str) -> QuerySet:  # type: ignore[type-arg]  # of whatever they are
    features = connections[alias].features
    return rows.select_for_update(
        skip_locked=features.has_select_for_update_skip_locked, no_key=features.has_select_for_no_key_update
    )
