"""What `show snapshot` answers: what one job server is doing, in one JSON line, for whoever watches several of them.

Pure: dataclasses to JSON and back. Everything a dashboard needs is asked for at once, so that its figures fit each
other and the server is asked once. Long lists are cut: what works comes first, and how many were left out is said.
Names are texts in the reversible form of `wire_text`. What is not known is passed over, so that a newer server may say
more; what cannot be read is refused, since any peer may stand behind an address.
"""

from __future__ import annotations

import json
import reprlib
from dataclasses import dataclass, fields
from typing import Final, Never

from gearjobs.errors import WireError
from gearjobs.protocol.admin_text import END_OF_LIST
from gearjobs.protocol.packets import ErrorCode
from gearjobs.protocol.worker_report import WorkerReport, decode_report

#: Functions and connections that are shown one by one.
MAX_FUNCTIONS: Final = 2_000
MAX_PEERS: Final = 1_000
#: Beyond every figure of a snapshot, and not so much that it were infinite.
_MOST: Final = 10**15


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionFigures:
    """One function at one server."""

    name: str
    #: Jobs ready to run, by lane.
    high: int = 0
    normal: int = 0
    low: int = 0
    #: Jobs whose time has not come, between two attempts too.
    scheduled: int = 0
    running: int = 0
    #: Connections that can do it, and those of them that are benched.
    workers: int = 0
    benched: int = 0
    #: Of those ready to run how many a limit holds up.
    throttled: int = 0
    is_paused: bool = False
    #: Unix seconds since which the job that waits longest is ready to run; null when none is.
    oldest_queued_at: float | None = None
    #: Jobs a second that came into the line lately, and that workers took out of it.
    entered_per_s: float = 0.0
    taken_per_s: float = 0.0

    @property
    def waiting(self) -> int:
        """Jobs ready to run."""
        return self.high + self.normal + self.low


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFigures:
    """A job that a worker has in its hands."""

    handle: str
    function: str
    #: Unix seconds of its hand-out.
    started_at: float = 0.0
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerFigures:
    """One connection."""

    #: `-` where it gave none.
    client_id: str
    #: Host and port.
    address: str
    #: What it can do.
    functions: tuple[str, ...] = ()
    #: Of those at which it is benched.
    benched: tuple[str, ...] = ()
    #: What it runs.
    runs: tuple[RunFigures, ...] = ()
    #: Jobs whose end it waits for as a client.
    awaited: int = 0
    #: What it says of itself; only workers of gearjobs do.
    report: WorkerReport | None = None

    @property
    def is_worker(self) -> bool:
        """Whether it works, or would if it had not been told to be quiet."""
        return bool(self.functions or self.runs or self.report)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSnapshot:
    """One job server at one moment."""

    #: Unix seconds by the server's clock.
    at: float
    version: str = ""
    host: str = ""
    pid: int = 0
    #: Unix seconds of the start of this life of the server.
    started_at: float = 0.0
    is_draining: bool = False
    #: Whether the store failed as a whole the last time, and for how long it has been busy with one thing, in seconds.
    is_store_down: bool = False
    store_busy_s: float = 0.0
    #: Whether the server surely owns its jobs.
    is_lease_held: bool = True
    #: Changes that wait for the store.
    pending_changes: int = 0
    connections: int = 0
    #: Of those that work, and of these that have a job.
    workers: int = 0
    busy_workers: int = 0
    #: Those with something to do come first.
    functions: tuple[FunctionFigures, ...] = ()
    functions_left_out: int = 0
    #: Workers come first, those with a job before the others.
    peers: tuple[PeerFigures, ...] = ()
    peers_left_out: int = 0

    @property
    def uptime_s(self) -> float:
        """Seconds since its start."""
        return max(0.0, self.at - self.started_at)


def render_snapshot(snapshot: ServerSnapshot) -> bytes:
    """Return the answer to `show snapshot`: a list of one line."""
    document = _fields(snapshot)
    document["functions"] = [_fields(function) for function in snapshot.functions]
    document["peers"] = [_peer_document(peer) for peer in snapshot.peers]
    return json.dumps(document, separators=(",", ":")).encode() + b"\n" + END_OF_LIST


