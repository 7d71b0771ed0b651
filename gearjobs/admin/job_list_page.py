"""What the job list shows: a page of jobs, newest first, and what it can be narrowed down by.

Pages begin where the one before ended, and no query reads more rows than `records/job_pages` allows; where a page ends
because so many rows were looked at, it says down to when. Names to filter by are those of the newest jobs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.utils.translation import gettext as _

from gearjobs.admin.bulk_question import count_words
from gearjobs.admin.job_cells import exact_time
from gearjobs.admin.job_query import PERIODS, JobQuery, read_query, said_words
from gearjobs.admin.job_rows import job_rows
from gearjobs.admin.screen_links import FAILED_WORDS, screen_url
from gearjobs.errors import UsageError
from gearjobs.models import BulkVerb, JobStatus, StatusDetail
from gearjobs.records.job_filter import UNFINISHED
from gearjobs.records.job_pages import JobPage, count_up_to, job_page
from gearjobs.records.job_queries import all_jobs, has_permission

User = AbstractBaseUser | AnonymousUser

#: Jobs of a page.
JOBS_SHOWN: Final = 50
#: Jobs whose names the filters offer, and names offered at most.
_NAMES_OF_NEWEST: Final = 1_000
_NAMES_SHOWN: Final = 30

_PERMISSIONS: Final = {
    BulkVerb.RETRY: "retry_job",
    BulkVerb.CANCEL: "cancel_job",
    BulkVerb.DELETE: "delete_job",
}


@dataclass(slots=True)
class Choice:
    """One link of a filter."""

    label: str
    url: str
    is_chosen: bool


def list_context(asked: Mapping[str, str], user: User) -> dict[str, Any]:
    """Return what the list shows.

    Args:
        asked: parameters of its address.
        user: for whom.
    """
    query = readable_query(asked, user)
    page = _page(query, asked.get("cursor", ""))
    may = {verb: has_permission(user, codename) for verb, codename in _PERMISSIONS.items()}
    return {
        "rows": job_rows(page.jobs, may_see_bodies=has_permission(user, "view_payload")),
        "count": count_words(count_up_to(all_jobs(), query.job_filter)) if query.said else "",
        "search": query.said.get("search", ""),
        "kept": [(name, value) for name, value in query.said.items() if name != "search"],
        "chips": [(*said_words(name, value), query.url(**{name: ""})) for name, value in query.said.items()],
        "complaints": query.complaints,
        "filters": _filters(query),
        "is_filtered": bool(query.said),
        "bare_url": screen_url("gearjobs_job_changelist"),
        "first_url": query.url() if asked.get("cursor") else "",
        "next_url": query.url(cursor=page.next_cursor) if page.next_cursor else "",
        "looked_back_to": exact_time(page.looked_back_to) if page.is_cut and page.looked_back_to else "",
        "may_retry": may[BulkVerb.RETRY],
        "may_cancel": may[BulkVerb.CANCEL],
        "may_delete": may[BulkVerb.DELETE],
        "may_change": (may_change := has_permission(user, "change_job")),
        "may_enqueue": has_permission(user, "add_job"),
        "may_choose": may_change or any(may.values()),
        "act_url": screen_url("gearjobs_job_act_many"),
        "exports": [(kind, query.url(format=kind)) for kind in ("csv", "json")],
        "empty_text": _("No job is like that.") if query.said else _("There are no jobs yet."),
    }


def readable_query(asked: Mapping[str, str], user: User) -> JobQuery:
    """Return what an address asks for, as far as the user may ask for it."""
    query = read_query(asked)
    is_in_bodies = query.job_filter.argument is not None or query.job_filter.metadata is not None
    if is_in_bodies and not has_permission(user, "view_payload"):
        query.complaints.append(_("To search arguments and metadata takes the permission “view_payload”."))
        query.said.pop("search", None)
        query.job_filter = replace(query.job_filter, search="")
    return query


def _page(query: JobQuery, cursor: str) -> JobPage:
    try:
        return job_page(all_jobs(), query.job_filter, cursor=cursor.replace("\0", ""), size=JOBS_SHOWN)
    except (UsageError, OverflowError, ValueError, OSError):
        # A cursor that somebody typed.
        return job_page(all_jobs(), query.job_filter, size=JOBS_SHOWN)


def _filters(query: JobQuery) -> list[tuple[str, list[Choice]]]:
    names = list(all_jobs().order_by("-enqueued_at").values_list("function", "queue")[:_NAMES_OF_NEWEST])
    functions = sorted({function for function, _queue in names if "," not in function})[:_NAMES_SHOWN]
    queues = sorted({queue for _function, queue in names if queue and "," not in queue})[:_NAMES_SHOWN]
    periods = [(word, str(label)) for word, (_span, label) in PERIODS.items()]
    offered = [
        (_("By status"), "status", _statuses()),
        (_("By time of enqueueing"), "period", periods),
        (_("By function"), "function", [(name, name) for name in functions]),
        (_("By queue"), "queue", [(name, name) for name in queues]),
    ]
    return [
        (heading, _choices(query, name, choices))
        for heading, name, choices in offered
        if choices and (len(choices) > 1 or name in {"status", "period"} or name in query.said)
    ]


def _statuses() -> list[tuple[str, str]]:
    unfinished = [(detail.value, str(detail.label)) for detail in StatusDetail if detail.value in UNFINISHED]
    ended = [(detail.value, str(detail.label)) for detail in StatusDetail if detail.value not in UNFINISHED]
    return [*unfinished, (FAILED_WORDS, _("any failure")), *ended]


def _choices(query: JobQuery, name: str, choices: list[tuple[str, str]]) -> list[Choice]:
    chosen = query.said.get(name, "")
    # The words of REST for a status are taken, too.
    if name == "status" and chosen == JobStatus.RUNNING.value:
        chosen = StatusDetail.RUNNING.value
    found = [Choice(_("All"), query.url(**{name: ""}), not chosen)]
    found += [Choice(label, query.url(**{name: word}), word == chosen) for word, label in choices]
    if chosen and not any(one.is_chosen for one in found):
        found.append(Choice(said_words(name, chosen)[1], query.url(), is_chosen=True))
    return found
