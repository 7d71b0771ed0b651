"""The job server: ties queue, connections, store and timer together and runs them until it is told to stop.

Everything here runs in the loop's one thread; only the store's calls run elsewhere (`writer`). The order of a start:
store opened and its jobs restored, then listening, then the pid file, so whoever sees the pid file can connect. The
order of a stop: no new connections, no more reading, commit, close the rest.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
import time
from collections.abc import Callable

from gearjobs.core.changes import StoredJob
from gearjobs.core.handles import RANDOM_BITS, HandleMaker, default_prefix, make_incarnation
from gearjobs.core.job_queue import JobQueue, QueueRules
from gearjobs.core.jobs import ConnectionId
from gearjobs.errors import WireError
from gearjobs.protocol.codec import TextLine
from gearjobs.server.admin_commands import AdminCommands
from gearjobs.server.config import ServerConfig
from gearjobs.server.connection import Connection
from gearjobs.server.deliver import Deliver
from gearjobs.server.dispatch import Dispatch, error_packet
from gearjobs.server.durability import Durability
from gearjobs.server.listening import open_sockets
from gearjobs.server.timers import Timers
from gearjobs.server.writer import Verdict
from gearjobs.stores.base import JobStore

logger = logging.getLogger("gearjobs.server")

#: Packets of one connection after which its replies are written, so that unread answers are noticed in time.
_FLUSH_EVERY = 128


class JobServer:
    """One job server.

    Args:
        config: how it was asked to run.
        store: where background jobs live; None keeps them in memory only.
        on_listening: called once with the addresses it listens on, when it does.
    """

    def __init__(
        self, config: ServerConfig, store: JobStore, *, on_listening: Callable[[list[tuple[str, int]]], None]
    ) -> None:
        self._config = config
        self._on_listening = on_listening
        self._connections: dict[ConnectionId, Connection] = {}
        self._accepted = 0
        self._dirty: list[Connection] = []
        self._is_in_tick = False
        self._stopping = asyncio.Event()
        self._queue = JobQueue(QueueRules(job_retries=config.job_retries, wakeup_limit=config.worker_wakeup))
        self._durability = Durability(
            store,
            on_verdict=self._settle,
            on_adopted=self._restore,
            on_released=self._flush,
            progress_interval_s=config.progress_interval_s,
        )
        self._deliver = Deliver(self._queue.effects, self._connections, self._durability)
        prefix = config.job_handle_prefix or default_prefix(socket.gethostname())
        incarnation = make_incarnation(time.time(), random.SystemRandom().getrandbits(RANDOM_BITS))
        self._dispatch = Dispatch(self._queue, self._durability, HandleMaker(prefix, incarnation))
        self._admin = AdminCommands(self._queue, self._connections, log_level=gearmand_level(logger))
        self._timers = Timers(self._next_due, self._tick, clock=time.time)

    async def serve(self) -> None:
        """Run until `stop`.

        Raises:
            StoreError: the store cannot be opened.
            UsageError: an address cannot be listened on, or the pid file not be written.
        """
        loop = asyncio.get_running_loop()
        self._restore(await self._durability.open())
        try:
            servers = [
                await loop.create_server(self._accept, sock=sock, backlog=self._config.backlog)
                for sock in open_sockets(self._config)
            ]
            self._announce(servers)
            sweeps = asyncio.create_task(self._keep_sweeping())
            await self._stopping.wait()
            sweeps.cancel()
            for server in servers:
                server.close()
        finally:
            await self._close()

    def stop(self) -> None:
        """End `serve` soon; may be called more than once."""
        self._stopping.set()

    def connected(self, connection: Connection) -> None:
        """A peer connected."""
        self._connections[connection.id] = connection
        self._queue.connect(connection.id, address=connection.address)
        if self._config.exceptions:
            self._queue.want_exceptions(connection.id)
        logger.debug("accept peer=%s", connection.address)

    def disconnected(self, connection: Connection) -> None:
        """A peer is gone."""
        del self._connections[connection.id]
        now = time.time()
        self._queue.disconnect(connection.id, now=now)
        self._end_tick(now)
        logger.debug("lose peer=%s", connection.address)

    def received(self, connection: Connection) -> None:
        """Do what the peer sent, as far as it reads its answers."""
        now = time.time()
        try:
            self._work_off(connection, now)
        except Exception:
            # The connection's wall: a bug must not take the other connections along.
            logger.exception("close peer=%s: a packet of it met a bug", connection.address)
            connection.abort()
        self._end_tick(now)

    def has_output(self, connection: Connection) -> None:
        """Flush the connection at the end of the tick."""
        self._dirty.append(connection)

    def _accept(self) -> Connection:
        self._accepted += 1
        return Connection(ConnectionId(self._accepted), self, max_packet_bytes=self._config.max_packet_bytes)

    def _work_off(self, connection: Connection, now: float) -> None:
        done = 0
        while not (connection.is_closed or connection.is_choked):
            try:
                packet = connection.decoder.next_packet()
                if packet is None:
                    return
                if isinstance(packet, TextLine):
                    self._admin.handle(connection, packet)
                else:
                    self._dispatch.handle(connection, packet, now)
                    if self._queue.effects:
                        self._deliver.carry_out(now)
            except WireError as error:
                if self._refuse(connection, error):
                    return
            done += 1
            if done % _FLUSH_EVERY == 0:
                connection.flush()

    @staticmethod
    def _refuse(connection: Connection, error: WireError) -> bool:
        """Answer a WireError; return True when the connection is done for."""
        logger.info("refuse peer=%s: %s", connection.address, error)
        if not error.is_silent:
            connection.send(error_packet(error.code, error.text))
        if error.is_fatal:
            connection.close()
        return error.is_fatal

    def _settle(self, verdict: Verdict) -> None:
        now = time.time()
        for change in verdict.committed:
            self._queue.committed(change, now=now)
        for refused in verdict.refused:
            self._queue.refused(refused, now=now)
        self._deliver.carry_out(now)

    def _restore(self, stored: list[StoredJob]) -> None:
        now = time.time()
        self._queue.restore(stored, now=now)
        self._end_tick(now)
        if stored:
            logger.info("take over jobs=%d", len(stored))

    def _tick(self) -> None:
        now = time.time()
        self._queue.tick(now)
        self._durability.record_due_progress(now)
        self._end_tick(now)

    def _end_tick(self, now: float) -> None:
        if self._queue.effects:
            self._deliver.carry_out(now)
        self._flush()

    def _flush(self) -> None:
        if self._dirty:
            dirty, self._dirty = self._dirty, []
            for connection in dirty:
                connection.flush()
        self._timers.rearm()

    def _next_due(self) -> float | None:
        queue_due, progress_due = self._queue.next_due(), self._durability.next_due()
        if queue_due is None or progress_due is None:
            return progress_due if queue_due is None else queue_due
        return min(queue_due, progress_due)

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(self._config.sweep_interval_s)
            self._durability.adopt()

    def _announce(self, servers: list[asyncio.Server]) -> None:
        if self._config.pid_file is not None:
            self._config.pid_file.write_text(f"{os.getpid()}\n")
        addresses = [sock.getsockname()[:2] for server in servers for sock in server.sockets]
        self._on_listening(addresses)
        for host, port in addresses:
            logger.info("listen address=%s port=%d pid=%d", host, port, os.getpid())

    async def _close(self) -> None:
        self._timers.stop()
        await self._durability.close()
        for connection in list(self._connections.values()):
            connection.close()
        if self._config.pid_file is not None:
            self._config.pid_file.unlink(missing_ok=True)
        logger.info("stop pid=%d", os.getpid())


#: gearmand's names for the levels of Python's logging, least verbose first.
_LEVELS = {
    logging.CRITICAL: "CRITICAL",
    logging.ERROR: "ERROR",
    logging.WARNING: "WARNING",
    logging.INFO: "INFO",
    logging.DEBUG: "DEBUG",
}


def gearmand_level(of: logging.Logger) -> str:
    """Return what gearmand calls the logger's level."""
    return _LEVELS.get(of.getEffectiveLevel(), "INFO")
