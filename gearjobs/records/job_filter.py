"""Which jobs a list, a count or an action is for: what their rows say, as a value that can be written and read again.

All that is said must hold; of several words for one thing any. What conditions cost, and which index leads to them, is
`job_pages`'s business. `search` is what a person types: a handle, a unique id, part of a name, or, with a colon, a
value in the arguments (`args.path:value`) or in the metadata (`meta.path:value`).
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Self

from django.db.models import Q, TextField
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Cast
from django.utils.dateparse import parse_datetime

from gearjobs.errors import UsageError
from gearjobs.models import JobStatus, StatusDetail
from gearjobs.protocol.attributes import PARENT_KEY
from gearjobs.protocol.wire_text import to_text

#: What a search may begin with to mean a place in the arguments, or in the metadata.
ARGUMENTS_WORD: Final = "args."
METADATA_WORD: Final = "meta."
#: Details of jobs that have not ended.
UNFINISHED: Final = frozenset(
    {
        StatusDetail.BLOCKED.value,
        StatusDetail.WAITING.value,
        StatusDetail.SCHEDULED.value,
        StatusDetail.RETRYING.value,
        StatusDetail.RUNNING.value,
    }
)
#: Details of jobs whose rows have a fingerprint.
FAILED: Final = frozenset(
    {
        StatusDetail.FAILED.value,
        StatusDetail.EXPIRED.value,
        StatusDetail.TIMED_OUT.value,
        StatusDetail.LOST.value,
        StatusDetail.DEAD.value,
    }
)
_STATUS_DETAILS: Final = {
    JobStatus.READY.value: UNFINISHED - {StatusDetail.RUNNING.value},
    JobStatus.RUNNING.value: frozenset({StatusDetail.RUNNING.value}),
    JobStatus.SUCCESSFUL.value: frozenset({StatusDetail.SUCCEEDED.value}),
    JobStatus.FAILED.value: FAILED | {StatusDetail.CANCELLED.value},
}
#: Most keys of a path in a search.
_PATH_LIMIT: Final = 8
#: Most digits of a place in a list.
_PLACE_DIGITS: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Jobs by what is known of them; an empty field says nothing."""

    handles: tuple[str, ...] = ()
    #: Values of JobStatus, in capitals, or of StatusDetail.
    statuses: tuple[str, ...] = ()
    #: As in a job's row.
    functions: tuple[str, ...] = ()
    #: Dotted paths; one that ends in `.*` is everything below it.
    tasks: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    #: Client id of a worker that ran it.
    worker: str = ""
    #: A group of failures.
    fingerprint: str = ""
    #: Key of the schedule that made it.
    schedule: str = ""
    #: Id of the whole that it is part of.
    group: str = ""
    #: The job in whose run it was enqueued.
    parent: str = ""
    #: As a submission says it.
    unique: str = ""
    #: Primary key of a user, as text.
    enqueued_by: str = ""
    search: str = ""
    enqueued_after: datetime.datetime | None = None
    enqueued_before: datetime.datetime | None = None
    finished_after: datetime.datetime | None = None
    finished_before: datetime.datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is said."""
        return not any(getattr(self, one.name) for one in fields(self))

    def within(self, other: Self) -> Self:
        """Return this filter, of jobs that were enqueued in the time that the other one names, too."""
        after = [one for one in (self.enqueued_after, other.enqueued_after) if one is not None]
        before = [one for one in (self.enqueued_before, other.enqueued_before) if one is not None]
        return replace(self, enqueued_after=max(after, default=None), enqueued_before=min(before, default=None))

    @property
    def details(self) -> frozenset[str]:
        """The details that the statuses mean; none where they say nothing.

        Raises:
            UsageError: a status is none.
        """
        found: set[str] = set()
        for word in self.statuses:
            # `failed` is a detail, `FAILED` every end but success; words that are only one of both may be in any case.
            if word in StatusDetail.values:
                found.add(word)
            elif word.upper() in _STATUS_DETAILS:
                found |= _STATUS_DETAILS[word.upper()]
            else:
                known = ", ".join([*JobStatus.values, *StatusDetail.values])
                raise UsageError(f"a status must be one of {known}; got {word!r}")
        return frozenset(found)

    @property
    def argument(self) -> tuple[tuple[str, ...], str] | None:
        """The path and the value that the arguments must have; None where the search is for something else."""
        return _place(self.search, ARGUMENTS_WORD)

    @property
    def metadata(self) -> tuple[tuple[str, ...], str] | None:
        """The path and the value that the metadata must have; None where the search is for something else."""
        return _place(self.search, METADATA_WORD)

    def to_json(self) -> dict[str, Any]:
        """Return what is said, for a JSON column."""
        said = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: _plain(value) for name, value in said.items() if value}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        """Return the filter that `to_json` wrote.

        Raises:
            UsageError: it is none.
        """
        known = {one.name: one.default for one in fields(cls)}
        values: dict[str, Any] = {}
        for name, value in said.items():
            if name not in known:
                raise UsageError(f"jobs can be chosen by {', '.join(known)}; got {name!r}")
            values[name] = _read(name, value, is_list=known[name] == (), is_time=known[name] is None)
        return cls(**values)


def conditions(job_filter: JobFilter) -> Q:
    """Return what the rows must say, but for places in arguments and metadata (`worked_out_columns`).

    Raises:
        UsageError: a status is none.
    """
    said = {
        "handle__in": job_filter.handles,
        "status_detail__in": tuple(sorted(job_filter.details)),
        "function__in": job_filter.functions,
        "queue__in": job_filter.queues,
        "fingerprint": job_filter.fingerprint,
        "membership__stage__root": job_filter.group,
        "unique": to_text(job_filter.unique.encode()),
        "enqueued_by": job_filter.enqueued_by,
        "enqueued_at__gte": job_filter.enqueued_after,
        "enqueued_at__lt": job_filter.enqueued_before,
        "finished_at__gte": job_filter.finished_after,
        "finished_at__lt": job_filter.finished_before,
    }
    found = Q(**{name: value for name, value in said.items() if value})
    if job_filter.tasks:
        found &= of_tasks(job_filter.tasks)
    if job_filter.search and job_filter.argument is None and job_filter.metadata is None:
        found &= _of_words(job_filter.search)
    return found


def of_tasks(paths: tuple[str, ...]) -> Q:
    """Return the condition of tasks by their dotted paths; one that ends in `.*` is everything below it."""
    found = Q(task__in=[path for path in paths if not path.endswith(".*")])
    for path in paths:
        if path.endswith(".*"):
            found |= Q(task__startswith=path[:-1])
    return found


def worked_out_columns(job_filter: JobFilter) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what must be worked out of each row, and what that must be."""
    worked_out: dict[str, Any] = {}
    wanted: dict[str, str] = {}
    if job_filter.metadata is not None:
        path, value = job_filter.metadata
        place: Any = "metadata"
        for key in path[:-1]:
            place = KeyTransform(key, place)
        worked_out["_meta_value"] = Cast(KeyTextTransform(path[-1], place), TextField())
        wanted["_meta_value"] = value
    if job_filter.parent:
        worked_out["_parent"] = Cast(KeyTextTransform(PARENT_KEY, "metadata"), TextField())
        wanted["_parent"] = job_filter.parent
    if job_filter.worker:
        worked_out["_workers"] = Cast("worker_ids", TextField())
        wanted["_workers__contains"] = f'"{job_filter.worker}"'
    return worked_out, wanted


