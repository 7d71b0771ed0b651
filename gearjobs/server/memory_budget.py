"""Bounds the memory that all connections hold together, in three steps, the gentlest first.

Each connection is bounded by itself (`connection`, the decoder), but a thousand of them, each within its bounds, could
still hold more than there is. From half of the budget on, those that hold most are not read from, and take turns, so
that some packet always gets whole and leaves; from three quarters on, jobs are not taken in; beyond all of it, the
connection that holds most is cut off. Who holds next to nothing, as most do, is touched by none of this.

Counted are the bytes of packets that are not whole yet and of answers that have not left; jobs are not: what is queued
is bounded by `maxqueue`. What is counted may be out of date and too much, never too little, so all is weighed again
before anything is done.
"""

from __future__ import annotations

import asyncio
import logging
from enum import IntEnum
from typing import Final, Protocol

logger = logging.getLogger("gearjobs.server")

#: Bytes up to which a connection does not count: 10,000 such hold 40 MiB.
LIGHT_BYTES: Final = 4096
#: Shares of the budget at which the first two steps are taken.
SLOWING_SHARE: Final = 0.5
REFUSING_SHARE: Final = 0.75
#: Share that those may hold who are read from, once the first step is taken.
FREE_SHARE: Final = 0.125
#: Share that must have come since the last look before `note` looks again: to weigh ten thousand takes 10 ms.
GROWTH_SHARE: Final = 1 / 64
#: Seconds between two looks while a step is taken, and so the turn of one that is not read from else: 64 MiB pass.
LOOK_EVERY_S: Final = 0.25
#: Least seconds between two log lines about the same step.
LOG_EVERY_S: Final = 10.0


class Strain(IntEnum):
    """Which step is taken."""

    NONE = 0
    #: The heaviest are not read from.
    SLOWING = 1
    #: Jobs are not taken in.
    REFUSING = 2


class Holder(Protocol):
    """A connection of any kind; its own equal only."""

    @property
    def address(self) -> str:
        """Host and port."""

    @property
    def buffered_bytes(self) -> int:
        """Memory it holds at the moment."""

    def hold_off(self) -> None:
        """Read no more from it."""

    def go_on(self) -> None:
        """Read from it again."""

    def abort(self) -> None:
        """Let it end at once."""


class MemoryBudget:
    """The bytes that connections hold.

    Args:
        limit_bytes: what all may hold together.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.strain = Strain.NONE
        #: True while no jobs are to be taken in.
        self.is_refusing = False
        #: Connections that were cut off, and submits that were refused, since the start.
        self.cut_off = 0
        self.submits_refused = 0
        self._held: dict[Holder, int] = {}
        self._total_bytes = 0
        #: The total beyond which there is something to do.
        self._look_beyond = limit_bytes * SLOWING_SHARE
        #: Not read from; the one whose turn is next comes first.
        self._held_off: dict[Holder, None] = {}
        #: Whose turn it is: read from until the next look, whatever it holds.
        self._at_turn: Holder | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._may_log_at: dict[Strain, float] = {}

    @property
    def total_bytes(self) -> int:
        """What all hold together, as of the last look at each."""
        return self._total_bytes

    @property
    def held_off(self) -> int:
        """How many connections are not read from."""
        return len(self._held_off)

    def note(self, connection: Holder) -> None:
        """Count what the connection holds now, which may be more than before, and do what must be done."""
        self._weigh(connection)
        if self._total_bytes > self._look_beyond:
            self._act()

    def forget(self, connection: Holder) -> None:
        """The connection is closed."""
        self._drop_weight(connection)
        self._held_off.pop(connection, None)
        if self._at_turn is connection:
            self._at_turn = None

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _act(self) -> None:
        """Weigh all, take the step that fits, and come back while there is one."""
        self._weigh_all()
        while self._total_bytes > self.limit_bytes:
            self._cut_off_heaviest()
        self._note_strain(self._fitting_strain())
        if self.strain is Strain.NONE:
            for connection in list(self._held_off):
                self._let_go_on(connection)
            self._at_turn = None
        else:
            self._hold_off_heaviest()
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)
        grown_bytes = self._total_bytes + self.limit_bytes * GROWTH_SHARE
        self._look_beyond = min(self.limit_bytes, max(self.limit_bytes * SLOWING_SHARE, grown_bytes))

    def _look(self) -> None:
        """Let the next go on that has waited longest, and judge anew."""
        self._timer = None
        self._at_turn = next(iter(self._held_off), None)
        if self._at_turn is not None:
            self._let_go_on(self._at_turn)
        self._act()

    def _fitting_strain(self) -> Strain:
        if self._total_bytes > self.limit_bytes * REFUSING_SHARE:
            return Strain.REFUSING
        return Strain.SLOWING if self._total_bytes > self.limit_bytes * SLOWING_SHARE else Strain.NONE

    def _hold_off_heaviest(self) -> None:
        """Read no more from those that hold most, until the others together hold little."""
        free = [one for one in self._held if one not in self._held_off and one is not self._at_turn]
        free.sort(key=self._held.__getitem__)
        free_bytes = sum(self._held[one] for one in free)
        while free_bytes > self.limit_bytes * FREE_SHARE:
            heaviest = free.pop()
            free_bytes -= self._held[heaviest]
            self._held_off[heaviest] = None
            heaviest.hold_off()

    def _let_go_on(self, connection: Holder) -> None:
        del self._held_off[connection]
        connection.go_on()

    def _note_strain(self, strain: Strain) -> None:
        has_grown = strain > self.strain
        self.strain = strain
        self.is_refusing = strain is Strain.REFUSING
        if not has_grown:
            return
        now = asyncio.get_running_loop().time()
        if now < self._may_log_at.get(strain, now):
            return
        self._may_log_at[strain] = now + LOG_EVERY_S
        step = "refuse submits" if strain is Strain.REFUSING else "read no more from the heaviest peers"
        logger.warning("%s: connections hold %d of %d bytes", step, self._total_bytes, self.limit_bytes)

    def _weigh(self, connection: Holder) -> None:
        self._drop_weight(connection)
        held_bytes = connection.buffered_bytes
        if held_bytes > LIGHT_BYTES:
            self._held[connection] = held_bytes
            self._total_bytes += held_bytes

    def _drop_weight(self, connection: Holder) -> None:
        self._total_bytes -= self._held.pop(connection, 0)

    def _weigh_all(self) -> None:
        for connection in list(self._held):
            self._weigh(connection)

    def _cut_off_heaviest(self) -> None:
        heaviest = max(self._held, key=self._held.__getitem__)
        logger.warning(
            "cut off peer=%s: all connections may hold %d bytes, this one held %d",
            heaviest.address,
            self.limit_bytes,
            self._held[heaviest],
        )
        self.cut_off += 1
        self.forget(heaviest)
        heaviest.abort()
