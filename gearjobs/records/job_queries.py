"""Reading job rows, and the one insert that is not the job server's.

Every read goes to the database of `GEARJOBS["DATABASE"]` unless told otherwise, imports no task's code, and takes a
time that does not grow with the number of finished jobs. A client inserts the row itself where the job is part of its
transaction, or where no job server answers; the row then has no owner until a server adopts it.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from gearjobs.models import Job, JobStatus, StatusDetail
from gearjobs.protocol.attributes import SubmitAttributes
from gearjobs.protocol.wire_text import to_text
from gearjobs.records.column_values import fit_priority, plain_json, to_datetime
from gearjobs.settings import gearjobs_settings

#: Ended jobs that the dashboard counts over: more would make the page slow on a busy site.
ENDED_LIMIT: Final = 10_000
#: How far back the dashboard looks for ended jobs.
ENDED_WITHIN: Final = datetime.timedelta(hours=1)

#: Unowned jobs that the dashboard counts.
UNOWNED_LIMIT: Final = 1_000


@dataclass(slots=True)
class JobCounts:
    """What the table says about the recent past."""

    #: Jobs that ended within ENDED_WITHIN, at most ENDED_LIMIT.
    ended: int
    #: How many of those failed.
    failed: int
    #: When the job that waits longest was enqueued, or became due; None when none waits.
    oldest_waiting_at: datetime.datetime | None
    #: Jobs that no server has taken over yet, at most UNOWNED_LIMIT.
    unowned: int


def all_jobs(*, using: str | None = None) -> QuerySet[Job]:
    """Return every job, from the job table's database."""
    return Job.objects.using(using or gearjobs_settings().database)


def get_job(handle: str, *, using: str | None = None) -> Job:
    """Return a job by its handle.

    Raises:
        Job.DoesNotExist: there is no such job, or no longer.
    """
    return all_jobs(using=using).get(pk=handle)


def visible_to(user: AbstractBaseUser | AnonymousUser, *, using: str | None = None) -> QuerySet[Job]:
    """Return the jobs a user may read: those enqueued on their behalf, or all with the permission `view_job`."""
    jobs = all_jobs(using=using)
    if not (user.is_authenticated and user.is_active):
        return jobs.none()
    if may_view_all(user):
        return jobs
    return jobs.filter(enqueued_by=str(user.pk))


def may_view_all(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Tell whether the user may read everybody's jobs."""
    return has_permission(user, "view_job")


def has_permission(user: AbstractBaseUser | AnonymousUser, codename: str) -> bool:
    """Tell whether the user has one of the job table's permissions."""
    has_perm = getattr(user, "has_perm", None)
    return has_perm is not None and bool(has_perm(f"{Job._meta.app_label}.{codename}"))


def insert_job(
    handle: str,
    *,
    function: str | bytes,
    payload: bytes,
    unique: bytes = b"",
    attributes: SubmitAttributes | None = None,
    using: str | None = None,
) -> None:
    """Insert the row of a job that no server has accepted yet.

    It is part of the transaction that is open on that database, if one is. A row that exists already under the handle
    is left as it is: a server did accept the job, and only its answer was lost.

    Args:
        handle: made by this process (`core.handles.HandleMaker`).
        function: the wire's name of what is to run.
        payload: its argument, exact.
        unique: jobs of the function with the same unique are run once; empty for a job that never coalesces.
        attributes: what SUBMIT_JOB_EXT would say of it.
        using: alias of the database, where it is not that of the settings.

    Raises:
        django.db.Error: as any insert may.
    """
    alias = using or gearjobs_settings().database
    name = function if isinstance(function, bytes) else function.encode()
    row = _new_row(handle, function=name, payload=payload, unique=unique, attributes=attributes or SubmitAttributes())
    try:
        with transaction.atomic(using=alias):
            row.save(using=alias, force_insert=True)
    except IntegrityError:
        if not all_jobs(using=alias).filter(pk=handle).exists():
            raise


def count_jobs(*, using: str | None = None) -> JobCounts:
    """Return the dashboard's figures; the work is bounded whatever the size of the table."""
    now = timezone.now()
    jobs = all_jobs(using=using)
    ended = jobs.filter(finished_at__gte=now - ENDED_WITHIN).order_by("-finished_at").values("pk", "status")
    counts: Mapping[str, int] = ended[:ENDED_LIMIT].aggregate(
        ended=Count("pk"), failed=Count("pk", filter=Q(status=JobStatus.FAILED))
    )
    unowned = jobs.filter(finished_at=None, owner="")[:UNOWNED_LIMIT].count()
    return JobCounts(counts["ended"], counts["failed"], _oldest_waiting_at(jobs, now), unowned)


def _oldest_waiting_at(jobs: QuerySet[Job], now: datetime.datetime) -> datetime.datetime | None:
    unfinished = jobs.filter(finished_at=None)
    # The owners are asked for first, so that the index gives each owner's jobs in order: there is one server, or none.
    owners = ["", *unfinished.exclude(owner="").order_by("-owner").values_list("owner", flat=True)[:1]]
    waiting = Q(status=JobStatus.READY) & (Q(run_at=None) | Q(run_at__lte=now))
    oldest = []
    for owner in owners:
        own = unfinished.filter(waiting, owner=owner).order_by("enqueued_at")
        first = own.values_list("enqueued_at", "run_at").first()
        if first is not None:
            oldest.append(max(moment for moment in first if moment is not None))
    return min(oldest, default=None)


def _new_row(handle: str, *, function: bytes, payload: bytes, unique: bytes, attributes: SubmitAttributes) -> Job:
    now = timezone.now()
    run_at = to_datetime(attributes.run_at) if attributes.run_at else None
    return Job(
        handle=handle,
        function=to_text(function),
        unique=to_text(unique),
        queue=attributes.queue,
        task=attributes.task,
        backend=attributes.backend,
        priority=fit_priority(attributes.priority),
        status=JobStatus.READY,
        status_detail=StatusDetail.SCHEDULED if run_at is not None and run_at > now else StatusDetail.WAITING,
        run_at=run_at,
        enqueued_at=now,
        enqueued_by=attributes.enqueued_by,
        metadata=plain_json(attributes.metadata),
        payload=payload,
    )
