"""The page of one function: its lanes and limits, its jobs by state, its workers, and how it went.

What waits and runs is what the job servers say; jobs that ended are counted in the table up to a limit, and the others
as well where no server answers.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from django.utils import timezone
from django.utils.formats import number_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from gearjobs.actions.live_snapshot import FunctionState, PeerState
from gearjobs.admin.activity_charts import DAY, HOUR, activity_charts, histogram_chart, seconds_text
from gearjobs.admin.live_view import ask_now, waited_text, workers_of
from gearjobs.admin.overview import Card
from gearjobs.admin.queue_rows import eta_text, limit_words
from gearjobs.admin.screen_links import FAILED_WORDS, job_link, jobs_link
from gearjobs.models import StatusDetail
from gearjobs.records.job_filter import FAILED, JobFilter
from gearjobs.records.job_pages import count_unfinished, count_up_to
from gearjobs.records.job_queries import all_jobs
from gearjobs.records.queue_controls import control_of
from gearjobs.records.statistics.percentiles import Histogram
from gearjobs.records.statistics.series import SeriesPoint, series

#: Workers, and runs, that are listed.
SHOWN_WORKERS: Final = 100
#: Jobs of a state that are counted at most.
_COUNTED: Final = 1_000
#: States that are counted in the table, and those that are where no server tells how many there are.
_ENDED: Final = {
    StatusDetail.SUCCEEDED: (StatusDetail.SUCCEEDED.value,),
    StatusDetail.FAILED: tuple(sorted(FAILED)),
    StatusDetail.CANCELLED: (StatusDetail.CANCELLED.value,),
}
_UNFINISHED: Final = (StatusDetail.WAITING, StatusDetail.SCHEDULED, StatusDetail.RETRYING)


def queue_context(name: str) -> dict[str, Any]:
    """Ask the servers and the tables, and return what the page of a function shows."""
    live = ask_now()
    states = {state.name: state for state in live.functions}
    state = states.get(name) or FunctionState(name)
    control = control_of(name)
    workers = workers_of(live, name)
    last_hour = series(name, span_s=HOUR[0], step_s=HOUR[1])
    last_day = series(name, span_s=DAY[0], step_s=DAY[1])
    is_any_up = any(server.is_up for server in live.servers)
    return {
        "name": name,
        "state": state,
        "control": control,
        "is_known": name in states or control is not None or any(point.enqueued for point in last_day),
        "is_any_up": is_any_up,
        "is_paused": state.is_paused or (control is not None and control.is_paused),
        "is_droppable": is_any_up and not (state.waiting or state.running or state.scheduled or state.workers),
        "is_stuck": state.waiting > 0 and not state.workers,
        "limits": limit_words(control),
        "server_problems": live.problems,
        "cards": _cards(state if is_any_up else None, workers, last_hour, name=name),
        "counts": [*([] if is_any_up else _unfinished_counts(name)), *_counts(name, _ENDED)],
        "workers": [_worker_row(peer, name) for peer in workers[:SHOWN_WORKERS]],
        "workers_left_out": max(0, len(workers) - SHOWN_WORKERS),
        "charts": [
            activity_charts(_("Last 60 minutes"), last_hour, every=HOUR[2], function=name),
            activity_charts(_("Last 24 hours"), last_day, every=DAY[2], function=name),
        ],
        "histograms": _histograms(last_day),
    }


def _cards(
    state: FunctionState | None, workers: Sequence[PeerState], last_hour: Sequence[SeriesPoint], *, name: str
) -> list[Card]:
    """Return the figures; of the present moment only where a server told its state."""
    failed = sum(point.failed for point in last_hour)
    since = (timezone.now() - timedelta(seconds=HOUR[0])).isoformat(timespec="seconds")
    return [
        *(_unknown_cards(name) if state is None else _present_cards(state, workers)),
        Card(
            label=_("Failed in the last hour"),
            value=_number(failed),
            url=jobs_link(function=name, status=FAILED_WORDS, finished_after=since),
            is_alarming=failed > 0,
        ),
    ]


def _unknown_cards(name: str) -> list[Card]:
    labels = [(_("Waiting"), StatusDetail.WAITING), (_("Running"), StatusDetail.RUNNING)]
    return [Card(label=label, value="?", url=jobs_link(function=name, status=detail)) for label, detail in labels]


def _present_cards(state: FunctionState, workers: Sequence[PeerState]) -> list[Card]:
    lanes = _("%(high)s high, %(normal)s normal, %(low)s low") % {
        "high": _number(state.high),
        "normal": _number(state.normal),
        "low": _number(state.low),
    }
    eta = eta_text(state)
    busy = sum(any(run.function == state.name for run in peer.runs) for peer in workers)
    throttled = _("%(number)s held up by a limit") % {"number": _number(state.throttled)}
    benched = _(", %(number)s benched") % {"number": state.benched} if state.benched else ""
    return [
        Card(label=_("Waiting"), value=_number(state.waiting), url=_jobs(state, StatusDetail.WAITING), note=lanes),
        Card(
            label=_("Oldest waits"),
            value=waited_text(state.oldest_queued_at if state.waiting else None),
            note=_("done in about %(time)s") % {"time": eta} if eta else "",
        ),
        Card(
            label=_("Running"),
            value=_number(state.running),
            url=_jobs(state, StatusDetail.RUNNING),
            note=throttled if state.throttled else "",
        ),
        Card(
            label=_("Scheduled or retrying"),
            value=_number(state.scheduled),
            url=_jobs(state, f"{StatusDetail.SCHEDULED},{StatusDetail.RETRYING}"),
        ),
        Card(
            label=_("Workers"),
            value=_number(state.workers),
            url="#gearjobs-workers",
            note=_("%(busy)s busy") % {"busy": busy} + benched,
            is_alarming=state.waiting > 0 and not state.workers,
        ),
    ]


def _unfinished_counts(name: str) -> list[dict[str, str]]:
    counts = count_unfinished(all_jobs(), _UNFINISHED, function=name, limit=_COUNTED)
    shown = [
        {
            "label": str(state.label),
            "count": str(counts[state]),
            "url": jobs_link(function=name, status=state),
        }
        for state in _UNFINISHED
    ]
    return [*shown, *_counts(name, {StatusDetail.RUNNING: (StatusDetail.RUNNING.value,)})]


def _counts(name: str, states: Mapping[StatusDetail, tuple[str, ...]]) -> list[dict[str, str]]:
    """Return how many jobs of each state are in the table, with their lists."""
    return [
        {
            "label": str(state.label),
            "count": str(count_up_to(all_jobs(), JobFilter(functions=(name,), statuses=details), limit=_COUNTED)),
            "url": jobs_link(function=name, status=",".join(details)),
        }
        for state, details in states.items()
    ]


def _worker_row(peer: PeerState, name: str) -> dict[str, Any]:
    runs = [run for run in peer.runs if run.function == name]
    now = time.time()
    return {
        "client_id": peer.client_id,
        "address": peer.address,
        "host": peer.report.host if peer.report is not None else "",
        "pid": peer.report.pid if peer.report is not None else 0,
        "state": peer.report.state if peer.report is not None else ("busy" if peer.runs else "idle"),
        "is_benched": name in peer.benched,
        "runs": [
            {"handle": run.handle, "url": job_link(run.handle), "for": seconds_text(max(0.0, now - run.started_at))}
            for run in runs
        ],
        "is_elsewhere": bool(peer.runs) and not runs,
        "url": jobs_link(worker=peer.client_id, function=name),
    }


def _histograms(points: Sequence[SeriesPoint]) -> list[tuple[str, SafeString, str]]:
    """Return how long runs and waits took in the last day: heading, picture and percentiles."""
    runs, waits = Histogram(), Histogram()
    for point in points:
        runs.add(point.runs.counts, point.runs.total_s)
        waits.add(point.waits.counts, point.waits.total_s)
    shown = [(_("Run time, last 24 hours"), runs), (_("Waiting time, last 24 hours"), waits)]
    found = []
    for heading, histogram in shown:
        words = _percentiles(histogram)
        found.append((heading, histogram_chart(histogram, f"{heading}: {words}"), words))
    return found


def _percentiles(histogram: Histogram) -> str:
    parts = [(f"p{share:g}", histogram.percentile_s(share / 100)) for share in (50, 95, 99)]
    words = [f"{name} {seconds_text(seconds)}" for name, seconds in parts if seconds is not None]
    return " · ".join(words) or _("nothing yet")


def _jobs(state: FunctionState, status: str) -> str:
    return jobs_link(function=state.name, status=status)


def _number(count: int) -> str:
    return number_format(count, force_grouping=True)
