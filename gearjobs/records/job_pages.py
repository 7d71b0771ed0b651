"""Pages of jobs, newest first, at a cost that does not grow with the table.

A page begins where the one before ended (a cursor), never at a number of rows. Where no index leads to what a filter
asks for, so many of the newest rows are looked at as `LOOK_LIMIT` says, and the page tells that it was cut there: its
cursor goes on with older ones. Arguments are read row by row, so that fewer are looked at.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import connections
from django.db.models import Q, QuerySet

from gearjobs.errors import UsageError
from gearjobs.models import BLOCKED_OWNER, Job, ScheduleRun, StatusDetail
from gearjobs.records.job_filter import (
    FAILED,
    UNFINISHED,
    JobFilter,
    conditions,
    value_at,
    worked_out_columns,
)
from gearjobs.records.job_queries import in_index_order, unfinished_owners
from gearjobs.records.readable_body import read_body
from gearjobs.records.rows.column_values import to_datetime, to_unix_s

#: Rows looked at for one page where no index leads to the jobs, and rows whose arguments are read.
LOOK_LIMIT: Final = 10_000
ARGUMENTS_LOOK_LIMIT: Final = 2_000
#: Jobs on a page at most.
SIZE_LIMIT: Final = 500
#: Jobs of one schedule, or unfinished ones of one detail, that are listed at most.
_NAMED_LIMIT: Final = 1_001
#: Longest payload that is searched.
_PAYLOAD_LIMIT: Final = 65_536
#: Columns that may be long, which no list shows.
BODIES: Final = ("payload", "result", "error_traceback")


@dataclass(frozen=True, slots=True)
class PagePosition:
    """A place in a list: the last job before it."""

    enqueued_at: datetime.datetime
    handle: str

    def __str__(self) -> str:
        return f"{round(to_unix_s(self.enqueued_at) * 1_000_000)}.{self.handle}"


@dataclass(slots=True)
class JobPage:
    """Some jobs of a list."""

    jobs: list[Job]
    #: Where the next page begins; empty at the end of the list.
    next_cursor: str = ""
    #: True where the page ended because enough rows were looked at: there may be more, or not.
    is_cut: bool = False
    #: The moment down to which it was looked.
    looked_back_to: datetime.datetime | None = None


@dataclass(slots=True)
class BoundedCount:
    """A number of jobs, counted up to a limit."""

    count: int
    #: True where there are more, or may be.
    is_more: bool = False

    def __str__(self) -> str:
        return f"{self.count:,}{'+' if self.is_more else ''}"


@dataclass(slots=True)
class _Look:
    """What is looked at for a page."""

    rows: QuerySet[Job]
    #: The last row that is looked at; None where all are.
    edge: PagePosition | None = None
    wanted: Q = field(default_factory=Q)


def read_cursor(cursor: str) -> PagePosition | None:
    """Return the place that a cursor stands for; None for the beginning.

    Raises:
        UsageError: it is none.
    """
    if not cursor:
        return None
    micros, _, handle = cursor.partition(".")
    # PostgreSQL cannot compare with a NUL, and no handle has one.
    if not micros.isdecimal() or len(micros) > 17 or not 0 < len(handle) <= 64 or "\0" in handle:
        raise UsageError(f"a cursor must come from the page before, got {cursor[:80]!r}")
    return PagePosition(to_datetime(int(micros) / 1_000_000), handle)


def job_page(jobs: QuerySet[Job], job_filter: JobFilter, *, cursor: str = "", size: int = 50) -> JobPage:
    """Return a page of jobs, newest first, without their bodies.

    Args:
        jobs: whichever the reader may see.
        job_filter: which of them.
        cursor: where it begins: `next_cursor` of the page before.
        size: how many, at most SIZE_LIMIT.

    Raises:
        UsageError: the cursor, or a status, is none.
    """
    size = max(1, min(size, SIZE_LIMIT))
    after = read_cursor(cursor)
    look = _look(jobs, job_filter, after)
    found = _found(look, job_filter, after=after, size=size)
    if len(found) > size:
        found = found[:size]
        return JobPage(found, str(PagePosition(found[-1].enqueued_at, found[-1].handle)))
    if look.edge is None:
        return JobPage(found)
    return JobPage(found, str(look.edge), is_cut=True, looked_back_to=look.edge.enqueued_at)


def count_up_to(jobs: QuerySet[Job], job_filter: JobFilter, *, limit: int = 1_000) -> BoundedCount:
    """Return how many jobs there are, counting no more than `limit`, and looking at no more than a page does."""
    look = _look(jobs, job_filter, None)
    if job_filter.argument is not None:
        found = len(_found(look, job_filter, after=None, size=limit))
    else:
        found = look.rows.filter(look.wanted).order_by().values("pk")[: limit + 1].count()
    return BoundedCount(min(found, limit), is_more=found > limit or look.edge is not None)


def _found(look: _Look, job_filter: JobFilter, *, after: PagePosition | None, size: int) -> list[Job]:
    rows = look.rows.filter(look.wanted).order_by("-enqueued_at", "-handle")
    if job_filter.argument is None:
        return list(rows.defer(*BODIES)[: size + 1])
    path, value = job_filter.argument
    found: list[str] = []
    for handle, payload in rows.values_list("handle", "payload").iterator(chunk_size=200):
        if has_argument(bytes(payload), path, value):
            found.append(handle)
            if len(found) > size:
                break
    return list(look.rows.filter(pk__in=found).order_by("-enqueued_at", "-handle").defer(*BODIES))


def has_argument(payload: bytes, path: tuple[str, ...], value: str) -> bool:
    """Tell whether a call's arguments have a value at a path: by name, or by place."""
    if len(payload) > _PAYLOAD_LIMIT:
        return False
    call = read_body(payload).value
    if not isinstance(call, dict):
        return False
    # A payload of the plain wire may be any JSON.
    places = [call.get("kwargs"), call.get("args")] if call.keys() & {"args", "kwargs"} else [call]
    texts = [_text(value_at(place, path)) for place in places]
    return value in texts


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None or isinstance(value, dict | list) else str(value)


