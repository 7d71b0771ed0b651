"""A real job server for a test: on a free port, in a thread of the test's process, on the test's database.

Everything is as in production but the process: sockets, the writer's own database session, commits. So a test must
really commit, too (`TransactionTestCase`, pytest's `transactional_db`), and its database must be one that threads can
share: SQLite's in memory is not. While the server runs, whatever this process enqueues goes to it.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from django.db import connections
from django.db.models import Q
from django.utils import timezone

from gearjobs.client.client import Client
from gearjobs.errors import DeadlineExceeded, UsageError
from gearjobs.records.job_queries import all_jobs
from gearjobs.records.ownership.store_lock import is_shared
from gearjobs.records.record_store import RecordStore
from gearjobs.server.config import ServerConfig
from gearjobs.server.job_server import JobServer
from gearjobs.settings import gearjobs_settings
from gearjobs.stores.durability_level import DurabilityLevel
from gearjobs.tasks import job_client

#: Seconds a server may take to listen, or to end; the machine may be busy.
START_TIMEOUT_S: Final = 20.0
#: Seconds between two looks at the table.
_LOOK_S: Final = 0.01
_numbers: Final = itertools.count(1)


class JobServerThread:
    """A job server; also a context manager.

    Args:
        config: how it runs; on a free port of 127.0.0.1 if not given.
    """

    def __init__(self, config: ServerConfig | None = None) -> None:
        self._config = config or ServerConfig(listen=("127.0.0.1",), port=0)
        self._alias = gearjobs_settings().database
        self._server: JobServer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fault: BaseException | None = None
        self._client: Client | None = None
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gearjobs-server", daemon=True)
        #: `host:port` it listens on, once it does.
        self.address = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, and have this process enqueue here.

        Raises:
            UsageError: the test's database cannot be shared by threads, or is inside a transaction.
            GearjobsError: the server did not start.
        """
        _require_shareable(self._alias)
        self._thread.start()
        if not self._is_ready.wait(START_TIMEOUT_S):
            raise DeadlineExceeded(f"the job server did not listen within {START_TIMEOUT_S} s")
        if self._fault is not None:
            raise self._fault
        self._client = Client([self.address])
        job_client.stand_ins.append(self._client)

    def stop(self) -> None:
        """End the server.

        Raises:
            BaseException: whatever it ended with before it was told to.
        """
        if self._client is not None:
            job_client.stand_ins.remove(self._client)
            self._client.close()
        if self._loop is not None and self._server is not None:
            # The loop is closed where the server has ended by itself.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._server.stop)
        self._thread.join(START_TIMEOUT_S)
        if self._thread.is_alive():
            raise DeadlineExceeded(f"the job server did not stop within {START_TIMEOUT_S} s")
        if self._fault is not None:
            raise self._fault

    def wait_until_idle(self, timeout_s: float = 10.0) -> None:
        """Wait until every job has ended but those that are to run later.

        Raises:
            DeadlineExceeded: they had not; it names one.
        """
        deadline = time.monotonic() + timeout_s
        pause = threading.Event()
        while (left := self._left()) is not None:
            if time.monotonic() >= deadline:
                raise DeadlineExceeded(f"job {left[0]} was still {left[1]} after {timeout_s} s")
            pause.wait(_LOOK_S)

    def _left(self) -> tuple[str, str] | None:
        """Return the handle and the state of a job that should have ended."""
        due = Q(run_at=None) | Q(run_at__lte=timezone.now())
        left = all_jobs(using=self._alias).filter(due, finished_at=None)
        return left.values_list("handle", "status_detail").first()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as fault:  # noqa: BLE001 - told to the test, from the thread it belongs to
            self._fault = fault
        finally:
            self._is_ready.set()
            connections.close_all()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        name = f"test:{os.getpid()}:{next(_numbers)}"
        # What a test has committed need not survive a power loss.
        store = RecordStore(self._alias, name, durability=DurabilityLevel.PROCESS)
        shared = is_shared(connections[self._alias])
        self._server = JobServer(self._config, store, on_listening=self._note_addresses, is_store_shared=shared)
        await self._server.serve()

    def _note_addresses(self, addresses: list[tuple[str, int]]) -> None:
        host, port = addresses[0]
        self.address = f"{host}:{port}"
        self._is_ready.set()


def _require_shareable(alias: str) -> None:
    connection = connections[alias]
    if connection.in_atomic_block:
        raise UsageError(
            "a job server sees what is committed only: use TransactionTestCase, or pytest's transactional_db fixture"
        )
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite" and (":memory:" in name or "mode=memory" in name):
        raise UsageError(
            f"a job server needs a database that threads can share, and SQLite's in memory is none: give"
            f' DATABASES["{alias}"]["TEST"] = {{"NAME": ...}} the path of a file'
        )
