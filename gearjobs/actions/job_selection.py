"""Which jobs an action is for: by handle, or by what their rows say.

All that is said must hold; of several words for one thing any. A selection that says nothing selects nothing: nobody
cancels every job of a site by leaving out a flag.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from django.db.models import Q, QuerySet

from gearjobs.errors import UsageError
from gearjobs.models import Job, JobStatus, StatusDetail
from gearjobs.protocol.wire_text import to_text
from gearjobs.records.job_filter import of_tasks
from gearjobs.records.job_queries import all_jobs

#: Handles read at once.
_AT_ONCE: Final = 500
#: Handles that the audit names.
_HANDLES_SHOWN: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSelection:
    """Jobs by what is known of them; an empty field says nothing."""

    handles: tuple[str, ...] = ()
    #: Values of JobStatus, in capitals, or of StatusDetail.
    statuses: tuple[str, ...] = ()
    #: Dotted paths; one that ends in `.*` is everything below it.
    tasks: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    #: Gearman functions.
    functions: tuple[str, ...] = ()
    #: As a submission says it.
    unique: str = ""
    #: Primary key of a user, as text.
    enqueued_by: str = ""
    enqueued_after: datetime | None = None
    enqueued_before: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is said."""
        return not any(getattr(self, one.name) for one in fields(self))

    @property
    def target(self) -> str:
        """The handle, where it is one job's."""
        return self.handles[0] if len(self.handles) == 1 else ""

    def said(self) -> dict[str, object]:
        """Return what is said, as the audit keeps it; of many handles the first."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: _shown(value) for name, value in values.items() if value}

    def rows(self, *, using: str | None = None) -> QuerySet[Job]:
        """Return the jobs, oldest first.

        Raises:
            UsageError: nothing is said, or a status is none.
        """
        if self.is_empty:
            raise UsageError("name jobs by their handles, or say at least one thing about them")
        jobs = all_jobs(using=using).filter(**self._plain_filters())
        if self.statuses:
            jobs = jobs.filter(_of_statuses(self.statuses))
        if self.tasks:
            jobs = jobs.filter(of_tasks(self.tasks))
        return jobs.order_by("enqueued_at", "handle")

    def _plain_filters(self) -> dict[str, Any]:
        named = {
            "handle__in": self.handles,
            "queue__in": self.queues,
            "function__in": tuple(to_text(function.encode()) for function in self.functions),
            "unique": to_text(self.unique.encode()),
            "enqueued_by": self.enqueued_by,
            "enqueued_at__gte": self.enqueued_after,
            "enqueued_at__lt": self.enqueued_before,
        }
        return {name: value for name, value in named.items() if value}


def handle_portions(jobs: QuerySet[Job], *, limit: int | None = None, at_once: int = _AT_ONCE) -> Iterator[list[str]]:
    """Yield the handles of jobs, some at a time, as the action goes on: each job at most once.

    Args:
        jobs: in the order of `JobSelection.rows`; what an action does to them may take them out of it.
        limit: no more than so many in all; None for any number.
        at_once: so many at a time.
    """
    last: tuple[datetime, str] | None = None
    left = limit
    while left is None or left > 0:
        rest = jobs if last is None else jobs.filter(_after(*last))
        portion = list(rest.values_list("enqueued_at", "handle")[: at_once if left is None else min(at_once, left)])
        if not portion:
            return
        last = portion[-1]
        left = None if left is None else left - len(portion)
        yield [handle for _, handle in portion]


def _after(enqueued_at: datetime, handle: str) -> Q:
    # What the first condition says follows from the rest, but an index can be entered there.
    later = Q(enqueued_at__gt=enqueued_at) | Q(enqueued_at=enqueued_at, handle__gt=handle)
    return Q(enqueued_at__gte=enqueued_at) & later


def _shown(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value[:_HANDLES_SHOWN]) if isinstance(value, tuple) else value


def _of_statuses(words: tuple[str, ...]) -> Q:
    details = [word for word in words if word in StatusDetail.values]
    # `failed` is a detail, `FAILED` every end but success; the words that are only one of both may be written anyhow.
    statuses = [word.upper() for word in words if word not in details and word.upper() in JobStatus.values]
    unknown = [word for word in words if word not in details and word.upper() not in statuses]
    if unknown:
        known = ", ".join([*JobStatus.values, *StatusDetail.values])
        raise UsageError(f"a status must be one of {known}; got {unknown[0]!r}")
    return Q(status__in=statuses) | Q(status_detail__in=details)
