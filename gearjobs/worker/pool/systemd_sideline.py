"""Tells systemd how a pool is: ready, reloading, stopping, alive, and in a sentence what it does.

It stands beside the supervisor, so that the watchdog hears of the supervisor's own loop and of nothing else: a worker
process that hangs is the supervisor's to find. The pool is ready when its processes have found their job servers, or
have not for a while: they go on looking. After a reload by exec the new program says that it reloads, too, and is ready
when the last child of the old code has gone.
"""

from __future__ import annotations

from typing import Final

from gearjobs.systemd_notify import SystemdNotify
from gearjobs.worker.pool.pool_services import PoolState, PoolView
from gearjobs.worker.pool.signal_pipe import SignalPipe

#: Seconds that a start waits for job servers; systemd itself gives a start a minute and a half.
START_PATIENCE_S: Final = 10.0


class SystemdSideline:
    """What systemd hears of a pool.

    Args:
        notify: says it.
    """

    def __init__(self, notify: SystemdNotify) -> None:
        self._notify = notify
        self._state: PoolState | None = None
        self._ready_at = 0.0

    def open(self, _signals: SignalPipe) -> None:
        """Nothing to be done: the first look tells."""

    def turn(self, view: PoolView, now: float) -> None:
        """Say what is new."""
        self._ready_at = self._ready_at or now + START_PATIENCE_S
        is_starting = self._state is None and view.serving < view.wanted and now < self._ready_at
        if view.state is not self._state and not (is_starting and view.state is PoolState.RUNNING):
            self._state = view.state
            {
                PoolState.RELOADING: self._notify.reloading,
                PoolState.STOPPING: self._notify.stopping,
            }.get(view.state, self._notify.ready)()
        self._notify.status(
            f"{view.state}: {view.running} of {view.wanted} processes, {view.serving} of them connected;"
            f" {view.busy_lanes} of {view.lanes} jobs at once"
        )
        self._notify.beat(now)

    def close(self) -> None:
        """Nothing to be done: systemd sees the end."""
