"""One connection to a job server that never waits but to connect: bytes out of a buffer, packets in.

The managers poll and say when to read and write. A name is looked up at every connect, IPv4 and IPv6 alike. A server
that could not be reached is left alone for a while, longer each time, by the rules of `gearjobs.servers`; one that said
nothing at all is not even tried before. TLS verifies the server's certificate and name (python-gearman checked no
name). What fails rises as ConnectionError.
"""

from __future__ import annotations

import random
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, NoReturn

from gearjobs.compat.gearman.constants import DEFAULT_GEARMAN_PORT
from gearjobs.compat.gearman.errors import ConnectionError, ServerUnavailable
from gearjobs.compat.gearman.protocol import (
    GEARMAN_COMMAND_ERROR,
    GEARMAN_COMMAND_TEXT_COMMAND,
    command_arguments,
    pack_binary_command,
    pack_text_command,
    parse_text_command,
)
from gearjobs.errors import UsageError, WireError
from gearjobs.protocol.codec import Decoder, TextLine
from gearjobs.protocol.packets import RESPONSE_MAGIC
from gearjobs.servers import ServerAddress, pause_s
from gearjobs.tls import TlsFiles, make_client_context

#: Bytes read at once.
RECEIVE_BYTES: Final = 64 * 1024
#: Longest line of an administrative answer; a worker's functions stand in one.
MAX_LINE_BYTES: Final = 8 * 1024 * 1024
#: The keys of a host's dictionary that tune TCP's probes of a silent connection, and what they set.
KEEPALIVE_OPTIONS: Final = {"keepidle": "TCP_KEEPIDLE", "keepintvl": "TCP_KEEPINTVL", "keepcnt": "TCP_KEEPCNT"}
#: What is probed by when nothing else is said: a vanished server is noticed after a minute.
_DEFAULT_KEEPALIVE: Final = {"keepidle": 30, "keepintvl": 10, "keepcnt": 3}


