"""The connections of an asyncio client, one to each server that is asked, and the memory of which servers failed.

The twin of `connection_pool`. A connection is shared by all who ask, and replaced when it has broken or was retired;
many who find none wait for the same attempt to open one, and its failure counts once. Everything happens in the one
event loop that the client was first used in.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

from gearjobs.aio.async_server_connection import AsyncServerConnection, closed_here
from gearjobs.client.server_walk import Answer, Repeat, ServerFailed
from gearjobs.errors import UsageError
from gearjobs.guarded_socket import Security
from gearjobs.servers import ServerAddress, ServerList

#: Talks over the connection it is given and returns what it heard.
AsyncExchange = Callable[[AsyncServerConnection], Awaitable[Answer]]


class AsyncPool:
    """Gives connections.

    Args:
        servers: the servers in order of preference.
        security: how to show who this is, and whom to believe.
        connect_timeout_s: how long to wait for a connection.
        answer_timeout_s: how long to wait for a new connection's first answer.

    Raises:
        UsageError: the list of servers cannot be used.
    """

    def __init__(
        self,
        servers: Sequence[str | ServerAddress],
        security: Security,
        *,
        connect_timeout_s: float,
        answer_timeout_s: float,
    ) -> None:
        self._servers = ServerList(servers)
        self._security = security
        self._connect_timeout_s = connect_timeout_s
        self._answer_timeout_s = answer_timeout_s
        self._kept: dict[ServerAddress, AsyncServerConnection] = {}
        self._opening: dict[ServerAddress, asyncio.Task[AsyncServerConnection]] = {}
        # Every connection that is not known to be closed.
        self._open: set[AsyncServerConnection] = set()
        # Those whose failure was noted: all who used one hear of it.
        self._failed: set[AsyncServerConnection] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        # What is still being opened then, is closed as well.
        self._closings = 0

    @property
    def addresses(self) -> tuple[ServerAddress, ...]:
        """Every server, in order of preference."""
        return self._servers.addresses

    def to_try(self, key: bytes = b"") -> Sequence[ServerAddress]:
        """The servers worth asking now, best first, for the key if there is one; empty when each is known silent.

        Raises:
            UsageError: this is another event loop than the client's.
        """
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise UsageError("an AsyncClient belongs to the event loop it was first used in; make one for each loop")
        return self._servers.to_try(loop.time(), key)

    async def use(self, address: ServerAddress, exchange: AsyncExchange[Answer]) -> Answer:
        """Let the exchange talk to the server over the shared connection, and return what it returns.

        One that was there before may have died unnoticed; where the request may be repeated at all, it is, once, on a
        new one.

        Raises:
            ServerFailed: the server could not be used; it is paused.
        """
        repeat = Repeat.ANYWHERE
        kept = self._kept.get(address)
        if kept is not None and kept.is_usable:
            try:
                return await self._use(kept, exchange)
            except ServerFailed as failure:
                if failure.is_silent or failure.repeat is Repeat.NEVER:
                    raise
                repeat = failure.repeat
        try:
            return await self._use(await self._shared(address), exchange)
        except ServerFailed as failure:
            # What the dead connection may have carried away still counts; the failure itself may be others' too.
            raise ServerFailed(address, failure.cause, repeat=min(failure.repeat, repeat)) from failure

    async def use_own(self, address: ServerAddress, exchange: AsyncExchange[Answer]) -> Answer:
        """Let the exchange talk over a new connection, which is its own from then on.

        Raises:
            ServerFailed: the server could not be used; it is paused.
        """
        connection = await self._open_one(address)
        try:
            return await exchange(connection)
        except BaseException as error:
            if isinstance(error, ServerFailed):
                self._note_failure(connection, error)
            connection.abort()
            raise

    async def close(self) -> None:
        """Close every connection; whoever waits on one, or for one, hears of it."""
        self._closings += 1
        for opening in self._opening.values():
            opening.cancel()
        if self._opening:
            await asyncio.wait(self._opening.values())
        doomed = [*self._open]
        for connection in doomed:
            connection.abort()
        for connection in doomed:
            await connection.closed()
        self._kept.clear()
        self._open.clear()
        self._loop = None

    async def _use(self, connection: AsyncServerConnection, exchange: AsyncExchange[Answer]) -> Answer:
        async with connection.used():
            try:
                return await exchange(connection)
            except ServerFailed as failure:
                self._note_failure(connection, failure)
                raise

    async def _shared(self, address: ServerAddress) -> AsyncServerConnection:
        kept = self._kept.get(address)
        if kept is not None and kept.is_usable:
            return kept
        opening = self._opening.get(address)
        if opening is None:
            opening = self._opening[address] = asyncio.create_task(self._open_shared(address))
            opening.add_done_callback(_look_at)
        # Whoever is cancelled leaves the attempt to the others.
        await asyncio.wait([opening])
        if opening.cancelled():
            # By `close`, which is no cancel of who waits here.
            raise ServerFailed(address, closed_here(), repeat=Repeat.NEVER)
        return opening.result()

    async def _open_shared(self, address: ServerAddress) -> AsyncServerConnection:
        try:
            connection = self._kept[address] = await self._open_one(address)
        finally:
            self._opening.pop(address, None)
        return connection

    async def _open_one(self, address: ServerAddress) -> AsyncServerConnection:
        closings = self._closings
        try:
            connection = await AsyncServerConnection.open(
                address,
                self._security,
                connect_timeout_s=self._connect_timeout_s,
                answer_timeout_s=self._answer_timeout_s,
            )
        except ServerFailed as failure:
            self._pause(address, failure)
            raise
        self._servers.succeeded(address)
        if closings != self._closings:
            connection.abort()
            raise ServerFailed(address, closed_here(), repeat=Repeat.NEVER)
        self._open = {one for one in self._open if not one.is_closed}
        self._open.add(connection)
        return connection

    def _note_failure(self, connection: AsyncServerConnection, failure: ServerFailed) -> None:
        if connection not in self._failed and not connection.is_aborted:
            self._failed = {one for one in self._failed if not one.is_closed}
            self._failed.add(connection)
            self._pause(connection.address, failure)

    def _pause(self, address: ServerAddress, failure: ServerFailed) -> None:
        now = asyncio.get_running_loop().time()
        self._servers.failed(address, now=now, is_silent=failure.is_silent, chance=random.random())


def _look_at(opening: asyncio.Task[AsyncServerConnection]) -> None:
    """Take note of the outcome, which all who waited for it may have left."""
    if not opening.cancelled():
        opening.exception()
