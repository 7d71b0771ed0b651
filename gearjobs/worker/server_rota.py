"""Whose turn it is: a worker's connections to all its job servers, taken in turn.

It grabs from one server at a time, the one asked longest ago first, so that no job lies assigned while another one runs
and no busy server keeps the worker from the others. Servers that are down, hang or break off are dropped here and tried
again when their pause (`gearjobs.servers`) is over; it takes more than that to raise. Opening a connection is the only
thing that keeps all the others waiting, and only as long as the connect time-out. While a resumable job runs, `contact`
drives the same connections piece by piece from another thread, without grabbing; one thread at a time has them.
"""

from __future__ import annotations

import logging
import math
import random
import select
import socket
from collections.abc import Callable
from contextlib import suppress

from gearjobs.guarded_socket import NO_SECURITY, Security
from gearjobs.protocol.wire_text import to_text
from gearjobs.servers import ServerAddress, ServerList
from gearjobs.worker.grab_loop import ANSWER_TIMEOUT_S, GrabLoop, GrabState
from gearjobs.worker.holding.held_work import HeldWork
from gearjobs.worker.holding.lease_clock import lease_now
from gearjobs.worker.self_restraint import SelfRestraint
from gearjobs.worker.worker_connection import ServerLost, WorkerConnection
from gearjobs.worker.worker_signs import WorkerSigns

logger = logging.getLogger("gearjobs.worker")

#: Longest pause in seconds of a server that refused, while a run or an outcome looks for its server: a run has half a
#: minute, and a server that was restarted gives jobs to others at once.
SEEKING_PAUSE_S = 0.5
#: The same of one that stayed silent, which costs the others a connect time-out each time.
SEEKING_SILENT_PAUSE_S = 5.0


