"""Foreground jobs that were started and are waited for later, many of them on one connection.

A line is a connection that jobs share; it is lent by the pool until the last of them is over, and then given back. A
server drops what still waits of a job when its connection is closed, and knows no other way to take a foreground job
back: so a job that is given up alone on its line ends at once, and among others when they are over. One thread at a
time may use the jobs of a line.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self

from gearjobs.client.connection_pool import ConnectionPool
from gearjobs.client.in_flight import ForegroundJob, JobEvent, Pending
from gearjobs.client.server_connection import ServerConnection
from gearjobs.client.server_walk import ServerFailed, unavailable
from gearjobs.errors import DeadlineExceeded, ServerUnavailable
from gearjobs.protocol.wire_text import to_text


class Line:
    """A connection that started jobs share.

    Args:
        connection: lent by the pool.
        pool: where it goes back to.
        jobs: what was started on it.
    """

    def __init__(self, connection: ServerConnection, pool: ConnectionPool, jobs: Sequence[ForegroundJob]) -> None:
        self._connection = connection
        self._pool = pool
        self._open = list(jobs)
        self._is_given_up = False
        self._is_ended = False
        #: Why nothing more is heard of its jobs.
        self.failure: ServerUnavailable | None = None
        self._settle()

    @property
    def is_open(self) -> bool:
        """Whether a job is waited for."""
        return bool(self._open)

    def fileno(self) -> int:
        """The descriptor, for a poll over several lines."""
        return self._connection.fileno()

    def read(self, *, deadline: float) -> None:
        """Wait for something to happen to a job.

        Raises:
            ServerUnavailable: the connection broke or was closed: what becomes of its jobs is not known.
            TimeoutError: nothing came in time.
        """
        if self.failure is not None:
            raise self.failure
        try:
            self._connection.read(deadline=deadline)
        except ServerFailed as failure:
            if failure.is_silent:
                raise TimeoutError from failure
            self._pool.give_up(self._connection, failure)
            broken = unavailable(self._pool.addresses, [failure])
            self._end(broken)
            raise broken from failure
        self._settle()

    def start(self, submit: Callable[[ServerConnection], list[Pending]]) -> list[Pending]:
        """Have more jobs started on a line that is open, and return what became of each submission.

        Raises:
            ServerFailed: the connection broke, and what becomes of its other jobs is not known either.
        """
        try:
            pending = submit(self._connection)
        except ServerFailed as failure:
            self._pool.give_up(self._connection, failure)
            self._end(unavailable(self._pool.addresses, [failure]))
            raise
        self._open += jobs_of(pending)
        self._settle()
        return pending

    def let_go(self, job: ForegroundJob) -> None:
        """Wait for the job no longer."""
        if job in self._open:
            self._open.remove(job)
            self._is_given_up = True
            self._settle()

    def close(self) -> None:
        """Wait for no job any more."""
        if self._open:
            self._open.clear()
            self._is_given_up = True
            self._settle()

    def _settle(self) -> None:
        self._open = [job for job in self._open if not job.is_over]
        if self._open or self._is_ended:
            return
        if self._is_given_up:
            self._connection.close()
            self._end(ServerUnavailable("the job was given up, whether it ran is not known"))
        else:
            self._pool.give_back(self._connection)
            self._is_ended = True

    def _end(self, failure: ServerUnavailable) -> None:
        self.failure = failure
        self._open.clear()
        self._is_ended = True


def jobs_of(pending: Iterable[Pending]) -> list[ForegroundJob]:
    """Return the jobs of those submissions that the server accepted."""
    return [one.job for one in pending if one.job is not None and one.error is None]


class StartedJob:
    """A foreground job under way; iterate over it for what happens, as it happens, until it is over.

    Leaving it as a context manager, or `close`, gives it up.

    Args:
        job: what is known of it.
        line: the way to hear more.
    """

    def __init__(self, job: ForegroundJob, line: Line) -> None:
        self.handle = to_text(job.handle)
        self._job = job
        self._line = line

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_over(self) -> bool:
        """Whether its end was heard of, by reading on its behalf or that of another job of its line."""
        return self._job.is_over

    def __iter__(self) -> Iterator[JobEvent]:
        while True:
            yield from self._job.take_events()
            if self._job.is_over:
                return
            self._line.read(deadline=math.inf)

    def result(self, timeout_s: float | None = None) -> bytes:
        """Wait for its end and return its result; events that nobody took are dropped.

        Args:
            timeout_s: how long to wait; None for as long as the connection lives.

        Raises:
            JobFailed: the worker reported a failure, or the server gave the job up.
            DeadlineExceeded: `timeout_s` passed; the job goes on, and may be waited for again.
            ServerUnavailable: the connection broke, or the job was given up: whether it ran is not known.
        """
        deadline = math.inf if timeout_s is None else time.monotonic() + timeout_s
        self._job.keeps_events = False
        self._job.events.clear()
        while not self._job.is_over:
            try:
                self._line.read(deadline=deadline)
            except TimeoutError as error:
                raise DeadlineExceeded(f"job {self.handle} did not end within {timeout_s} s") from error
        return self._job.outcome()

    def close(self) -> None:
        """Give the job up, unless it is over: its server drops it if it still waits and nobody else waits for it."""
        self._line.let_go(self._job)
