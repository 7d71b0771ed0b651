"""What all job servers are doing right now, asked at the same time and put together.

A server that does not answer in time is a problem with a name and hides nothing of the others. A stock gearmand is
asked what it understands and tells less. Counts of jobs add up; a worker of gearjobs is connected to every server and
is shown once, with all that it runs; of other peers nobody knows whether two connections are one program.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Final

from gearjobs.client.admin_client import AdminClient
from gearjobs.errors import GearjobsError, ServerError, ServerUnavailable
from gearjobs.protocol.server_snapshot import FunctionFigures, PeerFigures, RunFigures, ServerSnapshot
from gearjobs.protocol.wire_text import to_text
from gearjobs.protocol.worker_report import WorkerReport
from gearjobs.tasks.job_control import project_servers
from gearjobs.tasks.site_security import site_security

#: Servers asked at the same time; a list of more is asked in turns.
ASKED_AT_ONCE: Final = 32
#: Seconds beyond its time-out after which an answer is not waited for: names may take long to be looked up.
_GRACE_S: Final = 0.5


@dataclass(slots=True)
class ServerState:
    """One job server of the settings."""

    #: As the settings name it.
    address: str
    #: What it said; None where it said nothing.
    snapshot: ServerSnapshot | None = None
    #: Why it said nothing; empty where it did.
    problem: str = ""
    #: Whether it is another program's, which tells less.
    is_stock: bool = False

    @property
    def is_up(self) -> bool:
        """Whether it answered."""
        return self.snapshot is not None


@dataclass(slots=True)
class FunctionState:
    """One function at all servers."""

    #: In the form of `protocol/wire_text`, as in the job table.
    name: str
    high: int = 0
    normal: int = 0
    low: int = 0
    scheduled: int = 0
    running: int = 0
    throttled: int = 0
    #: Workers that can do it, each counted once, and the most that are benched at one server.
    workers: int = 0
    benched: int = 0
    #: Whether any server holds it up.
    is_paused: bool = False
    #: Unix seconds since which the job that waits longest is ready to run; None where none is.
    oldest_queued_at: float | None = None
    #: Jobs a second that came into the lines lately, and that workers took out of them.
    entered_per_s: float = 0.0
    taken_per_s: float = 0.0

    @property
    def waiting(self) -> int:
        """Jobs ready to run."""
        return self.high + self.normal + self.low

    @property
    def eta_s(self) -> float | None:
        """Seconds until what waits is taken, as fast as it goes lately; None where nothing goes."""
        return self.waiting / self.taken_per_s if self.taken_per_s else None


@dataclass(slots=True)
class PeerState:
    """One worker or client."""

    client_id: str
    #: Host and port, as its first server sees it.
    address: str
    #: Addresses of the servers it is connected to.
    servers: list[str]
    functions: list[str] = field(default_factory=list)
    #: Functions at which some server has benched it.
    benched: list[str] = field(default_factory=list)
    runs: list[RunFigures] = field(default_factory=list)
    #: Jobs whose end it waits for.
    awaited: int = 0
    #: What it says of itself; None for workers of other programs, and for clients.
    report: WorkerReport | None = None

    @property
    def is_worker(self) -> bool:
        """Whether it works, or would if it had not been told to be quiet."""
        return bool(self.functions or self.runs or self.report)


@dataclass(slots=True)
class LiveSnapshot:
    """All servers at about one moment."""

    #: Unix seconds.
    at: float
    servers: list[ServerState]
    #: By name.
    functions: list[FunctionState]
    #: Those with a job first, then other workers, then clients.
    peers: list[PeerState]

    @property
    def problems(self) -> list[str]:
        """What is wrong with servers, a line each."""
        return [f"{server.address}: {server.problem}" for server in self.servers if server.problem]


def live_snapshot(addresses: Sequence[str] | None = None, *, timeout_s: float = 1.0) -> LiveSnapshot:
    """Ask all servers what they are doing; nothing is raised for a server.

    Args:
        addresses: `host[:port]`; those of the project where they are not given.
        timeout_s: how long one server may take.
    """
    asked = list(project_servers() if addresses is None else addresses)
    servers = _ask_all(asked, timeout_s) if asked else []
    return LiveSnapshot(time.time(), servers, sum_functions(servers), join_peers(servers))


def sum_functions(servers: Iterable[ServerState]) -> list[FunctionState]:
    """Return the functions of all servers, each once, by name."""
    states: dict[str, FunctionState] = {}
    able: dict[str, set[str]] = {}
    for server in servers:
        if server.snapshot is None:
            continue
        for figures in server.snapshot.functions:
            _add(states.setdefault(figures.name, FunctionState(figures.name)), figures)
        for peer in server.snapshot.peers:
            for name in peer.functions:
                able.setdefault(name, set()).add(_identity(peer, server))
    for name, state in states.items():
        # More where a server named only some of its connections.
        state.workers = max(state.workers, len(able.get(name, ())))
    return [states[name] for name in sorted(states)]


def join_peers(servers: Iterable[ServerState]) -> list[PeerState]:
    """Return the connections of all servers, a worker of gearjobs once, the busiest first."""
    peers: dict[str, PeerState] = {}
    for server in servers:
        for figures in server.snapshot.peers if server.snapshot is not None else ():
            identity = _identity(figures, server)
            known = peers.get(identity)
            if known is None:
                known = peers[identity] = PeerState(figures.client_id, figures.address, [])
            known.servers.append(server.address)
            known.functions = sorted({*known.functions, *figures.functions})
            known.benched = sorted({*known.benched, *figures.benched})
            known.runs += figures.runs
            known.awaited += figures.awaited
            known.report = _newer(known.report, figures.report)
    return sorted(peers.values(), key=lambda peer: (not peer.runs, not peer.is_worker, peer.client_id, peer.address))


def _add(state: FunctionState, figures: FunctionFigures) -> None:
    state.high += figures.high
    state.normal += figures.normal
    state.low += figures.low
    state.scheduled += figures.scheduled
    state.running += figures.running
    state.throttled += figures.throttled
    state.workers = max(state.workers, figures.workers)
    state.benched = max(state.benched, figures.benched)
    state.is_paused = state.is_paused or figures.is_paused
    times = [at for at in (state.oldest_queued_at, figures.oldest_queued_at) if at is not None]
    state.oldest_queued_at = min(times, default=None)
    state.entered_per_s += figures.entered_per_s
    state.taken_per_s += figures.taken_per_s


def _identity(peer: PeerFigures, server: ServerState) -> str:
    """Return what tells a program from others: its name where it is a worker of ours, else its connection."""
    return f"ours {peer.client_id}" if peer.report is not None else f"{server.address} {peer.address}"


def _newer(one: WorkerReport | None, other: WorkerReport | None) -> WorkerReport | None:
    if one is None or other is None:
        return one or other
    return max(one, other, key=lambda report: (report.jobs_done, report.since))


def _ask_all(addresses: list[str], timeout_s: float) -> list[ServerState]:
    pool = ThreadPoolExecutor(max_workers=min(len(addresses), ASKED_AT_ONCE), thread_name_prefix="gearjobs-snapshot")
    turns = -(-len(addresses) // ASKED_AT_ONCE)
    try:
        answers = [pool.submit(_ask, address, timeout_s) for address in addresses]
        wait(answers, timeout=turns * timeout_s + _GRACE_S)
        late = f"it did not answer within {timeout_s:g} s"
        return [
            answer.result() if answer.done() else ServerState(address, problem=late)
            for address, answer in zip(addresses, answers, strict=True)
        ]
    finally:
        # What still hangs ends by itself.
        pool.shutdown(wait=False, cancel_futures=True)


def _ask(address: str, timeout_s: float) -> ServerState:
    try:
        with AdminClient(address, timeout_s=timeout_s, security=site_security()) as admin:
            try:
                return ServerState(address, admin.snapshot())
            except ServerError as error:
                if error.code != "UNKNOWN_SHOW_ARGUMENTS":
                    raise
                return ServerState(address, _ask_stock(admin), is_stock=True)
    except (GearjobsError, UnicodeError) as error:
        # The second: a name that cannot even be asked for.
        return ServerState(address, problem=_reason(error))


def _reason(error: Exception) -> str:
    """Return why a server told nothing, without the words that those who show it have said already."""
    cause = error.__cause__ if isinstance(error, ServerUnavailable) else None
    return getattr(cause, "strerror", None) or str(cause or error)


def _ask_stock(admin: AdminClient) -> ServerSnapshot:
    """Return what a gearmand can tell."""
    lanes = {line.function: line for line in admin.priority_status()}
    functions = [
        FunctionFigures(
            name=to_text(line.function),
            high=lanes[line.function].high if line.function in lanes else 0,
            normal=lanes[line.function].normal if line.function in lanes else line.total - line.running,
            low=lanes[line.function].low if line.function in lanes else 0,
            running=line.running,
            workers=line.workers,
        )
        for line in admin.status()
    ]
    lines = admin.workers()
    peers = [
        # Its number tells connections of one host apart; the port is not told.
        PeerFigures(
            client_id=to_text(line.client_id),
            address=f"{line.address}#{line.fd}",
            functions=tuple(map(to_text, line.functions)),
        )
        for line in lines
    ]
    return ServerSnapshot(
        at=time.time(),
        version=admin.version(),
        connections=len(lines),
        workers=sum(bool(line.functions) for line in lines),
        functions=tuple(functions),
        peers=tuple(peers),
    )
