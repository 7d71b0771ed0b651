"""Which signal stops the server, and that it is asked once.

SIGTERM and SIGINT: close the doors, commit what is pending, exit 0, as gearmand does but for the commit.
"""

from __future__ import annotations

import asyncio
import signal

from gearjobs.server.job_server import JobServer

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def serve_until_signal(server: JobServer) -> None:
    """Run the server in the process's main thread until it is asked to stop.

    Raises:
        GearjobsError: the server cannot start; see `JobServer.serve`.
    """
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, server.stop)
    await server.serve()
