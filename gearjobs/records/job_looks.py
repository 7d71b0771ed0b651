"""Which rows of the job table are looked at for one page, or one count: those that an index leads to, and not too many.

Where no index leads to what a filter asks for, so many of the newest rows are looked at as `LOOK_LIMIT` says; what was
looked at then ends at an edge, and the next page goes on there. Rows of one moment stand in the order of their handles,
so that an edge may lie among them. Unfinished jobs are looked for server by server, along the index of owners.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from django.db import connections
from django.db.models import Q, QuerySet

from gearjobs.models import BLOCKED_OWNER, Job, JobMember, Schedule, ScheduleRun, StatusDetail
from gearjobs.records.job_filter import FAILED, UNFINISHED, JobFilter, conditions, worked_out_columns
from gearjobs.records.job_queries import in_index_order, unfinished_owners
from gearjobs.records.rows.column_values import to_unix_s

#: Rows looked at for one page where no index leads to the jobs, and rows whose arguments are read.
LOOK_LIMIT: Final = 10_000
ARGUMENTS_LOOK_LIMIT: Final = 2_000
#: Jobs of one group that are looked at for one page.
GROUP_LOOK_LIMIT: Final = 2_000
#: Of these the last that is there is where a look at a group ends.
_EDGE_HANDLES: Final = 50
#: Jobs of one schedule that are listed at most.
SCHEDULE_LIMIT: Final = 1_001


@dataclass(frozen=True, slots=True)
class PagePosition:
    """A place in a list: the last job before it."""

    enqueued_at: datetime.datetime
    handle: str

    def __str__(self) -> str:
        return f"{round(to_unix_s(self.enqueued_at) * 1_000_000)}.{self.handle}"

    @property
    def later(self) -> Q:
        """Conditions of the jobs before it in a list, and of the one that stands there."""
        newer = Q(enqueued_at__gt=self.enqueued_at) | Q(enqueued_at=self.enqueued_at, handle__gte=self.handle)
        # What the first condition says follows from the rest, but an index can be entered there.
        return Q(enqueued_at__gte=self.enqueued_at) & newer

    @property
    def older(self) -> Q:
        """Conditions of the jobs behind it."""
        older = Q(enqueued_at__lt=self.enqueued_at) | Q(enqueued_at=self.enqueued_at, handle__lt=self.handle)
        return Q(enqueued_at__lte=self.enqueued_at) & older


@dataclass(slots=True)
class Look:
    """What is looked at."""

    rows: QuerySet[Job]
    #: The last row that is looked at; None where all are.
    edge: PagePosition | None = None
    wanted: Q = field(default_factory=Q)
    #: How many are wanted, where that was found out on the way.
    found: int | None = None


def look_at(jobs: QuerySet[Job], job_filter: JobFilter, after: PagePosition | None, *, limit: int) -> Look:
    """Return what is to be looked at.

    Args:
        jobs: whichever the reader may see.
        job_filter: which of them are wanted.
        after: where it begins; None for the newest.
        limit: how many of those that are wanted are needed; where arguments decide, more are given.

    Raises:
        UsageError: a status is none.
    """
    if job_filter.argument is not None:
        limit = ARGUMENTS_LOOK_LIMIT
    worked_out, more = worked_out_columns(job_filter)
    # What belongs to a group is found by its handles.
    wanted = conditions(replace(job_filter, group="")) & Q(**more)
    rows = _within(jobs, job_filter, after).annotate(**worked_out)
    if job_filter.group:
        return _look_at_group(_narrowed(rows, job_filter), job_filter, wanted=wanted, after=after, limit=limit)
    # Named jobs, a schedule's and a user's are few enough to be gone through.
    is_narrow = bool(job_filter.handles or job_filter.schedule or job_filter.enqueued_by)
    if not is_narrow and job_filter.details and job_filter.details <= UNFINISHED:
        return _look_at_unfinished(rows, job_filter, wanted, limit=limit)
    look = Look(_narrowed(rows, job_filter), wanted=wanted)
    if _must_look(job_filter, jobs.db):
        look.edge = _edge(look.rows, _look_limit(job_filter))
        if look.edge is not None:
            look.rows = look.rows.filter(look.edge.later)
    return look


def _look_limit(job_filter: JobFilter) -> int:
    return LOOK_LIMIT if job_filter.argument is None else ARGUMENTS_LOOK_LIMIT


def _within(jobs: QuerySet[Job], job_filter: JobFilter, after: PagePosition | None) -> QuerySet[Job]:
    """Return the jobs of the time and the user that are asked for: every index has those in order."""
    bounds = {
        "enqueued_at__gte": job_filter.enqueued_after,
        "enqueued_at__lt": job_filter.enqueued_before,
        "enqueued_by": job_filter.enqueued_by,
    }
    jobs = jobs.filter(**{name: bound for name, bound in bounds.items() if bound})
    return jobs if after is None else jobs.filter(after.older)


def _narrowed(jobs: QuerySet[Job], job_filter: JobFilter) -> QuerySet[Job]:
    """Return the jobs that an index leads to."""
    if job_filter.handles:
        return jobs.filter(pk__in=job_filter.handles)
    if job_filter.schedule:
        # By its number, for the index of runs has that, and the latest of them in order.
        schedule = Schedule.objects.using(jobs.db).filter(key=job_filter.schedule).values_list("pk", flat=True).first()
        runs = ScheduleRun.objects.using(jobs.db).filter(schedule=schedule).exclude(handle="")
        return jobs.filter(pk__in=list(runs.order_by("-due_at").values_list("handle", flat=True)[:SCHEDULE_LIMIT]))
    if job_filter.fingerprint:
        return jobs.filter(fingerprint=job_filter.fingerprint)
    if _asks_for_failures(job_filter):
        return jobs.filter(fingerprint__isnull=False)
    return jobs


def _asks_for_failures(job_filter: JobFilter) -> bool:
    return bool(job_filter.details) and job_filter.details <= FAILED


def _must_look(job_filter: JobFilter, alias: str) -> bool:
    """Tell whether there are conditions that no index answers."""
    if job_filter.handles or job_filter.schedule:
        return False
    if not job_filter.fingerprint and job_filter.details:
        # MySQL has no index of failures alone; elsewhere nearly all of what stands there has failed for good.
        is_indexed = _asks_for_failures(job_filter) and connections[alias].vendor != "mysql"
        if not is_indexed:
            return True
    return any(
        (
            job_filter.functions,
            job_filter.tasks,
            job_filter.queues,
            job_filter.worker,
            job_filter.parent,
            job_filter.unique,
            job_filter.search,
            job_filter.finished_after,
            job_filter.finished_before,
        )
    )


def _edge(jobs: QuerySet[Job], limit: int) -> PagePosition | None:
    """Return the last job that is looked at; None where there are no more than the limit."""
    ordered = jobs.order_by("-enqueued_at", "-handle")
    last = ordered.values_list("enqueued_at", "handle")[limit : limit + 1].first()
    return None if last is None else PagePosition(*last)


def _look_at_group(
    jobs: QuerySet[Job], job_filter: JobFilter, *, wanted: Q, after: PagePosition | None, limit: int
) -> Look:
    """Return jobs of a group: the latest by their handles, which the one process made that enqueued it, in order."""
    members = JobMember.objects.using(jobs.db).filter(stage__root=job_filter.group)
    if after is not None:
        members = members.filter(job_id__lt=after.handle)
    handles = list(members.order_by("-job_id").values_list("job_id", flat=True)[: GROUP_LOOK_LIMIT + 1])
    # In no order: PostgreSQL would look for few of many handles along the index of times.
    places = jobs.order_by().values_list("enqueued_at", "handle")
    found: list[tuple[Any, ...]] = list(places.filter(wanted, pk__in=handles))
    edge = None
    if len(handles) > GROUP_LOOK_LIMIT:
        # Of some, for single jobs may be deleted.
        last = min(places.filter(pk__in=handles[-_EDGE_HANDLES:]), default=None)
        edge = None if last is None else PagePosition(*last)
    return _named(found, job_filter, alias=jobs.db, edge=edge, limit=limit)


def _named(
    found: list[tuple[Any, ...]], job_filter: JobFilter, *, alias: str, edge: PagePosition | None, limit: int
) -> Look:
    """Return the latest of jobs whose times and handles were found."""
    found = sorted(found, reverse=True)
    named = found[:limit]
    if job_filter.argument is not None and len(found) > limit:
        edge = PagePosition(*named[-1])
    # The database may order handles of one moment in another way.
    named += [one for one in found[limit:] if one[0] == named[-1][0]]
    rows = Job.objects.using(alias).filter(pk__in=[handle for _, handle in named])
    return Look(rows, edge, found=len(found))


@dataclass(slots=True)
class _Stretch:
    """Unfinished jobs of one server, as far as they are looked at."""

    rows: QuerySet[Job]
    #: The last one, where there are more.
    edge: PagePosition | None


def _look_at_unfinished(jobs: QuerySet[Job], job_filter: JobFilter, wanted: Q, *, limit: int) -> Look:
    """Return unfinished jobs, server by server: the newest, or of those that run the oldest."""
    is_forward = job_filter.details == {StatusDetail.RUNNING.value}
    stretches = [_stretch(jobs, owner, is_forward=is_forward) for owner in _owners(jobs.db, job_filter.details)]
    edges = [one.edge for one in stretches if one is not None and one.edge is not None and not is_forward]
    edge = max(edges, key=lambda one: (one.enqueued_at, one.handle), default=None)
    if edge is not None:
        wanted &= edge.later
    found: list[tuple[Any, ...]] = []
    for stretch in filter(None, stretches):
        # From the oldest on, those that run are all wanted: a page may begin with any of them.
        most = LOOK_LIMIT if is_forward else limit + 1
        found += stretch.rows.filter(wanted).values_list("enqueued_at", "handle")[:most]
    return _named(found, job_filter, alias=jobs.db, edge=edge, limit=limit)


def _stretch(jobs: QuerySet[Job], owner: str, *, is_forward: bool) -> _Stretch | None:
    """Return what is looked at of a server's unfinished jobs; None where it has none there.

    Both of its ends are told: PostgreSQL, which cannot know that the unfinished are the newest, would else go through
    years of finished jobs for a filter that few jobs match.
    """
    ordered = in_index_order(jobs.filter(finished_at=None, owner=owner), "enqueued_at", "handle")
    if not is_forward:
        ordered = ordered.reverse()
    places = ordered.values_list("enqueued_at", "handle")
    first, edge = places.first(), None
    if first is None:
        return None
    last = places[LOOK_LIMIT : LOOK_LIMIT + 1].first()
    if last is not None:
        edge = PagePosition(*last)
    else:
        last = places.reverse().first() or first
    low, high = sorted((first[0], last[0]))
    return _Stretch(ordered.filter(enqueued_at__gte=low, enqueued_at__lte=high), edge)


def latest_unfinished(jobs: QuerySet[Job]) -> tuple[list[QuerySet[Job]], int]:
    """Return the newest unfinished jobs of each server, and of none, and how many of each are looked at.

    They share what is looked at in all; of each one job more is given, which tells that there are more.
    """
    owners = ["", *unfinished_owners(using=jobs.db)]
    share = max(1, LOOK_LIMIT // len(owners))
    unfinished = (in_index_order(jobs.filter(finished_at=None, owner=owner), "enqueued_at") for owner in owners)
    return [ordered.reverse()[: share + 1] for ordered in unfinished], share


def _owners(alias: str, details: frozenset[str]) -> Iterator[str]:
    if StatusDetail.BLOCKED.value in details:
        yield BLOCKED_OWNER
    if details != {StatusDetail.BLOCKED.value}:
        yield ""
        yield from unfinished_owners(using=alias)
