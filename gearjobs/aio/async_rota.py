"""The connections of one lane of an asyncio worker, taken in turn by the rules of `worker.turn_taking`.

The twin of `server_rota`. Servers that are down, hang or break off are dropped here and tried again when their pause is
over; connections are opened beside everything else, so that a server that hangs keeps nobody waiting.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from typing import Any

from gearjobs.aio.async_worker_connection import AsyncWorkerConnection
from gearjobs.aio.guarded_stream import GuardedStream
from gearjobs.guarded_socket import Security
from gearjobs.servers import ServerAddress, ServerList
from gearjobs.worker.grab_loop import GrabLoop
from gearjobs.worker.holding.held_work import HeldWork
from gearjobs.worker.holding.lease_clock import lease_now
from gearjobs.worker.self_restraint import SelfRestraint
from gearjobs.worker.turn_taking import TurnTaking
from gearjobs.worker.worker_connection import ServerLost
from gearjobs.worker.worker_signs import WorkerSigns

logger = logging.getLogger("gearjobs.worker")

#: Seconds to wait for a connection.
CONNECT_TIMEOUT_S = 2.0


class AsyncRota(TurnTaking[AsyncWorkerConnection]):
    """The connections of one lane.

    Args:
        servers: every server the worker serves; the pauses are the lane's own.
        new_grab_loop: makes the state machine of a new connection.
        security: TLS and the secret to prove.
        held: what the lane holds; it has its say on every connection.
        signs: what the worker tells of itself, and is told from afar.
        restraint: what the worker does not want from stock servers.
    """

    def __init__(
        self,
        servers: ServerList,
        new_grab_loop: Callable[[], GrabLoop],
        *,
        security: Security,
        held: HeldWork,
        signs: WorkerSigns,
        restraint: SelfRestraint,
    ) -> None:
        super().__init__(servers, held=held, signs=signs, restraint=restraint)
        self._new_grab_loop = new_grab_loop
        self._security = security
        self._changed = asyncio.Event()
        self._opening: dict[ServerAddress, asyncio.Task[None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    async def next_turn(self, *, may_grab: bool = True, until: float = math.inf) -> AsyncWorkerConnection | None:
        """Wait until something happens, and return the connection that was handed a job, if there is one.

        Args:
            may_grab: whether to ask for a job.
            until: when to return although nothing happened, by the lease clock.
        """
        for address in self.addresses_to_try():
            self._opening[address] = asyncio.create_task(self._open(address), name=f"gearjobs-open-{address}")
        self._say(may_grab=may_grab)
        await self._wait(min(self.due_at, until))
        self.act_on_time()
        return self.assigned

    def report_end(self, connection: AsyncWorkerConnection | None, *, goes_on: bool) -> bool:
        """Send the outcome of the job the connection was handed, with the next GRAB if that is its turn.

        Returns:
            False when the server was lost meanwhile, and the outcome with it unless it is kept.
        """
        self._say(may_grab=goes_on)
        return self.is_served(connection)

    def drop(self, connection: AsyncWorkerConnection, failure: ServerLost) -> None:
        """Close a connection that is of no use any more."""
        if self.is_served(connection):
            del self._connections[connection.address]
            connection.abort()
            self._lost(connection, failure)

    def leave_one(self, connection: AsyncWorkerConnection, reason: str) -> None:
        """Close a connection so that its server has back what it believes to be here."""
        if self.is_served(connection):
            del self._connections[connection.address]
            self._leave(connection.leave())
            self._lost(connection, ServerLost(ConnectionAbortedError(reason)))

    def wake(self) -> None:
        """End a wait in `next_turn`."""
        self._changed.set()

    async def leave(self) -> None:
        """Give back what is held and close every connection."""
        for opening in self._opening.values():
            opening.cancel()
        for connection in self._connections.values():
            self._leave(connection.leave())
        self._connections.clear()
        if ending := [*self._opening.values(), *self._leaving]:
            await asyncio.wait(ending)

    def _say(self, *, may_grab: bool) -> None:
        self._prepare_words(may_grab=may_grab)
        self._let_speak()
        for connection in self.connections:
            connection.flush()

    async def _wait(self, until: float) -> None:
        timeout_s = None if until == math.inf else max(0.0, until - lease_now())
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()

    async def _open(self, address: ServerAddress) -> None:
        try:
            stream = await GuardedStream.open(address, self._security, timeout_s=CONNECT_TIMEOUT_S)
        except OSError as error:
            self.not_connected(address, ServerLost(error))
        else:
            connection = self._connections[address] = AsyncWorkerConnection(address, self._new_grab_loop(), stream)
            connection.begin(self._hear, self._lose)
        finally:
            del self._opening[address]
            self.wake()

    def _hear(self, connection: AsyncWorkerConnection, was_introduced: bool) -> None:  # noqa: FBT001 - a callback of two
        if self.is_served(connection):
            self._heard(connection, was_introduced=was_introduced)
            for complaint in connection.grab_loop.complaints:
                logger.warning("Job server complained server=%s error=%s", connection.address, complaint)
            connection.grab_loop.complaints.clear()
        self.wake()

    def _lose(self, connection: AsyncWorkerConnection, failure: ServerLost) -> None:
        if self.is_served(connection):
            # What came before the end counts.
            self._held.hear(connection.grab_loop, lease_now())
            self.drop(connection, failure)
        self.wake()

    def _leave(self, leaving: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(leaving)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def _missing(self) -> list[ServerAddress]:
        return [address for address in super()._missing() if address not in self._opening]
