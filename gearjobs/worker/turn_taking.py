"""Whose turn it is: the rules by which a worker goes round its connections, whatever moves their bytes.

It grabs from one server at a time, the one asked longest ago first, so that no job lies assigned while another one runs
and no busy server keeps the worker from the others. Before each question the runs and outcomes that the worker holds
have their say. What a connection is, how it is opened and closed, and how the time until `due_at` is waited for, is the
matter of whoever builds on this: `server_rota` with sockets, `gearjobs.aio` with a loop.
"""

from __future__ import annotations

import logging
import math
import random
from typing import Final, Generic, Protocol, TypeVar

from gearjobs.protocol.wire_text import to_text
from gearjobs.servers import ServerAddress, ServerList
from gearjobs.worker.grab_loop import GrabLoop, GrabState
from gearjobs.worker.holding.held_work import HeldWork
from gearjobs.worker.holding.lease_clock import lease_now
from gearjobs.worker.self_restraint import SelfRestraint
from gearjobs.worker.worker_connection import ServerLost
from gearjobs.worker.worker_signs import WorkerSigns

logger = logging.getLogger("gearjobs.worker")

#: Longest pause in seconds of a server that refused, while a run or an outcome looks for its server: a run has half a
#: minute, and a server that was restarted gives jobs to others at once.
SEEKING_PAUSE_S = 0.5
#: The same of one that stayed silent, which costs the others a connect time-out each time.
SEEKING_SILENT_PAUSE_S = 5.0

# Read off the class, where a member costs more than all else that is done with it here.
_ASLEEP: Final = GrabState.ASLEEP
_AWAKE: Final = GrabState.AWAKE
_GRABBING: Final = GrabState.GRABBING


class ServedConnection(Protocol):
    """What the rules know of a connection."""

    address: ServerAddress
    grab_loop: GrabLoop


C = TypeVar("C", bound=ServedConnection)


