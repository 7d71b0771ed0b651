"""Getting calls to the job server, or into the caller's transaction.

In a transaction on the Job table's database the rows are inserted by that transaction, rolled back with it, and the
server nudged on commit. In a transaction on another database only, the same is done once that one has committed, since
what the jobs are about cannot be seen before. Outside of any the jobs go over the wire and are kept when the call
returns; when no server answers, the rows are inserted instead and a server finds them later. In all cases a job has the
handle made here before, so the id is valid at once; only a stock gearmand names a job itself, and keeps no row of it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import Error, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from gearjobs.client.client import Client
from gearjobs.client.requests import JobRequest, job_request, put_in_background
from gearjobs.errors import PartlyRefused, ServerError, ServerUnavailable
from gearjobs.protocol.attributes import SubmitAttributes
from gearjobs.settings import gearjobs_settings
from gearjobs.tasks.django_tasks import Task, TaskResultStatus
from gearjobs.tasks.function_names import function_of
from gearjobs.tasks.handle_source import next_handle
from gearjobs.tasks.late_records import job_queries
from gearjobs.tasks.payload import encode_call
from gearjobs.tasks.result import GearResult
from gearjobs.tasks.submitter import submitter

if TYPE_CHECKING:
    from gearjobs.records.job_queries import NewJob

logger = logging.getLogger("gearjobs.tasks")

#: The positional and the keyword arguments of a call.
Call = tuple[Sequence[object], Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class _Nudge:
    """Tells a job server that rows were inserted; equal to any other for the same client."""

    client: Client

    def __call__(self) -> None:
        # Raises nothing: a server that does not hear it looks for such rows by itself once a second.
        self.client.adopt_jobs()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Submission:
    """A job as both ways need it."""

    handle: str
    function: str
    payload: bytes
    attributes: SubmitAttributes

    def request(self) -> JobRequest:
        """The job for the wire."""
        request = job_request(self.function, self.payload, priority=self.attributes.priority)
        put_in_background(request, run_at=self.attributes.run_at, handle=self.handle, attributes=self.attributes)
        return request

    def row(self) -> NewJob:
        """The job for the table."""
        return job_queries.NewJob(self.handle, self.function.encode(), self.payload, attributes=self.attributes)


def enqueue_calls(
    task: Task[..., Any], calls: Iterable[Call], *, backend: str, client: Client
) -> list[GearResult[Any]]:
    """Submit calls of a task, all in one go, and return their results-to-be in order.

    Args:
        task: a validated task.
        calls: the arguments of each.
        backend: alias of the enqueuing backend.
        client: of the job servers to use.

    Raises:
        PayloadError: arguments have no JSON form; nothing was submitted.
        ServerError: the job server refused the only job.
        PartlyRefused: the job server refused some of many; it carries the results of the others, which are kept.
        ServerUnavailable: neither a job server nor the database could keep them.
    """
    results = [_new_result(task, args, kwargs=kwargs, backend=backend) for args, kwargs in calls]
    outcomes = _keep([_submission(result) for result in results], client)
    refusals = [outcome for outcome in outcomes if isinstance(outcome, ServerError)]
    if refusals:
        kept = [
            None if isinstance(outcome, ServerError) else result
            for result, outcome in zip(results, outcomes, strict=True)
        ]
        raise refusals[0] if len(results) == 1 else PartlyRefused(refusals, kept)
    for result, outcome in zip(results, outcomes, strict=True):
        if outcome != result.id:
            result.change(id=outcome)
    return results


def _new_result(
    task: Task[..., Any], args: Sequence[object], *, kwargs: Mapping[str, object], backend: str
) -> GearResult[Any]:
    return GearResult(
        task=task,
        id=next_handle(),
        status=TaskResultStatus.READY,
        enqueued_at=timezone.now(),
        started_at=None,
        finished_at=None,
        last_attempted_at=None,
        # Made JSON, and so copied, by the result itself.
        args=list(args),
        kwargs=dict(kwargs),
        backend=backend,
        errors=[],
        worker_ids=[],
        status_detail="scheduled" if _run_at(task) > time.time() else "waiting",
    )


def _submission(result: GearResult[Any]) -> _Submission:
    task = result.task
    return _Submission(
        handle=result.id,
        function=function_of(task),
        payload=encode_call(result.args, result.kwargs),
        attributes=SubmitAttributes(
            priority=task.priority,
            run_at=_run_at(task),
            task=task.module_path,
            queue=task.queue_name,
            backend=result.backend,
            enqueued_by=submitter(),
        ),
    )


def _run_at(task: Task[..., Any]) -> float:
    return task.run_after.timestamp() if task.run_after else 0.0


def _keep(submissions: list[_Submission], client: Client) -> list[str | ServerError]:
    """Put the jobs where they belong at the moment; return each one's handle, or why the server refused it."""
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


def _keep_after_commit(submissions: list[_Submission], client: Client) -> None:
    """Submit what waited for a commit; there may be another transaction around that one."""
    refusals = [outcome for outcome in _keep(submissions, client) if isinstance(outcome, ServerError)]
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


def _submit_or_insert(submissions: list[_Submission], client: Client, *, alias: str) -> list[str | ServerError]:
    """Submit the jobs, or insert their rows where no server answers; return as `_keep` does."""
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


def _insert(submissions: list[_Submission], alias: str) -> None:
    job_queries.insert_jobs([submission.row() for submission in submissions], using=alias)
