"""One peer's connection: bytes in, replies out in order, both bounded.

Replies of one tick are gathered and written at once. A held reply (see `durability`) keeps all later ones behind it.
While too many replies have not left, because the peer does not read them or because they are held, nothing is read from
the peer either; one that takes next to nothing for `STALL_LIMIT_S` is cut off. What others send a peer unasked, a
worker's WORK_DATA for one, is not held back by that: there the other is not read from until the peer has caught up
(`keep_waiting`), or, where it must not wait, the peer is cut off (`cut_off_if_far_behind`). The packets it gets are
made elsewhere (`dispatch`, `deliver`, `admin_commands`).
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
from gearjobs.server.close_watch import set_close_watch
from gearjobs.server.entrance.credentials import Credentials
from gearjobs.tls import peer_names

logger = logging.getLogger("gearjobs.server")

#: Unsent bytes at which a peer is no longer read from. One larger reply still goes out whole.
OUTPUT_LIMIT_BYTES: Final = 1024 * 1024
#: Unsent bytes at which a peer is cut off at once: the results it asked for cannot be held back by not reading from it.
#: Two of the largest packets.
OUTPUT_CUT_BYTES: Final = 128 * 1024 * 1024
#: Replies held for the store at which a peer is no longer read from: many pipelined submits, but no endless queue.
#: Their bytes are limited as those of unread ones are.
HELD_LIMIT: Final = 20_000
#: Seconds a peer may leave its answers unread before it is cut off.
STALL_LIMIT_S: Final = 30.0
#: Bytes it must take in that time to be slow and not stalled: 1 KiB/s, so that a large payload may pass a poor line.
STALL_LEAST_BYTES: Final = 30 * 1024
#: Seconds it may keep others waiting: a worker that waits does no other job, and ours gives up a server that takes
#: nothing for 30 s. Whoever reads 50 KiB/s has caught up by then.
WAITED_LIMIT_S: Final = 15.0
#: Unsent bytes at which it is cut off where others must not wait for it.
FAR_BEHIND_BYTES: Final = 8 * 1024 * 1024


@dataclass(slots=True, eq=False)
class HeldReply:
    """A reply whose change is not committed yet."""

    connection: Connection
    reply: bytes
    #: Sent instead when the change is refused.
    refusal: bytes
    #: The job that it tells of, where that must be a new one and no other; empty where any may do its work.
    only_for: bytes = b""
    is_ready: bool = False

    @property
    def is_wanted(self) -> bool:
        """Whether the peer is still there to hear it."""
        return not self.connection.is_closed


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
        #: Host and port; for a Unix socket's peer, `unix` and whose process it is. `-` where it was gone too soon.
        self.address = "-"
        self.host = "-"
        #: The socket's file descriptor, as the admin line `workers` shows it.
        self.file_descriptor = -1
        #: All that ever came.
        self.received_bytes = 0
        #: Names it is known by before it says anything, as access rules write them: `cert:worker-1`, `unix:me`, `http`.
        self.known_as: frozenset[str] = frozenset()
        #: What a proof of a secret is bound to, see `tls.fingerprint`; empty without TLS.
        self.tls_binding = b""
        #: What it has shown of itself; None where the server asks nobody.
        self.credentials: Credentials | None = None
        #: True after OPTION_REQ gearjobs/1: it may be sent extension packets.
        self.has_extensions = False
        #: The packet type of its grab that is not answered yet, and since when: see `held_grabs`. 0: there is none.
        self.held_grab = 0
        self.held_since = 0
        #: How many of its next grabs are not held for a moment, and how many there were the last time.
        self.impatience = self.lost_patience = 0
        self.is_closed = False
        #: True while nothing more is done for the peer: too many answers wait to leave, or the connection is to end.
        self.is_choked = False
        self._handler = handler
        self._transport: asyncio.Transport | None = None
        self._output: list[bytes] = []
        self._held: deque[HeldReply | bytes] = deque()
        self._held_bytes = 0
        #: True once this server has closed it: the peer may be well, and come back.
        self.was_cut = False
        #: True once nothing more is to be read from the peer, whatever it reads itself.
        self._is_ending = False
        self._is_watched = False
        #: Those that are not read from until this peer has caught up.
        self._kept_waiting: set[Connection] = set()
        #: Runs while there are any.
        self._patience: asyncio.TimerHandle | None = None
        #: How many others want this peer not to be read from.
        self._holds = 0
        #: Runs while the peer has too many unread answers.
        self._stall: asyncio.TimerHandle | None = None
        #: Bytes given to the transport since that began, and those it had then.
        self._unread_bytes = 0

    @property
    def buffered_bytes(self) -> int:
        """Memory held for packets that are not whole yet and for answers that have not left."""
        unsent_bytes = 0 if self._transport is None else self._transport.get_write_buffer_size()
        return self.decoder.partial_bytes + self._held_bytes + unsent_bytes

    @property
    def is_leaving(self) -> bool:
        """True once the connection is to end: nothing that is sent now would surely be read."""
        return self._transport is None or self._transport.is_closing()

    @property
    def is_stalled(self) -> bool:
        """True while the peer has too many unread answers."""
        return self._stall is not None and not self.is_closed

    @property
    def is_behind(self) -> bool:
        """True while so much waits to leave that whoever sends the peer more unasked should wait."""
        return self._stall is not None or self._is_full()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A listening socket makes no other kind; uvloop's are not subclasses, so isinstance cannot tell.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=OUTPUT_LIMIT_BYTES)
        peer = transport.get_extra_info("peername")
        # A Unix socket's peer is known already; where it bound its own end, this is that end's path.
        if isinstance(peer, tuple):
            self.host, self.address = str(peer[0]), f"{peer[0]}:{peer[1]}"
        self.file_descriptor = transport.get_extra_info("socket").fileno()
        certificate = transport.get_extra_info("peercert")
        if certificate:
            self.known_as = frozenset(f"cert:{name}" for name in peer_names(certificate))
        self._handler.connected(self)

    def data_received(self, data: bytes) -> None:
        self.received_bytes += len(data)
        self.decoder.receive(data)
        self._handler.received(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = self.is_choked = True
        self.held_grab = 0
        self._held.clear()
        self._output.clear()
        if self._stall is not None:
            self._stall.cancel()
        self._let_others_go_on()
        self._handler.disconnected(self)

    def pause_writing(self) -> None:
        """The peer reads too slowly: read no more from it until it catches up."""
        self._choke()
        self._watch_stall()

    def resume_writing(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        self._catch_up()

    def send(self, packet: bytes) -> None:
        """Send a packet behind all earlier ones."""
        if self._held:
            self._keep_back(packet, len(packet))
        elif not self.is_closed:
            output = self._output
            if not output:
                self._handler.has_output(self)
            output.append(packet)

    def hold(self, reply: bytes, *, refusal: bytes) -> HeldReply:
        """Keep a reply, and all later ones behind it, until `release`."""
        held = HeldReply(self, reply, refusal)
        if not self.is_closed:
            self._keep_back(held, len(reply))
        return held

    def release(self, held: HeldReply, *, is_kept: bool) -> None:
        """Let a held reply go, or its refusal, as soon as it is first in the line."""
        was_full = self._is_full()
        held.is_ready = True
        if not is_kept:
            self._held_bytes += len(held.refusal) - len(held.reply)
            held.reply = held.refusal
        while self._held:
            first = self._held[0]
            if isinstance(first, HeldReply):
                if not first.is_ready:
                    break
                first = first.reply
            self._held.popleft()
            self._held_bytes -= len(first)
            self._put(first)
        if was_full and not self._is_full():
            # Soon, not now: the caller is in the middle of a batch.
            asyncio.get_running_loop().call_soon(self._catch_up)

    def flush(self) -> bool:
        """Write the gathered replies; return whether the peer leaves too many of them unread."""
        output = self._output
        if not output or self._transport is None or self.is_closed:
            return False
        gathered = b"".join(output) if len(output) > 1 else output[0]
        output.clear()
        if self._stall is not None:
            self._unread_bytes += len(gathered)
        self._transport.write(gathered)
        # Mostly it took all.
        if self._stall is None and len(gathered) < OUTPUT_LIMIT_BYTES:
            return False
        if self._transport.get_write_buffer_size() > OUTPUT_CUT_BYTES:
            self._cut_off()
        return self.is_stalled

    def keep_waiting(self, sender: Connection) -> None:
        """Read no more from another peer, which sends to this one, until this one has caught up or is gone."""
        if sender not in self._kept_waiting:
            self._kept_waiting.add(sender)
            sender.hold_off()
        if self._patience is None:
            self._patience = asyncio.get_running_loop().call_later(WAITED_LIMIT_S, self._cut_off)

    def cut_off_if_far_behind(self) -> None:
        """End the connection if the peer leaves too much unread of what nobody may wait for it to read."""
        if self._transport is not None and self._transport.get_write_buffer_size() > FAR_BEHIND_BYTES:
            self._cut_off()

    def hold_off(self) -> None:
        """Read no more from the peer until `go_on`; each call wants one of its own."""
        self._holds += 1
        self._choke()

    def go_on(self) -> None:
        """Take back a `hold_off`."""
        self._holds -= 1
        # Soon, not now: the caller is in the middle of another connection's business.
        asyncio.get_running_loop().call_soon(self._catch_up)

    def watch_closely(self) -> None:
        """Have the kernel notice within some ten seconds that the peer's host is gone.

        For workers of ours: the server says how long they may go on without it, and nobody else may run their jobs.
        """
        if not self._is_watched and self._transport is not None:
            self._is_watched = True
            set_close_watch(self._transport.get_extra_info("socket"))

    def stop_reading(self) -> None:
        """Do nothing more that the peer asks for; what it was promised is still sent."""
        self._is_ending = True
        self._choke()

    def close(self) -> None:
        """Close after what was sent has left; what is held for the store is not waited for."""
        self._is_ending = self.was_cut = True
        self.flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once, throwing away what has not left."""
        self._is_ending = self.was_cut = True
        if self._transport is not None:
            self._transport.abort()

    def _put(self, packet: bytes) -> None:
        if not self._output:
            self._handler.has_output(self)
        self._output.append(packet)

    def _keep_back(self, reply: HeldReply | bytes, reply_bytes: int) -> None:
        self._held.append(reply)
        self._held_bytes += reply_bytes
        if self._is_full():
            self._choke()
            if self._held_bytes > OUTPUT_CUT_BYTES:
                self._cut_off()

    def _is_full(self) -> bool:
        return len(self._held) >= HELD_LIMIT or self._held_bytes >= OUTPUT_LIMIT_BYTES

    def _choke(self) -> None:
        self.is_choked = True
        if self._transport is not None:
            self._transport.pause_reading()

    def _catch_up(self) -> None:
        """Go on with the peer, unless its answers still wait for it or for the store, or others want it to wait."""
        if self.is_behind:
            return
        self._let_others_go_on()
        if not self.is_choked or self._is_ending or self.is_closed or self._holds:
            return
        self.is_choked = False
        # What was read before the pause comes first.
        self._handler.received(self)
        if not self.is_choked and self._transport is not None and not self.is_closed:
            self._transport.resume_reading()

    def _let_others_go_on(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        waiting, self._kept_waiting = self._kept_waiting, set()
        for sender in waiting:
            sender.go_on()

    def _watch_stall(self) -> None:
        if self._transport is not None:
            self._unread_bytes = self._transport.get_write_buffer_size()
            self._stall = asyncio.get_running_loop().call_later(STALL_LIMIT_S, self._judge_stall)

    def _judge_stall(self) -> None:
        if self._transport is None:
            return
        if self._unread_bytes - self._transport.get_write_buffer_size() < STALL_LEAST_BYTES:
            self._cut_off()
        else:
            self._watch_stall()

    def _cut_off(self) -> None:
        if not self._is_ending:
            logger.warning("cut off peer=%s: it does not read its answers", self.address)
        self.abort()
