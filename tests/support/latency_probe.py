"""How long those wait who need no database, while it is in whatever trouble: foreground jobs, ECHO and admin lines."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gearjobs.protocol.packets import PacketType
from tests.support.job_server import JobServerProcess

T = PacketType


class LatencyProbe:
    """Asks a server for all three, over and over, in a thread of its own."""

    def __init__(self, server: JobServerProcess) -> None:
        #: Seconds of each exchange.
        self.latencies_s: list[float] = []
        self._server = server
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._probe, name="latency-probe")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join(20)

    def slow(self, bound_s: float) -> list[float]:
        """Return the latencies beyond the bound."""
        return [latency_s for latency_s in self.latencies_s if latency_s > bound_s]

    def _probe(self) -> None:
        with self._server.peer() as client, self._server.peer() as worker:
            worker.can_do(b"probe")
            while not self._is_over.wait(0.002):
                began_at = time.monotonic()
                handle = client.submit(b"probe", b"x")
                assert worker.grab()[0] == handle
                worker.say(T.WORK_COMPLETE, handle, b"done")
                client.expect(T.WORK_COMPLETE)
                self._note(began_at)
                began_at = time.monotonic()
                client.say(T.ECHO_REQ, b"here?")
                client.expect(T.ECHO_RES)
                self._note(began_at)
                began_at = time.monotonic()
                worker.ask("status")
                self._note(began_at)

    def _note(self, began_at: float) -> None:
        self.latencies_s.append(time.monotonic() - began_at)


@contextmanager
def probed(server: JobServerProcess) -> Iterator[LatencyProbe]:
    """Probe a server during the block."""
    probe = LatencyProbe(server)
    probe.start()
    try:
        yield probe
    finally:
        probe.stop()
