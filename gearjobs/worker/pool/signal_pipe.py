"""Turns signals into something a supervisor can wait for with a deadline.

While it is open, the signals of operators are noted instead of ending the process, and every signal heard, SIGCHLD
among them, ends a wait. Signals that arrive between two waits are not lost: they leave a byte in a pipe (the
interpreter's own wake-up descriptor). Main thread only. A fork goes through `fork`, so that no signal can hit a child
that still has its parent's handlers, which would swallow it. Signals that were held back while a program renewed itself
(`hold_back`) are heard at the start.
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
#: What operators say beside: new code, no more jobs, jobs again. As nginx, gunicorn and the job server have it, HUP is
#: the reload; TSTP, Sidekiq's word for quiet, would stop a supervisor whenever somebody types Ctrl-Z at it.
RELOAD_SIGNAL, QUIET_SIGNAL, RESUME_SIGNAL = signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2
_HEARD_SIGNALS = (*STOP_SIGNALS, RELOAD_SIGNAL, QUIET_SIGNAL, RESUME_SIGNAL, signal.SIGCHLD)


class SignalPipe:
    """Hears operators' signals and SIGCHLD from `with` to the end of the block."""

    def __init__(self) -> None:
        self._heard: list[int] = []
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._poll = select.poll()
        self._poll.register(self._reader, select.POLLIN)

    def __enter__(self) -> Self:
        self._previous_handlers = {number: signal.signal(number, self._hear) for number in _HEARD_SIGNALS}
        self._previous_descriptor = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD_SIGNALS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._previous_descriptor)
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)
        self._close()

    @property
    def is_stop_asked(self) -> bool:
        """Whether SIGTERM or SIGINT came."""
        return any(number in STOP_SIGNALS for number in self._heard)

    def take(self, *numbers: int) -> int:
        """Return which of these signals came last since they were last taken, 0 when none did."""
        came = [number for number in self._heard if number in numbers]
        for number in came:
            self._heard.remove(number)
        return came[-1] if came else 0

    def watch(self, descriptor: int) -> None:
        """Let something to be read there end a wait, too."""
        self._poll.register(descriptor, select.POLLIN)

    def unwatch(self, descriptor: int) -> None:
        """Let it end no wait any more; it must still be open."""
        self._poll.unregister(descriptor)

    def wait(self, until: float) -> None:
        """Return when a signal came, or at `until` (monotonic seconds, infinity for never)."""
        wait_ms = None if until == math.inf else max(0, math.ceil((until - time.monotonic()) * 1000))
        if any(descriptor == self._reader for descriptor, _ in self._poll.poll(wait_ms)):
            os.read(self._reader, 512)

    def fork(self) -> int:
        """Fork; return the child's pid, or 0 in the child.

        In the child SIGTERM has its default meaning again; SIGINT and SIGHUP, which a terminal sends to the whole
        group, have none, nor have those for quiet and resume, until the child gives them one.
        """
        previous_mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD_SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                self._reset_in_child()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, previous_mask)
        return pid

    @staticmethod
    def hold_back() -> None:
        """Have this process hear no signals until it has a SignalPipe again: for what it is to become by exec."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD_SIGNALS)

    @staticmethod
    def let_through() -> None:
        """Undo `hold_back`."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD_SIGNALS)

    def _reset_in_child(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in (signal.SIGINT, RELOAD_SIGNAL, QUIET_SIGNAL, RESUME_SIGNAL):
            signal.signal(number, signal.SIG_IGN)
        self._close()

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        # A child's end is found by waiting for it; to count them would be to keep them.
        if number != signal.SIGCHLD:
            self._heard.append(number)

    def _close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)
