"""Addresses of the job list and the filters they mean: the same words as those of the REST API's list.

Read forgivingly, unlike there: a word that means nothing is left out and told of, for a person has typed it or followed
an old link. Django's own `status__exact` is taken for `status`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gearjobs.admin.job_cells import exact_time
from gearjobs.admin.screen_links import jobs_link
from gearjobs.errors import UsageError
from gearjobs.records.job_filter import JobFilter

#: How far back the list may look, by the word of its address.
PERIODS: Final[Mapping[str, tuple[timedelta, Promise]]] = {
    "1h": (timedelta(hours=1), gettext_lazy("last hour")),
    "24h": (timedelta(hours=24), gettext_lazy("last 24 hours")),
    "7d": (timedelta(days=7), gettext_lazy("last 7 days")),
}
#: Handles that an address may name.
_HANDLES_LIMIT: Final = 200
#: Fields of a filter, by the parameter and whether it is a list.
_LISTS: Final = {
    "handle__in": "handles",
    "status": "statuses",
    "function": "functions",
    "task": "tasks",
    "queue": "queues",
}
_TEXTS: Final = ("worker", "fingerprint", "schedule", "group", "unique", "enqueued_by", "search")
_MOMENTS: Final = ("enqueued_after", "enqueued_before", "finished_after", "finished_before")
_OTHER_NAMES: Final = {"status__exact": "status", "q": "search"}
#: What is no filter.
_SHAPES: Final = frozenset({"cursor", "e", "format", "period", "p", "o", "mine"})

_LABELS: Final[Mapping[str, Promise]] = {
    "handle__in": gettext_lazy("handle"),
    "status": gettext_lazy("status"),
    "function": gettext_lazy("function"),
    "task": gettext_lazy("task"),
    "queue": gettext_lazy("queue"),
    "worker": gettext_lazy("worker"),
    "fingerprint": gettext_lazy("failure"),
    "schedule": gettext_lazy("schedule"),
    "group": gettext_lazy("group"),
    "unique": gettext_lazy("unique id"),
    "enqueued_by": gettext_lazy("enqueued by"),
    "search": gettext_lazy("search"),
    "enqueued_after": gettext_lazy("enqueued after"),
    "enqueued_before": gettext_lazy("enqueued before"),
    "finished_after": gettext_lazy("ended after"),
    "finished_before": gettext_lazy("ended before"),
    "period": gettext_lazy("enqueued"),
}


@dataclass(slots=True)
class JobQuery:
    """What an address of the list asks for."""

    #: By the names of the address, as they are written there; without what means nothing.
    said: dict[str, str] = field(default_factory=dict)
    job_filter: JobFilter = field(default_factory=JobFilter)
    #: What was left out, and why.
    complaints: list[str] = field(default_factory=list)

    def url(self, **changes: str) -> str:
        """Return the list's address with other words; an empty one is left out."""
        return jobs_link(**{**self.said, **changes})


def read_query(asked: Mapping[str, str]) -> JobQuery:
    """Return what the parameters of an address ask for."""
    query = JobQuery()
    found: dict[str, Any] = {}
    for given, text in asked.items():
        name, value = _OTHER_NAMES.get(given, given), text.strip()
        if not value or (name in _SHAPES and name != "period"):
            continue
        complaint = _read(name, value, found)
        if complaint:
            query.complaints.append(complaint)
        else:
            query.said[name] = value
    query.job_filter = JobFilter(**found)
    try:
        query.job_filter.details  # noqa: B018 - reads the words
    except UsageError as error:
        query.complaints.append(str(error))
        query.job_filter = replace(query.job_filter, statuses=())
        query.said.pop("status", None)
    return query


def said_by(job_filter: JobFilter) -> dict[str, str]:
    """Return a filter as the words of an address."""
    said = {name: ",".join(getattr(job_filter, field_name)) for name, field_name in _LISTS.items()}
    said |= {name: getattr(job_filter, name) for name in _TEXTS}
    said |= {name: getattr(job_filter, name).isoformat() if getattr(job_filter, name) else "" for name in _MOMENTS}
    return {name: value for name, value in said.items() if value}


def link_of(job_filter: JobFilter) -> str:
    """Return the address of the list of the jobs that a filter chooses."""
    return jobs_link(**said_by(job_filter))


def filter_words(job_filter: JobFilter) -> list[tuple[str, str]]:
    """Return a filter for people: what, and which."""
    return [said_words(name, value) for name, value in said_by(job_filter).items()]


def said_words(name: str, value: str) -> tuple[str, str]:
    """Return one word of an address for people."""
    label = str(_LABELS.get(name, name))
    if name == "period":
        return label, str(PERIODS[value][1])
    if name in _MOMENTS and (moment := read_moment(value)) is not None:
        return label, exact_time(moment)
    if name == "status":
        return label, value.replace(",", ", ").replace("_", " ")
    return label, value[:200].replace(",", ", ")


def _read(name: str, value: str, found: dict[str, Any]) -> str:
    """Put what a word means into the fields of a filter; return what is wrong with it."""
    if "\0" in value:
        return _("%(name)s: there is no such name.") % {"name": name}
    if name in _LISTS:
        words = tuple(word for word in value.split(",") if word)
        found[_LISTS[name]] = words[:_HANDLES_LIMIT]
    elif name in _TEXTS:
        found[name] = value
    elif name == "period" and value in PERIODS:
        found.setdefault("enqueued_after", _rounded(timezone.now() - PERIODS[value][0]))
    elif name in _MOMENTS and (moment := read_moment(value)) is not None:
        found[name] = moment
    elif name in _MOMENTS:
        return _("%(name)s must be a time such as 2026-01-31T12:00:00Z.") % {"name": name}
    else:
        return _("The list cannot be filtered by “%(name)s”.") % {"name": name[:40]}
    return ""


def _rounded(moment: datetime) -> datetime:
    # Pages of one list begin with the same jobs for a while.
    return moment.replace(second=0, microsecond=0)


def read_moment(text: str) -> datetime | None:
    """Return the moment that somebody wrote, in the project's time zone where none is said; None where it is none."""
    try:
        # A plus of an address is a space.
        moment = parse_datetime(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        return None
    if moment is None:
        return None
    try:
        return timezone.make_aware(moment) if timezone.is_naive(moment) else moment
    except (ValueError, OverflowError):
        return None
