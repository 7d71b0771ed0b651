"""The kept connections of a client, by server, and the memory of which servers failed.

A connection is lent to one thread at a time, so threads never wait for each other: who finds none kept opens another.
The one lock guards the book-keeping only; nothing blocks while it is held. A process made by fork inherits the sockets
of its parent, and two processes on one connection would read each other's answers: the pool knows the process it was
made in, and `Client` replaces one that is not its own.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Sequence

from gearjobs.client.server_connection import ServerConnection
from gearjobs.client.server_walk import Answer, Repeat, ServerFailed
from gearjobs.errors import DeadlineExceeded, JobError, ServerError
from gearjobs.guarded_socket import NO_SECURITY, Security
from gearjobs.servers import ServerAddress, ServerList

#: Connections kept per server; a burst of more threads opens more and closes them afterwards. Web processes run about
#: this many threads, and an idle connection costs the server memory.
MAX_KEPT = 8

#: Exceptions after which the connection is in step with the server and may be kept.
_ANSWERED = (ServerError, JobError)

#: Talks over the connection lent to it and returns what it heard.
Exchange = Callable[[ServerConnection], Answer]


class ConnectionPool:
    """Lends connections.

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
        security: Security = NO_SECURITY,
        *,
        connect_timeout_s: float,
        answer_timeout_s: float,
    ) -> None:
        #: The process that may use these connections.
        self.pid = os.getpid()
        self._servers = ServerList(servers)
        self._security = security
        self._connect_timeout_s = connect_timeout_s
        self._answer_timeout_s = answer_timeout_s
        self._kept: dict[ServerAddress, list[ServerConnection]] = {address: [] for address in self._servers.addresses}
        self._lock = threading.Lock()

    @property
    def addresses(self) -> tuple[ServerAddress, ...]:
        """Every server, in order of preference."""
        return self._servers.addresses

    def to_try(self, key: bytes = b"") -> Sequence[ServerAddress]:
        """The servers worth asking now, best first, for the key if there is one; empty when each is known silent."""
        with self._lock:
            return self._servers.to_try(time.monotonic(), key)

    def use(
        self, address: ServerAddress, exchange: Exchange[Answer], *, deadline: float, is_lent: bool = False
    ) -> Answer:
        """Let the exchange talk to the server over a kept or a new connection, and return what it returns.

        A kept connection may have died unnoticed; where the request may be repeated at all, it is, once, on a new one.

        Args:
            address: the server.
            exchange: talks.
            deadline: by which the connection must be there.
            is_lent: whether an exchange that succeeds keeps the connection, to give it back or close it later.

        Raises:
            ServerFailed: the server could not be used; it is paused.
            DeadlineExceeded: the caller's own deadline passed first, which says nothing of the server.
        """
        repeat = Repeat.ANYWHERE
        kept = self._borrow(address)
        if kept is not None:
            try:
                return self._use(kept, exchange, is_lent=is_lent)
            except ServerFailed as failure:
                if failure.is_silent or failure.repeat is Repeat.NEVER:
                    raise
                repeat = failure.repeat
        try:
            return self._use(self._open(address, deadline=deadline), exchange, is_lent=is_lent)
        except ServerFailed as failure:
            # What the dead connection may have carried away still counts.
            failure.repeat = min(failure.repeat, repeat)
            raise

    def give_back(self, connection: ServerConnection) -> None:
        """Keep a connection on which nothing is waited for."""
        with self._lock:
            kept = self._kept[connection.address]
            if len(kept) < MAX_KEPT:
                kept.append(connection)
                return
        connection.close()

    def give_up(self, connection: ServerConnection, failure: ServerFailed) -> None:
        """Close a connection that was lent and broke, and leave its server alone for a while."""
        connection.close()
        self._note_failure(connection.address, failure)

    def _use(self, connection: ServerConnection, exchange: Exchange[Answer], *, is_lent: bool) -> Answer:
        try:
            answer = exchange(connection)
        except _ANSWERED:
            self.give_back(connection)
            raise
        except BaseException as error:
            connection.close()
            if isinstance(error, ServerFailed):
                self._note_failure(connection.address, error)
            raise
        if not is_lent:
            self.give_back(connection)
        return answer

    def _borrow(self, address: ServerAddress) -> ServerConnection | None:
        """Return a kept connection that still lives, if there is one."""
        while True:
            with self._lock:
                if not self._kept[address]:
                    return None
                connection = self._kept[address].pop()
            if connection.is_reusable():
                return connection
            connection.close()

    def _open(self, address: ServerAddress, *, deadline: float) -> ServerConnection:
        # A time-out of 0 would mean something else to a socket: do not wait at all.
        rest_s = max(0.001, deadline - time.monotonic())
        try:
            connection = ServerConnection(
                address,
                self._security,
                connect_timeout_s=min(self._connect_timeout_s, rest_s),
                answer_timeout_s=min(self._answer_timeout_s, rest_s),
            )
        except ServerFailed as failure:
            if failure.is_silent and time.monotonic() >= deadline:
                raise DeadlineExceeded(f"job server {address} could not be reached in the time given") from failure
            self._note_failure(address, failure)
            raise
        with self._lock:
            self._servers.succeeded(address)
        return connection

    def _note_failure(self, address: ServerAddress, failure: ServerFailed) -> None:
        """Pause the server, and drop what was kept of it: connections to one process break together."""
        with self._lock:
            now = time.monotonic()
            self._servers.failed(address, now=now, is_silent=failure.is_silent, chance=random.random())
            doomed, self._kept[address] = self._kept[address], []
        for connection in doomed:
            connection.close()

    def close(self) -> None:
        """Close what is kept; connections lent out are closed by who holds them or when given back."""
        with self._lock:
            doomed = [connection for kept in self._kept.values() for connection in kept]
            for kept in self._kept.values():
                kept.clear()
        for connection in doomed:
            connection.close()

    def abandon(self) -> None:
        """Close this process's copies of what a parent process keeps; the parent does not notice.

        Takes no lock: another thread of the parent may have held it at the fork, and this process has no such thread.
        """
        for kept in self._kept.values():
            for connection in kept:
                connection.close()
