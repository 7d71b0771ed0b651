"""Arguments that the commands about jobs share: which jobs are meant, and how times are written.

What each flag selects stands in `actions/job_selection`. Argparse turns an ArgumentTypeError into a usage message.
"""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.core.management.base import CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from gearjobs.actions.job_selection import JobSelection
from gearjobs.models import JobStatus, StatusDetail

_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def add_selection_arguments(parser: CommandParser) -> None:
    """Add the flags that say which jobs are meant; all that are given must hold."""
    words = ", ".join([*JobStatus.values, *StatusDetail.values])
    parser.add_argument("handles", nargs="*", metavar="HANDLE", help="jobs by their handles (ids)")
    parser.add_argument(
        "--status",
        type=names,
        default=(),
        metavar="WORDS",
        help=f"in one of these states (FAILED is any end but success): {words}",
    )
    parser.add_argument(
        "--task", type=names, default=(), metavar="PATHS", help="of these tasks, by dotted path; shop.tasks.* for all"
    )
    parser.add_argument("--queue-name", type=names, default=(), metavar="NAMES", help="on these queues")
    parser.add_argument("--function", type=names, default=(), metavar="NAMES", help="of these Gearman functions")
    parser.add_argument("--unique", default="", metavar="KEY", help="with this unique")
    parser.add_argument("--enqueued-by", default="", metavar="ID", help="enqueued on behalf of this user (primary key)")
    parser.add_argument(
        "--enqueued-after",
        type=past_moment,
        metavar="WHEN",
        help="at or after this time, such as 2026-01-31T14:00 or 2h (ago)",
    )
    parser.add_argument("--enqueued-before", type=past_moment, metavar="WHEN", help="before this time")


def selection_of(options: dict[str, Any]) -> JobSelection:
    """Return what the flags of `add_selection_arguments` say."""
    return JobSelection(
        handles=tuple(options["handles"]),
        statuses=tuple(options["status"]),
        tasks=tuple(options["task"]),
        queues=tuple(options["queue_name"]),
        functions=tuple(options["function"]),
        unique=options["unique"],
        enqueued_by=options["enqueued_by"],
        enqueued_after=options["enqueued_after"],
        enqueued_before=options["enqueued_before"],
    )


def names(text: str) -> tuple[str, ...]:
    """Return names that are separated by commas."""
    return tuple(name for part in text.split(",") if (name := part.strip()))


def count(text: str) -> int:
    """Return a number from 1 up."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"must be a whole number from 1 up, got {text!r}")
    return int(text)


def past_moment(text: str) -> datetime:
    """Return a moment: ISO 8601, in the project's time zone where it names none, or a span back from now."""
    span = _span(text)
    if span is not None:
        return timezone.now() - span
    moment = _iso_moment(text)
    # It is compared with columns, which are naive then.
    return moment if settings.USE_TZ else timezone.make_naive(moment)


def coming_moment(text: str) -> datetime:
    """Return a moment: ISO 8601, in the project's time zone where it names none, or a span from now on."""
    span = _span(text)
    return _iso_moment(text) if span is None else timezone.now() + span


def _span(text: str) -> timedelta | None:
    found = _SPAN.fullmatch(text.strip())
    return None if found is None else timedelta(**{_UNITS[found[2]]: float(found[1])})


def _iso_moment(text: str) -> datetime:
    try:
        moment = parse_datetime(text) or parse_datetime(f"{text}T00:00")
    except ValueError:
        moment = None
    if moment is None:
        raise ArgumentTypeError(f"must be like 2026-01-31, 2026-01-31T14:00 or 90m (s, m, h, d), got {text!r}")
    return timezone.make_aware(moment) if timezone.is_naive(moment) else moment
