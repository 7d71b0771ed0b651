"""Jobs of another store as rows of the Job table: inserted like a client's, without an owner, for any server to adopt.

A job that was inserted once is not inserted again as long as its row is there, ended or not: rows are found by handle.
What the other store knew of a job's runs is kept; that one of them was under way is not, for nobody holds it here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from gearjobs.core.changes import StoredJob
from gearjobs.core.terms import write_terms
from gearjobs.models import Job
from gearjobs.protocol.attributes import SubmitAttributes
from gearjobs.protocol.wire_text import to_text
from gearjobs.records.job_queries import NewJob, all_jobs, new_row
from gearjobs.records.rows.column_values import to_datetime
from gearjobs.records.sessions.writing_transaction import in_writing_transaction
from gearjobs.settings import gearjobs_settings


def insert_imported(jobs: Sequence[StoredJob], *, using: str | None = None) -> list[StoredJob]:
    """Insert the jobs that the table does not have, all or none; return those.

    Args:
        jobs: a few hundred at most: they are named in one statement.
        using: alias of the database, where it is not that of the settings.

    Raises:
        django.db.Error: as any insert may; then nothing was inserted.
    """
    alias = using or gearjobs_settings().database
    return in_writing_transaction(alias, partial(_insert, jobs, alias))


def not_imported(jobs: Sequence[StoredJob], *, using: str | None = None) -> list[StoredJob]:
    """Return the jobs that the table does not have."""
    handles = [job.handle.decode("ascii") for job in jobs]
    known = set(all_jobs(using=using).filter(pk__in=handles).values_list("pk", flat=True))
    return [job for handle, job in zip(handles, jobs, strict=True) if handle not in known]


def _insert(jobs: Sequence[StoredJob], alias: str) -> list[StoredJob]:
    new = not_imported(jobs, using=alias)
    Job.objects.using(alias).bulk_create([_row(job) for job in new])
    return new


def _row(job: StoredJob) -> Job:
    attributes = SubmitAttributes(priority=job.priority, run_at=job.run_at, terms=write_terms(job.terms))
    row = new_row(NewJob(job.handle.decode("ascii"), job.function, job.payload, job.unique, attributes))
    row.enqueued_at = to_datetime(job.accepted_at)
    row.reducer = to_text(job.reducer)
    row.attempt, row.crashes, row.lost = job.attempt, job.crashes, job.lost
    row.worker_ids = list(job.worker_ids)
    return row
