"""A job server that begins anew when another server of its database took its jobs over.

That happens when it could not renew its lease for too long: it was stopped, or cut off from the database. What it knows
of its jobs is then somebody else's, so nothing of it is kept: connections are closed, peers come back or go elsewhere,
and a new JobServer with a new incarnation is made on the same ports. The process and its pid file stay.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from gearjobs.errors import StoreError, StoreFenced
from gearjobs.server.config import ServerConfig
from gearjobs.server.job_server import JobServer
from gearjobs.server.queue_desk import Controls, PauseWish

logger = logging.getLogger("gearjobs.server")

#: Seconds between two tries to begin anew while the database does not let it.
RETRY_S: Final = 1.0

#: What a server calls with its addresses once it listens.
OnListening = Callable[[list[tuple[str, int]]], None]
MakeServer = Callable[[ServerConfig, OnListening], JobServer]


class ServerLives:
    """One job server after the other.

    Args:
        config: how it was asked to run.
        make_server: makes a server with a store of its own.
        on_listening: called once, with the addresses it listens on and those of HTTP, when it first does.
    """

    def __init__(
        self,
        config: ServerConfig,
        make_server: MakeServer,
        *,
        on_listening: Callable[[list[tuple[str, int]], list[tuple[str, int]]], None],
    ) -> None:
        self._config = config
        self._make_server = make_server
        self._on_listening = on_listening
        self._stopping = asyncio.Event()
        self._is_draining = False
        self._has_listened = False
        self._controls: Controls = {}
        self._server = make_server(config, self._note_listening)

    async def serve(self) -> None:
        """Run until `stop`, or until a draining server has no connection left.

        Raises:
            GearjobsError: the first server cannot start, or a later one not on the same ports; see `JobServer.serve`.
        """
        try:
            while await self._is_to_begin_anew():
                self._server = self._make_server(self._config, self._note_listening)
        finally:
            self._remove_pid_file()

    async def _is_to_begin_anew(self) -> bool:
        """Run the present server to its end; return whether another one is to follow."""
        # Before it has any job.
        self._server.obey(self._controls)
        try:
            await self._server.serve()
        except StoreFenced as fenced:
            logger.error("begin anew: %s", fenced)
        except StoreError as error:
            if not self._has_listened:
                raise
            logger.error("begin anew later: %s", error)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), RETRY_S)
        else:
            return False
        return not (self._stopping.is_set() or self._is_draining)

    def stop(self) -> None:
        """End `serve` soon; may be called more than once."""
        self._stopping.set()
        self._server.stop()

    def drain(self) -> None:
        """Take no new connections, and end `serve` when the last one is closed by its peer."""
        self._is_draining = True
        self._server.drain()

    def adopt_jobs(self) -> None:
        """Look for jobs that nobody has, now and not at the next sweep."""
        self._server.adopt_jobs()

    def begin_with(self, controls: Controls) -> None:
        """Let the first life obey this before it has any job."""
        self._controls = controls

    def obey(self, controls: Controls, settled: Sequence[tuple[PauseWish, bool]] = ()) -> None:
        """Obey what operators say of functions from now on, in this life and later ones."""
        self._controls = controls
        self._server.obey(controls, settled)

    def reload(self) -> None:
        """Read again what may have changed on disk."""
        self._server.reload()

    def _remove_pid_file(self) -> None:
        """Remove what a server has left whose jobs were taken over, where the next one did not come to write it."""
        pid_file = self._config.pid_file
        if pid_file is not None and self._has_listened:
            with suppress(OSError):
                if pid_file.read_text().strip() == str(os.getpid()):
                    pid_file.unlink()

    def _note_listening(self, addresses: list[tuple[str, int]]) -> None:
        http_addresses = self._server.http_addresses
        if not self._has_listened:
            self._has_listened = True
            self._on_listening(addresses, http_addresses)
        # The ports that the system chose, if it was to, are the next server's, too.
        self._config = replace(
            self._config,
            port=next((port for _, port in addresses if port), self._config.port),
            http_port=http_addresses[0][1] if http_addresses else None,
        )
