"""A TCP server that answers admin lines with prepared bytes, for screens that ask a job server.

It runs in a thread on a free port of 127.0.0.1 and answers every connection alike; a line it was not given an answer
for is left unanswered, as a hanging server would.
"""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from gearjobs.protocol.admin_text import (
    FunctionLine,
    PriorityLine,
    WorkerLine,
    render_prioritystatus,
    render_status,
    render_value,
    render_workers,
)


@dataclass
class FakeJobServer:
    """What the server answers; may be changed while it runs."""

    #: `host:port`, filled in when it listens.
    address: str = ""
    version: str = "0.1.0"
    functions: list[FunctionLine] = field(default_factory=list)
    priorities: list[PriorityLine] = field(default_factory=list)
    workers: list[WorkerLine] = field(default_factory=list)

    def add_function(self, name: bytes, lanes: tuple[int, int, int], *, running: int = 0, workers: int = 0) -> None:
        """Let the server know a function with so many waiting jobs of high, normal and low priority."""
        self.functions.append(FunctionLine(name, sum(lanes) + running, running, workers))
        self.priorities.append(PriorityLine(name, *lanes, workers))

    def add_worker(self, client_id: bytes, *functions: bytes) -> None:
        """Let the server have a worker."""
        self.workers.append(WorkerLine(30 + len(self.workers), "10.0.0.7", client_id, functions))

    def answer(self, line: bytes) -> bytes | None:
        """Return the answer to an admin line."""
        match line:
            case b"version":
                return render_value(self.version)
            case b"status":
                return render_status(self.functions)
            case b"prioritystatus":
                return render_prioritystatus(self.priorities)
            case b"workers":
                return render_workers([*self.workers, WorkerLine(99, "127.0.0.1", b"-", ())])
            case _:
                return None


@contextlib.contextmanager
def run_fake_job_server() -> Iterator[FakeJobServer]:
    """Run a server for the block."""
    fake = FakeJobServer()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
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
