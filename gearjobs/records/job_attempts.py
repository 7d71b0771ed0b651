"""Reading the attempts of a job that did not end it.

What its row says tells mostly that there are none, and then nothing is asked. The rows are written by
`rows/attempt_rows`, which keeps the first and the last of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gearjobs.models import Job, JobAttempt, StatusDetail
from gearjobs.settings import gearjobs_settings

#: What a job stands at whose only run is the one that its own row tells of.
_ONE_RUN: Final = frozenset(
    {
        StatusDetail.RUNNING,
        StatusDetail.SUCCEEDED,
        StatusDetail.FAILED,
        StatusDetail.TIMED_OUT,
        StatusDetail.LOST,
        StatusDetail.DEAD,
    }
)


def may_have_attempts(job: Job) -> bool:
    """Tell whether there may be any, as far as the job's row says."""
    return job.attempt > 1 or (job.attempt == 1 and job.status_detail not in _ONE_RUN)


def attempts_of(job: Job, *, using: str | None = None) -> list[JobAttempt]:
    """Return the attempts of a job that did not end it, in order; mostly there are none, and nothing is asked.

    Of a job whose work another one does they are the other's.
    """
    if not may_have_attempts(job):
        return []
    rows = JobAttempt.objects.using(using or gearjobs_settings().database).filter(job=job.joined_to or job.handle)
    return list(rows.order_by("number"))


def attempts_of_many(jobs: Iterable[Job], *, using: str | None = None) -> dict[str, list[JobAttempt]]:
    """Return the same of many jobs, by handle, in one query at most."""
    sources = {job.handle: job.joined_to or job.handle for job in jobs if may_have_attempts(job)}
    if not sources:
        return {}
    rows = JobAttempt.objects.using(using or gearjobs_settings().database).filter(job__in=set(sources.values()))
    by_source: dict[str, list[JobAttempt]] = {}
    for row in rows.order_by("job", "number"):
        by_source.setdefault(row.job_id, []).append(row)
    return {handle: by_source.get(source, []) for handle, source in sources.items()}
