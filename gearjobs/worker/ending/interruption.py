"""Raises an exception in the function of one run, from any thread: the soft limit and the cancel of a job.

Only the code between `run` and its return can be hit, never the worker's own: not a report that is being written, half
of which would break the connection, and nothing after the function's end. A function in the main thread is hit by a
signal, which also breaks calls that wait (sleep, read, lock); in any other thread the interpreter raises the exception
as soon as that thread runs Python code again. A coroutine gets it where it awaits. An exception that comes before the
function has begun is raised in its first moment.
"""

from __future__ import annotations

import asyncio
import ctypes
import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from types import FrameType
from typing import Any, TypeVar

from gearjobs.errors import JobCancelled, SoftTimeout

R = TypeVar("R")

#: The signal that makes the main thread look. Go's runtime chose it for the same purpose: nobody else uses it, and
#: where nobody listens it does nothing.
LOOK_SIGNAL = signal.SIGURG

#: What may be raised in a function.
Interrupt = SoftTimeout | JobCancelled


class _MainThread:
    """What the main thread is running, for the signal's handler."""

    def __init__(self) -> None:
        #: Whether the handler is there.
        self.hears = False
        self.running: Interruption | None = None


_main = _MainThread()


def hear_interrupts() -> None:
    """Let functions in the main thread be interrupted while they wait; main thread only, the handler stays."""
    signal.signal(LOOK_SIGNAL, _look)
    _main.hears = True


def _look(_number: int, _frame: FrameType | None) -> None:
    if _main.running is not None:
        _main.running.raise_pending()


class Interruption:
    """The way to raise an exception in one run's function."""

    __slots__ = ("_is_held", "_is_in_main", "_lock", "_pending", "_wake_coroutine", "thread_id")

    def __init__(self) -> None:
        # Between who interrupts and the run's own thread. The handler of the signal must not take it: it may have come
        # while its thread had it.
        self._lock = threading.Lock()
        self._pending: Interrupt | None = None
        #: The thread that runs the function, and can be hit; 0 while none does.
        self.thread_id = 0
        self._is_in_main = False
        self._is_held = False
        self._wake_coroutine: Callable[[], object] | None = None

    def interrupt(self, error: Interrupt) -> None:
        """Raise the error in the function as soon as it can be; one that was not raised yet is replaced."""
        with self._lock:
            self._pending = error
            if self._wake_coroutine is not None:
                self._wake_coroutine()
            elif self.thread_id and not self._is_held:
                self._hit(error)

    def remind(self) -> bool:
        """Hit a main thread that was not hit yet; return whether that may have to be done once more.

        A signal that comes in the last moment before a call waits does not break that call.
        """
        with self._lock:
            is_due = self._pending is not None and self._is_in_main and self.thread_id != 0
            if is_due:
                signal.pthread_kill(self.thread_id, LOOK_SIGNAL)
            return is_due

    def run(self, function: Callable[[], R]) -> R:
        """Call the function so that it can be interrupted; what it is interrupted with is raised out of here."""
        try:
            try:
                self._open()
                return function()
            finally:
                self._close()
        finally:
            # The exception may have come at the first step of `_close`, which then did nothing.
            self._close()

    async def run_coroutine(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Await the coroutine so that it can be interrupted; in whichever loop this runs."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is None:
            raise RuntimeError("a coroutine must run in a task to be interrupted")

        def cancel() -> None:
            # It may have been raised at another occasion meanwhile, or the coroutine have ended.
            if self._pending is not None:
                task.cancel()

        def wake() -> None:
            # A loop that is closed has nothing left to interrupt.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(cancel)

        with self._lock:
            self._wake_coroutine = wake
            if self._pending is not None:
                wake()
        try:
            return await _Driven(coroutine, self, task)
        finally:
            with self._lock:
                self._wake_coroutine = self._pending = None

    def hold(self) -> bool:
        """Keep exceptions from this thread until `let_go`; return False in a thread that none can hit."""
        if threading.get_ident() != self.thread_id:
            return False
        try:
            with self._lock:
                self._is_held = True
        except BaseException:
            # It was on its way already, and comes now.
            self._is_held = False
            raise
        return True

    def let_go(self) -> None:
        """End `hold`, and raise what came meanwhile."""
        self._is_held = False
        self.raise_pending()

    def raise_pending(self) -> None:
        """Raise what is to be raised in this thread; for the handler of the signal, and where a hold ends."""
        error = self._pending
        if error is not None and self.thread_id == threading.get_ident() and not self._is_held:
            self._pending = None
            raise error

    def take_pending(self) -> Interrupt | None:
        """Return what is to be raised, which the caller does."""
        error, self._pending = self._pending, None
        return error

    def _hit(self, error: Interrupt) -> None:
        if self._is_in_main:
            signal.pthread_kill(self.thread_id, LOOK_SIGNAL)
        else:
            # The class only: the interpreter makes the exception itself.
            self._pending = None
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.thread_id), ctypes.py_object(type(error)))

    def _open(self) -> None:
        with self._lock:
            self._is_in_main = _main.hears and threading.current_thread() is threading.main_thread()
            if self._is_in_main:
                _main.running = self
            self.thread_id = threading.get_ident()
        self.raise_pending()

    def _close(self) -> None:
        try:
            self._forget_thread()
        except (SoftTimeout, JobCancelled):
            # On its way when the function ended: too late to matter. There is at most this one.
            self._forget_thread()

    def _forget_thread(self) -> None:
        with self._lock:
            self.thread_id = 0
            if _main.running is self:
                _main.running = None


class _Driven(Awaitable[R]):
    """A coroutine in whose place CancelledError becomes what it was interrupted with."""

    def __init__(
        self, coroutine: Coroutine[Any, Any, R], interruption: Interruption, task: asyncio.Task[object]
    ) -> None:
        self._coroutine = coroutine
        self._interruption = interruption
        self._task = task

    def __await__(self) -> Generator[Any, None, R]:
        error: BaseException | None = None
        while True:
            try:
                awaited = self._coroutine.send(None) if error is None else self._coroutine.throw(error)
            except StopIteration as end:
                value: R = end.value
                return value
            try:
                yield awaited
                error = None
            except asyncio.CancelledError as cancelled:
                error = self._interrupt() or cancelled
            except BaseException as other:  # noqa: BLE001 - what a task is told, its coroutine must hear, GeneratorExit too
                error = other

    def _interrupt(self) -> Interrupt | None:
        error = self._interruption.take_pending()
        if error is not None:
            # To the loop the coroutine was cancelled; it is to go on, as far as it wants to.
            self._task.uncancel()
        return error
