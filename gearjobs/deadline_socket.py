"""One connection to a job server, over TCP or a Unix socket, on which nothing waits longer than it was told to.

Clients and workers both block on sockets, and the two floors may not import each other, so the one place that connects,
writes and reads with deadlines lies below both. A deadline is an instant of `time.monotonic()`, `math.inf` for none; it
covers the whole call, however many system calls that takes. What fails rises as the operating system's own exception
(TimeoutError when the deadline passed); translating it is the caller's part. The socket is non-blocking inside, so that
a round trip costs one write, one wait and one read.
"""

from __future__ import annotations

import fcntl
import math
import select
import socket
import ssl
import struct
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress

#: Bytes read at once: a full socket buffer of most packets, and below malloc's threshold for mapping memory.
RECEIVE_BYTES = 64 * 1024
#: Most bytes of a TLS record (RFC 8446, 5.1).
TLS_RECORD_BYTES = 16 * 1024
#: Longest single wait in milliseconds; poll(2) takes a 32-bit number, a longer wait is several of these.
_LONGEST_WAIT_MS = 3_600_000
# A vanished peer is noticed after 30 + 3 * 10 s of silence; the kernel's own default is over two hours. Not every
# system has all three; where one is missing, the system's own number holds.
_KEEPALIVE_NUMBERS = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
_KEEPALIVE = [(getattr(socket, name), number) for name, number in _KEEPALIVE_NUMBERS if hasattr(socket, name)]

#: Of Linux's tcp_info (linux/tcp.h): the state, milliseconds since an acknowledgement came, the round trip's time in
#: microseconds.
_TCP_INFO = struct.Struct("=B55xI8xI")
_TCP_ESTABLISHED = 1
_INT = struct.Struct("i")


