"""The lease of one job server on a database that several share: registered, renewed, checked, ended.

A job is its owner's as long as the owner's row in JobServer is not fenced. Fencing and writing exclude each other by
that row's lock: who writes holds it shared from the first statement of the transaction to its end, who fences needs it
alone. So a batch is either committed before the jobs are taken over, or not at all, however late its server wakes up.
The same row counts sessions and batches of its server: a batch that was sent in a lost session is decided before the
next session begins, which then knows the outcome. An expired lease that nobody took is renewed like any other.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from django.db import IntegrityError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import QuerySet

from gearjobs.errors import StoreError, StoreFenced
from gearjobs.models import Job, JobServer
from gearjobs.models.server_row import INCARNATION_LIMIT
from gearjobs.records.ownership.lease_watch import LeaseTimes, LeaseWatch
from gearjobs.records.ownership.store_clock import US_PER_S, StoreClock, clock_sql, read_clock_us
from gearjobs.stores.process_identity import this_process
from gearjobs.version import __version__

logger = logging.getLogger("gearjobs.records")

#: Lives of one name: more means that something registers and never ends.
_LIVES_LIMIT: Final = 1_000
#: Left of the incarnation's length for the number of the life.
_NUMBER_LENGTH: Final = 6


class ServerLease:
    """The lease of this server; `register` makes it.

    Args:
        alias: the shared database.
        incarnation: this life's name.
        times: the numbers of the lease.
    """

    def __init__(self, alias: str, incarnation: str, *, times: LeaseTimes) -> None:
        self.incarnation = incarnation
        self.watch = LeaseWatch(times)
        self._alias = alias
        self._times = times
        self._ttl_us = int(times.ttl_s * US_PER_S)
        self._session = 0
        self._check = self._mark = ""
        #: Number of the latest batch that was committed, as of the present session.
        self.batch = 0

    def begin_session(self, connection: BaseDatabaseWrapper) -> None:
        """Make this session the only one that may write for this server.

        Waits for a transaction of an earlier session that is still under way, as long as the session waits for locks.

        Raises:
            StoreFenced: the server's jobs were taken over.
        """
        with transaction.atomic(using=self._alias):
            row = self._own_row()
            # Locks the row against those who hold it shared.
            if not row.update(session=self._session + 1):
                raise self._fenced()
            self.batch = row.values_list("batch", flat=True).get()
        self._session += 1
        table, clock = connection.ops.quote_name(JobServer._meta.db_table), clock_sql(connection)
        lock = "FOR SHARE" if connection.vendor == "postgresql" else "LOCK IN SHARE MODE"
        self._check = (
            f"SELECT lease_until_us > {clock} FROM {table}"  # noqa: S608 - names of the model
            f" WHERE incarnation = %s AND session = %s AND fenced_at_us IS NULL {lock}"
        )
        self._mark = (
            f"UPDATE {table} SET batch = %s"  # noqa: S608 - likewise
            f" WHERE incarnation = %s AND session = %s AND fenced_at_us IS NULL AND lease_until_us > {clock}"
        )

    def renew(self, connection: BaseDatabaseWrapper) -> float:
        """Renew the lease; return for how many seconds it surely lasts from the moment of the call on.

        Raises:
            StoreFenced: the server's jobs were taken over.
        """
        sent_at = time.monotonic()
        with transaction.atomic(using=self._alias):
            be_durable(connection)
            clock_us = read_clock_us(connection)
            # By the clock as it was read: a renewal that is held up ends sooner, as its server believes.
            if not self._own_row().update(renewed_at_us=clock_us, lease_until_us=clock_us + self._ttl_us):
                raise self._fenced()
        step_s = self.watch.note_renewal(sent_at, time.monotonic(), clock_s=clock_us / US_PER_S)
        if step_s:
            logger.warning("take over nobody's jobs for a while: the clock of the database moved by %+.1f s", step_s)
        return self._times.ttl_s

    def renew_if_due(self, connection: BaseDatabaseWrapper) -> None:
        """Renew the lease in the middle of work that takes long.

        Raises:
            StoreFenced: the server's jobs were taken over.
        """
        if self.watch.is_renewal_due(time.monotonic()):
            self.renew(connection)

    def hold(self, connection: BaseDatabaseWrapper) -> None:
        """Make sure that nobody takes this server's jobs over before the end of the present transaction.

        Must be its first. A lease that had run out is renewed by it.

        Raises:
            StoreFenced: the server's jobs were taken over; the transaction must be rolled back.
        """
        be_durable(connection)
        with connection.cursor() as cursor:
            cursor.execute(self._check, [self.incarnation, self._session])
            row = cursor.fetchone()
        if row is None:
            raise self._fenced()
        if not row[0]:
            self.watch.note_gap(time.monotonic())
            self._own_row().update(renewed_at_us=StoreClock(), lease_until_us=StoreClock() + self._ttl_us)

    def hold_for_batch(self, connection: BaseDatabaseWrapper) -> None:
        """`hold`, and let the transaction be the next batch: when it has committed, `batch` is to be one more.

        Raises:
            StoreFenced: the server's jobs were taken over; the transaction must be rolled back.
        """
        with connection.cursor() as cursor:
            cursor.execute(self._mark, [self.batch + 1, self.incarnation, self._session])
            is_marked = cursor.rowcount
        if not is_marked:
            self.hold(connection)
            self._own_row().update(batch=self.batch + 1)

    def end(self) -> None:
        """Let any other server take the jobs over at once; without unfinished jobs no trace is left."""
        with transaction.atomic(using=self._alias):
            self._own_row().update(renewed_at_us=StoreClock(), lease_until_us=StoreClock(), fenced_at_us=StoreClock())
        forget_idle(self._alias, self.incarnation)

    def _own_row(self) -> QuerySet[JobServer]:
        return JobServer.objects.using(self._alias).filter(incarnation=self.incarnation, fenced_at_us=None)

    def _fenced(self) -> StoreFenced:
        return StoreFenced(f"another job server took over the jobs of {self.incarnation} in {self._alias!r}")


def register(alias: str, name: str, *, times: LeaseTimes) -> ServerLease:
    """Begin a life and return its lease, just renewed.

    Args:
        alias: the shared database.
        name: of the server. Where a life of that name is known already, this one gets a number behind it.
        times: the numbers of the lease.

    Raises:
        StoreError: too many lives of that name are known.
    """
    stem = name[: INCARNATION_LIMIT - _NUMBER_LENGTH]
    for number in range(1, _LIVES_LIMIT):
        lease = ServerLease(alias, stem if number == 1 else f"{stem}~{number}", times=times)
        if _insert(alias, lease.incarnation, lease_us=int(times.ttl_s * US_PER_S)):
            return lease
    raise StoreError(f"{_LIVES_LIMIT} job servers called {stem} are registered in {alias!r}: delete their rows")


def register_only(alias: str, name: str) -> None:
    """Begin the life of a server that has the database to itself: rows of others are removed."""
    end_only(alias)
    _insert(alias, name[:INCARNATION_LIMIT], lease_us=None)


def end_only(alias: str) -> None:
    """End the life of the server that had the database to itself."""
    JobServer.objects.using(alias).all().delete()


def be_durable(connection: BaseDatabaseWrapper) -> None:
    """Let the present transaction survive a crash of the database, whatever is good enough for batches.

    A take-over that the database forgot would leave two servers that both believe a job theirs.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('synchronous_commit', 'on', true)"
                " WHERE current_setting('synchronous_commit') = 'off'"
            )


def forget_idle(alias: str, incarnation: str) -> None:
    """Remove the row of a fenced server that no unfinished job names."""
    if not Job.objects.using(alias).filter(finished_at=None, owner=incarnation).exists():
        JobServer.objects.using(alias).filter(incarnation=incarnation).exclude(fenced_at_us=None).delete()


def _insert(alias: str, incarnation: str, *, lease_us: int | None) -> bool:
    """Insert a row; return False where it exists."""
    process = this_process()
    try:
        with transaction.atomic(using=alias):
            JobServer.objects.using(alias).bulk_create(
                [
                    JobServer(
                        incarnation=incarnation,
                        host=process.host,
                        pid=process.pid,
                        boot_id=process.boot_id,
                        process_start=process.process_start,
                        version=__version__,
                        renewed_at_us=StoreClock(),
                        lease_until_us=None if lease_us is None else StoreClock() + lease_us,
                    )
                ]
            )
    except IntegrityError:
        return False
    return True
