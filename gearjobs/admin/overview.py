"""The overview: is anything failing, is anything late, is anybody working?

What is happening now is asked of the live job servers, what happened is read from the figures they wrote, and the job
table is only counted up to a limit, so that the page costs the same however large that is. Where no server answers,
what waits and runs is counted in the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from gearjobs.actions.live_snapshot import LiveSnapshot
from gearjobs.admin.activity_charts import DAY, HOUR, activity_charts
from gearjobs.admin.job_cells import age, age_text
from gearjobs.admin.live_view import (
    ProblemLine,
    ask_now,
    oldest_function,
    problem_lines,
    server_line,
    waited_text,
)
from gearjobs.admin.screen_links import FAILED_WORDS, failure_link, jobs_link, queue_link, screen_url
from gearjobs.admin.screens import refresh_ms
from gearjobs.models import FailureGroup, StatusDetail
from gearjobs.records.failures.failure_queries import shown_groups
from gearjobs.records.job_filter import JobFilter
from gearjobs.records.job_pages import count_unfinished, count_up_to
from gearjobs.records.job_queries import all_jobs, count_jobs, has_permission
from gearjobs.records.statistics.series import SeriesPoint, series

#: Groups of failures shown, and how far back the latest failure of one may be.
SHOWN_GROUPS: Final = 5
GROUPS_WITHIN: Final = timedelta(hours=24)
#: States that are counted in the table.
_COUNTED_STATES: Final = (StatusDetail.WAITING, StatusDetail.SCHEDULED, StatusDetail.RETRYING)
#: Whole minutes that the throughput is the mean of.
_RATE_MINUTES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One figure."""

    label: str | Promise
    value: str
    url: str = ""
    #: What is said below it.
    note: str = ""
    is_alarming: bool = False


def overview_context(user: AbstractBaseUser | AnonymousUser) -> dict[str, Any]:
    """Ask the servers and the tables, and return what the overview shows."""
    live = ask_now()
    problems = problem_lines(live)
    last_hour = series(span_s=HOUR[0], step_s=HOUR[1])
    last_day = series(span_s=DAY[0], step_s=DAY[1])
    may_see_groups = has_permission(user, "view_failuregroup")
    return {
        "refresh_ms": refresh_ms(),
        "health": _health(live, problems),
        "is_well": not problems,
        "is_failing": any(problem.is_error for problem in problems),
        "problems": problems,
        "servers": [server_line(server) for server in live.servers],
        "servers_url": screen_url("gearjobs_jobserver_changelist"),
        "cards": [*_present_cards(live), *_past_cards(last_hour)],
        "charts": [
            activity_charts(_("Last 60 minutes"), last_hour, every=HOUR[2]),
            activity_charts(_("Last 24 hours"), last_day, every=DAY[2]),
        ],
        "groups": _groups() if may_see_groups else None,
        "groups_url": screen_url("gearjobs_failuregroup_changelist"),
    }


def _health(live: LiveSnapshot, problems: Sequence[ProblemLine]) -> str:
    """Return the first line: how many servers, workers and problems there are."""
    up = sum(server.is_up for server in live.servers)
    workers = [peer for peer in live.peers if peer.is_worker]
    parts = [
        ngettext("%(up)s of %(all)s job server up", "%(up)s of %(all)s job servers up", len(live.servers))
        % {"up": up, "all": len(live.servers)},
        ngettext("%(number)s worker", "%(number)s workers", len(workers)) % {"number": len(workers)},
    ]
    if problems:
        parts.append(ngettext("%(number)s problem", "%(number)s problems", len(problems)) % {"number": len(problems)})
    else:
        parts.append(_("no problems"))
    return " · ".join(parts)


