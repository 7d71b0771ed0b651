"""Pages of jobs, newest first, at a cost that does not grow with the table.

A page begins where the one before ended (a cursor), never at a number of rows. What is looked at for it, and how much
at most, is said in `job_looks`; a page that ended because enough was looked at tells so, and its cursor goes on with
older jobs. Arguments are read row by row.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import Count, Q, QuerySet

from gearjobs.errors import UsageError
from gearjobs.models import Job
from gearjobs.records.job_filter import JobFilter, value_at
from gearjobs.records.job_looks import Look, PagePosition, latest_unfinished, look_at
from gearjobs.records.readable_body import read_body
from gearjobs.records.rows.column_values import to_datetime

#: Jobs on a page at most.
SIZE_LIMIT: Final = 500
#: Longest payload that is searched.
_PAYLOAD_LIMIT: Final = 65_536
#: Columns that may be long, which no list shows.
BODIES: Final = ("payload", "result", "error_traceback")


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
    look = look_at(jobs, job_filter, after, limit=size + 1)
    found = _found(look, job_filter, size=size)
    if len(found) > size:
        found = found[:size]
        return JobPage(found, str(PagePosition(found[-1].enqueued_at, found[-1].handle)))
    if look.edge is None:
        return JobPage(found)
    return JobPage(found, str(look.edge), is_cut=True, looked_back_to=look.edge.enqueued_at)


def count_up_to(jobs: QuerySet[Job], job_filter: JobFilter, *, limit: int = 1_000) -> BoundedCount:
    """Return how many jobs there are, counting no more than `limit`, and looking at no more than a page does."""
    look = look_at(jobs, job_filter, None, limit=limit + 1)
    if job_filter.argument is not None:
        found = len(_found(look, job_filter, size=limit))
    elif look.found is not None:
        found = look.found
    else:
        found = look.rows.filter(look.wanted).order_by().values("pk")[: limit + 1].count()
    return BoundedCount(min(found, limit), is_more=found > limit or look.edge is not None)


def count_unfinished(
    jobs: QuerySet[Job], details: Sequence[str], *, function: str = "", limit: int = 1_000
) -> dict[str, BoundedCount]:
    """Return how many jobs are in each of some states before the end, by one look at the newest of each server.

    Args:
        jobs: whichever the reader may see.
        details: values of StatusDetail; those that run are not among the newest as a rule, so count them by themselves.
        function: of one function only.
        limit: each is counted up to this.
    """
    more = {"function": function} if function else {}
    counted = {detail: Count("pk", filter=Q(status_detail=detail, **more)) for detail in details}
    found, is_more = dict.fromkeys(details, 0), False
    stretches, share = latest_unfinished(jobs)
    for latest in stretches:
        told = latest.values("pk", "status_detail", "function").aggregate(looked_at=Count("pk"), **counted)
        is_more |= told["looked_at"] > share
        found = {detail: found[detail] + told[detail] for detail in details}
    return {detail: BoundedCount(min(n, limit), is_more=is_more or n > limit) for detail, n in found.items()}


def _found(look: Look, job_filter: JobFilter, *, size: int) -> list[Job]:
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
