"""Ending jobs and enqueuing them again, by handle: any job of the table, also one that no task of this project made.

The server that has a job ends it; a row that no server has is ended by a statement that compares and sets. A job that
runs again is a new one: what the row of the old one tells stays told. It does so once; whoever wants it a third time
runs the new one again. Who may do it is asked in `actions/`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from django.utils import timezone

from gearjobs.client.client import Client
from gearjobs.core.submission import CancelVerdict
from gearjobs.core.terms import JobTerms, read_terms, write_terms
from gearjobs.errors import RetriedAlready, ServerUnavailable, UsageError
from gearjobs.protocol.attributes import SubmitAttributes
from gearjobs.protocol.wire_text import to_bytes
from gearjobs.settings import gearjobs_settings
from gearjobs.tasks.backend_lookup import all_backends
from gearjobs.tasks.django_tasks import TaskResultStatus
from gearjobs.tasks.handle_source import next_handle
from gearjobs.tasks.job_client import client_of
from gearjobs.tasks.keeping import NewSubmission, insert_rows
from gearjobs.tasks.late_records import job_queries, retry_claims, unowned_jobs
from gearjobs.tasks.rebuilt_task import rebuild
from gearjobs.tasks.result import GearResult
from gearjobs.tasks.stored_result import result_of
from gearjobs.tasks.submitter import submitter

if TYPE_CHECKING:
    from gearjobs.models.job import Job

#: Where a job's metadata name the job whose work it does again.
RETRY_OF: Final = "gearjobs.retry_of"


class CancelOutcome(StrEnum):
    """What became of the wish to end a job."""

    #: It has ended, as cancelled.
    CANCELLED = "cancelled"
    #: It runs, and its worker was told.
    ASKED = "asked"
    #: It had ended before.
    ENDED = "ended"
    #: There is no such job.
    UNKNOWN = "unknown"
    #: A server has it that did not answer.
    UNREACHABLE = "unreachable"


def project_servers() -> tuple[str, ...]:
    """Return the addresses of the job servers that this project enqueues at."""
    servers = [server for backend in all_backends() for server in getattr(backend, "servers", ())]
    return tuple(dict.fromkeys(servers)) or gearjobs_settings().servers


def project_client() -> Client:
    """Return a client of every job server that this project enqueues at."""
    return client_of(project_servers())


def cancel_one(handle: str, *, client: Client, force: bool = False, reason: str = "") -> CancelOutcome:
    """End a job, or have its worker told.

    Args:
        handle: any job's.
        client: of the servers that may have it.
        force: end the run of a running job at once.
        reason: why, for the job's record; may be empty.

    Raises:
        ServerError: the server lets this client cancel nothing, or is no gearjobs server.
        UsageError: this cannot be a handle.
    """
    row = _ownership(handle)
    if row is not None and row[0] is not None:
        return CancelOutcome.ENDED
    is_unowned = row is not None and row[1] in unowned_jobs.NO_SERVER
    if is_unowned and unowned_jobs.cancel_unowned([handle], reason=reason):
        return CancelOutcome.CANCELLED
    # A job without a row may be a foreground one, or a stock server's.
    try:
        verdict = client.cancel(handle, force=force, reason=reason)
    except ServerUnavailable:
        return CancelOutcome.UNREACHABLE
    if verdict is CancelVerdict.UNKNOWN and row is not None:
        now = _ownership(handle)
        return CancelOutcome.ENDED if now is None or now[0] is not None else CancelOutcome.UNREACHABLE
    return CancelOutcome(verdict.value)


def check_may_retry(job: Job) -> None:
    """Refuse a job that is still to come to its end, or whose work is done again already.

    Raises:
        RetriedAlready: another job does its work again.
        UsageError: it has not ended, or has a reducer.
    """
    if job.finished_at is None:
        raise UsageError(f"the job {job.handle} is {job.status_detail}; only a job that has ended can be run again")
    if job.reducer:
        raise UsageError(f"the job {job.handle} has a reducer, which a background submission of ours cannot name")
    if job.retried_as:
        raise _refusal(job.handle, job.retried_as)


def retry_rows(jobs: Sequence[Job], *, client: Client, at: datetime | None = None) -> list[str | UsageError]:
    """Enqueue jobs again that have ended: the same function, payload, unique, priority and terms, under new handles.

    Args:
        jobs: their rows, whole.
        client: of the servers to nudge: the rows go into the table by the transaction that lets nobody else do it.
        at: the earliest start; None for at once.

    Returns:
        The new job's handle of each, or why there is none: somebody was faster, or the job is gone.

    Raises:
        UsageError: one has not ended, or is run again already; none was enqueued.
        django.db.Error: as any write may; none was enqueued.
    """
    for job in jobs:
        check_may_retry(job)
    run_at = at.timestamp() if at is not None else 0.0
    rows = {job.handle: _again(job, run_at).row() for job in jobs}
    refused: dict[str, str] = {}
    insert_rows(partial(retry_claims.insert_retries, rows, refused), client)
    return [_refusal(old, refused[old]) if old in refused else new.handle for old, new in rows.items()]


def retried_result(job: Job, *, backend: str, client: Client, at: datetime | None = None) -> GearResult[Any]:
    """Enqueue one job again, and return the new job's result-to-be.

    Args:
        job: its row, whole.
        backend: alias of the backend that is asked.
        client: of the servers to use.
        at: the earliest start; None for at once.

    Raises:
        The same as `retry_rows`.
    """
    (outcome,) = retry_rows([job], client=client, at=at)
    if isinstance(outcome, UsageError):
        raise outcome
    result = result_of(job, backend=backend)
    now = timezone.now()
    result.change(
        id=outcome,
        task=rebuild(
            result.task, backend=backend, queue_name=result.task.queue_name, priority=job.priority, run_after=at
        ),
        status=TaskResultStatus.READY,
        status_detail="scheduled" if at is not None and at.timestamp() > time.time() else "waiting",
        enqueued_at=now,
        started_at=None,
        last_attempted_at=None,
        finished_at=None,
        errors=[],
        worker_ids=[],
        attempts_log=[],
        error_message="",
        progress=None,
        metadata={**job.metadata, RETRY_OF: job.handle},
        _return_value=None,
    )
    return result


def _refusal(handle: str, retried_as: str) -> UsageError:
    if not retried_as:
        return UsageError(f"the job {handle} is gone")
    return RetriedAlready(
        f"the job {handle} was run again already, as {retried_as}; run that one again, or copy this one",
        handle=retried_as,
    )


def _ownership(handle: str) -> tuple[datetime | None, str] | None:
    return job_queries.all_jobs().filter(pk=handle).values_list("finished_at", "owner").first()


def _again(job: Job, run_at: float) -> NewSubmission:
    return NewSubmission(
        handle=next_handle(),
        function=to_bytes(job.function),
        payload=bytes(job.payload),
        unique=to_bytes(job.unique),
        attributes=SubmitAttributes(
            priority=job.priority,
            run_at=run_at,
            task=job.task,
            queue=job.queue,
            backend=job.backend,
            enqueued_by=submitter() or job.enqueued_by,
            metadata={**job.metadata, RETRY_OF: job.handle},
            terms=write_terms(_with_new_expiry(read_terms(job.terms), job, run_at)),
        ),
    )


def _with_new_expiry(terms: JobTerms, job: Job, run_at: float) -> JobTerms:
    """Return the terms with as much time to start as the job had the first time."""
    if not terms.expires_at:
        return terms
    started_waiting = job.enqueued_at
    # A later time than the first start is that of another attempt.
    if job.run_at is not None and (job.started_at is None or job.run_at <= job.started_at):
        started_waiting = max(started_waiting, job.run_at)
    span_s = max(0.0, terms.expires_at - started_waiting.timestamp())
    return replace(terms, expires_at=max(time.time(), run_at) + span_s)
