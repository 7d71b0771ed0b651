"""Many foreground jobs at once: submitted in portions, waited for together, and an outcome for each.

Each server has a line (`started_jobs`); all lines are read at the same time, so that no server waits for this reader
while another one works. Which server gets what is decided elsewhere (`portions`).
"""

from __future__ import annotations

import math
import select
import time
from collections.abc import Iterable, Sequence
from functools import partial

from gearjobs.client.connection_pool import ConnectionPool
from gearjobs.client.in_flight import Pending
from gearjobs.client.requests import JobRequest, encode_submit
from gearjobs.client.server_connection import ServerConnection
from gearjobs.client.server_walk import ServerFailed
from gearjobs.client.started_jobs import Line, jobs_of
from gearjobs.errors import DeadlineExceeded, GearjobsError, ServerUnavailable
from gearjobs.servers import ServerAddress

#: Longest single wait in milliseconds: poll(2) takes a 32-bit number.
_LONGEST_WAIT_MS = 3_600_000


class ForegroundBatch:
    """The jobs of one call.

    Args:
        requests: what is to be done.
        pool: lends the connections.
        answer_timeout_s: how long a server may take to accept a portion.
        timeout_s: how long all of it may take; None for any time.
    """

    def __init__(
        self,
        requests: Sequence[JobRequest],
        pool: ConnectionPool,
        *,
        answer_timeout_s: float,
        timeout_s: float | None,
    ) -> None:
        self._requests = requests
        self._pool = pool
        self._answer_timeout_s = answer_timeout_s
        self._timeout_s = timeout_s
        self._deadline = math.inf if timeout_s is None else time.monotonic() + timeout_s
        self._started: dict[int, tuple[Line, Pending]] = {}
        # Those of the portions sent last.
        self._lines: dict[ServerAddress, Line] = {}

    def send(self, address: ServerAddress, indexes: Sequence[int]) -> None:
        """Submit a portion, on the line of the server's earlier ones while some of their jobs are under way.

        Raises:
            ServerFailed: the server could not be used.
            DeadlineExceeded: the time of the whole has passed.
        """
        portion = [self._requests[index] for index in indexes]
        line = self._lines.get(address)
        if line is None or not line.is_open:
            line, pending = self._pool.use(
                address, lambda connection: self._begin(portion, connection), deadline=self._deadline, is_lent=True
            )
        else:
            pending = line.start(partial(self._submit, portion))
        self._lines[address] = line
        self._started.update((index, (line, one)) for index, one in zip(indexes, pending, strict=True))

    def outcomes(self) -> list[bytes | GearjobsError]:
        """Wait for the ends and return what became of each job, in the order of the requests."""
        read_all({line for line, _ in self._started.values()}, deadline=self._deadline)
        return [self._outcome(*self._started[index]) for index in range(len(self._requests))]

    def close(self) -> None:
        """Give up what has not ended."""
        for line, _ in self._started.values():
            line.close()

    def _begin(self, portion: Sequence[JobRequest], connection: ServerConnection) -> tuple[Line, list[Pending]]:
        pending = self._submit(portion, connection)
        return Line(connection, self._pool, jobs_of(pending)), pending

    def _submit(self, portion: Sequence[JobRequest], connection: ServerConnection) -> list[Pending]:
        packets = [encode_submit(request, has_extensions=connection.has_extensions) for request in portion]
        deadline = min(self._deadline, time.monotonic() + self._answer_timeout_s)
        try:
            return connection.start_all(packets, deadline=deadline)
        except ServerFailed as failure:
            if failure.is_silent and time.monotonic() >= self._deadline:
                raise DeadlineExceeded(f"the jobs could not be submitted within {self._timeout_s} s") from failure
            raise

    def _outcome(self, line: Line, pending: Pending) -> bytes | GearjobsError:
        end = pending.end()
        if end is not None:
            return end
        return line.failure or DeadlineExceeded(f"the job did not end within {self._timeout_s} s")


def read_all(lines: Iterable[Line], *, deadline: float) -> None:
    """Read until every job of the lines is over, or the deadline has passed; a line that breaks is left."""
    open_lines = {line.fileno(): line for line in lines if line.is_open}
    poll = select.poll()
    for descriptor in open_lines:
        poll.register(descriptor, select.POLLIN)
    while open_lines:
        rest_ms = (deadline - time.monotonic()) * 1000
        if rest_ms <= 0:
            return
        for descriptor, _ in poll.poll(math.ceil(min(rest_ms, _LONGEST_WAIT_MS))):
            _read_one(open_lines[descriptor])
            if not open_lines[descriptor].is_open:
                # Its descriptor may be somebody else's from now on.
                del open_lines[descriptor]
                poll.unregister(descriptor)


def _read_one(line: Line) -> None:
    try:
        # A record of TLS that is not whole: there is more to wait for.
        line.read(deadline=0.0)
    except (ServerUnavailable, TimeoutError):
        return
