"""Bounds the memory that all connections hold together: beyond it, the one that holds most is cut off.

Each connection is bounded by itself (`connection`, the decoder), but a thousand of them, each within its bounds, could
still hold more than there is. Counted are the bytes of packets that are not whole yet and of answers that have not
left; jobs are not: what is queued is bounded by `maxqueue`. What is counted may be out of date and too much, never too
little, so all is weighed again before anybody is cut off.
"""

from __future__ import annotations

import logging
from typing import Final, Protocol

logger = logging.getLogger("gearjobs.server")

#: Bytes up to which a connection does not count: 10,000 such hold 40 MiB.
LIGHT_BYTES: Final = 4096


class Holder(Protocol):
    """A connection of any kind; its own equal only."""

    @property
    def address(self) -> str:
        """Host and port."""

    @property
    def buffered_bytes(self) -> int:
        """Memory it holds at the moment."""

    def abort(self) -> None:
        """Let it end at once."""


class MemoryBudget:
    """The bytes that connections hold.

    Args:
        limit_bytes: what all may hold together.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held: dict[Holder, int] = {}
        self._total_bytes = 0

    def note(self, connection: Holder) -> None:
        """Count what the connection holds now, which may be more than before; cut off who holds most if need be."""
        self._weigh(connection)
        if self._total_bytes > self._limit_bytes:
            self._weigh_all()
            while self._total_bytes > self._limit_bytes:
                self._cut_off_heaviest()

    def forget(self, connection: Holder) -> None:
        """The connection is closed."""
        self._total_bytes -= self._held.pop(connection, 0)

    def _weigh(self, connection: Holder) -> None:
        self.forget(connection)
        held_bytes = connection.buffered_bytes
        if held_bytes > LIGHT_BYTES:
            self._held[connection] = held_bytes
            self._total_bytes += held_bytes

    def _weigh_all(self) -> None:
        for connection in list(self._held):
            self._weigh(connection)

    def _cut_off_heaviest(self) -> None:
        heaviest = max(self._held, key=self._held.__getitem__)
        logger.warning(
            "cut off peer=%s: all connections may hold %d bytes, this one held %d",
            heaviest.address,
            self._limit_bytes,
            self._held[heaviest],
        )
        self.forget(heaviest)
        heaviest.abort()
