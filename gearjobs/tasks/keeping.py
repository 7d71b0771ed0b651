"""Where new jobs are kept: at the job server, in the caller's transaction, or in the table until a server is back.

In a transaction on the Job table's database the rows are inserted by that transaction, rolled back with it, and the
server nudged on commit. In a transaction on another database only, the same is done once that one has committed, since
what the jobs are about cannot be seen before. Outside of any the jobs go over the wire and are kept when the call
returns; when no server answers, the rows are inserted instead and a server finds them later. In all cases a job has the
handle made here before, so the id is valid at once; only a stock gearmand names a job itself, and keeps no row of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from django.db import Error, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from gearjobs.client.client import Client
from gearjobs.client.requests import JobRequest, job_request, put_in_background
from gearjobs.errors import ServerError, ServerUnavailable
from gearjobs.protocol.attributes import SubmitAttributes
from gearjobs.settings import gearjobs_settings
from gearjobs.tasks.late_records import job_queries

if TYPE_CHECKING:
    from gearjobs.records.job_queries import NewJob

logger = logging.getLogger("gearjobs.tasks")


@dataclass(frozen=True, slots=True)
class _Nudge:
    """Tells a job server that rows were inserted; equal to any other for the same client."""

    client: Client

    def __call__(self) -> None:
        # Raises nothing: a server that does not hear it looks for such rows by itself once a second.
        self.client.adopt_jobs()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSubmission:
    """A job as both ways need it."""

    handle: str
    #: The wire's name of what is to run.
    function: bytes
    payload: bytes
    attributes: SubmitAttributes
    #: Jobs of the function with the same unique are one job; empty for a job of its own.
    unique: bytes = b""

    def request(self) -> JobRequest:
        """The job for the wire."""
        request = job_request(self.function, self.payload, unique=self.unique, priority=self.attributes.priority)
        put_in_background(request, run_at=self.attributes.run_at, handle=self.handle, attributes=self.attributes)
        return request

    def row(self) -> NewJob:
        """The job for the table."""
        return job_queries.NewJob(
            self.handle, self.function, self.payload, unique=self.unique, attributes=self.attributes
        )


def keep(submissions: list[NewSubmission], client: Client) -> list[str | ServerError]:
    """Put the jobs where they belong at the moment; return each one's handle, or why the server refused it.

    Raises:
        ServerUnavailable: neither a job server nor the database could keep them.
    """
    alias = gearjobs_settings().database
    connection = connections[alias]
    handles: list[str | ServerError] = [submission.handle for submission in submissions]
    if _is_in_transaction(connection):
        _insert(submissions, alias)
        _nudge_on_commit(connection, _Nudge(client))
    elif (other := _other_transaction(alias)) is not None:
        transaction.on_commit(partial(_keep_after_commit, submissions, client), using=other)
    else:
        handles = _submit_or_insert(submissions, client, alias=alias)
    return handles


def insert_rows(insert: Callable[[], object], client: Client) -> None:
    """Insert rows that jobs are made of, in the transaction they belong to, and nudge a server when it has committed.

    Args:
        insert: inserts them, and raises where it cannot.
        client: of the job servers to nudge.
    """
    alias = gearjobs_settings().database
    connection = connections[alias]
    if not _is_in_transaction(connection) and (other := _other_transaction(alias)) is not None:
        transaction.on_commit(partial(insert_rows, insert, client), using=other)
        return
    insert()
    if _is_in_transaction(connection):
        _nudge_on_commit(connection, _Nudge(client))
    else:
        _Nudge(client)()


def _is_in_transaction(connection: BaseDatabaseWrapper) -> bool:
    if connection.in_atomic_block:
        return True
    # Without autocommit every statement is in a transaction, once there is a connection.
    return connection.connection is not None and not connection.autocommit


def _other_transaction(alias: str) -> str | None:
    """Return the alias of another database on which this thread has a transaction open, or None."""
    for connection in connections.all(initialized_only=True):
        if connection.alias != alias and connection.in_atomic_block:
            return connection.alias
    return None


def _keep_after_commit(submissions: list[NewSubmission], client: Client) -> None:
    """Submit what waited for a commit; there may be another transaction around that one."""
    refusals = [outcome for outcome in keep(submissions, client) if isinstance(outcome, ServerError)]
    if refusals:
        # The caller has its results, and the data is committed.
        logger.error("refused jobs=%d after the commit that they waited for error=%s", len(refusals), refusals[0])
        raise refusals[0]


def _nudge_on_commit(connection: BaseDatabaseWrapper, nudge: _Nudge) -> None:
    if not connection.in_atomic_block:
        # Nobody tells of the commit of a transaction that is managed by hand: the server looks by itself.
        return
    # One nudge serves all jobs of a transaction. The last callback suffices to know: were it to be dropped by the
    # rollback of an inner block, that block would still be open, and this job inside it.
    is_due = bool(connection.run_on_commit) and connection.run_on_commit[-1][1] == nudge
    if not is_due:
        transaction.on_commit(nudge, using=connection.alias)


def _submit_or_insert(submissions: list[NewSubmission], client: Client, *, alias: str) -> list[str | ServerError]:
    """Submit the jobs, or insert their rows where no server answers; return as `keep` does."""
    try:
        return client.submit_all([submission.request() for submission in submissions])
    except ServerUnavailable as unavailable:
        try:
            _insert(submissions, alias)
        except Error as error:
            raise ServerUnavailable(
                f"{unavailable}; nor could the database {alias!r} keep the job until one does: {error}"
            ) from error
        first, count = submissions[0].handle, len(submissions)
        logger.warning("inserted jobs=%d job=%s because no server answered error=%s", count, first, unavailable)
        return [submission.handle for submission in submissions]


def _insert(submissions: list[NewSubmission], alias: str) -> None:
    job_queries.insert_jobs([submission.row() for submission in submissions], using=alias)
