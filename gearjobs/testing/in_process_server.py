"""A job server without sockets, threads or time of its own: the core's queue behind the server's packet handlers.

What a worker says and is answered, is said in the same packets, read by the same handlers and decided by the same queue
as in production; only a commit happens at once, and the clock shows what the test says. One worker, in this process.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final, cast

from gearjobs.core.changes import Change, StoredJob
from gearjobs.core.handles import RANDOM_BITS, HandleMaker, make_incarnation
from gearjobs.core.job_queue import JobQueue, QueueRules
from gearjobs.core.jobs import ConnectionId
from gearjobs.core.quarantine import BenchRules
from gearjobs.errors import WireError
from gearjobs.protocol.codec import TextLine
from gearjobs.server.connection import Connection
from gearjobs.server.deliver import Deliver
from gearjobs.server.dispatch import Dispatch, error_packet
from gearjobs.server.memory_budget import MemoryBudget
from gearjobs.stores.base import JobStore

if TYPE_CHECKING:
    from gearjobs.server.commit.durability import Durability

#: Longest packet, in bytes: the job server's default.
_MAX_PACKET_BYTES: Final = 64 * 1024 * 1024
#: Never reached: one peer, whose packets come whole.
_BUFFER_BYTES: Final = 2**62


class _Peer(Connection):
    """The worker's connection: what is sent to it stays here until it is read."""

    def __init__(self, handler: InProcessServer) -> None:
        super().__init__(ConnectionId(1), handler, max_packet_bytes=_MAX_PACKET_BYTES)
        self.sent = bytearray()

    def send(self, packet: bytes) -> None:
        self.sent += packet


class _CommitAtOnce:
    """As much of the server's durability as its packet handlers ask for."""

    is_lease_held = True

    def __init__(self) -> None:
        self.changes: list[Change] = []

    def record(self, change: Change) -> None:
        self.changes.append(change)

    def adopt(self) -> None:
        """Rows are adopted when the test says so."""


class InProcessServer:
    """A job server for one worker.

    Args:
        store: the jobs.
        now: the time at its beginning, unix seconds.
    """

    def __init__(self, store: JobStore, *, now: float) -> None:
        #: Unix seconds; set it to let time pass.
        self.now = now
        self._store = store
        # A task that fails, fails fast in a test.
        self._queue = JobQueue(QueueRules(bench=BenchRules(failures=0)))
        self._commits = _CommitAtOnce()
        self._peer = _Peer(self)
        durability = cast("Durability", self._commits)
        self._deliver = Deliver(self._queue.effects, {self._peer.id: self._peer}, durability)
        handles = HandleMaker("H:test", make_incarnation(now, secrets.randbits(RANDOM_BITS)))
        self._dispatch = Dispatch(self._queue, durability, handles, budget=MemoryBudget(_BUFFER_BYTES))
        self._queue.connect(self._peer.id, address="in-process")

    def take_in(self, jobs: list[StoredJob]) -> None:
        """Queue jobs of the store."""
        self._queue.restore(jobs, now=self.now)
        self._carry_out()

    def exchange(self, said: bytes) -> bytes:
        """Let the worker say something; return what it is answered."""
        self._queue.tick(self.now)
        self._carry_out()
        self._peer.data_received(said)
        answer = bytes(self._peer.sent)
        self._peer.sent.clear()
        return answer

    def next_due(self) -> float | None:
        """Return when something becomes due by itself, unix seconds; None for never."""
        return self._queue.next_due()

    def received(self, connection: Connection) -> None:
        """Answer what came; called by the connection."""
        while (packet := connection.decoder.next_packet()) is not None:
            if isinstance(packet, TextLine):
                raise TypeError("a worker sends packets, no text")
            try:
                self._dispatch.handle(connection, packet, self.now)
            except WireError as error:
                connection.send(error_packet(error.code, error.text))
            self._carry_out()

    def connected(self, connection: Connection) -> None:
        """It is from the beginning."""

    def disconnected(self, connection: Connection) -> None:
        """It never is."""

    def has_output(self, connection: Connection) -> None:
        """The worker reads it when it wants."""

    def _carry_out(self) -> None:
        while self._queue.effects:
            self._deliver.carry_out()
            changes, self._commits.changes = self._commits.changes, []
            if changes:
                self._store.commit(changes)
            for change in changes:
                self._queue.committed(change, now=self.now)
