"""`--health`: a small HTTP port of the supervisor that tells whoever watches it whether the workers are all right.

GET /livez answers 200 as long as the supervisor's loop turns; GET /readyz answers 200 when every process that should be
there is, and is connected to a job server, else 503 with the reason. Both give the pool at a glance as JSON. It runs
between two looks at the children and waits for nobody: a connection that has not asked within seconds is closed, and
there are only so many. A supervisor that renews itself keeps the port open.
"""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from dataclasses import asdict
from typing import Final

from gearjobs.errors import UsageError
from gearjobs.version import __version__
from gearjobs.worker.pool.pool_services import PoolState, PoolView
from gearjobs.worker.pool.signal_pipe import SignalPipe

#: Connections at once, and seconds one may take to ask.
MAX_CONNECTIONS: Final = 16
PATIENCE_S: Final = 5.0
#: Longest request: a probe's line and headers.
_MAX_REQUEST_BYTES: Final = 8192
_END_OF_HEAD: Final = b"\r\n\r\n"
_STATUS_WORDS: Final = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


class HealthPort:
    """The port.

    Args:
        address: `host:port`, or `:port` for this machine only.
        descriptor: of the port that the program had that this one has taken the place of; -1 for none.

    Raises:
        UsageError: the address is none, or cannot be listened on.
    """

    def __init__(self, address: str, *, descriptor: int = -1) -> None:
        host, _, port = address.rpartition(":")
        if not port.isdecimal() or int(port) > 65535:
            raise UsageError(f"--health wants host:port, got {address!r}")
        self._listener = _open(host.strip("[]") or "127.0.0.1", int(port), descriptor)
        self._listener.setblocking(False)
        self._asking: dict[socket.socket, tuple[bytes, float]] = {}
        self._signals: SignalPipe | None = None
        self._is_watched = False

    @property
    def descriptor(self) -> int:
        """Of the listening socket, for who renews itself."""
        return self._listener.fileno()

    @property
    def address(self) -> str:
        """Where it listens."""
        host, port, *_ = self._listener.getsockname()
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def open(self, signals: SignalPipe) -> None:
        """Let what comes end the supervisor's waits."""
        self._signals = signals
        self._watch_listener()

    def turn(self, view: PoolView, now: float) -> None:
        """Take what has come, answer what has been asked."""
        self._accept(now)
        for peer in list(self._asking):
            self._read(peer, view, now)
        self._watch_listener()

    def close(self) -> None:
        """Listen no more."""
        for peer in list(self._asking):
            self._drop(peer)
        self._listener.close()

    def _watch_listener(self) -> None:
        """Let newcomers end the supervisor's waits while there is room; who waits outside would end each at once."""
        has_room = len(self._asking) < MAX_CONNECTIONS
        if self._signals is not None and has_room != self._is_watched:
            self._is_watched = has_room
            (self._signals.watch if has_room else self._signals.unwatch)(self._listener.fileno())

    def _accept(self, now: float) -> None:
        while len(self._asking) < MAX_CONNECTIONS:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                # Nobody is there.
                return
            peer.setblocking(False)
            self._asking[peer] = (b"", now + PATIENCE_S)
            if self._signals is not None:
                self._signals.watch(peer.fileno())

    def _read(self, peer: socket.socket, view: PoolView, now: float) -> None:
        head, until = self._asking[peer]
        try:
            chunk = peer.recv(_MAX_REQUEST_BYTES)
        except BlockingIOError:
            if now >= until:
                self._drop(peer)
            return
        except OSError:
            self._drop(peer)
            return
        head += chunk
        if _END_OF_HEAD in head:
            with suppress(OSError):
                peer.sendall(answer_to(head, view))
        elif chunk and len(head) < _MAX_REQUEST_BYTES:
            self._asking[peer] = (head, until)
            return
        self._drop(peer)

    def _drop(self, peer: socket.socket) -> None:
        del self._asking[peer]
        if self._signals is not None:
            self._signals.unwatch(peer.fileno())
        peer.close()


def answer_to(head: bytes, view: PoolView) -> bytes:
    """Return the whole answer to a request.

    Args:
        head: its line and headers.
        view: the pool.
    """
    method, _, rest = head.decode("latin-1").partition(" ")
    path = rest.partition(" ")[0].partition("?")[0]
    reason = reason_not_ready(view)
    if method not in ("GET", "HEAD"):
        status = 405
    elif path == "/livez":
        status, reason = 200, ""
    elif path == "/readyz":
        status = 503 if reason else 200
    else:
        status = 404
    document = {"status": "ok" if status == 200 else "not ok", "reason": reason, "version": __version__}
    body = json.dumps({**document, **asdict(view)}).encode() + b"\n"
    lines = (
        f"HTTP/1.1 {status} {_STATUS_WORDS[status]}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Connection: close",
        "",
        "",
    )
    return "\r\n".join(lines).encode() + (b"" if method == "HEAD" else body)


def reason_not_ready(view: PoolView) -> str:
    """Return why the pool does not do what it is there for; empty where it does."""
    if view.state is PoolState.STOPPING:
        return "the workers are stopping"
    if view.state is PoolState.QUIET:
        return "the workers were told to take no jobs"
    if view.running < view.wanted:
        return f"{view.wanted - view.running} of {view.wanted} processes are missing"
    if view.serving < view.running:
        return f"{view.running - view.serving} of {view.running} processes have no job server"
    return ""


def _open(host: str, port: int, descriptor: int) -> socket.socket:
    if descriptor >= 0:
        kept = socket.socket(fileno=descriptor)
        if port in (0, kept.getsockname()[1]):
            kept.set_inheritable(False)
            return kept
        # The new settings say something else.
        kept.close()
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise UsageError(f"cannot listen on {host}:{port} for --health: {error.strerror}") from error
