"""Getting a call to the job server, or into the caller's transaction.

In a transaction on the Job table's database the row is inserted by that transaction, rolled back with it, and the
server nudged on commit. Outside of one the job goes over the wire and is kept when the call returns; when no server
answers, the row is inserted instead and a server finds it later. In all three cases the job has the handle made here
before, so the id is valid at once; only a stock gearmand names the job itself, and keeps no row of it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import Error, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from gearjobs.client.client import Client
from gearjobs.errors import ServerUnavailable
from gearjobs.protocol.attributes import SubmitAttributes
from gearjobs.settings import gearjobs_settings
from gearjobs.tasks.django_tasks import Task, TaskResultStatus
from gearjobs.tasks.function_names import function_of
from gearjobs.tasks.handle_source import next_handle
from gearjobs.tasks.late_records import job_queries
from gearjobs.tasks.payload import encode_call
from gearjobs.tasks.result import GearResult
from gearjobs.tasks.submitter import submitter

logger = logging.getLogger("gearjobs.tasks")


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

    def submit(self, client: Client) -> str:
        """Hand the job to a server and return its handle, which is another one where the server makes its own."""
        return client.submit_background(
            self.function,
            self.payload,
            priority=self.attributes.priority,
            run_at=self.attributes.run_at,
            handle=self.handle,
            attributes=self.attributes,
        )

    def insert(self, alias: str) -> None:
        """Put the job into the table for a server to find."""
        job_queries.insert_job(
            self.handle, function=self.function, payload=self.payload, attributes=self.attributes, using=alias
        )


def enqueue_call(
    task: Task[..., Any], args: Sequence[object], *, kwargs: Mapping[str, object], backend: str, client: Client
) -> GearResult[Any]:
    """Submit a call and return its result-to-be.

    Args:
        task: a validated task.
        args: positional arguments.
        kwargs: keyword arguments.
        backend: alias of the enqueuing backend.
        client: of the job servers to use.

    Raises:
        PayloadError: the arguments have no JSON form.
        ServerError: the job server refused the job.
        ServerUnavailable: neither a job server nor the database could keep it.
    """
    result = _new_result(task, args, kwargs=kwargs, backend=backend)
    submission = _submission(result)
    alias = gearjobs_settings().database
    connection = connections[alias]
    if _is_in_transaction(connection):
        submission.insert(alias)
        _nudge_on_commit(connection, _Nudge(client))
    else:
        result.change(id=_submit_or_insert(submission, client, alias=alias))
    return result


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


def _is_in_transaction(connection: BaseDatabaseWrapper) -> bool:
    if connection.in_atomic_block:
        return True
    # Without autocommit every statement is in a transaction, once there is a connection.
    return connection.connection is not None and not connection.autocommit


def _nudge_on_commit(connection: BaseDatabaseWrapper, nudge: _Nudge) -> None:
    if not connection.in_atomic_block:
        # Nobody tells of the commit of a transaction that is managed by hand: the server looks by itself.
        return
    # One nudge serves all jobs of a transaction. The last callback suffices to know: were it to be dropped by the
    # rollback of an inner block, that block would still be open, and this job inside it.
    is_due = bool(connection.run_on_commit) and connection.run_on_commit[-1][1] == nudge
    if not is_due:
        transaction.on_commit(nudge, using=connection.alias)


def _submit_or_insert(submission: _Submission, client: Client, *, alias: str) -> str:
    """Submit the job, or insert its row where no server answers; return its handle."""
    try:
        return submission.submit(client)
    except ServerUnavailable as unavailable:
        try:
            submission.insert(alias)
        except Error as error:
            raise ServerUnavailable(
                f"{unavailable}; nor could the database {alias!r} keep the job until one does: {error}"
            ) from error
        logger.warning("inserted job=%s because no server answered error=%s", submission.handle, unavailable)
        return submission.handle
