"""What the workers' screen shows: every worker that a live job server knows, of gearjobs and of other programs.

Workers of gearjobs tell of their process; of others the servers know where they are, what they can do and what they
run. Nothing here is asked of the database.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.template.defaultfilters import filesizeformat
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from gearjobs.actions.live_snapshot import LiveSnapshot, PeerState
from gearjobs.admin.activity_charts import seconds_text
from gearjobs.admin.job_cells import badge
from gearjobs.admin.live_view import ask_now
from gearjobs.admin.screen_links import job_link, jobs_link, queue_link, screen_url
from gearjobs.protocol.worker_report import WorkerState
from gearjobs.records.job_queries import has_permission

User = AbstractBaseUser | AnonymousUser

#: Workers of the page, and functions named of each.
WORKERS_SHOWN: Final = 300
FUNCTIONS_SHOWN: Final = 8


@dataclass(slots=True)
class Run:
    """A job in a worker's hands."""

    handle: str
    url: str
    function: str
    elapsed: str
    attempt: int


@dataclass(slots=True)
class WorkerRow:
    """One worker."""

    client_id: str
    #: Whether it is one of gearjobs, which can be told something.
    is_ours: bool
    state: SafeString
    #: Where it is, in words.
    places: list[str]
    servers: list[str]
    #: Name and address of each function, the benched ones marked.
    functions: list[tuple[str, str, bool]]
    functions_left_out: int
    runs: list[Run]
    #: Of its process; empty for others.
    process: list[str]
    jobs_url: str
    jobs_done: int | None
    jobs_failed: int
    verbs: list[tuple[str, str]] = field(default_factory=list)


def worker_context(asked: Mapping[str, str], user: User) -> dict[str, Any]:
    """Ask the servers, and return what the screen shows.

    Args:
        asked: parameters of its address: `q` and `state`.
        user: for whom.
    """
    live = ask_now()
    search, state = asked.get("q", "").strip(), asked.get("state", "")
    workers = [peer for peer in live.peers if peer.is_worker]
    found = [peer for peer in workers if _fits(peer, search.lower(), state)]
    may_control = has_permission(user, "control_worker")
    several = len(live.servers) > 1
    return {
        "rows": [_row(peer, may_control=may_control, names_servers=several) for peer in found[:WORKERS_SHOWN]],
        "rows_left_out": max(0, len(found) - WORKERS_SHOWN) + _left_out(live),
        "all_count": len(workers),
        "busy_count": sum(bool(peer.runs) for peer in workers),
        "search": search,
        "states": [(word, label, word == state) for word, label in _states()],
        "is_filtered": bool(search or state),
        "problems": live.problems,
        "is_any_up": any(server.is_up for server in live.servers),
        "may_control": may_control,
        "act_url": screen_url("gearjobs_workers_act"),
    }


def _states() -> Sequence[tuple[str, str]]:
    return (
        ("", _("any state")),
        ("busy", pgettext("worker", "busy")),
        ("idle", pgettext("worker", "idle")),
        ("quiet", pgettext("worker", "quiet")),
        ("benched", pgettext("worker", "benched")),
        ("foreign", _("of other programs")),
    )


def _fits(peer: PeerState, search: str, state: str) -> bool:
    report = peer.report
    words = [
        peer.client_id,
        peer.address,
        *peer.functions,
        report.host if report else "",
        report.group if report else "",
    ]
    if search and not any(search in word.lower() for word in words):
        return False
    if state == "foreign":
        return report is None
    if state == "benched":
        return bool(peer.benched)
    return not state or _state_word(peer) == state


def _state_word(peer: PeerState) -> str:
    if peer.report is None or peer.report.state in {WorkerState.IDLE, WorkerState.BUSY}:
        # What the servers see is newer than what it said.
        return "busy" if peer.runs else "idle"
    return peer.report.state


def _row(peer: PeerState, *, may_control: bool, names_servers: bool) -> WorkerRow:
    report = peer.report
    names = [*peer.benched, *(name for name in peer.functions if name not in peer.benched)]
    now = time.time()
    return WorkerRow(
        client_id=peer.client_id,
        is_ours=report is not None,
        state=_badge(peer),
        places=_places(peer),
        servers=peer.servers if names_servers else [],
        functions=[(name, queue_link(name), name in peer.benched) for name in names[:FUNCTIONS_SHOWN]],
        functions_left_out=max(0, len(names) - FUNCTIONS_SHOWN),
        runs=[
            Run(run.handle, job_link(run.handle), run.function, _since(run.started_at, now), run.attempt)
            for run in peer.runs
        ],
        process=_process(peer, now),
        jobs_url=jobs_link(worker=peer.client_id) if peer.client_id not in {"", "-"} else "",
        jobs_done=None if report is None else report.jobs_done,
        jobs_failed=0 if report is None else report.jobs_failed,
        verbs=_verbs(peer) if may_control else [],
    )


def _badge(peer: PeerState) -> SafeString:
    word = _state_word(peer)
    words = {
        "busy": (pgettext("worker", "busy"), "running"),
        "idle": (pgettext("worker", "idle"), "good"),
        "quiet": (pgettext("worker", "quiet"), "warning"),
        "stopping": (pgettext("worker", "stopping"), "warning"),
    }
    label, kind = words.get(word, (word[:40], "waiting"))
    return badge(label, kind)


def _places(peer: PeerState) -> list[str]:
    report = peer.report
    if report is None:
        return [peer.address]
    process = _("process %(pid)s") % {"pid": report.pid} if report.pid else ""
    group = _("group %(name)s") % {"name": report.group} if report.group else ""
    return [place for place in (report.host or peer.address, process, group) if place]


def _process(peer: PeerState, now: float) -> list[str]:
    report = peer.report
    if report is None:
        return []
    age = _("up %(time)s") % {"time": _since(report.started_at, now)} if report.started_at else ""
    memory = filesizeformat(report.rss_bytes) if report.rss_bytes else ""
    version = f"gearjobs {report.version}" if report.version else ""
    return [word for word in (memory, age, version) if word]


def _verbs(peer: PeerState) -> list[tuple[str, str]]:
    """Return what a worker can be told: only one of gearjobs listens, by its name."""
    if peer.report is None or not peer.client_id or "*" in peer.client_id:
        return []
    if peer.report.state == WorkerState.STOPPING:
        return []
    quiet = peer.report.state == WorkerState.QUIET
    first = ("resume", _("Resume")) if quiet else ("quiet", _("Quiet"))
    return [first, ("stop", _("Stop …"))]


def _since(at: float, now: float) -> str:
    return seconds_text(max(0.0, now - at))


def _left_out(live: LiveSnapshot) -> int:
    return sum(server.snapshot.peers_left_out for server in live.servers if server.snapshot is not None)
