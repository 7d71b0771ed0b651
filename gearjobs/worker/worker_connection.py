"""One open connection of a worker: joins the socket, the decoder and the grab loop of one server.

The rules are `grab_loop`'s; this file moves the bytes and is the one place where what goes wrong on a connection
becomes a ServerLost. A broken connection is no exception to the function that is running: its reports are not taken,
and whoever drives the connection finds it broken. One thread at a time drives it; threads of the running job may report
meanwhile. TLS cannot be read and written at once, so all three hold one lock, and whoever drives waits for it briefly:
a report to a server that reads nothing may block for long.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from contextlib import suppress

from gearjobs.errors import WireError
from gearjobs.guarded_socket import NO_SECURITY, Security, open_guarded
from gearjobs.protocol.codec import Decoder
from gearjobs.protocol.packets import RESPONSE_MAGIC
from gearjobs.servers import ServerAddress
from gearjobs.worker.grab_loop import ANSWER_TIMEOUT_S, GrabLoop
from gearjobs.worker.holding.lease_clock import lease_now

logger = logging.getLogger("gearjobs.worker")

#: Seconds to wait for a server to take the last words before a close.
FAREWELL_S = 0.5
#: Seconds from one look at what the server's host has acknowledged to the next.
ACKNOWLEDGE_EVERY_S = 0.005
#: Seconds to wait for a thread that writes a report; then the turn goes on without this connection.
WRITER_PATIENCE_S = 0.1

#: Seconds from one question of the kernel for a sign of life to the next, once a connection had a resumable job: four
#: of them fit into the silence that a server allows.
PROBE_EVERY_S = 2


class ServerLost(Exception):
    """The connection to a server cannot be used any more; internal to the worker.

    Args:
        cause: what the operating system or the codec said.
    """

    def __init__(self, cause: Exception) -> None:
        super().__init__(getattr(cause, "strerror", None) or str(cause))
        #: True when the server did not break off but stayed silent.
        self.is_silent = isinstance(cause, TimeoutError)
        #: True when the server's side said that it is over; else the server may still count on this worker.
        self.is_closed_by_server = isinstance(cause, (ConnectionError, ssl.SSLEOFError))


class WorkerConnection:
    """A connection on which a worker has introduced itself.

    Args:
        address: the server.
        grab_loop: the state machine of this connection, new.
        connect_timeout_s: how long to wait for the connection.
        security: TLS and the secret to prove.

    Raises:
        ServerLost: the server could not be reached.
    """

    def __init__(
        self,
        address: ServerAddress,
        grab_loop: GrabLoop,
        *,
        connect_timeout_s: float,
        security: Security = NO_SECURITY,
    ) -> None:
        self.address = address
        self.grab_loop = grab_loop
        self._decoder = Decoder(expects=RESPONSE_MAGIC)
        self._failure: ServerLost | None = None
        self._lock = threading.Lock()
        self._is_abandoned = False
        self._is_probed = False
        try:
            self._socket = open_guarded(address, security, timeout_s=connect_timeout_s)
        except OSError as error:
            raise ServerLost(error) from error
        grab_loop.introduce(lease_now())

    def fileno(self) -> int:
        """The descriptor, for a poll over several connections."""
        return self._socket.fileno()

    def flush(self, *, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        """Send what the grab loop has to say, in one write; later, when a report is being written.

        Raises:
            ServerLost: the connection broke, now or under a report of the running job.
        """
        if self.grab_loop.has_outgoing and self._lock.acquire(timeout=WRITER_PATIENCE_S):
            try:
                self._send(self.grab_loop.take_outgoing(), timeout_s=timeout_s)
            finally:
                self._lock.release()
        if self._failure is not None:
            raise self._failure

    def report(self, packets: bytes, *, timeout_s: float = ANSWER_TIMEOUT_S) -> bool:
        """Send what a running job reports; return whether it left. A failure is kept for `flush`."""
        with self._lock:
            self._send(packets, timeout_s=timeout_s)
            has_left = self._failure is None
        if self._is_abandoned:
            self.close()
        return has_left

    def report_last(self, packets: bytes) -> None:
        """Send the last words of a process that ends itself, and wait a moment until the server's host has them.

        Ended at once, the process might leave bytes unread behind, which resets the connection under its own words.
        """
        deadline = time.monotonic() + FAREWELL_S
        if self.report(packets, timeout_s=FAREWELL_S):
            while not self._socket.is_all_acknowledged() and time.monotonic() < deadline:
                time.sleep(ACKNOWLEDGE_EVERY_S)

    def may_send(self) -> bool:
        """Whether the connection takes something at once."""
        return self._socket.may_send()

    def receive(self) -> None:
        """Read what is there and let the grab loop act on it; later, when a report is being written.

        Raises:
            ServerLost: the connection broke or the server said what it may not.
        """
        try:
            chunk = self._receive_ready()
            if chunk is None:
                return
            if not chunk:
                raise ConnectionResetError("the server closed the connection")
            self._decoder.receive(chunk)
            while (packet := self._decoder.next_packet()) is not None:
                self.grab_loop.receive(packet, lease_now())
        except (OSError, WireError) as error:
            raise ServerLost(error) from error
        self._log_complaints()

    def silence_s(self) -> float:
        """Seconds since the server's host acknowledged anything; infinity where the connection is no more."""
        return self._socket.silence_s()

    def probe_often(self) -> None:
        """Have the kernel ask for a sign of life every few seconds from now on."""
        if not self._is_probed:
            self._is_probed = True
            self._socket.probe_every(PROBE_EVERY_S)

    def close(self) -> None:
        """Close at once; a report that is being written is broken off, and the connection closed behind it."""
        # Noted first: who writes a report looks at it after letting go of the lock.
        self._is_abandoned = True
        if self._lock.acquire(blocking=False):
            self._socket.close()
            self._lock.release()
        else:
            self._socket.shut_down()

    def leave(self) -> None:
        """Give back what is held or being handed over, and close so that the server hears it."""
        self.grab_loop.reset_abilities()
        with suppress(ServerLost):
            self.flush(timeout_s=FAREWELL_S)
        self._socket.close_gently(deadline=time.monotonic() + FAREWELL_S)

    def _send(self, packets: bytes, *, timeout_s: float) -> None:
        if self._failure is not None:
            return
        if self._is_abandoned:
            self._failure = ServerLost(ConnectionAbortedError("this worker closed the connection"))
            return
        try:
            self._socket.send(packets, deadline=time.monotonic() + timeout_s)
        except OSError as error:
            self._failure = ServerLost(error)

    def _receive_ready(self) -> bytes | None:
        if not self._lock.acquire(timeout=WRITER_PATIENCE_S):
            return None
        try:
            return self._socket.receive_ready()
        finally:
            self._lock.release()

    def _log_complaints(self) -> None:
        for complaint in self.grab_loop.complaints:
            logger.warning("Job server complained server=%s error=%s", self.address, complaint)
        self.grab_loop.complaints.clear()
