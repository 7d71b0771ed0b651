"""What the screens take of the present moment: the job servers' snapshots, asked once for a page.

A screen asks the servers at the same time, each with the deadline of the settings; one that is down is a line on the
page. `actions/live_snapshot` does the asking, `records/problem_finders` looks for what is wrong.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from gearjobs.actions.live_snapshot import FunctionState, LiveSnapshot, PeerState, ServerState, live_snapshot
from gearjobs.admin.activity_charts import seconds_text
from gearjobs.admin.screen_links import target_link
from gearjobs.records.problem_finders import Problem, ServerAnswer, Severity, find_problems
from gearjobs.settings import gearjobs_settings

#: Problems shown; there are more only where something is wrong with everything.
SHOWN_PROBLEMS: Final = 30


@dataclass(frozen=True, slots=True)
class ProblemLine:
    """A problem as a page shows it."""

    text: str
    is_error: bool
    #: Where it leads; empty for nowhere.
    url: str


@dataclass(frozen=True, slots=True)
class ServerLine:
    """A job server in one line."""

    address: str
    problem: str
    version: str
    uptime: str
    connections: int
    words: tuple[str, ...]


def ask_now() -> LiveSnapshot:
    """Ask all job servers; this never fails."""
    return live_snapshot(timeout_s=gearjobs_settings().admin.server_timeout_s)


def problem_lines(live: LiveSnapshot) -> list[ProblemLine]:
    """Return what is wrong, the worst first."""
    answers = [ServerAnswer(server.address, server.problem, server.snapshot) for server in live.servers]
    found = find_problems(answers)
    lines = [_line(problem) for problem in found[:SHOWN_PROBLEMS]]
    if len(found) > SHOWN_PROBLEMS:
        more = len(found) - SHOWN_PROBLEMS
        text = ngettext("and %(number)s more", "and %(number)s more", more) % {"number": more}
        lines.append(ProblemLine(text, False, ""))
    return lines


def server_line(server: ServerState) -> ServerLine:
    """Return one server in a line."""
    said = server.snapshot
    if said is None:
        return ServerLine(server.address, server.problem, "", "", 0, ())
    words = [
        (server.is_stock, _("another program's")),
        (said.is_draining, _("draining")),
        (said.is_store_down, _("its store is down")),
        (not said.is_lease_held, _("without its lease")),
    ]
    uptime = seconds_text(said.uptime_s) if said.started_at else ""
    told = tuple(text for is_so, text in words if is_so)
    return ServerLine(server.address, "", said.version, uptime, said.connections, told)


def running_now(live: LiveSnapshot) -> dict[str, int]:
    """Return how many workers have a job of each function in their hands."""
    counts: dict[str, int] = {}
    for peer in live.peers:
        for function in {run.function for run in peer.runs}:
            counts[function] = counts.get(function, 0) + 1
    return counts


def workers_of(live: LiveSnapshot, function: str) -> list[PeerState]:
    """Return the workers that can do a function, or do it; those with a job first."""
    return [
        peer for peer in live.peers if function in peer.functions or any(run.function == function for run in peer.runs)
    ]


def oldest_function(live: LiveSnapshot) -> FunctionState | None:
    """Return the function whose job waits longest; None where none waits."""
    waiting = [state for state in live.functions if state.oldest_queued_at is not None and state.waiting]
    return min(waiting, key=lambda state: state.oldest_queued_at or 0.0, default=None)


def waited_text(since: float | None) -> str:
    """Return how long ago a moment was, given in unix seconds."""
    return "–" if since is None else seconds_text(max(0.0, time.time() - since))


def _line(problem: Problem) -> ProblemLine:
    # A function's name stays as it is written.
    is_name_first = bool(problem.target) and problem.text.startswith(problem.target)
    text = problem.text if is_name_first else problem.text[:1].upper() + problem.text[1:]
    is_error = problem.severity is Severity.ERROR
    return ProblemLine(text, is_error, target_link(problem.target_kind, problem.target))
