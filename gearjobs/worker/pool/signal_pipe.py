"""Turns signals into something a supervisor can wait for with a deadline.

While it is open, the stop signals are noted instead of ending the process, and every signal heard, SIGCHLD among them,
ends a wait. Signals that arrive between two waits are not lost: they leave a byte in a pipe (the interpreter's own
wake-up descriptor). Main thread only. A fork goes through `fork`, so that no signal can hit a child that still has its
parent's handlers, which would swallow it.
"""

from __future__ import annotations

import math
import os
import select
import signal
import time
from types import FrameType, TracebackType
from typing import Self

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_HEARD_SIGNALS = (*STOP_SIGNALS, signal.SIGCHLD)


class SignalPipe:
    """Hears SIGTERM, SIGINT and SIGCHLD from `with` to the end of the block."""

    def __init__(self) -> None:
        #: Whether SIGTERM or SIGINT came.
        self.is_stop_asked = False
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._poll = select.poll()
        self._poll.register(self._reader, select.POLLIN)

    def __enter__(self) -> Self:
        self._previous_handlers = {number: signal.signal(number, self._hear) for number in _HEARD_SIGNALS}
        self._previous_descriptor = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._previous_descriptor)
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)
        self._close()

    def wait(self, until: float) -> None:
        """Return when a signal came, or at `until` (monotonic seconds, infinity for never)."""
        wait_ms = None if until == math.inf else max(0, math.ceil((until - time.monotonic()) * 1000))
        if self._poll.poll(wait_ms):
            os.read(self._reader, 512)

    def fork(self) -> int:
        """Fork; return the child's pid, or 0 in the child.

        In the child SIGTERM has its default meaning again, and SIGINT, which a terminal sends to the whole group, none.
        """
        previous_mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD_SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                self._reset_in_child()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, previous_mask)
        return pid

    def _reset_in_child(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._close()

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        if number in STOP_SIGNALS:
            self.is_stop_asked = True

    def _close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)
