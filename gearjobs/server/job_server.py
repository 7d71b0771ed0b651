"""The job server: ties queue, connections, store and timer together and runs them until it is told to stop.

Everything here runs in the loop's one thread; only the store's calls run elsewhere (`writer`). The order of a start:
store opened and its jobs restored, then listening, then the pid file, so whoever sees the pid file can connect. The
order of a stop: no new connections, no more reading, commit, close the rest.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from gearjobs.core.changes import StoredJob
from gearjobs.core.job_queue import JobQueue
from gearjobs.core.jobs import ConnectionId
from gearjobs.core.tallies import JobTallies
from gearjobs.errors import StoreFenced, UsageError, WireError
from gearjobs.protocol.codec import Packet, TextLine
from gearjobs.server.admin_commands import AdminCommands, gearmand_level
from gearjobs.server.assignments import Assignments
from gearjobs.server.clocks import Clocks
from gearjobs.server.commit.commit_steps import Ruling
from gearjobs.server.commit.durability import Durability
from gearjobs.server.config import ServerConfig, commit_rules, reattach_rules
from gearjobs.server.connection import Connection, HeldReply
from gearjobs.server.deliver import Deliver
from gearjobs.server.dispatch import Dispatch, error_packet
from gearjobs.server.entrance.accepting import Acceptor
from gearjobs.server.entrance.admission import Admission, connection_limit
from gearjobs.server.entrance.gatekeeper import Gatekeeper
from gearjobs.server.entrance.identify import Identification, warn_if_open
from gearjobs.server.entrance.listening import address_of, open_sockets
from gearjobs.server.entrance.tls_entrance import TlsEntrance
from gearjobs.server.held_grabs import HeldGrabs
from gearjobs.server.http.health import reasons_not_ready
from gearjobs.server.http.http_endpoint import HttpEndpoint, HttpServices
from gearjobs.server.memory_budget import MemoryBudget
from gearjobs.server.operator_commands import OperatorCommands
from gearjobs.server.peer_loop import PeerLoop
from gearjobs.server.queue_begin import make_handles, queue_rules
from gearjobs.server.queue_desk import ControlKeeper, Controls, PauseWish, QueueDesk
from gearjobs.server.snapshot_line import SnapshotLine
from gearjobs.server.timers import Timers
from gearjobs.server.unfinished_packets import UnfinishedPackets
from gearjobs.server.worker_control import WorkerControl
from gearjobs.stores.base import JobStore
from gearjobs.stores.builtin import BuiltinStore

logger = logging.getLogger("gearjobs.server")

#: Packets of one connection after which its replies are written, so that unread answers are noticed in time.
_FLUSH_EVERY = 128
#: Turns of the loop in which TLS connections that were cut off end: one for the socket, one for TLS, one for ours.
_FAREWELL_TURNS = 5


class JobServer:
    """One job server.

    Args:
        config: how it was asked to run.
        store: where background jobs live.
        on_listening: called once with the addresses it listens on, when it does.
        is_store_shared: whether other servers may use the store, too.
        keeper: where the store keeps what operators say of functions; None where it does not.
        tallies: where it counts what its jobs do; where none are given it counts only if it speaks HTTP.
    """

    def __init__(
        self,
        config: ServerConfig,
        store: JobStore,
        *,
        on_listening: Callable[[list[tuple[str, int]]], None],
        is_store_shared: bool = False,
        keeper: ControlKeeper | None = None,
        tallies: JobTallies | None = None,
    ) -> None:
        self._config = config
        self._on_listening = on_listening
        self._connections: dict[ConnectionId, Connection] = {}
        self._accepted = 0
        self._dirty: list[Connection] = []
        self._servers: list[Acceptor] = []
        self._admission = Admission(
            connection_limit(config.max_connections), source_limit=config.max_connections_per_host
        )
        self._identification = Identification(config, on_known=self._admission.prove)
        self._has_pid_file = False
        self._stopping = asyncio.Event()
        self._is_draining = False
        self._is_fenced = False
        #: Whether peers are being read from, and the unix seconds at which that began.
        self._is_in_batch, self._now = False, 0.0
        self._clocks = Clocks()
        if tallies is None and config.http_port is not None:
            tallies = JobTallies()
        self._tallies = tallies
        reattach = reattach_rules(config, is_store_shared=is_store_shared)
        # A store that keeps nothing is not asked to: no change is recorded, no answer waits for the writer's thread.
        self._has_store = not isinstance(store, BuiltinStore)
        self._queue = JobQueue(queue_rules(config, reattach, has_store=self._has_store), tallies)
        self._durability = Durability(
            store,
            commit_rules(config),
            on_ruling=self._settle,
            on_adopted=self._adopt,
            on_hand_out=self._hand_out,
            on_released=self._end_tick,
        )
        assignments = Assignments(reattach)
        self._held = HeldGrabs(self._queue, assignments, end_tick=self._end_tick, clock=time.time)
        self._deliver = Deliver(self._queue.effects, self._connections, self._durability, called=self._held.call)
        self._budget = MemoryBudget(config.buffer_budget_bytes)
        self._desk = QueueDesk(
            self._queue, keeper, pending_changes=lambda: self._durability.pending_changes, end_tick=self._end_tick
        )
        self._dispatch = self._make_dispatch(assignments)
        snapshot = SnapshotLine(self._queue, self._durability, is_draining=lambda: self._is_draining)
        log_level = config.verbose or gearmand_level(logger)
        self._admin = AdminCommands(self._queue, self._connections, log_level=log_level, snapshot=snapshot.gather)
        self._operator = OperatorCommands(
            self._queue, stop=self.stop, drain=self.drain, policy=config.admin, further=self._desk.lines
        )
        self._gatekeeper = Gatekeeper(self._queue, self._identification)
        self._unfinished = UnfinishedPackets()
        self._timers = Timers(self._queue.next_due, self._tick, clock=time.time)
        self._http = None if tallies is None or config.http_port is None else self._make_http(tallies)

    async def serve(self) -> None:
        """Run until `stop`.

        Raises:
            StoreFenced: another server took this one's jobs over. All connections were closed, those that waited for an
                answer without one; a new JobServer may begin anew.
            StoreError: the store cannot be opened.
            UsageError: an address cannot be listened on, or the pid file not be written.
        """
        sweeps: asyncio.Task[None] | None = None
        loop = asyncio.get_running_loop()
        try:
            self._restore(await self._durability.open())
            if isinstance(loop, PeerLoop):
                # Not before the lease is in hand: whatever else wakes the loop meanwhile would find that it is not.
                loop.tell_batches(self)
            entrance = TlsEntrance(lambda: self._identification.tls, self._identification.failures)
            for sock in open_sockets(self._config):
                self._servers.append(
                    Acceptor(
                        sock,
                        self._accept,
                        admission=self._admission,
                        open_peer=entrance.open,
                        must_prove=self._identification.must_prove and sock.family != socket.AF_UNIX,
                    )
                )
            if self._http is not None:
                self._http.open()
            self._announce()
            sweeps = asyncio.create_task(self._keep_sweeping())
            await self._durability.run_until(self._stopping)
        except StoreFenced:
            # At once, and without a word: what their jobs are, another server says.
            self._is_fenced = True
            for connection in list(self._connections.values()):
                connection.abort()
            raise
        finally:
            if sweeps is not None:
                sweeps.cancel()
            await self._close()
            if isinstance(loop, PeerLoop):
                loop.tell_batches(None)

    def stop(self) -> None:
        """End `serve` soon; may be called more than once."""
        self._stopping.set()

    def drain(self) -> None:
        """Take no new connections, and end `serve` when the last one is closed by its peer."""
        self._is_draining = True
        for server in self._servers:
            server.close()
        if self._http is not None:
            self._http.stop_listening()
        logger.info("drain connections=%d", len(self._connections))
        if not self._connections:
            self.stop()

    def adopt_jobs(self) -> None:
        """Look for jobs that nobody has, now and not at the next sweep."""
        self._durability.adopt()

    def obey(self, controls: Controls, settled: Sequence[tuple[PauseWish, bool]] = ()) -> None:
        """Obey what operators say of functions from now on, and answer the lines that wanted some of it kept."""
        self._desk.obey(controls, settled)

    def reload(self) -> None:
        """Read again what may have changed on disk."""
        logger.info("reload")
        self._identification.reload(list(self._connections.values()))
        now = time.time()
        self._gatekeeper.withdraw_abilities(self._connections, now)
        self._end_tick()

    def connected(self, connection: Connection) -> None:
        """A peer connected."""
        self._connections[connection.id] = connection
        self._identification.greet(connection)
        if self._stopping.is_set():
            connection.stop_reading()
        self._queue.connect(connection.id, address=connection.address)
        if self._config.exceptions:
            self._queue.want_exceptions(connection.id)
        logger.debug("accept peer=%s", connection.address)

    def disconnected(self, connection: Connection) -> None:
        """A peer is gone."""
        del self._connections[connection.id]
        self._admission.leave(connection)
        self._unfinished.forget(connection)
        self._budget.forget(connection)
        now = time.time()
        self._watch_clocks(now)
        self._queue.disconnect(connection.id, now=now, was_cut=connection.was_cut)
        self._end_tick()
        logger.debug("lose peer=%s", connection.address)
        if self._is_draining and not self._connections:
            self.stop()

    def batch_began(self) -> None:
        """Some peers are about to be read from, in one tick."""
        self._now = now = time.time()
        if not self._clocks.agree(now):
            self._watch_clocks(now)
        if self._has_store:
            self._durability.watch()
        self._is_in_batch = True

    def batch_ended(self) -> None:
        """All of them were."""
        self._is_in_batch = False
        self._finish(self._now)

    def received(self, connection: Connection) -> None:
        """Do what the peer sent, as far as it reads its answers."""
        if not self._is_in_batch:
            self.batch_began()
            self.received(connection)
            self.batch_ended()
            return
        try:
            if connection.held_grab:
                self._held.settle(connection, self._now)
            while not self._work_off(connection, self._now):
                pass
        except Exception:
            # The connection's wall: a bug must not take the other connections along.
            logger.exception("close peer=%s: a packet of it met a bug", connection.address)
            connection.abort()
        if connection.decoder.partial_bytes:
            self._unfinished.note(connection)
            self._budget.note(connection)

    def has_output(self, connection: Connection) -> None:
        """Flush the connection at the end of the tick."""
        self._dirty.append(connection)

    @property
    def http_addresses(self) -> list[tuple[str, int]]:
        """Where the HTTP module listens; nowhere when it was not asked for."""
        return [] if self._http is None else self._http.addresses

    def _make_dispatch(self, assignments: Assignments) -> Dispatch:
        handles = make_handles(self._config)
        control = WorkerControl(self._queue, self._connections, policy=self._config.admin)
        dispatch = Dispatch(
            self._queue, self._durability, handles, budget=self._budget, assignments=assignments, held=self._held
        )
        dispatch.learn({**control.handlers, **self._desk.handlers})
        return dispatch

    def _make_http(self, tallies: JobTallies) -> HttpEndpoint:
        page = None
        if find_spec("prometheus_client") is not None:
            # Imported where it is wanted only: the package is optional, and slower to import than all of the server.
            module = import_module("gearjobs.server.http.metrics_page")
            guards = module.Guards(
                self._admission, self._identification.failures, self._gatekeeper, self._operator, self._budget
            )
            page = module.MetricsPage(self._queue, tallies, self._durability, guards=guards).response
        services = HttpServices(self._admission, self._budget, self._accept_http, self._reasons_not_ready, page)
        return HttpEndpoint(self._config, services)

    def _reasons_not_ready(self) -> list[str]:
        is_stopping = self._is_draining or self._stopping.is_set()
        return reasons_not_ready(self._durability, is_stopping=is_stopping, now=asyncio.get_running_loop().time())

    def _accept_http(self) -> Connection:
        connection = self._accept()
        if self._config.http_token:
            # No request comes this far without it.
            connection.known_as = frozenset({"http"})
        return connection

    def _accept(self) -> Connection:
        self._accepted += 1
        return Connection(ConnectionId(self._accepted), self, max_packet_bytes=self._config.max_packet_bytes)

    def _work_off(self, connection: Connection, now: float) -> bool:
        """Do what the peer sent; False where there may be more of it behind a packet that was refused."""
        effects = self._queue.effects
        next_packet, handle, carry_out = connection.decoder.next_packet, self._dispatch.handle, self._deliver.carry_out
        done = 0
        try:
            while not connection.is_choked and (packet := next_packet()) is not None:
                if type(packet) is Packet and connection.credentials is None:
                    handle(connection, packet, now)
                else:
                    self._handle_with_care(connection, packet, now)
                if effects:
                    carry_out(connection)
                done += 1
                if not done % _FLUSH_EVERY:
                    connection.flush()
        except WireError as error:
            return self._refuse(connection, error)
        return True

    def _handle_with_care(self, connection: Connection, packet: Packet | TextLine, now: float) -> None:
        """Do what a text line asks for, or a peer that has to show who it is."""
        credentials = connection.credentials
        if credentials is not None and not self._gatekeeper.lets_pass(connection, packet, credentials):
            return
        if isinstance(packet, Packet):
            self._dispatch.handle(connection, packet, now)
        elif not self._operator.handle(connection, packet, now):
            self._admin.handle(connection, packet)

    @staticmethod
    def _refuse(connection: Connection, error: WireError) -> bool:
        """Answer a WireError; return True when the connection is done for."""
        logger.info("refuse peer=%s: %s", connection.address, error)
        if not error.is_silent:
            connection.send(error_packet(error.code, error.text))
        if error.is_fatal:
            connection.close()
        return error.is_fatal

    def _settle(self, ruling: Ruling[HeldReply]) -> None:
        now = time.time()
        self._watch_clocks(now)
        for change in ruling.committed:
            self._queue.committed(change, now=now)
        for refused in ruling.refused:
            self._queue.refused(refused, now=now)
        for accepted, into in ruling.joined:
            self._queue.joined(accepted, into, now=now)
        self._deliver.carry_out()

    def _hand_out(self, may_hand_out: bool) -> None:  # noqa: FBT001 - a callback of one argument
        if may_hand_out:
            self._queue.release_stored(time.time())
        else:
            self._queue.hold_stored()
        # With the calls to workers written: nothing else need happen soon.
        self._end_tick()

    def _adopt(self, stored: list[StoredJob]) -> None:
        if self._tallies is not None:
            # Another server has counted what it left.
            for job in stored:
                if not job.attempt and not job.owner_gone_s:
                    self._tallies.job_inserted(job.function)
        self._restore(stored)

    def _restore(self, stored: list[StoredJob]) -> None:
        now = time.time()
        # Else the deadlines of orphans, fresh by the new time, were moved once more.
        self._watch_clocks(now)
        self._queue.restore(stored, now=now)
        self._end_tick()
        if stored:
            logger.info("take over jobs=%d", len(stored))

    def _tick(self) -> None:
        now = time.time()
        self._watch_clocks(now)
        self._queue.tick(now)
        self._end_tick()

    def _watch_clocks(self, now: float) -> None:
        """Notice a clock that was set: what is to come after a while still does; and that the machine slept."""
        by_s = self._clocks.step_s(now)
        if by_s:
            logger.warning("follow the clock: it was set by %+.1f s", by_s)
            self._queue.clock_set(by_s)
            self._durability.doubt_lease()

    def _end_tick(self) -> None:
        """End what was no batch of peers."""
        self._finish(time.time())

    def _finish(self, now: float) -> None:
        """Tell everybody what the tick has brought."""
        effects, held = self._queue.effects, self._held
        if effects:
            self._deliver.carry_out()
        if held.called:
            held.answer_called(now)
        if effects:
            self._carry_out_all(now)
        if held.fresh:
            held.end_tick(now)
            if effects:
                self._carry_out_all(now)
        self._flush()

    def _carry_out_all(self, now: float) -> None:
        """Do what the queue wants done, and what comes of that."""
        while self._queue.effects:
            self._deliver.carry_out()
            self._held.answer_called(now)

    def _flush(self) -> None:
        if self._dirty:
            dirty, self._dirty = self._dirty, []
            for connection in dirty:
                if connection.flush():
                    self._budget.note(connection)
        if not self._timers.is_look_due:
            self._timers.rearm_soon()

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(self._config.sweep_interval_s)
            self._durability.adopt()
            self._queue.read_rates(time.time())
            # A clock that was put forward makes things due that the timer does not know of.
            asyncio.get_running_loop().call_soon(self._tick)

    def _announce(self) -> None:
        if self._config.pid_file is not None:
            self._write_pid_file(self._config.pid_file)
        addresses = [address_of(sock) for server in self._servers for sock in server.sockets]
        self._on_listening(addresses)
        for host, port in addresses:
            logger.info("listen address=%s port=%d pid=%d", host, port, os.getpid())
        warn_if_open(self._config, [host for host, _ in addresses])

    def _write_pid_file(self, pid_file: Path) -> None:
        try:
            pid_file.write_text(f"{os.getpid()}\n")
        except OSError as error:
            raise UsageError(f"cannot write the pid file {pid_file}: {error.strerror}") from error
        self._has_pid_file = True

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        if self._http is not None:
            self._http.close()
        # Else peers that go on submitting would never let the last commit be the last.
        self._stopping.set()
        for connection in self._connections.values():
            connection.stop_reading()
        self._timers.stop()
        self._held.stop()
        self._desk.stop()
        self._unfinished.stop()
        self._budget.stop()
        try:
            await self._durability.close()
        finally:
            for connection in list(self._connections.values()):
                connection.close()
            if self._identification.tls is not None:
                await self._end_farewells()
            # Not another server's, whose port or store this one could not get.
            if self._config.pid_file is not None and self._has_pid_file and not self._is_fenced:
                # A user who was switched to may not be allowed to: the folder is root's.
                with suppress(OSError):
                    self._config.pid_file.unlink(missing_ok=True)
            if self._servers:
                logger.info("stop pid=%d", os.getpid())

    async def _end_farewells(self) -> None:
        """Wait for no peer's part of the end of TLS: what it was promised, and our part, the kernel has."""
        for connection in list(self._connections.values()):
            connection.abort()
        for _ in range(_FAREWELL_TURNS):
            await asyncio.sleep(0)