def _look(jobs: QuerySet[Job], job_filter: JobFilter, after: PagePosition | None) -> _Look:
    """Return the rows that a page is looked for in: those that an index leads to, and of them so many as the limit."""
    worked_out, more = worked_out_columns(job_filter)
    wanted = conditions(job_filter) & Q(**more)
    rows = _within(jobs, job_filter, after).annotate(**worked_out)
    details = job_filter.details
    if not job_filter.handles and details and details <= UNFINISHED:
        look = _look_at_unfinished(rows, wanted, details)
    else:
        look = _Look(_narrowed(rows, job_filter), wanted=wanted)
        if _must_look(job_filter, jobs.db):
            limit = LOOK_LIMIT if job_filter.argument is None else ARGUMENTS_LOOK_LIMIT
            look.edge = _edge(look.rows, limit)
    if look.edge is not None:
        look.rows = look.rows.filter(enqueued_at__gte=look.edge.enqueued_at)
    return look


def _within(jobs: QuerySet[Job], job_filter: JobFilter, after: PagePosition | None) -> QuerySet[Job]:
    """Return the jobs of the time and the user that are asked for: every index has those in order."""
    bounds = {
        "enqueued_at__gte": job_filter.enqueued_after,
        "enqueued_at__lt": job_filter.enqueued_before,
        "enqueued_by": job_filter.enqueued_by,
    }
    jobs = jobs.filter(**{name: bound for name, bound in bounds.items() if bound})
    if after is None:
        return jobs
    older = Q(enqueued_at__lt=after.enqueued_at) | Q(enqueued_at=after.enqueued_at, handle__lt=after.handle)
    # What the first condition says follows from the rest, but an index can be entered there.
    return jobs.filter(Q(enqueued_at__lte=after.enqueued_at) & older)


def _narrowed(jobs: QuerySet[Job], job_filter: JobFilter) -> QuerySet[Job]:
    """Return the jobs that an index leads to."""
    if job_filter.handles:
        return jobs.filter(pk__in=job_filter.handles)
    if job_filter.schedule:
        runs = ScheduleRun.objects.using(jobs.db).filter(schedule__key=job_filter.schedule).exclude(handle="")
        return jobs.filter(pk__in=list(runs.order_by("-due_at").values_list("handle", flat=True)[:_NAMED_LIMIT]))
    if job_filter.fingerprint:
        return jobs.filter(fingerprint=job_filter.fingerprint)
    if job_filter.group:
        return jobs.filter(membership__stage__root=job_filter.group)
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


def _look_at_unfinished(jobs: QuerySet[Job], wanted: Q, details: frozenset[str]) -> _Look:
    """Return unfinished jobs, server by server: the newest, or of those that run the oldest."""
    is_forward = details == {StatusDetail.RUNNING.value}
    # From the oldest on, those that run are all wanted: a page may begin with any of them.
    limit = LOOK_LIMIT if is_forward else _NAMED_LIMIT
    found: list[tuple[Any, ...]] = []
    edge: PagePosition | None = None
    for owner in _owners(jobs.db):
        ordered = in_index_order(jobs.filter(finished_at=None, owner=owner), "enqueued_at")
        if not is_forward:
            ordered = ordered.reverse()
        last = ordered.values_list("enqueued_at", "handle")[LOOK_LIMIT : LOOK_LIMIT + 1].first()
        if last is not None:
            ordered = ordered.filter(**{"enqueued_at__lte" if is_forward else "enqueued_at__gte": last[0]})
            if not is_forward and (edge is None or last[0] > edge.enqueued_at):
                edge = PagePosition(*last)
        found += ordered.filter(wanted).values_list("enqueued_at", "handle")[:limit]
    handles = [handle for _, handle in sorted(found, reverse=True)[:_NAMED_LIMIT]]
    return _Look(jobs.filter(pk__in=handles), edge, wanted)


def _owners(alias: str) -> Iterator[str]:
    yield ""
    yield BLOCKED_OWNER
    yield from unfinished_owners(using=alias)
