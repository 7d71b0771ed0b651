"""Reading job rows, and the one insert that is not the job server's.

Every read goes to the database of `GEARJOBS["DATABASE"]` unless told otherwise, imports no task's code, and takes a
time that does not grow with the number of finished jobs. A client inserts the row itself where the job is part of its
transaction, or where no job server answers; the row then has no owner until a server adopts it.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import IntegrityError, connections, transaction
from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone

from gearjobs.core.terms import read_terms
from gearjobs.models import BLOCKED_OWNER, Job, JobStatus, StatusDetail
from gearjobs.protocol.attributes import SubmitAttributes
from gearjobs.protocol.wire_text import to_text
from gearjobs.records.joined_jobs import follow_joined, shown_end
from gearjobs.records.rows.column_values import fit_priority, plain_json, to_datetime
from gearjobs.settings import gearjobs_settings

#: Ended jobs that the dashboard counts over: more would make the page slow on a busy site.
ENDED_LIMIT: Final = 10_000
#: How far back the dashboard looks for ended jobs.
ENDED_WITHIN: Final = datetime.timedelta(hours=1)

#: Unowned jobs that the dashboard counts.
UNOWNED_LIMIT: Final = 1_000

#: Rows written, and handles named, at once.
_AT_ONCE: Final = 500


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


@dataclass(slots=True)
class NewJob:
    """A job that its client puts into the table itself."""

    handle: str
    #: The wire's name of what is to run.
    function: bytes
    #: Its argument, exact.
    payload: bytes
    #: Jobs of the function with the same unique are run once; empty for a job that never coalesces.
    unique: bytes = b""
    #: What SUBMIT_JOB_EXT would say of it.
    attributes: SubmitAttributes = field(default_factory=SubmitAttributes)


def all_jobs(*, using: str | None = None) -> QuerySet[Job]:
    """Return every job, from the job table's database."""
    return Job.objects.using(using or gearjobs_settings().database)


def get_job(handle: str, *, using: str | None = None) -> Job:
    """Return a job by its handle; one whose work another does is shown as that one stands.

    Raises:
        Job.DoesNotExist: there is no such job, or no longer.
    """
    job = all_jobs(using=using).get(pk=handle)
    follow_joined([job], using=using)
    return job


def has_ended(handle: str, *, using: str | None = None) -> bool:
    """Tell whether a job has ended, or the one that does its work; reads no more than that.

    Raises:
        Job.DoesNotExist: there is no such job, or no longer.
    """
    end = shown_end(all_jobs(using=using).filter(pk=handle))
    if end is None:
        raise Job.DoesNotExist(f"there is no job {handle}")
    return end[0] is not None


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


def insert_jobs(jobs: Sequence[NewJob], *, using: str | None = None) -> None:
    """Insert the rows of jobs that no server has accepted yet, all or none, in statements of many rows.

    They are part of the transaction that is open on that database, if one is. A row that exists already under its
    handle is only touched: a server did accept the job, and its answer was lost. That server may just be taking the
    job back, because it was refused for taking too long; the touch tells it that somebody relies on the job now.

    Args:
        jobs: each with a handle made by this process (`core.handles.HandleMaker`).
        using: alias of the database, where it is not that of the settings.

    Raises:
        TermsError: a job's terms cannot be read; nothing was inserted.
        django.db.Error: as any insert may; then nothing was inserted.
    """
    alias = using or gearjobs_settings().database
    rows = [new_row(job) for job in jobs]
    try:
        _insert(rows, alias)
    except IntegrityError:
        with transaction.atomic(using=alias):
            known = _rely_on([row.handle for row in rows], alias)
            if not known:
                raise
            _insert([row for row in rows if row.handle not in known], alias)


def count_jobs(*, using: str | None = None) -> JobCounts:
    """Return the dashboard's figures; the work is bounded whatever the size of the table."""
    now = timezone.now()
    jobs = all_jobs(using=using)
    ended = jobs.filter(finished_at__gte=now - ENDED_WITHIN).order_by("-finished_at").values("pk", "status")
    counts: Mapping[str, int] = ended[:ENDED_LIMIT].aggregate(
        ended=Count("pk"), failed=Count("pk", filter=Q(status=JobStatus.FAILED))
    )
    # In the index's order: whoever has many ended rows without an owner would have the planner read all of them.
    unowned = in_index_order(jobs.filter(finished_at=None, owner=""), "enqueued_at")[:UNOWNED_LIMIT].count()
    return JobCounts(counts["ended"], counts["failed"], _oldest_waiting_at(jobs, now), unowned)


def unfinished_owners(*, using: str | None = None) -> Iterator[str]:
    """Yield the job servers that own unfinished jobs, by one look into the index each."""
    last = ""
    unfinished = in_index_order(all_jobs(using=using).filter(finished_at=None), "owner")
    while (owner := unfinished.filter(owner__gt=last).values_list("owner", flat=True).first()) is not None:
        if owner != BLOCKED_OWNER:
            yield owner
        last = owner


def in_index_order(unfinished: QuerySet[Job], *fields: str) -> QuerySet[Job]:
    """Order unfinished jobs so that the planner can but read the index of owners, however old its statistics are.

    PostgreSQL does not take a column that is null for a constant: by the whole index's order it cannot go through every
    finished job in the order of another one. MariaDB does, and would sort all jobs if the column were named.
    """
    is_mysql = connections[unfinished.db].vendor == "mysql"
    return unfinished.order_by(*fields) if is_mysql else unfinished.order_by("finished_at", *fields)


def _oldest_waiting_at(jobs: QuerySet[Job], now: datetime.datetime) -> datetime.datetime | None:
    unfinished = jobs.filter(finished_at=None)
    # The owners are asked for first, so that the index gives each owner's jobs in order: they are few.
    owners = ["", *unfinished_owners(using=jobs.db)]
    waiting = Q(status=JobStatus.READY) & (Q(run_at=None) | Q(run_at__lte=now))
    oldest = []
    for owner in owners:
        own = in_index_order(unfinished.filter(waiting, owner=owner), "enqueued_at")
        first = own.values_list("enqueued_at", "run_at").first()
        if first is not None:
            oldest.append(max(moment for moment in first if moment is not None))
    return min(oldest, default=None)


def _insert(rows: list[Job], alias: str) -> None:
    # Of its own, so that a refused one leaves the caller's transaction as it was.
    with transaction.atomic(using=alias):
        Job.objects.using(alias).bulk_create(rows, batch_size=_AT_ONCE)


def _rely_on(handles: Sequence[str], alias: str) -> set[str]:
    """Touch the jobs that exist, so that nobody takes them back; return their handles."""
    known: set[str] = set()
    for start in range(0, len(handles), _AT_ONCE):
        rows = all_jobs(using=alias).filter(pk__in=handles[start : start + _AT_ONCE])
        # First the touch, which waits for whoever is taking one back; then the look at what is left.
        rows.filter(finished_at=None).update(version=F("version") + 1)
        known.update(rows.values_list("handle", flat=True))
    return known


def new_row(job: NewJob) -> Job:
    """Return the row of a job that its client inserts: ready, and nobody's."""
    now = timezone.now()
    attributes = job.attributes
    run_at = to_datetime(attributes.run_at) if attributes.run_at else None
    expires_at = read_terms(attributes.terms).expires_at
    return Job(
        handle=job.handle,
        function=to_text(job.function),
        unique=to_text(job.unique),
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
        terms=plain_json(attributes.terms),
        expires_at=to_datetime(expires_at) if expires_at else None,
        payload=job.payload,
    )
