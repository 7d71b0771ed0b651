"""Where the reports of a resumable run go: through the connection that leads to its server, or into a backlog.

While no server has the run, what its function reports is kept, in order and within a bound, and goes out before
anything new once the run is resumed, or with its outcome. Threads of the function report while the contact thread moves
the route; a report to a connection that broke meanwhile is kept too. What the kernel took already is lost with a
connection, as reports may be.
"""

from __future__ import annotations

import threading
from typing import Protocol

#: Most bytes kept; beyond, reports are dropped as those of a lost server are.
MAX_BACKLOG_BYTES = 1024 * 1024
#: Seconds a server that just took the run may take to read what was kept.
BACKLOG_TIMEOUT_S = 2.0


class Reporting(Protocol):
    """What reports are handed to: a worker's connection of any kind."""

    def report(self, packets: bytes, *, timeout_s: float = ...) -> bool:
        """Send what a running job reports; return whether it left."""

    def report_last(self, packets: bytes) -> None:
        """Send the last words of a run that is ended by force."""


class ReportRoute:
    """The way of the reports of one resumable run.

    Args:
        connection: to the server that handed the job over.
    """

    def __init__(self, connection: Reporting) -> None:
        # Guards the backlog and the change of the connection. A report is written outside of it: the server may read
        # nothing for long, and the route must be movable then.
        self._lock = threading.Lock()
        self._connection: Reporting | None = connection
        self._backlog = bytearray()
        self._is_closed = False

    def report(self, packet: bytes) -> None:
        """Send a report, or keep it; the reports of a job come one at a time."""
        with self._lock:
            connection = self._connection
        if connection is not None and connection.report(packet):
            return
        with self._lock:
            if not self._is_closed and len(self._backlog) + len(packet) <= MAX_BACKLOG_BYTES:
                self._backlog += packet

    def report_last(self, packet: bytes) -> None:
        """Send the outcome of a run that is ended by force, behind what was kept; without a connection it is lost."""
        with self._lock:
            connection, kept = self._connection, bytes(self._backlog)
            self._backlog.clear()
        if connection is not None:
            connection.report_last(kept + packet)

    def lead_to(self, connection: Reporting | None) -> None:
        """Lead the reports there, what was kept first; None to keep them."""
        if connection is self._connection:
            return
        with self._lock:
            self._connection = connection
            if connection is not None and self._backlog:
                connection.report(bytes(self._backlog), timeout_s=BACKLOG_TIMEOUT_S)
                self._backlog.clear()

    def close(self) -> bytes:
        """Lead reports nowhere from now on; return what was kept, to go out before the outcome."""
        with self._lock:
            self._connection = None
            self._is_closed = True
            return bytes(self._backlog)
