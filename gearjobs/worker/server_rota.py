"""Whose turn it is: a worker's connections to all its job servers, taken in turn.

It grabs from one server at a time, the one asked longest ago first, so that no job lies assigned while another one runs
and no busy server keeps the worker from the others. Servers that are down, hang or break off are dropped here and tried
again when their pause (`gearjobs.servers`) is over; it takes more than that to raise. Opening a connection is the only
thing that keeps all the others waiting, and only as long as the connect time-out.
"""

from __future__ import annotations

import logging
import math
import random
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from gearjobs.guarded_socket import NO_SECURITY, Security
from gearjobs.servers import ServerAddress, ServerList
from gearjobs.worker.grab_loop import GrabLoop, GrabState
from gearjobs.worker.worker_connection import ServerLost, WorkerConnection

logger = logging.getLogger("gearjobs.worker")


class ServerRota:
    """The connections of one worker.

    Args:
        servers: every server the worker serves, and their pauses.
        new_grab_loop: makes the state machine of a new connection.
        connect_timeout_s: how long to wait for a connection.
        security: TLS and the secret to prove.
    """

    def __init__(
        self,
        servers: ServerList,
        new_grab_loop: Callable[[], GrabLoop],
        *,
        connect_timeout_s: float,
        security: Security = NO_SECURITY,
    ) -> None:
        self._servers = servers
        self._new_grab_loop = new_grab_loop
        self._connect_timeout_s = connect_timeout_s
        self._security = security
        # In the order of their turns: who grabs goes to the end.
        self._connections: dict[ServerAddress, WorkerConnection] = {}
        self._by_descriptor: dict[int, WorkerConnection] = {}
        # Servers whose failure was logged; it is not logged again before they answered.
        self._down: set[ServerAddress] = set()
        # Sockets and not a pipe: after `leave`, a late `wake` finds a closed one and not somebody else's descriptor.
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self._wake_reader, select.POLLIN)

    def next_turn(self) -> WorkerConnection | None:
        """Wait until something happens, and return the connection that was handed a job, if that was it."""
        self._connect_ready()
        self._grab_next()
        self._flush()
        for descriptor, _ in self._poll.poll(self._longest_wait_ms()):
            if descriptor == self._wake_reader.fileno():
                self._wake_reader.recv(512)
            else:
                self._receive(self._by_descriptor[descriptor])
        self._act_on_time()
        return next((one for one in self._connections.values() if one.grab_loop.state is GrabState.WORKING), None)

    def report_end(self, connection: WorkerConnection, *, goes_on: bool) -> bool:
        """Send the outcome of the job the connection was handed, with the next GRAB if that is its turn.

        Returns:
            False when the server was lost meanwhile, and the outcome with it.
        """
        if goes_on:
            self._grab_next()
        self._flush()
        return connection.address in self._connections

    def wake(self) -> None:
        """End a wait in `next_turn`; may be called in a signal handler and from any thread."""
        # One that is full has a byte to read, and that is all that is wanted; a closed one has nobody to wake.
        with suppress(OSError):
            self._wake_writer.send(b"\0")

    def leave(self) -> None:
        """Give back what is held and close every connection."""
        for connection in self._connections.values():
            connection.leave()
        self._connections.clear()
        self._by_descriptor.clear()
        self._wake_reader.close()
        self._wake_writer.close()

    def _connect_ready(self) -> None:
        if len(self._connections) == len(self._servers.addresses):
            return
        for address in self._servers.addresses:
            if address in self._connections or not self._servers.is_ready(address, time.monotonic()):
                continue
            try:
                connection = self._connect(address)
            except ServerLost as failure:
                self._pause(address, failure)
                continue
            self._connections[address] = connection
            self._by_descriptor[connection.fileno()] = connection
            self._poll.register(connection.fileno(), select.POLLIN)

    def _connect(self, address: ServerAddress) -> WorkerConnection:
        return WorkerConnection(
            address, self._new_grab_loop(), connect_timeout_s=self._connect_timeout_s, security=self._security
        )

    def _grab_next(self) -> None:
        connections = self._connections.values()
        if any(connection.grab_loop.state is GrabState.GRABBING for connection in connections):
            return
        for connection in connections:
            if connection.grab_loop.state is GrabState.AWAKE:
                connection.grab_loop.grab_job(time.monotonic())
                self._connections[connection.address] = self._connections.pop(connection.address)
                return

    def _flush(self) -> None:
        for connection in list(self._connections.values()):
            try:
                connection.flush()
            except ServerLost as failure:
                self._drop(connection, failure)

    def _receive(self, connection: WorkerConnection) -> None:
        was_introduced = connection.grab_loop.state is GrabState.INTRODUCED
        try:
            connection.receive()
        except ServerLost as failure:
            self._drop(connection, failure)
            return
        if was_introduced and connection.grab_loop.state is not GrabState.INTRODUCED:
            self._servers.succeeded(connection.address)
            self._down.discard(connection.address)
            has_extensions = connection.grab_loop.has_extensions
            logger.info("Serving job server server=%s extensions=%s", connection.address, has_extensions)

    def _act_on_time(self) -> None:
        now = time.monotonic()
        for connection in list(self._connections.values()):
            connection.grab_loop.wake_if_due(now)
            if connection.grab_loop.is_overdue(now):
                self._drop(connection, ServerLost(TimeoutError("no answer in time")))

    def _longest_wait_ms(self) -> int | None:
        due_at = min((one.grab_loop.due_at for one in self._connections.values()), default=math.inf)
        if len(self._connections) < len(self._servers.addresses):
            missing = [address for address in self._servers.addresses if address not in self._connections]
            due_at = min(due_at, *map(self._servers.retry_at, missing))
        return None if due_at == math.inf else max(0, math.ceil((due_at - time.monotonic()) * 1000))

    def _drop(self, connection: WorkerConnection, failure: ServerLost) -> None:
        self._poll.unregister(connection.fileno())
        del self._by_descriptor[connection.fileno()]
        del self._connections[connection.address]
        connection.close()
        self._pause(connection.address, failure)

    def _pause(self, address: ServerAddress, failure: ServerLost) -> None:
        pause_s = self._servers.failed(
            address, now=time.monotonic(), is_silent=failure.is_silent, chance=random.random()
        )
        level = logging.DEBUG if address in self._down else logging.WARNING
        self._down.add(address)
        logger.log(level, "Lost job server server=%s reason=%s retry_in_s=%.1f", address, failure, pause_s)
