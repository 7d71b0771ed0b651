"""A worker's connections to all its job servers, over sockets, taken in turn by the rules of `turn_taking`.

Servers that are down, hang or break off are dropped here and tried again when their pause (`gearjobs.servers`) is over;
it takes more than that to raise. Opening a connection is the only thing that keeps all the others waiting, and only as
long as the connect time-out. While a resumable job runs, `contact` drives the same connections piece by piece from
another thread, without grabbing; one thread at a time has them.
"""

from __future__ import annotations

import math
import select
import socket
from collections.abc import Callable
from contextlib import suppress

from gearjobs.guarded_socket import NO_SECURITY, Security
from gearjobs.servers import ServerAddress, ServerList
from gearjobs.worker.grab_loop import ANSWER_TIMEOUT_S, GrabLoop, GrabState
from gearjobs.worker.holding.held_work import HeldWork
from gearjobs.worker.holding.lease_clock import lease_now
from gearjobs.worker.turn_taking import TurnTaking
from gearjobs.worker.worker_connection import ServerLost, WorkerConnection
from gearjobs.worker.worker_signs import WorkerSigns


class ServerRota(TurnTaking[WorkerConnection]):
    """The connections of one worker.

    Args:
        servers: every server the worker serves, and their pauses.
        new_grab_loop: makes the state machine of a new connection.
        connect_timeout_s: how long to wait for a connection.
        security: TLS and the secret to prove.
        held: what the worker holds; it has its say on every connection.
        signs: what the worker tells of itself, and is told from afar.
    """

    def __init__(
        self,
        servers: ServerList,
        new_grab_loop: Callable[[], GrabLoop],
        *,
        connect_timeout_s: float,
        security: Security = NO_SECURITY,
        held: HeldWork | None = None,
        signs: WorkerSigns | None = None,
    ) -> None:
        super().__init__(servers, held=held, signs=signs)
        self._new_grab_loop = new_grab_loop
        self._connect_timeout_s = connect_timeout_s
        self._security = security
        self._by_descriptor: dict[int, WorkerConnection] = {}
        # Sockets and not a pipe: after `leave`, a late `wake` finds a closed one and not somebody else's descriptor.
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self._wake_reader, select.POLLIN)

    def next_turn(self, *, may_grab: bool = True, until: float = math.inf) -> WorkerConnection | None:
        """Wait until something happens, and return the connection that was handed a job, if that was it.

        Args:
            may_grab: whether to ask for a job.
            until: when to return although nothing happened, by the lease clock.
        """
        for address in self.addresses_to_try():
            self._try(address)
        self._say(may_grab=may_grab)
        due_at = self.due_at
        wait_until = min(due_at, until)
        wait_ms = None if wait_until == math.inf else max(0, math.ceil((wait_until - lease_now()) * 1000))
        for descriptor, _ in self._poll.poll(wait_ms):
            if descriptor == self._wake_reader.fileno():
                self._wake_reader.recv(512)
            else:
                self.receive(self._by_descriptor[descriptor])
        if lease_now() >= due_at:
            self.act_on_time()
        return self.assigned

    def report_end(self, connection: WorkerConnection | None, *, goes_on: bool) -> bool:
        """Send the outcome of the job the connection was handed, with the next GRAB if that is its turn.

        Returns:
            False when the server was lost meanwhile, and the outcome with it unless it is kept.
        """
        self._say(may_grab=goes_on)
        return self.is_served(connection)

    def connect(self, address: ServerAddress, *, timeout_s: float) -> WorkerConnection:
        """Open a connection and introduce the worker; changes nothing here, and needs not have the connections.

        Raises:
            ServerLost: the server could not be reached.
        """
        return WorkerConnection(address, self._new_grab_loop(), connect_timeout_s=timeout_s, security=self._security)

    def connected(self, connection: WorkerConnection) -> None:
        """Take a new connection in."""
        self._connections[connection.address] = connection
        self._by_descriptor[connection.fileno()] = connection
        self._poll.register(connection.fileno(), select.POLLIN)

    def flush(self, *, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        """Send what there is to say, on every connection."""
        self._let_speak()
        lost = []
        for connection in self._connections.values():
            try:
                connection.flush(timeout_s=timeout_s)
            except ServerLost as failure:
                lost.append((connection, failure))
        for connection, cause in lost:
            self.drop(connection, cause)

    def receive(self, connection: WorkerConnection) -> None:
        """Read what has come on the connection and act on it."""
        was_introduced = connection.grab_loop.state is GrabState.INTRODUCED
        try:
            connection.receive()
        except ServerLost as failure:
            # What came before the end counts.
            self._held.hear(connection.grab_loop, lease_now())
            self.drop(connection, failure)
            return
        self._heard(connection, was_introduced=was_introduced)

    def drop(self, connection: WorkerConnection, failure: ServerLost) -> None:
        """Close a connection that is of no use any more."""
        self._strike_off(connection)
        connection.close()
        self._lost(connection, failure)

    def leave_one(self, connection: WorkerConnection, reason: str) -> None:
        """Close a connection so that its server has back what it believes to be here."""
        self._strike_off(connection)
        connection.leave()
        self._lost(connection, ServerLost(ConnectionAbortedError(reason)))

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

    def _say(self, *, may_grab: bool) -> None:
        self._prepare_words(may_grab=may_grab)
        self.flush()

    def _strike_off(self, connection: WorkerConnection) -> None:
        self._poll.unregister(connection.fileno())
        del self._by_descriptor[connection.fileno()]
        del self._connections[connection.address]

    def _try(self, address: ServerAddress) -> None:
        try:
            self.connected(self.connect(address, timeout_s=self._connect_timeout_s))
        except ServerLost as failure:
            self.not_connected(address, failure)
