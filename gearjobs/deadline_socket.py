"""One TCP connection to a job server on which nothing waits longer than it was told to.

Clients and workers both block on sockets, and the two floors may not import each other, so the one place that connects,
writes and reads with deadlines lies below both. A deadline is an instant of `time.monotonic()`, `math.inf` for none; it
covers the whole call, however many system calls that takes. What fails rises as the operating system's own exception
(TimeoutError when the deadline passed); translating it is the caller's part. The socket is non-blocking inside, so that
a round trip costs one write, one wait and one read.
"""

from __future__ import annotations

import math
import select
import socket
import time
from contextlib import suppress

#: Bytes read at once: a full socket buffer of most packets, and below malloc's threshold for mapping memory.
RECEIVE_BYTES = 64 * 1024
#: Longest single wait in milliseconds; poll(2) takes a 32-bit number, a longer wait is several of these.
_LONGEST_WAIT_MS = 3_600_000
# A vanished peer is noticed after 30 + 3 * 10 s of silence; the kernel's own default is over two hours. Not every
# system has all three; where one is missing, the system's own number holds.
_KEEPALIVE_NUMBERS = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
_KEEPALIVE = [(getattr(socket, name), number) for name, number in _KEEPALIVE_NUMBERS if hasattr(socket, name)]


class DeadlineSocket:
    """An open TCP connection.

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
        #: Bytes the kernel took so far: what is beyond this was surely not seen by the server.
        self.sent_bytes = 0

    @classmethod
    def connect(cls, host: str, port: int, *, timeout_s: float) -> DeadlineSocket:
        """Open a connection, trying every address the host's name stands for.

        Raises:
            OSError: none accepted; TimeoutError when the last one did not answer in time.
        """
        connected = socket.create_connection((host, port), timeout=timeout_s)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, number in _KEEPALIVE:
            connected.setsockopt(socket.IPPROTO_TCP, option, number)
        return cls(connected)

    def fileno(self) -> int:
        """The descriptor, for a poll over several connections."""
        return self._socket.fileno()

    def send(self, chunk: bytes | bytearray, *, deadline: float) -> None:
        """Hand all of the chunk to the kernel.

        Raises:
            OSError: the connection broke, or TimeoutError; `sent_bytes` tells whether part of the chunk has left.
        """
        rest = memoryview(chunk)
        while True:
            with suppress(BlockingIOError):
                count = self._socket.send(rest)
                self.sent_bytes += count
                rest = rest[count:]
            if not rest:
                return
            self._wait(self._writable, deadline)

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
        except BlockingIOError:
            return None

    def is_quiet(self) -> bool:
        """Whether nothing came unasked, neither bytes nor an end: a kept connection is only then worth using."""
        return not self._readable.poll(0)

    def close(self) -> None:
        """Close this process's end; idempotent. A connection shared with another process by fork lives on there."""
        self._socket.close()

    def close_gently(self, *, deadline: float) -> None:
        """Say that nothing follows, wait for the peer to close, then close.

        A plain close with unread bytes resets the connection, and a reset may overtake what was just sent.
        """
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            while self.receive(deadline=deadline):
                pass
        self.close()

    def _wait(self, poller: select.poll, deadline: float) -> None:
        while True:
            rest_ms = (deadline - time.monotonic()) * 1000
            if poller.poll(max(0, math.ceil(min(rest_ms, _LONGEST_WAIT_MS)))):
                return
            if rest_ms <= 0:
                raise TimeoutError("timed out")
