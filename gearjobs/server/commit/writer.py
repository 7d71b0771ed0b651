"""The writer thread: the only thread that touches the store.

It runs what it is given, one call after the other, and brings each outcome back into the loop. What is asked of the
store, and when, is `group_commit`'s decision; how a batch is committed is `batch_commit`'s.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import TypeVar

from gearjobs.errors import StoreError
from gearjobs.server.commit.batch_commit import behind_wall

Answer = TypeVar("Answer")


class Writer:
    """Runs store calls in a thread of its own, in order."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="gearjobs-writer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the calls it was given."""
        self.abandon()
        self._thread.join()

    def abandon(self) -> None:
        """Let the thread end after the calls it was given, whenever that is; the process does not wait for it."""
        self._calls.put(None)

    def call(self, function: Callable[[], Answer]) -> asyncio.Future[Answer]:
        """Run a function in the thread; the future is the running loop's."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()

        def run() -> None:
            # A loop that is closed waits for no answer any more.
            with suppress(RuntimeError):
                try:
                    answer = behind_wall(function)
                except StoreError as error:
                    loop.call_soon_threadsafe(_fail, future, error)
                else:
                    loop.call_soon_threadsafe(_succeed, future, answer)

        self._calls.put(run)
        return future

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


def _succeed(future: asyncio.Future[Answer], answer: Answer) -> None:
    if not future.cancelled():
        future.set_result(answer)


def _fail(future: asyncio.Future[Answer], error: StoreError) -> None:
    if not future.cancelled():
        future.set_exception(error)
