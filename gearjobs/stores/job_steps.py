"""What each change makes of an unfinished job, for stores that keep jobs as values: `memory` and `queue_only`.

Also which job a unique belongs to, as `core/coalescing` decides it while a job lives: a store must hold to the same
rule for what it finds at its start.
"""

from __future__ import annotations

from gearjobs.core.changes import (
    Accepted,
    CancelAsked,
    Hastened,
    Requeued,
    Rescheduled,
    Retried,
    Started,
    StoredJob,
)
from gearjobs.core.jobs import FunctionName
from gearjobs.core.terms import NO_TERMS, UniqueSpan, read_terms

#: A change after which the job is still unfinished, and another one than before.
JobStep = Started | Requeued | Retried | Hastened | Rescheduled | CancelAsked
#: What no two unfinished jobs may share.
UniqueKey = tuple[FunctionName, bytes, bytes]


def stored_job(accepted: Accepted) -> StoredJob:
    """Return the job as it is when it was accepted."""
    return StoredJob(
        accepted.handle,
        accepted.function,
        accepted.unique,
        accepted.payload,
        accepted.priority,
        accepted.run_at,
        accepted.accepted_at,
        reducer=accepted.reducer,
        terms=NO_TERMS if accepted.details is None else read_terms(accepted.details.terms),
    )


def take_step(job: StoredJob, change: JobStep) -> None:
    """Make of the job what the change says."""
    match change:
        case Started():
            job.attempt, job.worker_ids, job.was_running = change.attempt, list(change.worker_ids), True
            job.is_resumable = change.is_resumable
        case Requeued():
            job.crashes, job.lost, job.was_running = change.crashes, change.lost, False
        case Retried():
            job.run_at, job.was_running = change.run_at, False
        case Hastened():
            job.priority, job.run_at = change.priority, change.run_at
        case Rescheduled():
            job.priority, job.run_at = change.priority, change.run_at
            job.function = change.function or job.function
        case CancelAsked():
            job.is_cancel_asked = True


def held_key(job: StoredJob) -> UniqueKey | None:
    """Return the key that the job keeps others out of; None for one that has given its unique free."""
    is_free = job.attempt and job.terms.unique_for is UniqueSpan.QUEUED
    return None if is_free else unique_key(job)


def unique_key(job: Accepted | StoredJob) -> UniqueKey | None:
    """Return what no two unfinished jobs may share, as in `coalescing`; None for a job that stands alone."""
    if job.unique == b"-":
        return (job.function, job.unique, job.payload) if job.payload else None
    return (job.function, job.unique, b"") if job.unique else None
