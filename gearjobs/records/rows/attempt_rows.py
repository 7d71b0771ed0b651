"""Attempts that did not end their job, as rows of JobAttempt: written once each and bounded.

The first and the last attempts of a job are kept: how the trouble began, and how it goes on. Who ran an attempt since
when is read from the batch, or from the job's row as it was before the batch; a job that is not this server's, or has
ended, gets no row. An attempt that the table has already is passed over, so a batch may be committed again. What became
of a lost worker is often told later than the loss, by whoever watches it, and possibly to another server.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, Final

from django.db.models import Case, F, Q, TextField, Value, When

from gearjobs.core.changes import Explained, Outcome, Started
from gearjobs.core.jobs import JobHandle
from gearjobs.models import Job, JobAttempt
from gearjobs.records.rows.column_values import TimeColumn, fit_text, to_unix_s
from gearjobs.records.rows.failure_columns import MESSAGE_LIMIT

#: Attempts of a job that are kept, by number: so many from 1 on, and so many up to the latest.
FIRST_KEPT: Final = 50
LAST_KEPT: Final = 50
#: The columns of a row, in the order of `attempt_rows`'s tuples.
ATTEMPT_FIELDS: Final = (
    "job", "number", "worker_id", "started_at", "ended_at", "outcome", "error_class", "error_message",
    "error_traceback",
)  # fmt: skip

_WORKER_LIMIT: Final = int(getattr(JobAttempt._meta.get_field("worker_id"), "max_length", None) or 0)
#: Handles asked for in one query: below the 999 parameters of the oldest SQLite that Django supports.
_ASKED_AT_ONCE: Final = 500
#: Jobs changed by one statement that says something of each.
_CHANGED_AT_ONCE: Final = 100


@dataclass(slots=True)
class AttemptEnd:
    """The end of an attempt that was followed, or is to be followed, by another."""

    handle: JobHandle
    number: int
    #: How it ended, as the row says it.
    outcome: str
    #: Class, message and traceback.
    error: tuple[str, str, str]
    #: The column's value.
    ended_at: object
    #: Its start, where the batch has it.
    start: Started | None


@dataclass(slots=True)
class _Run:
    """The latest run of a job, as its row says."""

    number: int
    worker_ids: Sequence[object]
    started_at: datetime.datetime | None


def attempt_rows(
    alias: str, ends: Sequence[AttemptEnd], *, fresh: Iterable[JobHandle], owner: str, to_time: TimeColumn
) -> list[tuple[Any, ...]]:
    """Return the rows of a batch's attempts; one query for all whose job the table has.

    Args:
        alias: the database of the job table.
        ends: the attempts in order.
        fresh: jobs accepted in the same batch: they have nothing in the table.
        owner: this server's incarnation.
        to_time: the database's time column.
    """
    if not ends:
        return []
    is_fresh = set(fresh)
    known = _known_runs(alias, sorted({end.handle for end in ends} - is_fresh), owner=owner)
    return [
        (end.handle.decode("ascii"), end.number, *_run_columns(end, known.get(end.handle), to_time), *_end_columns(end))
        for end in ends
        if end.number > 0 and (end.handle in known or end.handle in is_fresh)
    ]


def trim_attempts(alias: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Delete what is between the first and the last attempts of the jobs of these rows, in the batch's transaction."""
    latest = {handle: number for handle, number, *_ in rows if number > FIRST_KEPT + LAST_KEPT}
    for some in _slices(list(latest.items()), _CHANGED_AT_ONCE):
        surplus = [Q(job=handle, number__gt=FIRST_KEPT, number__lte=number - LAST_KEPT) for handle, number in some]
        attempts = JobAttempt.objects.using(alias).filter(job__in=[handle for handle, _ in some])
        attempts.filter(reduce(or_, surplus)).delete()


def explain(alias: str, explained: Sequence[Explained]) -> None:
    """Say of lost attempts, or of the jobs that ended with them, what became of their workers.

    Jobs of other servers, and such as have ended, are changed as well: the worker was watched, not the server.
    """
    for some in _slices(explained, _CHANGED_AT_ONCE):
        causes = [(change.handle.decode("ascii"), change.attempt, _cause(change)) for change in some]
        _explain_jobs(alias, causes, with_attempts=_explain_attempts(alias, causes))


def _explain_attempts(alias: str, causes: Sequence[tuple[str, int, Value]]) -> list[str]:
    """Write what the attempts were lost by; return their jobs."""
    named = [(Q(job=handle, number=number), cause) for handle, number, cause in causes]
    # By the jobs alone an index finds them, whatever the planner believes of the table.
    attempts = JobAttempt.objects.using(alias).filter(job__in=_handles(causes), outcome=Outcome.LOST.value)
    lost = attempts.filter(reduce(or_, [which for which, _ in named]))
    lost.update(error_message=Case(*[When(which, then=cause) for which, cause in named], default=F("error_message")))
    return list(lost.values_list("job", flat=True))


def _explain_jobs(alias: str, causes: Sequence[tuple[str, int, Value]], *, with_attempts: Sequence[str]) -> None:
    lost = Q(status_detail__in=[Outcome.LOST.value, Outcome.DEAD.value])
    ended = [(lost & Q(handle=handle, attempt=number), cause) for handle, number, cause in causes]
    meant = reduce(or_, [which for which, _ in ended], Q(handle__in=with_attempts))
    rows = Job.objects.using(alias).filter(meant, handle__in=_handles(causes))
    told = Case(*[When(which, then=cause) for which, cause in ended], default=F("error_message"))
    rows.update(error_message=told, version=F("version") + 1)


def _handles(causes: Sequence[tuple[str, int, Value]]) -> list[str]:
    return sorted({handle for handle, _, _ in causes})


def _cause(change: Explained) -> Value:
    return Value(fit_text(change.cause, MESSAGE_LIMIT), output_field=TextField())


def _run_columns(end: AttemptEnd, known: _Run | None, to_time: TimeColumn) -> tuple[str, object]:
    """Return worker and start of the attempt, as far as anybody knows."""
    if end.start is not None:
        return fit_text(end.start.worker_ids[-1] if end.start.worker_ids else "", _WORKER_LIMIT), to_time(
            end.start.started_at
        )
    if known is None:
        return "", None
    ids = known.worker_ids
    worker_id = fit_text(str(ids[end.number - 1]), _WORKER_LIMIT) if end.number <= len(ids) else ""
    is_latest = known.number == end.number and known.started_at is not None
    return worker_id, to_time(to_unix_s(known.started_at)) if is_latest and known.started_at else None


def _end_columns(end: AttemptEnd) -> tuple[object, ...]:
    return (end.ended_at, end.outcome, *end.error)


def _known_runs(alias: str, handles: Sequence[JobHandle], *, owner: str) -> dict[JobHandle, _Run]:
    found: dict[JobHandle, _Run] = {}
    for some in _slices([handle.decode("ascii") for handle in handles], _ASKED_AT_ONCE):
        # By handle alone: by the owner the planner might look at all of its jobs.
        rows = Job.objects.using(alias).filter(handle__in=some)
        columns = ("handle", "owner", "finished_at", "attempt", "worker_ids", "last_attempted_at")
        for handle, row_owner, finished_at, *run in rows.values_list(*columns):
            if finished_at is None and row_owner in {"", owner}:
                found[JobHandle(handle.encode("ascii"))] = _Run(*run)
    return found


def _slices(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
