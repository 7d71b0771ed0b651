"""What each signal does to the server; gearmand's meanings.

SIGTERM and SIGINT: close the doors, commit what is pending, exit 0. SIGUSR1: take no new connections, and stop when the
last one is gone. SIGHUP: open the log file again, and read again what may have changed on disk.
"""

from __future__ import annotations

import asyncio
import math
import signal
import time
from collections.abc import Callable

from gearjobs.server.server_lives import ServerLives
from gearjobs.systemd_notify import SystemdNotify

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def serve_until_signal(
    server: ServerLives, *, reopen_log: Callable[[], None], notify: SystemdNotify | None = None
) -> None:
    """Run the server in the process's main thread until it is asked to stop.

    Args:
        server: not yet serving.
        reopen_log: what SIGHUP does to the log.
        notify: hears as long as the loop turns that it does, and when the server is asked to stop.

    Raises:
        GearjobsError: the server cannot start; see `ServerLives.serve`.
    """
    loop = asyncio.get_running_loop()

    def hang_up() -> None:
        reopen_log()
        server.reload()

    told = notify or SystemdNotify()

    def stop() -> None:
        told.stopping()
        server.stop()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGUSR1, server.drain)
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    beats = asyncio.create_task(_keep_beating(told))
    try:
        await server.serve()
    finally:
        beats.cancel()


async def _keep_beating(notify: SystemdNotify) -> None:
    while notify.beat_every_s < math.inf:
        notify.beat(time.monotonic())
        await asyncio.sleep(notify.beat_every_s)
