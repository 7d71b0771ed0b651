"""Rows whose work another job does, shown as that job stands.

A row that a client inserted may turn out, when a server adopts it, to be a job that is there already; it then ended at
once and names the other (`joined_to`, see `rows/shared_uniques`). Whoever asks for it wants to know what becomes of the
work: state, progress, errors and result are the other job's, handle, payload and submitter stay its own. Where that job
is no longer in the table, the row shows how it ended itself. Filters and orders of a query see the rows as they are.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Any, Final

from django.db.models import QuerySet

from gearjobs.models import Job
from gearjobs.settings import gearjobs_settings

#: What a row shows of the other job.
FOLLOWED_FIELDS: Final = (
    "status", "status_detail", "run_at", "started_at", "last_attempted_at", "finished_at", "attempt", "crashes", "lost",
    "worker_ids", "progress_numerator", "progress_denominator", "progress_message", "error_class", "error_message",
    "error_traceback", "cancel_asked_at", "result",
)  # fmt: skip


def follow_joined(jobs: Sequence[Job], *, using: str | None = None) -> None:
    """Let the rows that name another job show its state; one query, and only if there are any.

    Args:
        jobs: rows of one query, which need not have read all columns. They must not be saved after this.
        using: alias of the database, where it is not that of the settings.
    """
    joined = [job for job in jobs if job.joined_to]
    if not joined:
        return
    names = [name for name in FOLLOWED_FIELDS if name not in joined[0].get_deferred_fields()]
    rows = Job.objects.using(using or gearjobs_settings().database).filter(pk__in={job.joined_to for job in joined})
    others = {other.handle: other for other in rows.only("version", *names)}
    for job in joined:
        if (other := others.get(job.joined_to)) is not None:
            for name in names:
                setattr(job, name, getattr(other, name))
            job.version += other.version


def shown_version(jobs: QuerySet[Job]) -> tuple[str, int] | None:
    """Return handle and version of the one job of a query, as `follow_joined` would show it; None where there is none.

    Reads no more of the row than that.
    """
    row = jobs.values_list("handle", "version", "joined_to").first()
    if row is None:
        return None
    handle, version, joined_to = row
    return handle, version + sum(_column(jobs.db, joined_to, "version"))


def shown_end(jobs: QuerySet[Job]) -> tuple[datetime.datetime | None] | None:
    """Return when the one job of a query ended, as `follow_joined` would show it; None where there is no such job."""
    row = jobs.values_list("finished_at", "joined_to").first()
    if row is None:
        return None
    finished_at, joined_to = row
    return next(((other,) for other in _column(jobs.db, joined_to, "finished_at")), (finished_at,))


def _column(alias: str, handle: str, name: str) -> Iterable[Any]:
    return Job.objects.using(alias).filter(pk=handle).values_list(name, flat=True) if handle else ()
