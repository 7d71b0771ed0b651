"""The way of bytes between one peer's socket and its protocol, with as few system calls as there can be.

Does what asyncio's own transport of a plain socket does for the protocols of this server, and no more: one read a
tick, one write when the tick ends, and the rest of that, where the kernel does not take all, as the peer reads. It is
moved by a `PeerSelector` and not by callbacks of the loop: those cost more than the reading. Above its high-water mark
it tells the protocol to pause, below a quarter of that to go on, as asyncio's does.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

#: Read at once. What a peer sends in a tick is less, mostly; a large payload comes in some pieces of it.
READ_BYTES: Final = 64 * 1024
#: asyncio's own mark, for a protocol that sets none.
_HIGH_BYTES: Final = 64 * 1024
#: Pieces of output joined for one write.
_WRITE_BYTES: Final = 256 * 1024


class PeerPoller(Protocol):
    """As much of a `PeerSelector` as a transport needs."""

    def watch(self, descriptor: int, events: int, on_events: Callable[[int], None]) -> None:
        """Call when any of these events, or an error, is there; instead of what was watched so far."""

    def leave(self, descriptor: int) -> None:
        """Call no more."""


class PeerTransport(asyncio.Transport):
    """One peer's socket, connected and not blocking.

    Args:
        sock: the transport's own from now on.
        protocol: the peer's.
        loop: the running one.
        poller: tells when there is something to read, or room to write.
    """

    __slots__ = (
        "_descriptor",
        "_high_bytes",
        "_is_closing",
        "_is_lost",
        "_is_paused",
        "_is_reading",
        "_loop",
        "_poller",
        "_protocol",
        "_receive",
        "_received",
        "_send",
        "_sock",
        "_unsent",
        "_unsent_bytes",
    )

    def __init__(
        self, sock: socket.socket, protocol: asyncio.Protocol, *, loop: asyncio.AbstractEventLoop, poller: PeerPoller
    ) -> None:
        super().__init__({"socket": sock, "peername": _peer_name(sock)})
        self._loop = loop
        self._poller = poller
        self._sock = sock
        self._descriptor = sock.fileno()
        self._protocol = protocol
        # Bound once: they are called for every packet.
        self._receive = sock.recv
        self._send = sock.send
        self._received = protocol.data_received
        self._unsent: deque[bytes] = deque()
        self._unsent_bytes = 0
        self._high_bytes = _HIGH_BYTES
        self._is_reading = False
        #: Whether the protocol was told to write no more.
        self._is_paused = False
        #: True once nothing is read any more, and the end comes when all is written.
        self._is_closing = False
        #: True once the protocol is to hear, or has heard, of the end.
        self._is_lost = False

    def open(self) -> None:
        """Tell the protocol, and read, unless it wants to pause or to end already."""
        self._is_reading = True
        self._protocol.connection_made(self)
        if self._is_reading:
            self._watch()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the mark above which the protocol is told to pause; it goes on at a quarter of that, always."""
        self._high_bytes = _HIGH_BYTES if high is None else high

    def get_write_buffer_size(self) -> int:
        return self._unsent_bytes

    def is_closing(self) -> bool:
        return self._is_closing

    def is_reading(self) -> bool:
        return self._is_reading

    def pause_reading(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self._watch()

    def resume_reading(self) -> None:
        if not (self._is_reading or self._is_closing):
            self._is_reading = True
            self._watch()

    def write(self, data: Any) -> None:
        if self._is_lost:
            return
        if self._unsent:
            self._keep(data)
            return
        try:
            sent_bytes = self._send(data)
        except (BlockingIOError, InterruptedError):
            sent_bytes = 0
        except OSError as error:
            self._lose(error)
            return
        if sent_bytes < len(data):
            self._keep(data[sent_bytes:])
            self._watch()

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        """Read no more, write what is left, then end."""
        self._is_closing = True
        self.pause_reading()
        if not self._unsent:
            self._lose(None)

    def abort(self) -> None:
        """End at once, throwing away what is not written."""
        self._is_closing = True
        self._lose(None)

    def on_events(self, events: int) -> None:
        """Do what the socket is ready for; a bug of the protocol's ends the connection, as asyncio's do."""
        try:
            self._do(events)
        except Exception:
            self.abort()
            raise

    def _do(self, events: int) -> None:
        if events != select.EPOLLOUT and self._is_reading:
            try:
                chunk = self._receive(READ_BYTES)
            except (BlockingIOError, InterruptedError):
                pass
            except OSError as error:
                self._lose(error)
                return
            else:
                if chunk:
                    self._received(chunk)
                else:
                    # The peer says no more; what was written is still sent.
                    self.close()
        if self._unsent:
            self._send_more()

    def _keep(self, rest: bytes) -> None:
        self._unsent.append(bytes(rest))
        self._unsent_bytes += len(rest)
        if self._unsent_bytes > self._high_bytes and not self._is_paused:
            self._is_paused = True
            self._protocol.pause_writing()

    def _send_more(self) -> None:
        output = self._next_output()
        try:
            sent_bytes = self._send(output)
        except (BlockingIOError, InterruptedError):
            sent_bytes = 0
        except OSError as error:
            self._lose(error)
            return
        if sent_bytes < len(output):
            self._unsent.appendleft(output[sent_bytes:])
        self._unsent_bytes -= sent_bytes
        if not self._unsent:
            self._watch()
            if self._is_closing:
                self._lose(None)
                return
        if self._is_paused and self._unsent_bytes <= self._high_bytes // 4:
            self._is_paused = False
            self._protocol.resume_writing()

    def _next_output(self) -> bytes:
        """Take the first pieces out, so many that they are worth a write."""
        pieces = [self._unsent.popleft()]
        size_bytes = len(pieces[0])
        while self._unsent and size_bytes < _WRITE_BYTES:
            piece = self._unsent.popleft()
            pieces.append(piece)
            size_bytes += len(piece)
        return b"".join(pieces) if len(pieces) > 1 else pieces[0]

    def _watch(self) -> None:
        """Be called for what there is to do; for nothing at all, not even the peer's end, where there is nothing."""
        if self._is_lost:
            return
        events = (select.EPOLLIN if self._is_reading else 0) | (select.EPOLLOUT if self._unsent else 0)
        if events:
            self._poller.watch(self._descriptor, events, self.on_events)
        else:
            self._poller.leave(self._descriptor)

    def _lose(self, error: OSError | None) -> None:
        """End; the protocol hears of it soon, and not in the middle of what it does."""
        if self._is_lost:
            return
        self._is_lost = self._is_closing = True
        self._is_reading = False
        self._unsent.clear()
        self._unsent_bytes = 0
        self._poller.leave(self._descriptor)
        self._loop.call_soon(self._tell_end, error)

    def _tell_end(self, error: OSError | None) -> None:
        try:
            self._protocol.connection_lost(error)
        finally:
            self._sock.close()


def _peer_name(sock: socket.socket) -> Any:
    try:
        return sock.getpeername()
    except OSError:
        # It is gone already; what comes of that is the first read's.
        return None