class GearmanConnection:
    """A connection that can be opened again after it broke.

    Args:
        host: name or address.
        port: TCP port.
        keyfile: PEM file of this side's key, for TLS.
        certfile: PEM file of this side's certificate, for TLS.
        ca_certs: PEM file of the signers to be believed; it turns TLS on.
        keepalive: numbers for KEEPALIVE_OPTIONS; `keepalive` False turns the probes off.
    """

    #: Seconds to wait for a server to take the connection.
    connect_timeout_s: float = 5.0

    def __init__(
        self,
        host: str | None = None,
        port: int | None = DEFAULT_GEARMAN_PORT,
        keyfile: str | None = None,
        certfile: str | None = None,
        ca_certs: str | None = None,
        *,
        keepalive: Mapping[str, int] | None = None,
    ) -> None:
        if host is None:
            raise ServerUnavailable("a connection needs a host")
        self.gearman_host = host
        self.gearman_port = port or DEFAULT_GEARMAN_PORT
        self.keyfile = keyfile
        self.certfile = certfile
        self.ca_certs = ca_certs
        self.use_ssl = any((keyfile, certfile, ca_certs))
        self.keepalive = {**_DEFAULT_KEEPALIVE, **(keepalive or {})}
        self._failures = 0
        self._was_silent = False
        #: When the pause after a failure is over, monotonic seconds.
        self.allowed_connect_time = 0.0
        self._reset()

    def __del__(self) -> None:
        # Programs leave their clients to the collector, as python-gearman let them.
        if getattr(self, "gearman_socket", None) is not None:
            self.close()

    def _reset(self) -> None:
        self.connected = False
        #: Whether the server said anything but errors since the connection was opened.
        self.was_of_use = False
        self.gearman_socket: socket.socket | None = None
        self._outgoing = bytearray()
        self._decoder = Decoder(expects=RESPONSE_MAGIC)
        # What came after a text command; its answer is read line by line.
        self._lines: bytearray | None = None

    def fileno(self) -> int:
        if self.gearman_socket is None:
            raise ConnectionError(f"not connected: {self!r}")
        return self.gearman_socket.fileno()

    def get_address(self) -> tuple[str, int]:
        return self.gearman_host, self.gearman_port

    def writable(self) -> bool:
        """Whether something waits to be sent."""
        return self.connected and bool(self._outgoing)

    def readable(self) -> bool:
        return self.connected

    def connect(self) -> None:
        """Open the connection.

        Raises:
            ConnectionError: it is open already, or the server did not take it.
        """
        if self.connected:
            raise ConnectionError(f"connected already: {self!r}")
        if self._was_silent and time.monotonic() < self.allowed_connect_time:
            raise ConnectionError(f"the server did not answer a moment ago: {self!r}")
        self.close()
        try:
            self._create_client_socket()
        except (OSError, UsageError, ConnectionError) as error:
            self.close()
            self.failed(is_silent=isinstance(error, TimeoutError))
            raise ConnectionError(f"cannot connect to {self._address()}: {error}") from error
        self.allowed_connect_time = 0.0
        self._was_silent = False
        self.connected = True

    def set_socket(self, current_socket: socket.socket) -> None:
        """Override to tune the socket of a connection that was just opened.

        Raises:
            ConnectionError: there is a socket already.
        """
        if self.gearman_socket is not None:
            self.throw_exception(message="socket already bound")
        current_socket.setblocking(False)
        self.gearman_socket = current_socket

    def throw_exception(self, message: str | None = None, exception: BaseException | None = None) -> NoReturn:
        """Raise what ends a connection: callers of one's own subclass say so by it.

        Raises:
            ConnectionError: always.
        """
        self.connected = False
        raise ConnectionError(f"{self._address()} {message if exception is None else repr(exception)}") from exception

    def failed(self, *, is_silent: bool) -> None:
        """Leave the server alone for a while; it could not be reached, or owes an answer for too long."""
        self._failures += 1
        self._was_silent = is_silent
        wait_s = pause_s(self._failures, is_silent=is_silent, chance=random.random())
        self.allowed_connect_time = time.monotonic() + wait_s

    def send_command(self, cmd_type: int, cmd_args: Mapping[str, Any]) -> None:
        """Queue a packet.

        Raises:
            ConnectionError: the connection is not open.
            ProtocolError: there is no such packet.
        """
        if not self.connected:
            raise ConnectionError(f"not connected: {self!r}")
        if cmd_type == GEARMAN_COMMAND_TEXT_COMMAND:
            self._outgoing += pack_text_command(cmd_type, cmd_args)
            self._lines = self._lines or bytearray()
        else:
            self._outgoing += pack_binary_command(cmd_type, cmd_args)
            self._lines = None

    def send_data_to_socket(self) -> None:
        """Send as much of what is queued as the kernel takes now.

        Raises:
            ConnectionError: the connection broke.
        """
        if not self._outgoing:
            return
        try:
            count = self._open_socket().send(self._outgoing)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            raise ConnectionError(f"{self._address()} broke off: {error}") from error
        del self._outgoing[:count]

    def read_data_from_socket(self, bytes_to_read: int = RECEIVE_BYTES) -> None:
        """Take the bytes that are there, so many at most.

        Raises:
            ConnectionError: the connection broke, or the server closed it.
        """
        try:
            chunk = self._open_socket().recv(bytes_to_read)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            raise ConnectionError(f"{self._address()} broke off: {error}") from error
        if not chunk:
            raise ConnectionError(f"{self._address()} closed the connection")
        if self._lines is None:
            self._decoder.receive(chunk)
        else:
            self._lines += chunk

    def read_command(self) -> tuple[int, dict[str, Any]] | None:
        """Return the next packet's number and arguments; None when none is whole.

        Raises:
            ConnectionError: what came is no packet of a server.
        """
        if self._lines is not None:
            return self._next_line(self._lines)
        try:
            packet = self._decoder.next_packet()
        except WireError as error:
            raise ConnectionError(f"{self._address()} does not speak Gearman: {error}") from error
        if packet is None or isinstance(packet, TextLine):
            return None
        # A server that takes connections and does nothing but refuse is as good as one that takes none.
        if packet.type != GEARMAN_COMMAND_ERROR:
            self._note_use()
        return packet.type, command_arguments(packet)

    def _note_use(self) -> None:
        self._failures = 0
        self.was_of_use = True

    def _next_line(self, lines: bytearray) -> tuple[int, dict[str, Any]] | None:
        line_bytes = lines.find(b"\n") + 1
        if not line_bytes and len(lines) > MAX_LINE_BYTES:
            raise ConnectionError(f"{self._address()} sends a line of more than {MAX_LINE_BYTES} bytes")
        cmd_type, cmd_args, _length = parse_text_command(bytes(lines[:line_bytes]))
        del lines[:line_bytes]
        self._note_use()
        return None if cmd_type is None or cmd_args is None else (cmd_type, cmd_args)

    def close(self) -> None:
        """Close at once; what was not sent is lost."""
        if self.gearman_socket is not None:
            with suppress(OSError):
                self.gearman_socket.close()
        self._reset()

    def close_gently(self, *, timeout_s: float) -> None:
        """Say that nothing follows and wait for the server to close: a reset may overtake what was just sent."""
        if self.gearman_socket is not None:
            with suppress(OSError):
                self.gearman_socket.settimeout(timeout_s)
                self.gearman_socket.shutdown(socket.SHUT_WR)
                deadline = time.monotonic() + timeout_s
                while self.gearman_socket.recv(RECEIVE_BYTES) and time.monotonic() < deadline:
                    pass
        self.close()

    def __repr__(self) -> str:
        return f"<GearmanConnection {self._address()} connected={self.connected}>"

    def _address(self) -> ServerAddress:
        return ServerAddress(self.gearman_host, self.gearman_port)

    def _open_socket(self) -> socket.socket:
        if self.gearman_socket is None:
            raise ConnectionError(f"not connected: {self!r}")
        return self.gearman_socket

    def _create_client_socket(self) -> None:
        """Connect and call `set_socket`; programs override this, too, to make their own."""
        connected = socket.create_connection(self.get_address(), timeout=self.connect_timeout_s)
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._set_keepalive(connected)
            if self.use_ssl:
                connected = self._secured(connected)
            self.set_socket(connected)
        except BaseException:
            connected.close()
            raise

    def _secured(self, connected: socket.socket) -> socket.socket:
        files = TlsFiles(ca_file=self.ca_certs or "", certificate=self.certfile or "", key=self.keyfile or "")
        return make_client_context(files).wrap_socket(connected, server_hostname=self.gearman_host)

    def _set_keepalive(self, connected: socket.socket) -> None:
        is_wanted = bool(self.keepalive.get("keepalive", True))
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, is_wanted)
        for key, option in KEEPALIVE_OPTIONS.items():
            if is_wanted and hasattr(socket, option):
                connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), int(self.keepalive[key]))
