"""The job that an asyncio worker runs, as its function sees it: `RunningJob` with a way to wait for the server.

In a coroutine, reports wait for nothing, so that one that streams much should `await job.drain()` now and then. In a
thread, where plain functions run, a report that comes too fast waits by itself.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError as FutureCancelledError
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from typing import Any, Final

from gearjobs.worker.grab_loop import ANSWER_TIMEOUT_S, Assignment
from gearjobs.worker.running_job import RunningJob

#: Bytes that a thread reports before it waits until they have left.
UNDRAINED_BYTES: Final = 256 * 1024


class AsyncRunningJob(RunningJob):
    """One run of a job.

    Args:
        assignment: what the server said of it.
        send: hands bytes to the job's server; must not raise.
        drain: waits until what was handed over has left.
        has_extensions: whether that server takes a message with the progress.
        server: the address of that server.
        send_last: hands the last bytes to the job's server.
    """

    def __init__(
        self,
        assignment: Assignment,
        send: Callable[[bytes], object],
        *,
        drain: Callable[[], Coroutine[Any, Any, None]],
        has_extensions: bool,
        server: str,
        send_last: Callable[[bytes], object],
    ) -> None:
        super().__init__(assignment, send, has_extensions=has_extensions, server=server, send_last=send_last)
        self._drain = drain
        self._loop = asyncio.get_running_loop()
        self._loop_thread_id = threading.get_ident()
        self._undrained_bytes = 0

    async def drain(self) -> None:
        """Wait until most of what was reported has left; in the worker's event loop only."""
        await self._drain()

    def _report(self, packet: bytes) -> None:
        if threading.get_ident() != self._loop_thread_id:
            # Before the lock is taken: the loop must not wait for a thread that waits for the loop.
            self._wait_for_room(len(packet))
        super()._report(packet)

    def _wait_for_room(self, packet_bytes: int) -> None:
        self._undrained_bytes += packet_bytes
        if self._undrained_bytes >= UNDRAINED_BYTES:
            self._undrained_bytes = 0
            drained = self._drain()
            try:
                waiting = asyncio.run_coroutine_threadsafe(drained, self._loop)
            except RuntimeError:
                # The loop is closed; the worker has ended.
                drained.close()
                return
            # The second: the worker has ended.
            with suppress(FutureTimeoutError, FutureCancelledError):
                waiting.result(ANSWER_TIMEOUT_S)
            waiting.cancel()