def _present_cards(live: LiveSnapshot) -> list[Card]:
    is_asked = any(server.is_up for server in live.servers)
    functions = live.functions
    waiting = sum(state.waiting for state in functions)
    running = sum(state.running for state in functions)
    scheduled = sum(state.scheduled for state in functions)
    oldest = oldest_function(live)
    workers = [peer for peer in live.peers if peer.is_worker]
    busy = sum(bool(peer.runs) for peer in workers)
    throttled = sum(state.throttled for state in functions)
    held_up = ngettext("%(number)s held up by a limit", "%(number)s held up by a limit", throttled)
    counts = count_unfinished(all_jobs(), _COUNTED_STATES)
    retrying = counts[StatusDetail.RETRYING]
    return [
        Card(
            label=_("Waiting"),
            value=_number(waiting) if is_asked else str(counts[StatusDetail.WAITING]),
            url=jobs_link(status=StatusDetail.WAITING),
            note=held_up % {"number": throttled} if throttled else "",
        ),
        Card(
            label=_("Oldest waits"),
            value=waited_text(oldest.oldest_queued_at if oldest else None)
            if is_asked
            else age_text(count_jobs().oldest_waiting_at),
            url=queue_link(oldest.name) if oldest else "",
            note=oldest.name if oldest else "",
        ),
        Card(
            label=_("Running"),
            value=_number(running) if is_asked else _running_in_table(),
            url=jobs_link(status=StatusDetail.RUNNING),
        ),
        Card(
            label=_("Scheduled"),
            value=_number(max(0, scheduled - retrying.count)) if is_asked else str(counts[StatusDetail.SCHEDULED]),
            url=jobs_link(status=StatusDetail.SCHEDULED),
        ),
        Card(label=_("Retrying"), value=str(retrying), url=jobs_link(status=StatusDetail.RETRYING)),
        Card(
            label=_("Workers"),
            value=_number(len(workers)) if is_asked else "?",
            url=screen_url("gearjobs_workers"),
            note=_("%(busy)s busy, %(idle)s idle") % {"busy": busy, "idle": len(workers) - busy} if workers else "",
            is_alarming=is_asked and not workers and waiting > 0,
        ),
    ]


def _past_cards(last_hour: Sequence[SeriesPoint]) -> list[Card]:
    since = timezone.now() - timedelta(seconds=HOUR[0])
    failed = sum(point.failed for point in last_hour)
    ended = failed + sum(point.succeeded for point in last_hour)
    # The present minute has only begun.
    latest = last_hour[-1 - _RATE_MINUTES : -1]
    rate = sum(point.succeeded + point.failed for point in latest) / len(latest)
    of_ended = ngettext("of %(number)s that ended", "of %(number)s that ended", ended) % {"number": _number(ended)}
    return [
        Card(
            label=_("Failed in the last hour"),
            value=_number(failed),
            url=jobs_link(status=FAILED_WORDS, finished_after=since.isoformat(timespec="seconds")),
            note=of_ended if ended else "",
            is_alarming=failed > 0,
        ),
        Card(
            label=_("Ended a minute"),
            value=number_format(rate, 0 if rate >= 10 or rate == int(rate) else 1, force_grouping=True),
            url=jobs_link(status="SUCCESSFUL", finished_after=since.isoformat(timespec="seconds")),
            note=pgettext("throughput", "in the last %(number)s minutes") % {"number": _RATE_MINUTES},
        ),
    ]


def _groups() -> list[dict[str, Any]]:
    groups = shown_groups(since=timezone.now() - GROUPS_WITHIN).order_by("-count", "fingerprint")
    return [
        {"group": group, "url": _group_url(group), "age": age(group.last_seen_at)} for group in groups[:SHOWN_GROUPS]
    ]


def _group_url(group: FailureGroup) -> str:
    return failure_link(group.fingerprint) or jobs_link(fingerprint=group.fingerprint)


def _running_in_table() -> str:
    return str(count_up_to(all_jobs(), JobFilter(statuses=(StatusDetail.RUNNING,))))


def _number(count: int) -> str:
    return number_format(count, force_grouping=True)
