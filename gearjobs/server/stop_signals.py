"""What each signal does to the server; gearmand's meanings.

SIGTERM and SIGINT: close the doors, commit what is pending, exit 0. SIGUSR1: take no new connections, and stop when the
last one is gone. SIGHUP: open the log file again, and read again what may have changed on disk.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from gearjobs.server.server_lives import ServerLives

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def serve_until_signal(server: ServerLives, *, reopen_log: Callable[[], None]) -> None:
    """Run the server in the process's main thread until it is asked to stop.

    Raises:
        GearjobsError: the server cannot start; see `ServerLives.serve`.
    """
    loop = asyncio.get_running_loop()

    def hang_up() -> None:
        reopen_log()
        server.reload()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, server.stop)
    loop.add_signal_handler(signal.SIGUSR1, server.drain)
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    await server.serve()
