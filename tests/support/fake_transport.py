"""The kernel's side of a connection, played by the test: it takes what is written, or lets it pile up.

`FakeTransport` keeps asyncio's promises about flow control: above its high-water mark it calls `pause_writing`, and
`resume_writing` once a quarter is left. `QuietHandler` stands in for the server behind a connection.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from gearjobs.core.jobs import ConnectionId
from gearjobs.protocol.codec import Packet, TextLine
from gearjobs.server.connection import Connection


class FakeSocket:
    """As much of a socket as a connection asks for."""

    family = socket.AF_INET

    def __init__(self) -> None:
        #: Each option that was set: level, option, number.
        self.options: list[tuple[int, int, int]] = []

    def fileno(self) -> int:
        return 7

    def setsockopt(self, level: int, option: int, number: int) -> None:
        self.options.append((level, option, number))


class FakeTransport(asyncio.Transport):
    """What a connection writes to."""

    def __init__(self, *, peer: tuple[str, int] | None = ("10.0.0.7", 5121)) -> None:
        super().__init__({"peername": peer, "socket": FakeSocket()})
        self.protocol: Connection | None = None
        #: What the peer read, in pieces as they were written.
        self.read: list[bytes] = []
        #: What it did not read yet.
        self.unread = bytearray()
        #: False: what is written piles up.
        self.peer_reads = True
        self.high_bytes = 65536
        self.is_paused = False
        self.is_aborted = False
        self._is_reading = True
        self._is_closing = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high is not None
        assert low is None
        self.high_bytes = high

    def get_write_buffer_size(self) -> int:
        return len(self.unread)

    def write(self, data: Any) -> None:
        if self.peer_reads:
            self.read.append(bytes(data))
            return
        self.unread += data
        if len(self.unread) > self.high_bytes and not self.is_paused:
            self.is_paused = True
            self._connection().pause_writing()

    def let_peer_read(self, count: int | None = None) -> None:
        """Let the peer read so many bytes of what piled up, or all of it."""
        end = len(self.unread) if count is None else count
        self.read.append(bytes(self.unread[:end]))
        del self.unread[:end]
        if self.is_paused and len(self.unread) <= self.high_bytes // 4:
            self.is_paused = False
            self._connection().resume_writing()

    def is_reading(self) -> bool:
        return self._is_reading

    def pause_reading(self) -> None:
        self._is_reading = False

    def resume_reading(self) -> None:
        self._is_reading = True

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._is_closing = True
        self._is_reading = False

    def abort(self) -> None:
        self.close()
        self.is_aborted = True
        self.unread.clear()

    def _connection(self) -> Connection:
        assert self.protocol is not None, "expected a connection to be made first"
        return self.protocol


class QuietHandler:
    """A server that answers nothing by itself: it keeps what connections tell it, and flushes when told to."""

    def __init__(self) -> None:
        self.connected_peers: list[Connection] = []
        self.lost_peers: list[Connection] = []
        #: Packets in the order in which connections let them be worked off.
        self.packets: list[Packet | TextLine] = []
        #: How often a connection said that it has something to work off.
        self.calls = 0
        self._dirty: list[Connection] = []

    def connected(self, connection: Connection) -> None:
        self.connected_peers.append(connection)

    def received(self, connection: Connection) -> None:
        self.calls += 1
        while not connection.is_choked and (packet := connection.decoder.next_packet()) is not None:
            self.packets.append(packet)

    def disconnected(self, connection: Connection) -> None:
        self.lost_peers.append(connection)

    def has_output(self, connection: Connection) -> None:
        self._dirty.append(connection)

    def flush(self) -> None:
        """End the tick."""
        for connection in self._dirty:
            connection.flush()
        self._dirty.clear()


def make_connection(
    handler: QuietHandler | None = None, *, number: int = 1, peer: tuple[str, int] | None = ("10.0.0.7", 5121)
) -> tuple[Connection, FakeTransport]:
    """Return a connection that is open, and its other side."""
    connection = Connection(ConnectionId(number), handler or QuietHandler(), max_packet_bytes=1024 * 1024)
    transport = FakeTransport(peer=peer)
    transport.protocol = connection
    connection.connection_made(transport)
    return connection, transport
