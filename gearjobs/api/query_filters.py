"""What lists may be asked for: the parameters of a URL, read strictly.

Only what is named here filters; anything else is refused by its name, so that a misspelt filter is not a list of
everything, and no column can be probed that nobody meant to show. What the filters mean is `records/job_filter`'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, Final

from django.conf import settings
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from gearjobs.errors import UsageError
from gearjobs.records.job_filter import JobFilter

#: Handles that one request may ask for: an album's worth, and a URL of a few kilobytes.
HANDLES_LIMIT: Final = 100
#: Rows of a page, and how many it may be asked to have.
PAGE_ROWS: Final = 50
MOST_ROWS: Final = 200
#: What of each row a list can show beyond its line.
EXPANSIONS: Final = frozenset({"attempts"})
#: Parameters that say how the answer looks, not what is in it.
_SHAPES: Final = frozenset({"cursor", "page_size", "format", "fields", "count", "expand"})

#: The filters of jobs, as the OpenAPI document tells of them.
JOB_FILTERS: Final[Mapping[str, str]] = {
    "status": "Some of READY, RUNNING, FAILED, SUCCESSFUL, or of the details in small letters, divided by commas.",
    "function": "Gearman functions, divided by commas.",
    "task": "Dotted paths of tasks, divided by commas; one that ends in `.*` is everything below it.",
    "queue": "Queues of django.tasks, divided by commas.",
    "unique": "A unique id.",
    "handle__in": f"Ids, divided by commas, {HANDLES_LIMIT} at most.",
    "enqueued_after": "Enqueued at this time or later, ISO 8601.",
    "enqueued_before": "Enqueued before this time.",
    "finished_after": "Ended at this time or later.",
    "finished_before": "Ended before this time.",
    "group": "Id of a group.",
    "parent": "Id of a job: those that were enqueued in its runs.",
    "schedule": "Key of a schedule; its latest jobs.",
    "worker": "Client id of a worker that ran it.",
    "fingerprint": "A group of failures.",
    "mine": "`true`: only those enqueued on behalf of who asks.",
    "search": "An id, a unique id, a part of a name; `args.path:value` and `meta.path:value` are places in arguments "
    "and metadata, for who may see payloads.",
}
_PAGING: Final[Mapping[str, str]] = {
    "cursor": "From `next` of another page.",
    "page_size": "1 to 200.",
    "count": "`true`: how many there are, counted up to a bound.",
    "fields": "Members of each job, divided by commas; all when not given.",
    "expand": "`attempts`: with the runs of each job that others followed.",
}
#: Parameters of a list that is not filtered.
PAGE_QUERY: Final = {**_PAGING}
LIST_QUERY: Final = {**JOB_FILTERS, **PAGE_QUERY}


def filter_of(asked: Mapping[str, str], *, user: str) -> JobFilter:
    """Return the jobs that the parameters of a URL ask for.

    Args:
        asked: the parameters, those among them that are no filters, too.
        user: primary key of who asks, as text.

    Raises:
        ValidationError: a parameter is unknown, or cannot be read.
    """
    refuse_unknown(asked, JOB_FILTERS)
    said: dict[str, Any] = {}
    for name in asked.keys() & _LISTS.keys():
        words = tuple(word for word in read_text(asked[name], name).split(",") if word)
        if asked[name] and not words:
            raise ValidationError({name: [_("names nothing, got %(value)s") % {"value": repr(asked[name][:40])}]})
        said[_LISTS[name]] = words
    for name in asked.keys() & _TEXTS:
        said[name] = read_text(asked[name], name)
    for name in asked.keys() & _MOMENTS:
        said[name] = read_moment(asked[name], name)
    if read_flag(asked.get("mine", "false"), "mine"):
        said["enqueued_by"] = user
    if len(said.get("handles", ())) > HANDLES_LIMIT:
        raise ValidationError(
            {
                "handle__in": [
                    _("must be at most %(handles_limit)s ids, got %(value)s")
                    % {"handles_limit": HANDLES_LIMIT, "value": len(said["handles"])}
                ]
            }
        )
    found = JobFilter(**said)
    try:
        found.details  # noqa: B018 - reads the words
    except UsageError as error:
        raise ValidationError({"status": [str(error)]}) from error
    return found


def parameters_of(request: Request) -> dict[str, str]:
    """Return the parameters of a URL, the last of several with one name."""
    return {name: str(value) for name, value in request.query_params.items()}


def refuse_unknown(asked: Mapping[str, str], known: Mapping[str, object]) -> None:
    """Refuse parameters that nobody reads.

    Raises:
        ValidationError: names the first, and what may have been meant.
    """
    for name in asked.keys() - known.keys() - _SHAPES:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known)) or 'none'}"
        raise ValidationError({name: [_("is no parameter of this list; %(hint)s") % {"hint": hint}]})


def shown_fields(request: Request, known: Sequence[str]) -> frozenset[str] | None:
    """Return which members of each row are wanted; None for all.

    Raises:
        ValidationError: there is no such member.
    """
    text = request.query_params.get("fields")
    if text is None:
        return None
    wanted = frozenset(text.split(","))
    if unknown := sorted(wanted - set(known)):
        raise ValidationError(
            {
                "fields": [
                    _("must be some of %(value)s; got %(value_2)s")
                    % {"value": ", ".join(known), "value_2": repr(unknown[0][:40])}
                ]
            }
        )
    return wanted


def expanded(request: Request) -> frozenset[str]:
    """Return what of each row is wanted beyond what lists show.

    Raises:
        ValidationError: there is no such part.
    """
    wanted = frozenset(filter(None, request.query_params.get("expand", "").split(",")))
    if unknown := sorted(wanted - EXPANSIONS):
        raise ValidationError(
            {
                "expand": [
                    _("must be some of %(value)s; got %(value_2)s")
                    % {"value": ", ".join(sorted(EXPANSIONS)), "value_2": repr(unknown[0][:40])}
                ]
            }
        )
    return wanted


def read_text(text: str, parameter: str) -> str:
    """Refuse what PostgreSQL cannot compare with."""
    if "\0" in text:
        raise ValidationError({parameter: [_("must not contain a NUL character")]})
    return text


def read_flag(text: str, parameter: str) -> bool:
    """Return whether something is asked for."""
    if text not in {"true", "false", "1", "0"}:
        raise ValidationError({parameter: [_("must be true or false, got %(value)s") % {"value": repr(text[:40])}]})
    return text in {"true", "1"}


def read_size(asked: Mapping[str, str]) -> int:
    """Return how many rows a page is to have."""
    text = asked.get("page_size", str(PAGE_ROWS))
    if not re.fullmatch(r"\d{1,6}", text):
        raise ValidationError({"page_size": [_("must be a whole number, got %(value)s") % {"value": repr(text[:40])}]})
    return max(1, min(int(text), MOST_ROWS))


def read_moment(text: str, parameter: str) -> datetime:
    """Return a time; one without a zone is in the site's."""
    try:
        moment = parse_datetime(text)
        if moment is not None:
            aware = timezone.make_aware(moment) if timezone.is_naive(moment) else moment
            # What the site's database is asked with: without USE_TZ times have no zone.
            return aware.astimezone(UTC) if settings.USE_TZ else timezone.make_naive(aware)
    except (ValueError, OverflowError):
        pass
    raise ValidationError(
        {parameter: [_("must be a time such as 2026-01-31T12:00:00Z, got %(value)s") % {"value": repr(text[:40])}]}
    )


#: Fields of JobFilter by the parameter that names several of them.
_LISTS: Final = {
    "handle__in": "handles",
    "status": "statuses",
    "function": "functions",
    "task": "tasks",
    "queue": "queues",
}
_TEXTS: Final = frozenset({"worker", "fingerprint", "schedule", "group", "parent", "unique", "search"})
_MOMENTS: Final = frozenset({"enqueued_after", "enqueued_before", "finished_after", "finished_before"})