def value_at(value: object, path: tuple[str, ...]) -> object:
    """Return what stands at a path in a JSON value; None where there is nothing."""
    for key in path:
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and len(key) <= _PLACE_DIGITS and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _of_words(text: str) -> Q:
    return Q(handle=text) | Q(unique=text) | Q(task__icontains=text) | Q(function__icontains=text)


def _place(search: str, word: str) -> tuple[tuple[str, ...], str] | None:
    place, colon, value = search.partition(":")
    path = tuple(place[len(word) :].split("."))
    if not colon or not place.startswith(word) or not all(path) or len(path) > _PATH_LIMIT:
        return None
    if any(key.isdecimal() and len(key) > _PLACE_DIGITS for key in path):
        # PostgreSQL knows no such places.
        return None
    return path, value


def _plain(value: object) -> object:
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def _read(name: str, value: object, *, is_list: bool, is_time: bool) -> object:
    if is_list:
        if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
            return tuple(value)
        raise UsageError(f"{name} must be a list of strings, got {value!r}")
    if not isinstance(value, str):
        raise UsageError(f"{name} must be a string, got {value!r}")
    if not is_time:
        return value
    try:
        moment = parse_datetime(value)
    except ValueError:
        moment = None
    if moment is None:
        raise UsageError(f"{name} must be a time such as 2026-11-21T12:00:00Z, got {value!r}")
    return moment