class ServerRota:
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
        self._servers = servers
        self._signs = signs or WorkerSigns()
        self._held = held or HeldWork()
        self._new_grab_loop = new_grab_loop
        self._connect_timeout_s = connect_timeout_s
        self._security = security
        #: What is not wanted from stock servers; told of the ends of their jobs.
        self.restraint = SelfRestraint()
        # In the order of their turns: who grabs goes to the end.
        self._connections: dict[ServerAddress, WorkerConnection] = {}
        self._by_descriptor: dict[int, WorkerConnection] = {}
        # Servers whose failure was logged; it is not logged again before they answered.
        self._down: set[ServerAddress] = set()
        # When a server that failed is tried again while a run looks for its server.
        self._seek_at: dict[ServerAddress, float] = {}
        # Sockets and not a pipe: after `leave`, a late `wake` finds a closed one and not somebody else's descriptor.
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self._wake_reader, select.POLLIN)

    @property
    def connections(self) -> list[WorkerConnection]:
        """The open connections, in the order of their turns."""
        return list(self._connections.values())

    @property
    def due_at(self) -> float:
        """When something is due by itself on a connection, or a server to be tried again; infinity for never."""
        due_at = min((one.grab_loop.due_at for one in self._connections.values()), default=math.inf)
        due_at = min(due_at, self._signs.due_at, self.restraint.due_at)
        if self._held.has_say:
            due_at = min(due_at, self._held.due_at([one.grab_loop for one in self._connections.values()]))
        return min((due_at, *map(self._retry_at, self._missing())))

    @property
    def is_idle(self) -> bool:
        """Whether every server at hand has no job for this worker."""
        connections = self._connections.values()
        return bool(connections) and all(one.grab_loop.state is GrabState.ASLEEP for one in connections)

    @property
    def is_asking(self) -> bool:
        """Whether a server was asked for a job and has not answered."""
        return any(one.grab_loop.state is GrabState.GRABBING for one in self._connections.values())

    def rest_or_rise(self, *, is_quiet: bool) -> None:
        """Let no server count on this worker, or every server again."""
        for connection in self._connections.values():
            if is_quiet:
                connection.grab_loop.rest()
            else:
                connection.grab_loop.rise()

    def next_turn(self, *, may_grab: bool = True, until: float = math.inf) -> WorkerConnection | None:
        """Wait until something happens, and return the connection that was handed a job, if that was it.

        Args:
            may_grab: whether to ask for a job.
            until: when to return although nothing happened, by the lease clock.
        """
        for address in self.addresses_to_try():
            self._try(address)
        self._say(may_grab=may_grab)
        wait_until = min(self.due_at, until)
        wait_ms = None if wait_until == math.inf else max(0, math.ceil((wait_until - lease_now()) * 1000))
        for descriptor, _ in self._poll.poll(wait_ms):
            if descriptor == self._wake_reader.fileno():
                self._wake_reader.recv(512)
            else:
                self.receive(self._by_descriptor[descriptor])
        self.act_on_time()
        return next((one for one in self._connections.values() if one.grab_loop.state is GrabState.WORKING), None)

    def report_end(self, connection: WorkerConnection | None, *, goes_on: bool) -> bool:
        """Send the outcome of the job the connection was handed, with the next GRAB if that is its turn.

        Returns:
            False when the server was lost meanwhile, and the outcome with it unless it is kept.
        """
        self._say(may_grab=goes_on)
        return connection is not None and self._connections.get(connection.address) is connection

    def connection_of(self, grab_loop: GrabLoop | None) -> WorkerConnection | None:
        """Return the open connection of this grab loop, None when it is lost."""
        return next((one for one in self._connections.values() if one.grab_loop is grab_loop), None)

    def addresses_to_try(self) -> list[ServerAddress]:
        """Return the servers without a connection whose pause is over."""
        now = lease_now()
        return [address for address in self._missing() if self._retry_at(address) <= now]

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

    def not_connected(self, address: ServerAddress, failure: ServerLost) -> None:
        """A connection could not be opened: leave the server alone for a while."""
        now = lease_now()
        pause_s = self._servers.failed(address, now=now, is_silent=failure.is_silent, chance=random.random())
        self._seek_at[address] = now + (SEEKING_SILENT_PAUSE_S if failure.is_silent else SEEKING_PAUSE_S)
        level = logging.DEBUG if address in self._down else logging.WARNING
        self._down.add(address)
        logger.log(level, "Lost job server server=%s reason=%s retry_in_s=%.1f", address, failure, pause_s)

    def flush(self, *, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        """Send what there is to say, on every connection."""
        self._let_speak()
        for connection in self.connections:
            try:
                connection.flush(timeout_s=timeout_s)
            except ServerLost as failure:
                self.drop(connection, failure)

    def receive(self, connection: WorkerConnection) -> None:
        """Read what has come on the connection and act on it."""
        grab_loop = connection.grab_loop
        was_introduced = grab_loop.state is GrabState.INTRODUCED
        try:
            connection.receive()
        except ServerLost as failure:
            # What came before the end counts.
            self._held.hear(grab_loop, lease_now())
            self.drop(connection, failure)
            return
        if not self._held.hear(grab_loop, lease_now()):
            self.leave_one(connection, "it took a run that this worker has not")
        elif was_introduced and grab_loop.state is not GrabState.INTRODUCED:
            self._servers.succeeded(connection.address)
            self._down.discard(connection.address)
            logger.info("Serving job server server=%s extensions=%s", connection.address, grab_loop.has_extensions)
            self._signs.greet(grab_loop, lease_now())
        if self._held.control_verbs:
            self._signs.hear(self._held)

    def act_on_time(self) -> None:
        """Do what is due by itself."""
        now = lease_now()
        self._hold_back(now)
        for connection in self.connections:
            connection.grab_loop.wake_if_due(now)
            if connection.grab_loop.is_overdue(now):
                self.drop(connection, ServerLost(TimeoutError("no answer in time")))
        self._held.outcomes.forget_old(now)
        for handle in self._held.outcomes.forgotten:
            logger.error("Let go of an outcome that no job server took job=%s", to_text(handle))
        self._held.outcomes.forgotten.clear()
        if self._signs.due_at <= now:
            self._signs.tell([one.grab_loop for one in self._connections.values()], now)

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
        # Runs are claimed before jobs are asked for: a server that was killed before it recorded whom it gave a job
        # would give it to somebody else now, or to this worker once more.
        self._let_speak()
        # Before the next question: the job that has just ended may be the last straw.
        self._hold_back(lease_now())
        if may_grab:
            self._grab_next()
        self.flush()

    def _let_speak(self) -> None:
        if self._held.has_say:
            for connection in self._connections.values():
                self._held.speak(connection.grab_loop, lease_now())

    def _hold_back(self, now: float) -> None:
        functions = self.restraint.withheld(now)
        for connection in self._connections.values():
            connection.grab_loop.hold_back(functions)

    def _strike_off(self, connection: WorkerConnection) -> None:
        self._poll.unregister(connection.fileno())
        del self._by_descriptor[connection.fileno()]
        del self._connections[connection.address]

    def _lost(self, connection: WorkerConnection, failure: ServerLost) -> None:
        self._held.broke(connection.grab_loop, lease_now(), is_silent=not failure.is_closed_by_server)
        self.not_connected(connection.address, failure)

    def _try(self, address: ServerAddress) -> None:
        try:
            self.connected(self.connect(address, timeout_s=self._connect_timeout_s))
        except ServerLost as failure:
            self.not_connected(address, failure)

    def _grab_next(self) -> None:
        connections = self._connections.values()
        if any(connection.grab_loop.state is GrabState.GRABBING for connection in connections):
            return
        for connection in connections:
            if connection.grab_loop.state is GrabState.AWAKE:
                connection.grab_loop.grab_job(lease_now())
                self._connections[connection.address] = self._connections.pop(connection.address)
                return

    def _missing(self) -> list[ServerAddress]:
        if len(self._connections) == len(self._servers.addresses):
            return []
        return [address for address in self._servers.addresses if address not in self._connections]

    def _retry_at(self, address: ServerAddress) -> float:
        retry_at = self._servers.retry_at(address)
        return min(retry_at, self._seek_at.get(address, math.inf)) if self._held.seeks_server else retry_at
