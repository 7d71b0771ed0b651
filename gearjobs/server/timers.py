"""The one timer: rings when the queue or the progress throttle next has something to do, and at every sweep.

A timer that rings too early costs one look, so it is moved only to ring earlier, never later: most of what it was set
for (a call that was answered, a job that ended in time) is over before it rings.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

#: Seconds after which `rearm_soon` looks: to look after every packet would cost more than many a packet does.
LOOK_AFTER_S = 0.001
#: Seconds by which a time already past is put off, so that a clock that stands still cannot spin the loop.
_LEAST_DELAY_S = 0.001


class Timers:
    """Calls `on_tick` when something is due.

    Args:
        next_due: returns the unix seconds of the next thing to do, or None.
        on_tick: does what is due.
        clock: returns unix seconds.
    """

    def __init__(
        self, next_due: Callable[[], float | None], on_tick: Callable[[], None], *, clock: Callable[[], float]
    ) -> None:
        self._next_due = next_due
        self._on_tick = on_tick
        self._clock = clock
        self._handle: asyncio.TimerHandle | None = None
        #: Whether a look is to come.
        self.is_look_due = False
        self._look: asyncio.TimerHandle | None = None
        self._rings_at = 0.0
        self._is_stopped = False

    def rearm(self) -> None:
        """See to it that the timer rings when the next thing is due; called whenever that may have changed."""
        if self._is_stopped:
            return
        due_at = self._next_due()
        if due_at is None or (self._handle is not None and self._rings_at <= due_at):
            return
        if self._handle is not None:
            self._handle.cancel()
        self._rings_at = due_at
        delay_s = max(_LEAST_DELAY_S, due_at - self._clock())
        self._handle = asyncio.get_running_loop().call_later(delay_s, self._ring)

    def rearm_soon(self) -> None:
        """Rearm within a millisecond, which is as exact as a timer is."""
        if not (self.is_look_due or self._is_stopped):
            self.is_look_due = True
            self._look = asyncio.get_running_loop().call_later(LOOK_AFTER_S, self._rearm_now)

    def stop(self) -> None:
        """Never ring again, whatever is due: connections that end after the server's end rearm it."""
        self._is_stopped = True
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self._look is not None:
            self._look.cancel()

    def _rearm_now(self) -> None:
        self.is_look_due = False
        self.rearm()

    def _ring(self) -> None:
        self._handle = None
        self._on_tick()
        self.rearm()