def parse_snapshot(body: bytes) -> ServerSnapshot:
    """Read the answer to `show snapshot`, its end of list included or not.

    Raises:
        WireError: INVALID_PACKET, with what was expected and what came.
    """
    line = body.partition(b"\n")[0]
    try:
        document: object = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise WireError(ErrorCode.INVALID_PACKET, f"a snapshot must be JSON, got {line[:75]!r}") from error
    said = _Reader(document)
    return ServerSnapshot(
        at=said.number("at"),
        version=said.text("version"),
        host=said.text("host"),
        pid=said.count("pid"),
        started_at=said.number("started_at"),
        is_draining=said.flag("is_draining"),
        is_store_down=said.flag("is_store_down"),
        store_busy_s=said.number("store_busy_s"),
        is_lease_held=said.flag("is_lease_held", default=True),
        pending_changes=said.count("pending_changes"),
        connections=said.count("connections"),
        workers=said.count("workers"),
        busy_workers=said.count("busy_workers"),
        functions=tuple(map(_read_function, said.parts("functions"))),
        functions_left_out=said.count("functions_left_out"),
        peers=tuple(map(_read_peer, said.parts("peers"))),
        peers_left_out=said.count("peers_left_out"),
    )


def _peer_document(peer: PeerFigures) -> dict[str, object]:
    document = _fields(peer)
    document["runs"] = [_fields(run) for run in peer.runs]
    document["report"] = None if peer.report is None else _fields(peer.report)
    return document


_NAMES: Final = {
    kind: tuple(one.name for one in fields(kind))
    for kind in (ServerSnapshot, FunctionFigures, PeerFigures, RunFigures, WorkerReport)
}


def _fields(part: ServerSnapshot | FunctionFigures | PeerFigures | RunFigures | WorkerReport) -> dict[str, object]:
    # `asdict` costs ten times as much, and the server's loop pays for it.
    return {name: getattr(part, name) for name in _NAMES[type(part)]}


def _read_function(said: _Reader) -> FunctionFigures:
    return FunctionFigures(
        name=said.text("name"),
        high=said.count("high"),
        normal=said.count("normal"),
        low=said.count("low"),
        scheduled=said.count("scheduled"),
        running=said.count("running"),
        workers=said.count("workers"),
        benched=said.count("benched"),
        throttled=said.count("throttled"),
        is_paused=said.flag("is_paused"),
        oldest_queued_at=said.number("oldest_queued_at") if said.has("oldest_queued_at") else None,
        entered_per_s=said.number("entered_per_s"),
        taken_per_s=said.number("taken_per_s"),
    )


def _read_peer(said: _Reader) -> PeerFigures:
    return PeerFigures(
        client_id=said.text("client_id"),
        address=said.text("address"),
        functions=said.names("functions"),
        benched=said.names("benched"),
        runs=tuple(map(_read_run, said.parts("runs"))),
        awaited=said.count("awaited"),
        report=decode_report(json.dumps(said.document["report"]).encode()) if said.has("report") else None,
    )


def _read_run(said: _Reader) -> RunFigures:
    return RunFigures(
        handle=said.text("handle"),
        function=said.text("function"),
        started_at=said.number("started_at"),
        attempt=said.count("attempt"),
    )


class _Reader:
    """Reads one object of a snapshot; what is not said is 0, empty or false."""

    def __init__(self, document: object) -> None:
        if not isinstance(document, dict):
            _refuse("its parts", "JSON objects", document)
        self.document: dict[str, object] = document

    def has(self, key: str) -> bool:
        return self.document.get(key) is not None

    def text(self, key: str) -> str:
        value = self.document.get(key, "")
        return value if isinstance(value, str) else _refuse(key, "text", value)

    def count(self, key: str) -> int:
        value = self.document.get(key, 0)
        is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST
        return value if isinstance(value, int) and is_count else _refuse(key, "a whole number from 0 upwards", value)

    def number(self, key: str) -> float:
        value = self.document.get(key, 0.0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _MOST:
            _refuse(key, "a number", value)
        return float(value)

    def flag(self, key: str, *, default: bool = False) -> bool:
        value = self.document.get(key, default)
        return value if isinstance(value, bool) else _refuse(key, "true or false", value)

    def names(self, key: str) -> tuple[str, ...]:
        names = self._list(key)
        return tuple(name if isinstance(name, str) else _refuse(key, "a list of names", name) for name in names)

    def parts(self, key: str) -> list[_Reader]:
        return [_Reader(part) for part in self._list(key)]

    def _list(self, key: str) -> list[object]:
        value = self.document.get(key, [])
        return value if isinstance(value, list) else _refuse(key, "a list", value)


def _refuse(key: str, wanted: str, value: object) -> Never:
    raise WireError(ErrorCode.INVALID_PACKET, f"a snapshot's {key} must be {wanted}, got {reprlib.repr(value)}")
