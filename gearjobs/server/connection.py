"""One peer's connection: bytes in, replies out in order, both bounded.

Replies of one tick are gathered and written at once. A held reply (see `durability`) keeps all later ones behind it.
A peer that does not read its answers is not read from either, and closed when it stays that way; the packets it gets
are made elsewhere (`dispatch`, `deliver`, `admin_commands`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol, cast

from gearjobs.core.jobs import ConnectionId
from gearjobs.protocol.codec import Decoder
from gearjobs.protocol.packets import REQUEST_MAGIC

logger = logging.getLogger("gearjobs.server")

#: Unsent bytes at which a peer is no longer read from (S02). One larger reply still goes out whole.
OUTPUT_LIMIT_BYTES: Final = 1024 * 1024
#: Unsent bytes at which a peer is cut off at once: what other peers send it (WORK_DATA) cannot be held back by not
#: reading from it. Two of the largest packets.
OUTPUT_CUT_BYTES: Final = 128 * 1024 * 1024
#: Replies held for the store at which a peer is no longer read from: many pipelined submits, but no endless queue.
HELD_LIMIT: Final = 20_000
#: Seconds a peer may leave its answers unread before it is cut off.
STALL_LIMIT_S: Final = 30.0


@dataclass(slots=True, eq=False)
class HeldReply:
    """A reply whose change is not committed yet."""

    connection: Connection
    reply: bytes
    #: Sent instead when the change is refused.
    refusal: bytes
    is_ready: bool = False


class PacketHandler(Protocol):
    """The server, as a connection sees it."""

    def connected(self, connection: Connection) -> None:
        """The connection is open."""

    def received(self, connection: Connection) -> None:
        """New bytes are in the connection's decoder."""

    def disconnected(self, connection: Connection) -> None:
        """The connection is closed."""

    def has_output(self, connection: Connection) -> None:
        """The connection has replies to flush at the end of the tick."""


class Connection(asyncio.Protocol):
    """The asyncio side of one peer."""

    def __init__(self, number: ConnectionId, handler: PacketHandler, *, max_packet_bytes: int) -> None:
        self.id = number
        self.decoder = Decoder(expects=REQUEST_MAGIC, max_body_bytes=max_packet_bytes, reads_text=True)
        #: Host and port.
        self.address = ""
        self.host = ""
        #: The socket's file descriptor, as the admin line `workers` shows it.
        self.file_descriptor = -1
        #: True after OPTION_REQ gearjobs/1: it may be sent extension packets.
        self.has_extensions = False
        self.is_closed = False
        #: True while the peer has so many unread answers that nothing more is done for it.
        self.is_choked = False
        self._handler = handler
        self._transport: asyncio.Transport | None = None
        self._output: list[bytes] = []
        self._held: deque[HeldReply | bytes] = deque()
        self._stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A listening socket makes no other kind; uvloop's are not subclasses, so isinstance cannot tell.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=OUTPUT_LIMIT_BYTES)
        peer = transport.get_extra_info("peername")
        self.host = str(peer[0]) if peer else "-"
        self.address = f"{peer[0]}:{peer[1]}" if peer else "-"
        self.file_descriptor = transport.get_extra_info("socket").fileno()
        self._handler.connected(self)

    def data_received(self, data: bytes) -> None:
        self.decoder.receive(data)
        self._handler.received(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        self._held.clear()
        self._output.clear()
        if self._stall is not None:
            self._stall.cancel()
        self._handler.disconnected(self)

    def pause_writing(self) -> None:
        """The peer reads too slowly: read no more from it until it catches up."""
        self.is_choked = True
        self._pause()
        self._stall = asyncio.get_running_loop().call_later(STALL_LIMIT_S, self._cut_off)

    def resume_writing(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        self.is_choked = False
        # What was read before the pause comes first.
        self._handler.received(self)
        if not self.is_choked:
            self._resume()

    def send(self, packet: bytes) -> None:
        """Send a packet behind all earlier ones."""
        if self._held:
            self._held.append(packet)
        elif not self.is_closed:
            if not self._output:
                self._handler.has_output(self)
            self._output.append(packet)

    def hold(self, reply: bytes, *, refusal: bytes) -> HeldReply:
        """Keep a reply, and all later ones behind it, until `release`."""
        held = HeldReply(self, reply, refusal)
        if not self.is_closed:
            self._held.append(held)
            if len(self._held) == HELD_LIMIT:
                self._pause()
        return held

    def release(self, held: HeldReply, *, is_kept: bool) -> None:
        """Let a held reply go, or its refusal, as soon as it is first in the line."""
        held.is_ready = True
        if not is_kept:
            held.reply = held.refusal
        was_full = len(self._held) >= HELD_LIMIT
        while self._held:
            first = self._held[0]
            if isinstance(first, HeldReply):
                if not first.is_ready:
                    break
                first = first.reply
            self._held.popleft()
            self._put(first)
        if was_full and len(self._held) < HELD_LIMIT:
            self._resume()

    def flush(self) -> None:
        """Write the gathered replies."""
        if self._transport is None or self.is_closed or not self._output:
            return
        self._transport.write(b"".join(self._output) if len(self._output) > 1 else self._output[0])
        self._output.clear()
        if self._transport.get_write_buffer_size() > OUTPUT_CUT_BYTES:
            self._cut_off()

    def close(self) -> None:
        """Close after what was sent has left; what is held for the store is not waited for."""
        self.flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once, throwing away what has not left."""
        if self._transport is not None:
            self._transport.abort()

    def _put(self, packet: bytes) -> None:
        if not self._output:
            self._handler.has_output(self)
        self._output.append(packet)

    def _cut_off(self) -> None:
        logger.warning("cut off peer=%s: it does not read its answers", self.address)
        self.abort()

    def _pause(self) -> None:
        if self._transport is not None and self._transport.is_reading():
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._transport is not None and not self.is_closed and not self._transport.is_reading():
            self._transport.resume_reading()
