"""Runs the functions of an asyncio worker: the wall at which what users' code raises becomes the job's failure.

Coroutine functions run in the worker's event loop, plain ones in threads, as many as the worker runs jobs at once. Only
KeyboardInterrupt and SystemExit pass: they mean the program. Limits and cancels are the lane's matter.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from gearjobs.aio.async_running_job import AsyncRunningJob
from gearjobs.errors import JobCancelled, UsageError
from gearjobs.protocol.wire_text import to_text

logger = logging.getLogger("gearjobs.worker")

#: Runs a job and returns its result; what it raises is the job's failure.
AsyncRun = Callable[[AsyncRunningJob], Awaitable[bytes]] | Callable[[AsyncRunningJob], bytes]


@dataclass(frozen=True, slots=True)
class AsyncFunction:
    """One function of the worker."""

    run: AsyncRun
    #: Whether it is a coroutine function, which can be ended where it awaits.
    is_coroutine: bool
    #: Longest run in seconds where the job says none; 0 for any. Coroutines only.
    run_timeout_s: float
    #: Seconds after which SoftTimeout is raised in it where the job says none; 0 for never.
    soft_timeout_s: float


class AsyncRunner:
    """The functions of one worker.

    Args:
        threads: how many plain functions run at once.
    """

    def __init__(self, threads: int) -> None:
        self._functions: dict[bytes, AsyncFunction] = {}
        self._reclaim_s: dict[bytes, float] = {}
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="gearjobs-function")

    @property
    def reclaim_s(self) -> Mapping[bytes, float]:
        """Each function, and the seconds after which a server takes its jobs back."""
        return self._reclaim_s

    def register(
        self, function: str | bytes, run: AsyncRun, *, reclaim_s: float, run_timeout_s: float, soft_timeout_s: float
    ) -> None:
        """Take a function in; see `AsyncWorker.register`.

        Raises:
            UsageError: the name cannot be used, or is taken already; or a limit cannot be kept.
        """
        name = function.encode() if isinstance(function, str) else function
        if not name or b"\0" in name:
            raise UsageError(f"a function's name must not be empty nor hold a NUL byte, got {name!r}")
        if name in self._functions:
            raise UsageError(f"the function {to_text(name)} is registered already; a worker runs one of that name")
        is_coroutine = inspect.iscoroutinefunction(run) or inspect.iscoroutinefunction(type(run).__call__)
        if run_timeout_s and not is_coroutine:
            raise UsageError(f"run_timeout_s of {to_text(name)} needs a coroutine function: no thread can be ended")
        self._functions[name] = AsyncFunction(run, is_coroutine, run_timeout_s, soft_timeout_s)
        self._reclaim_s[name] = reclaim_s

    def function_of(self, job: AsyncRunningJob) -> AsyncFunction:
        """Return the function of a job that was handed over."""
        return self._functions[job.function]

    async def outcome(self, job: AsyncRunningJob) -> tuple[bytes, BaseException | None]:
        """Run the job and return its result, or why it has none.

        Raises:
            KeyboardInterrupt, SystemExit: raised by the function; nothing more of the job is reported.
        """
        if job.is_cancel_asked:
            return b"", JobCancelled("the job was cancelled before it began")
        try:
            return await self._result(job), None
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            # Not Exception: CancelledError is none, and a failure like any other here; whoever cancels a lane looks at
            # no outcome.
            if not (job.is_failure_logged or job.is_ended_by_force):
                logger.warning("Job failed job=%s function=%s", job.handle, to_text(job.function), exc_info=True)
            return b"", error

    def close(self) -> None:
        """Take no more functions; threads whose functions still run end with them."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _result(self, job: AsyncRunningJob) -> bytes:
        function = self._functions[job.function]
        # Nobody checks the types of users' code but this.
        if function.is_coroutine:
            result: object = await job.interruption.run_coroutine(function.run(job))  # type: ignore[arg-type]  # it is
        else:
            context = contextvars.copy_context()
            result = await asyncio.get_running_loop().run_in_executor(
                self._threads, context.run, job.interruption.run, lambda: function.run(job)
            )
        if not isinstance(result, bytes):
            name = to_text(job.function)
            raise TypeError(f"the function {name} must return bytes, got {type(result).__name__}")
        return result
