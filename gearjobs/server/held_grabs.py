"""Grabs that found nothing and are not answered yet: a job that comes in a moment is their answer.

Between two jobs of a busy function a worker would be told NO_JOB, fall asleep, be called and ask again: four packets,
of which no job comes nearer. So its grab is kept open to the end of the tick, for a job that was read with it, and from
there for a moment. In the queue such a worker sleeps, before all real sleepers; when it is called, its grab is made
once more. A worker that says something else meanwhile is answered first: order is what clients rely on.

Where no job came in the moment, the worker's next grabs are answered at the end of their tick, each time more of them:
one that works for several servers and has most of its jobs from another must not wait here for each of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from gearjobs.core.job_queue import JobQueue
from gearjobs.protocol.packets import PacketType
from gearjobs.server.assignments import NO_JOB, Assignments
from gearjobs.server.connection import Connection

logger = logging.getLogger("gearjobs.server")

#: Seconds between two looks at what is held: each grab is for one to two of them. A client that waits for a result and
#: then asks for the next is back in a tenth of that.
MOMENT_S: Final = 0.002
#: Grabs that are not held after a moment in which nothing came, as a multiple of the last time; and at most. With it a
#: job of another server waits for 1 % of a moment here.
PATIENCE_FACTOR: Final = 4
LEAST_PATIENCE: Final = 256

_GRAB_JOB_EXT: Final = PacketType.GRAB_JOB_EXT


class HeldGrabs:
    """The grabs of one server.

    Args:
        queue: gives the jobs.
        assignments: makes the packets that tell of them.
        end_tick: is called when grabs were answered in no tick.
        clock: returns unix seconds.
    """

    def __init__(
        self, queue: JobQueue, assignments: Assignments, *, end_tick: Callable[[], None], clock: Callable[[], float]
    ) -> None:
        self._queue = queue
        self._assignments = assignments
        self._end_tick = end_tick
        self._clock = clock
        #: Held since this tick; some of them were answered by now.
        self.fresh: list[Connection] = []
        #: Held for a moment, as above.
        self._waiting: dict[Connection, None] = {}
        #: How often it was looked at these.
        self._looks = 0
        #: Whom the queue has called.
        self.called: list[Connection] = []
        self._timer: asyncio.TimerHandle | None = None

    def call(self, connection: Connection) -> None:
        """The queue calls this worker, whose grab is held."""
        self.called.append(connection)

    def hold(self, connection: Connection, grab: int, now: float) -> None:
        """Keep the grab that found nothing, or answer it where the worker has said something more already."""
        if connection.decoder.has_partial:
            connection.send(NO_JOB)
            return
        connection.held_grab = grab
        self.fresh.append(connection)
        self._queue.await_job(connection.id, now=now)

    def settle(self, connection: Connection, now: float) -> None:
        """Answer the grab now, for the worker goes on without a job."""
        if not self._answer(connection, now):
            connection.held_grab = 0
            connection.send(NO_JOB)

    def answer_called(self, now: float) -> None:
        """Give a job to each who was called, where another was not faster."""
        called, self.called = self.called, []
        for connection in called:
            if not connection.held_grab:
                continue
            if connection.is_choked or connection.is_leaving:
                # Nothing is done for it now. The queue calls others in time.
                self.called.append(connection)
            elif not self._answer(connection, now):
                self._queue.await_job(connection.id, now=now)

    def end_tick(self, now: float) -> None:
        """Answer who is not to be held any longer than the tick."""
        fresh, self.fresh = self.fresh, []
        for connection in fresh:
            if not connection.held_grab:
                continue
            if connection.impatience:
                connection.impatience -= 1
                self.settle(connection, now)
                continue
            connection.held_since = self._looks
            self._waiting[connection] = None
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(MOMENT_S, self._look)

    def stop(self) -> None:
        """Hold nobody any more; whom nothing was said will hear it from the end of the connection."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        """Answer who was held for a moment."""
        self._looks += 1
        now = self._clock()
        for connection in list(self._waiting):
            if connection.held_grab and self._looks < connection.held_since + 2:
                continue
            del self._waiting[connection]
            if connection.held_grab:
                lost = min(LEAST_PATIENCE, connection.lost_patience * PATIENCE_FACTOR or PATIENCE_FACTOR)
                connection.lost_patience = connection.impatience = lost
                self.settle(connection, now)
        self._timer = asyncio.get_running_loop().call_later(MOMENT_S, self._look) if self._waiting else None
        self._end_tick()

    def _answer(self, connection: Connection, now: float) -> bool:
        """Grab once more for the worker; return whether it needs no other answer."""
        if connection.is_leaving:
            # A job that nobody will read would count as one that lost its worker.
            return False
        grab = connection.held_grab
        try:
            job = self._queue.grab_job(connection.id, is_resumable=grab == _GRAB_JOB_EXT, now=now)
            if job is None:
                return False
            connection.held_grab = 0
            connection.lost_patience = 0
            connection.send(self._assignments.packet(grab, job))
        except Exception:
            # The connection's wall, as for its packets: the others' grabs are answered all the same.
            logger.exception("close peer=%s: the answer to its grab met a bug", connection.address)
            connection.held_grab = 0
            connection.abort()
        return True