class TurnTaking(Generic[C]):
    """The connections of one worker.

    Args:
        servers: every server the worker serves, and their pauses.
        held: what the worker holds; it has its say on every connection.
        signs: what the worker tells of itself, and is told from afar.
        restraint: what is not wanted from stock servers.
    """

    def __init__(
        self,
        servers: ServerList,
        *,
        held: HeldWork | None = None,
        signs: WorkerSigns | None = None,
        restraint: SelfRestraint | None = None,
    ) -> None:
        self._servers = servers
        self._held = held or HeldWork()
        self._signs = signs or WorkerSigns()
        #: What is not wanted from stock servers; told of the ends of their jobs.
        self.restraint = restraint or SelfRestraint()
        # In the order of their turns: who grabs goes to the end.
        self._connections: dict[ServerAddress, C] = {}
        # Servers whose failure was logged; it is not logged again before they answered.
        self._down: set[ServerAddress] = set()
        # When a server that failed is tried again while a run looks for its server.
        self._seek_at: dict[ServerAddress, float] = {}

    @property
    def connections(self) -> list[C]:
        """The open connections, in the order of their turns."""
        return list(self._connections.values())

    @property
    def due_at(self) -> float:
        """When something is due by itself on a connection, or a server to be tried again; infinity for never."""
        due_at = min(self._signs.due_at, self.restraint.due_at)
        for connection in self._connections.values():
            due_at = min(due_at, connection.grab_loop.due_at)
        if self._held.has_say:
            due_at = min(due_at, self._held.due_at([one.grab_loop for one in self._connections.values()]))
        for address in self._missing():
            due_at = min(due_at, self._retry_at(address))
        return due_at

    @property
    def is_idle(self) -> bool:
        """Whether every server at hand has no job for this worker."""
        connections = self._connections.values()
        return bool(connections) and all(one.grab_loop.state is _ASLEEP for one in connections)

    @property
    def is_asking(self) -> bool:
        """Whether a server was asked for a job and has not answered."""
        return any(connection.grab_loop.state is _GRABBING for connection in self._connections.values())

    @property
    def assigned(self) -> C | None:
        """The connection that was handed a job, if one was."""
        for connection in self._connections.values():
            if connection.grab_loop.assignment is not None:
                return connection
        return None

    def rest_or_rise(self, *, is_quiet: bool) -> None:
        """Let no server count on this worker, or every server again."""
        for connection in self._connections.values():
            if is_quiet:
                connection.grab_loop.rest()
            else:
                connection.grab_loop.rise()

    def connection_of(self, grab_loop: GrabLoop | None) -> C | None:
        """Return the open connection of this grab loop, None when it is lost."""
        for connection in self._connections.values():
            if connection.grab_loop is grab_loop:
                return connection
        return None

    def is_served(self, connection: C | None) -> bool:
        """Whether the connection is still open; else what was said on it may be lost."""
        return connection is not None and self._connections.get(connection.address) is connection

    def addresses_to_try(self) -> list[ServerAddress]:
        """Return the servers without a connection whose pause is over."""
        missing = self._missing()
        if not missing:
            return []
        now = lease_now()
        return [address for address in missing if self._retry_at(address) <= now]

    def not_connected(self, address: ServerAddress, failure: ServerLost) -> None:
        """A connection could not be opened: leave the server alone for a while."""
        now = lease_now()
        pause_s = self._servers.failed(address, now=now, is_silent=failure.is_silent, chance=random.random())
        self._seek_at[address] = now + (SEEKING_SILENT_PAUSE_S if failure.is_silent else SEEKING_PAUSE_S)
        level = logging.DEBUG if address in self._down else logging.WARNING
        self._down.add(address)
        logger.log(level, "Lost job server server=%s reason=%s retry_in_s=%.1f", address, failure, pause_s)

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

    def drop(self, connection: C, failure: ServerLost) -> None:
        """Close a connection that is of no use any more."""
        raise NotImplementedError

    def leave_one(self, connection: C, reason: str) -> None:
        """Close a connection so that its server has back what it believes to be here."""
        raise NotImplementedError

    def _heard(self, connection: C, *, was_introduced: bool) -> None:
        """Act on what the connection's grab loop was just told.

        Args:
            connection: on which something came.
            was_introduced: whether it had only introduced itself until then.
        """
        grab_loop = connection.grab_loop
        if not self._held.hear(grab_loop, lease_now()):
            self.leave_one(connection, "it took a run that this worker has not")
        elif was_introduced and grab_loop.state is not GrabState.INTRODUCED:
            self._servers.succeeded(connection.address)
            self._down.discard(connection.address)
            logger.info("Serving job server server=%s extensions=%s", connection.address, grab_loop.has_extensions)
            self._signs.greet(grab_loop, lease_now())
        if self._held.control_verbs:
            self._signs.hear(self._held)

    def _prepare_words(self, *, may_grab: bool) -> None:
        """Let every connection have what it is to say next."""
        # Runs are claimed before jobs are asked for: a server that was killed before it recorded whom it gave a job
        # would give it to somebody else now, or to this worker once more.
        self._let_speak()
        # Before the next question: the job that has just ended may be the last straw.
        self._hold_back(lease_now())
        if may_grab:
            self._grab_next()

    def _let_speak(self) -> None:
        if self._held.has_say:
            for connection in self._connections.values():
                self._held.speak(connection.grab_loop, lease_now())

    def _hold_back(self, now: float) -> None:
        functions = self.restraint.withheld(now)
        for connection in self._connections.values():
            if not connection.grab_loop.has_extensions:
                connection.grab_loop.hold_back(functions)

    def _lost(self, connection: C, failure: ServerLost) -> None:
        self._held.broke(connection.grab_loop, lease_now(), is_silent=not failure.is_closed_by_server)
        self.not_connected(connection.address, failure)

    def _grab_next(self) -> None:
        if self.is_asking:
            return
        for connection in self._connections.values():
            if connection.grab_loop.state is _AWAKE:
                connection.grab_loop.grab_job(lease_now())
                if len(self._connections) > 1:
                    self._connections[connection.address] = self._connections.pop(connection.address)
                return

    def _missing(self) -> list[ServerAddress]:
        if len(self._connections) == len(self._servers.addresses):
            return []
        return [address for address in self._servers.addresses if address not in self._connections]

    def _retry_at(self, address: ServerAddress) -> float:
        retry_at = self._servers.retry_at(address)
        return min(retry_at, self._seek_at.get(address, math.inf)) if self._held.seeks_server else retry_at
