"""Cuts off peers whose packets come too slowly: one that sends a byte a second must not hold its memory for ever.

Only inside a packet: a peer that is idle between packets, as a sleeping worker is for days, is never looked at. A
packet's header must come within `HEADER_LIMIT_S`, its body at a least rate, and so must a text line. Connections are
looked at once a window, not at every byte: who is in the middle of a packet at both ends of one and has sent too little
in between is cut off.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from gearjobs.protocol.packets import HEADER_BYTES
from gearjobs.server.connection import Connection

logger = logging.getLogger("gearjobs.server")

#: Seconds a header may take, and those in which a body must come on.
HEADER_LIMIT_S: Final = 10.0
#: Bytes of a body that must come in that time: 1 KiB/s.
BODY_LEAST_BYTES: Final = 10 * 1024
#: Seconds after the end of a window when nothing can be said about it any more.
_LATE_S: Final = 1.0


@dataclass(slots=True)
class _Window:
    """A connection in the middle of a packet, and what was to be seen of it when the window began."""

    connection: Connection
    ends_at: float
    #: Places in the connection's stream: where the packet begins, and how far it had come.
    packet_start: int
    received_bytes: int

    @property
    def began_in_header(self) -> bool:
        return self.received_bytes - self.packet_start < HEADER_BYTES


class UnfinishedPackets:
    """The connections in the middle of a packet."""

    def __init__(self) -> None:
        #: The first to end comes first.
        self._windows: dict[Connection, _Window] = {}
        self._timer: asyncio.TimerHandle | None = None

    def note(self, connection: Connection) -> None:
        """Watch a connection that is in the middle of a packet."""
        if connection not in self._windows:
            self._open_window(connection)

    def forget(self, connection: Connection) -> None:
        """The connection is closed."""
        self._windows.pop(connection, None)

    def stop(self) -> None:
        """Cut nobody off any more."""
        self._windows.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _open_window(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + HEADER_LIMIT_S
        start = connection.received_bytes - connection.decoder.partial_bytes
        self._windows[connection] = _Window(connection, ends_at, start, connection.received_bytes)
        if self._timer is None:
            self._timer = loop.call_at(ends_at, self._look)

    def _look(self) -> None:
        """Judge the windows that end now."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        # The list: some of them are opened anew.
        for window in list(self._windows.values()):
            if window.ends_at > now:
                break
            del self._windows[window.connection]
            if now < window.ends_at + _LATE_S:
                self._judge(window)
            else:
                # The process stood still, and what came meanwhile may not be read yet.
                self._open_window(window.connection)
        first = next(iter(self._windows.values()), None)
        self._timer = None if first is None else loop.call_at(first.ends_at, self._look)

    def _judge(self, window: _Window) -> None:
        connection = window.connection
        partial_bytes = connection.decoder.partial_bytes
        if not partial_bytes or connection.is_closed:
            return
        came_bytes = connection.received_bytes - window.received_bytes
        is_same_packet = connection.received_bytes - partial_bytes == window.packet_start
        # From one that is choked nothing is read, so that it cannot be blamed.
        if is_same_packet and not connection.is_choked and _is_too_slow(window, partial_bytes, came_bytes):
            logger.warning(
                "cut off peer=%s: a packet must come at %d bytes/s, got %d bytes in %d s",
                connection.address,
                BODY_LEAST_BYTES / HEADER_LIMIT_S,
                came_bytes,
                HEADER_LIMIT_S,
            )
            connection.abort()
        else:
            self._open_window(connection)


def _is_too_slow(window: _Window, partial_bytes: int, came_bytes: int) -> bool:
    if partial_bytes < HEADER_BYTES:
        return True
    # The header's time is not the body's.
    return not window.began_in_header and came_bytes < BODY_LEAST_BYTES