class DeadlineSocket:
    """An open connection.

    Args:
        connected: a connected stream socket; it belongs to this object from now on.
    """

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._readable = select.poll()
        self._readable.register(connected, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(connected, select.POLLOUT)
        self._either = select.poll()
        self._either.register(connected, select.POLLIN | select.POLLOUT)
        # TLS tells of no byte before all of a call are gone; a piece is one record, which the server sees whole or not.
        self._piece_bytes = TLS_RECORD_BYTES if isinstance(connected, ssl.SSLSocket) else sys.maxsize
        #: Bytes the kernel took so far: what is beyond this was surely not seen by the server.
        self.sent_bytes = 0

    @classmethod
    def connect(cls, host: str, port: int, *, timeout_s: float, tls: ssl.SSLContext | None = None) -> DeadlineSocket:
        """Open a connection, trying every address the host's name stands for.

        Args:
            host: name or address; with TLS the server's certificate must be for it.
            port: TCP port.
            timeout_s: how long to wait.
            tls: shakes hands where it is given.

        Raises:
            OSError: none accepted; TimeoutError when the last one did not answer in time.
        """
        deadline = time.monotonic() + timeout_s
        try:
            connected = socket.create_connection((host, port), timeout=timeout_s)
        except UnicodeError as error:
            raise unaskable(host, error) from error
        set_keepalive(connected)
        if tls is not None:
            connected = _secure(connected, tls, host=host, timeout_s=max(0.001, deadline - time.monotonic()))
        return cls(connected)

    @classmethod
    def connect_unix(cls, path: str, *, timeout_s: float) -> DeadlineSocket:
        """Open a connection to a Unix socket.

        Args:
            path: the socket's file.
            timeout_s: how long to wait.

        Raises:
            OSError: nobody accepted; TimeoutError when that was not in time.
        """
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connected.settimeout(timeout_s)
            connected.connect(path)
        except BaseException:
            connected.close()
            raise
        return cls(connected)

    def probe_every(self, seconds: int) -> None:
        """Have the kernel ask a peer that is silent for a sign of life so often."""
        probe_every(self._socket, seconds)

    def silence_s(self) -> float:
        """Seconds since something that this side sent was surely received by the peer's host; see `silence_s`."""
        return silence_s(self._socket)

    def is_all_acknowledged(self) -> bool:
        """Whether the peer's host has everything that was sent; True also where the system does not tell."""
        try:
            (unacknowledged,) = _INT.unpack(fcntl.ioctl(self._socket, termios.TIOCOUTQ, _INT.pack(0)))
        except (OSError, ValueError):
            return True
        return bool(unacknowledged == 0)

    def may_send(self) -> bool:
        """Whether the kernel takes bytes at once."""
        return bool(self._writable.poll(0))

    def fileno(self) -> int:
        """The descriptor, for a poll over several connections."""
        return self._socket.fileno()

    def peer_certificate(self) -> bytes:
        """The server's certificate in DER; empty without TLS."""
        return (self._socket.getpeercert(binary_form=True) or b"") if isinstance(self._socket, ssl.SSLSocket) else b""

    def send(self, chunk: bytes | bytearray, *, deadline: float) -> None:
        """Hand all of the chunk to the kernel.

        Raises:
            OSError: the connection broke, or TimeoutError; `sent_bytes` tells whether part of the chunk has left.
        """
        rest = memoryview(chunk)
        while True:
            poller = self._writable
            try:
                count = self._socket.send(rest[: self._piece_bytes])
                self.sent_bytes += count
                rest = rest[count:]
            except ssl.SSLWantReadError:
                # TLS itself waits for the peer's word.
                poller = self._readable
            except (BlockingIOError, ssl.SSLWantWriteError):
                pass
            if not rest:
                return
            self._wait(poller, deadline)

    def send_while_receiving(self, chunk: bytes, *, deadline: float, receive: Callable[[bytes], None]) -> None:
        """As `send`, but take what comes meanwhile: a peer that waits for its reader would not read either.

        Raises:
            OSError: the connection broke or was closed, or TimeoutError; `sent_bytes` tells whether part has left.
        """
        rest = memoryview(chunk)
        while True:
            poller = self._either
            try:
                count = self._socket.send(rest[: self._piece_bytes])
                self.sent_bytes += count
                rest = rest[count:]
            except ssl.SSLWantReadError:
                poller = self._readable
            except (BlockingIOError, ssl.SSLWantWriteError):
                pass
            if not rest:
                return
            self._wait(poller, deadline)
            came = self.receive_ready()
            if came is not None:
                if not came:
                    raise ConnectionResetError("the server closed the connection")
                receive(came)

    def receive(self, *, deadline: float) -> bytes:
        """Wait for bytes and return those that are there; empty when the peer closed its side."""
        while True:
            self._wait(self._readable, deadline)
            # None where the kernel promised too much: a packet with a wrong checksum was dropped.
            if (chunk := self.receive_ready()) is not None:
                return chunk

    def receive_ready(self) -> bytes | None:
        """Return the bytes that are there without waiting: None when there are none, empty when the peer closed."""
        try:
            return self._socket.recv(RECEIVE_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            # A TLS record that is not whole, or one that carries no bytes of ours. What one that is whole carries is
            # read at once: it is less than RECEIVE_BYTES, so that none is left where poll(2) does not see it.
            return None

    def is_quiet(self) -> bool:
        """Whether nothing came unasked, neither bytes nor an end: a kept connection is only then worth using."""
        if not self._readable.poll(0):
            return True
        # TLS 1.3 sends tickets unasked; they are no bytes of the connection.
        return isinstance(self._socket, ssl.SSLSocket) and self._reads_nothing()

    def close(self) -> None:
        """Close this process's end; idempotent. A connection shared with another process by fork lives on there."""
        self._socket.close()

    def shut_down(self) -> None:
        """End the connection both ways, which wakes a thread that waits in `send`; its descriptor stays taken."""
        with suppress(OSError):
            # TLS's own shutdown would take the session from under the other thread.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close_gently(self, *, deadline: float) -> None:
        """Say that nothing follows, wait for the peer to close, then close.

        A plain close with unread bytes resets the connection, and a reset may overtake what was just sent.
        """
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            while self.receive(deadline=deadline):
                pass
        self.close()

    def _reads_nothing(self) -> bool:
        try:
            return self.receive_ready() is None
        except OSError:
            return False

    def _wait(self, poller: select.poll, deadline: float) -> None:
        while True:
            rest_ms = (deadline - time.monotonic()) * 1000
            if poller.poll(max(0, math.ceil(min(rest_ms, _LONGEST_WAIT_MS)))):
                return
            if rest_ms <= 0:
                raise TimeoutError("timed out")


def unaskable(host: str, error: UnicodeError) -> OSError:
    """Return what is said of a name that cannot even be asked for: it is a server that is not to be had."""
    return OSError(f"the name {host} cannot be looked up: {error}")


def set_keepalive(connected: socket.socket) -> None:
    """Have a TCP connection send at once, and notice a peer that vanished."""
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, number in _KEEPALIVE:
        connected.setsockopt(socket.IPPROTO_TCP, option, number)


def probe_every(connected: socket.socket, seconds: int) -> None:
    """Have the kernel ask a peer that is silent for a sign of life so often."""
    # A Unix socket's peer is on this host, and a closed one has none.
    if connected.family != socket.AF_UNIX and hasattr(socket, "TCP_KEEPIDLE"):
        with suppress(OSError):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, seconds)


def silence_s(connected: socket.socket) -> float:
    """Seconds since something that this side sent was surely received by the peer's host.

    The kernel's own answer, whatever the process at the other end does: 0 on a Unix socket, infinity on a connection
    that is no more, or where the system does not tell.
    """
    if connected.family == socket.AF_UNIX:
        return 0.0
    try:
        told = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        state, since_ack_ms, round_trip_us = _TCP_INFO.unpack(told)
    except (AttributeError, OSError, struct.error):
        return math.inf
    return since_ack_ms / 1000 + round_trip_us / 1_000_000 if state == _TCP_ESTABLISHED else math.inf


def _secure(connected: socket.socket, tls: ssl.SSLContext, *, host: str, timeout_s: float) -> socket.socket:
    """Shake hands; what fails closes the connection."""
    connected.settimeout(timeout_s)
    try:
        return tls.wrap_socket(connected, server_hostname=host)
    except BaseException:
        connected.close()
        raise
