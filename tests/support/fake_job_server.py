"""A TCP server that answers `show snapshot` with what a test says, for screens that ask a job server; it has no jobs.

It runs in a thread on a free port of 127.0.0.1 and answers every connection alike; any other line is left unanswered,
as a hanging server would, and packets end the connection.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from gearjobs.protocol.server_snapshot import (
    FunctionFigures,
    PeerFigures,
    RunFigures,
    ServerSnapshot,
    render_snapshot,
)


@dataclass
class FakeJobServer:
    """What the server answers; may be changed while it runs."""

    #: `host:port`, filled in when it listens.
    address: str = ""
    functions: list[FunctionFigures] = field(default_factory=list)
    peers: list[PeerFigures] = field(default_factory=list)
    #: What it says to `drop function`.
    drop_answer: bytes = b"OK\r\n"
    #: Further fields of the snapshot.
    said: dict[str, Any] = field(default_factory=lambda: {"version": "0.1.0"})

    def add_function(self, name: str, lanes: tuple[int, int, int] = (0, 0, 0), **figures: Any) -> None:
        """Let the server know a function with so many waiting jobs of high, normal and low priority."""
        high, normal, low = lanes
        self.functions.append(FunctionFigures(name=name, high=high, normal=normal, low=low, **figures))

    def add_worker(self, client_id: str, *functions: str, runs: tuple[RunFigures, ...] = (), **fields: Any) -> None:
        """Let the server have a worker, at an address of its own."""
        address = f"10.0.0.7:{5000 + len(self.peers)}"
        self.peers.append(PeerFigures(client_id=client_id, address=address, functions=functions, runs=runs, **fields))

    def answer(self, line: bytes) -> bytes | None:
        """Return the answer to an admin line."""
        if line.startswith(b"clear "):
            return b"OK 0\r\n"
        if line.startswith(b"drop function "):
            return self.drop_answer
        if line != b"show snapshot":
            return None
        now = time.time()
        said = {"at": now, "started_at": now - 3600, "connections": len(self.peers), **self.said}
        return render_snapshot(ServerSnapshot(functions=tuple(self.functions), peers=tuple(self.peers), **said))


@contextlib.contextmanager
def run_fake_job_server() -> Iterator[FakeJobServer]:
    """Run a server for the block."""
    fake = FakeJobServer()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            # Packets begin with a NUL: whoever speaks them is sent away, and need not wait.
            if self.connection.recv(1, socket.MSG_PEEK) == b"\0":
                return
            for line in self.rfile:
                answer = fake.answer(line.strip())
                if answer is not None:
                    self.wfile.write(answer)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as server:
        fake.address = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join(5)
