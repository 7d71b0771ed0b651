"""One open connection of a worker: joins the socket, the decoder and the grab loop of one server.

The rules are `grab_loop`'s; this file moves the bytes and is the one place where what goes wrong on a connection
becomes a ServerLost. A broken connection is no exception to the function that is running: its reports are dropped, and
the worker finds the connection broken when the function returns.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress

from gearjobs.errors import WireError
from gearjobs.guarded_socket import NO_SECURITY, Security, open_guarded
from gearjobs.protocol.codec import Decoder
from gearjobs.protocol.packets import RESPONSE_MAGIC
from gearjobs.servers import ServerAddress
from gearjobs.worker.grab_loop import ANSWER_TIMEOUT_S, GrabLoop

logger = logging.getLogger("gearjobs.worker")

#: Seconds to wait for a server to take the last words before a close.
FAREWELL_S = 0.5


class ServerLost(Exception):
    """The connection to a server cannot be used any more; internal to the worker.

    Args:
        cause: what the operating system or the codec said.
    """

    def __init__(self, cause: Exception) -> None:
        super().__init__(getattr(cause, "strerror", None) or str(cause))
        #: True when the server did not break off but stayed silent.
        self.is_silent = isinstance(cause, TimeoutError)


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
        try:
            self._socket = open_guarded(address, security, timeout_s=connect_timeout_s)
        except OSError as error:
            raise ServerLost(error) from error
        grab_loop.introduce(time.monotonic())

    def fileno(self) -> int:
        """The descriptor, for a poll over several connections."""
        return self._socket.fileno()

    def flush(self) -> None:
        """Send what the grab loop has to say, in one write.

        Raises:
            ServerLost: the connection broke, now or under a report of the running job.
        """
        if outgoing := self.grab_loop.take_outgoing():
            self.report(outgoing)
        if self._failure is not None:
            raise self._failure

    def report(self, packet: bytes) -> None:
        """Send what a running job reports; a failure is kept for `flush`."""
        if self._failure is not None:
            return
        try:
            self._socket.send(packet, deadline=time.monotonic() + ANSWER_TIMEOUT_S)
        except OSError as error:
            self._failure = ServerLost(error)

    def receive(self) -> None:
        """Read what is there and let the grab loop act on it.

        Raises:
            ServerLost: the connection broke or the server said what it may not.
        """
        try:
            chunk = self._socket.receive_ready()
            if chunk is None:
                return
            if not chunk:
                raise ConnectionResetError("the server closed the connection")
            self._decoder.receive(chunk)
            while (packet := self._decoder.next_packet()) is not None:
                self.grab_loop.receive(packet, time.monotonic())
        except (OSError, WireError) as error:
            raise ServerLost(error) from error
        self._log_complaints()

    def close(self) -> None:
        """Close at once."""
        self._socket.close()

    def leave(self) -> None:
        """Give back what is held or being handed over, and close so that the server hears it."""
        self.grab_loop.reset_abilities()
        with suppress(ServerLost):
            self.flush()
        self._socket.close_gently(deadline=time.monotonic() + FAREWELL_S)

    def _log_complaints(self) -> None:
        for complaint in self.grab_loop.complaints:
            logger.warning("Job server complained server=%s error=%s", self.address, complaint)
        self.grab_loop.complaints.clear()
