"""What the servers' screen shows: the job servers of the settings as they answer, and those that the database knows.

The first list says what answers; one that is down is a line. The second is of rows: who owns jobs, and whose are being
taken over. A row and an answer are of one server where host and process are the same.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.admin.utils import quote
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from gearjobs.actions.live_snapshot import ServerState
from gearjobs.admin.activity_charts import seconds_text
from gearjobs.admin.job_cells import badge
from gearjobs.admin.live_view import ask_now
from gearjobs.admin.screen_links import screen_url
from gearjobs.models import JobServer
from gearjobs.protocol.server_snapshot import ServerSnapshot
from gearjobs.settings import gearjobs_settings

#: Rows of the database that are shown: the latest.
ROWS_SHOWN: Final = 100
US_PER_S: Final = 1_000_000


@dataclass(slots=True)
class AnswerRow:
    """A job server of the settings."""

    address: str
    state: SafeString
    #: Why it is down, or what is wrong with it.
    problem: str
    version: str
    place: str
    uptime: str
    connections: int | None
    workers: str
    store: str


@dataclass(slots=True)
class LifeRow:
    """A life of a job server, as the database knows it."""

    server: JobServer
    url: str
    #: Address of the settings at which it answers; empty where none does.
    address: str
    #: None where a lock on the database's file says who owns it, and nothing is renewed.
    renewed_at: datetime.datetime | None
    ownership: str
    is_fenced: bool


def server_context() -> dict[str, Any]:
    """Ask the servers, read the rows, and return what the screen shows."""
    live = ask_now()
    rows = JobServer.objects.using(gearjobs_settings().database).order_by("-renewed_at_us", "pk")
    known = list(rows[: ROWS_SHOWN + 1])
    answering = {
        (said.host, said.pid): server.address
        for server in live.servers
        if (said := server.snapshot) is not None and said.pid
    }
    return {
        "answers": [_answer(server) for server in live.servers],
        "up_count": sum(server.is_up for server in live.servers),
        "all_count": len(live.servers),
        "lives": [_life(row, answering.get((row.host, row.pid), "")) for row in known[:ROWS_SHOWN]],
        "has_more": len(known) > ROWS_SHOWN,
        "workers_url": screen_url("gearjobs_workers"),
    }


def renewed_at(server: JobServer) -> datetime.datetime:
    """Return when a server renewed its lease, by the database's clock."""
    return datetime.datetime.fromtimestamp(server.renewed_at_us / US_PER_S, datetime.UTC)


def ownership_words(server: JobServer) -> str:
    """Say whether a server's jobs are its own; nothing of a lease that has run out, for it may be renewed yet."""
    if server.fenced_at_us is not None:
        return pgettext("JobServer", "its jobs are being taken over")
    if server.lease_until_us is None:
        return pgettext("JobServer", "the only server")
    return pgettext("JobServer", "by lease")


def _answer(server: ServerState) -> AnswerRow:
    said = server.snapshot
    if said is None:
        state = badge(_("down"), "bad")
        return AnswerRow(server.address, state, server.problem, "", "", "", None, "", "")
    process = _("process %(pid)s") % {"pid": said.pid} if said.pid else ""
    workers = _("%(busy)s / %(all)s") % {"busy": said.busy_workers, "all": said.workers}
    return AnswerRow(
        address=server.address,
        state=_state(server, said),
        problem="",
        version=said.version,
        place=" · ".join(word for word in (said.host, process) if word),
        uptime=seconds_text(said.uptime_s) if said.started_at else "",
        connections=said.connections,
        workers=str(said.workers) if server.is_stock else workers,
        store="" if server.is_stock else _store(said),
    )


def _state(server: ServerState, said: ServerSnapshot) -> SafeString:
    if said.is_store_down:
        return badge(_("its store is down"), "bad")
    if not said.is_lease_held:
        return badge(_("without its lease"), "bad")
    if said.is_draining:
        return badge(_("draining"), "warning")
    return badge(_("up, another program's") if server.is_stock else _("up"), "good")


def _store(said: ServerSnapshot) -> str:
    words = []
    if said.pending_changes:
        changes = ngettext("%(number)s change waits", "%(number)s changes wait", said.pending_changes)
        words.append(changes % {"number": f"{said.pending_changes:,}"})
    if said.store_busy_s >= 1:
        words.append(_("busy for %(time)s") % {"time": seconds_text(said.store_busy_s)})
    return ", ".join(words) or _("in time")


def _life(server: JobServer, address: str) -> LifeRow:
    when = None if server.lease_until_us is None else renewed_at(server)
    return LifeRow(
        server=server,
        url=screen_url("gearjobs_jobserver_change", quote(server.pk)),
        address=address,
        renewed_at=when if when is None or timezone.is_aware(server.started_at) else timezone.make_naive(when),
        ownership=ownership_words(server),
        is_fenced=server.fenced_at_us is not None,
    )
