"""Which signal stops the server, and that it is asked once.

SIGTERM and SIGINT: close the doors, commit what is pending, exit 0, as gearmand does but for the commit.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def install_stop_signals(loop: asyncio.AbstractEventLoop, on_stop: Callable[[], None]) -> None:
    """Call `on_stop` in the loop when the process is asked to stop."""
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, on_stop)
