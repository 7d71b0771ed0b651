"""What the chaos has at hand: job servers, workers and submitters as real processes and threads on one database.

Everything notes what it does in one journal (`tests.support.journal`), on the monotonic clock that all processes of a
machine share. A server's name in it is `<port>#<life>`: a process that was killed and started again is another server.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from django.db import Error, connections, transaction

from gearjobs.client.client import Client
from gearjobs.core.handles import RANDOM_BITS, HandleMaker, make_incarnation
from gearjobs.errors import GearjobsError
from gearjobs.records.job_queries import NewJob, insert_jobs
from gearjobs.servers import parse_server
from tests.chaos.worker_program import FUNCTION
from tests.support.eventually import eventually
from tests.support.gearmand import free_port
from tests.support.job_server import ROOT
from tests.support.journal import (
    CLOSED,
    DIED,
    Disturbed,
    Event,
    Promised,
    RolledBack,
    ServerBegan,
    ServerLost,
    WorkerDied,
)
from tests.support.wire_peer import WirePeer

#: Seconds a server may take to listen, or to end.
SERVER_TIMEOUT_S: Final = 60.0
#: Seconds between two jobs of a submitter: together some hundred jobs a second, which the workers can do.
_SUBMIT_PAUSE_S: Final = 0.03
#: Of the transactions that enqueue, how many are rolled back.
_UNDONE_SHARE: Final = 0.25


class Journal:
    """The list that everybody appends to."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._lock = threading.Lock()

    def note(self, event: Event) -> None:
        """Append an event."""
        with self._lock:
            self.events.append(event)


class ServerProcess:
    """One job server at one port, in as many lives as it is given."""

    def __init__(self, folder: Path, environment: dict[str, str], options: Sequence[str], journal: Journal) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._journal = journal
        self._environment = environment
        self._options = options
        self._output = folder / f"server-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._lives = 0

    @property
    def name(self) -> str:
        """The present life, or the last one."""
        return f"{self.port}#{self._lives}"

    @property
    def is_up(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it listens; one that cannot, as its database is away, is started again."""
        deadline = time.monotonic() + SERVER_TIMEOUT_S
        while not self._try_to_start(deadline):
            assert time.monotonic() < deadline, f"no server on port {self.port}: {self.said()}"
        self._lives += 1
        self._journal.note(ServerBegan(time.monotonic(), self.name))

    def kill(self) -> None:
        """Let it die with no chance to do anything."""
        self._end(signal.SIGKILL, DIED)

    def terminate(self) -> None:
        """Let it end in peace."""
        self._end(signal.SIGTERM, CLOSED)

    def pause(self) -> None:
        """Let it hang."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused one go on."""
        self._signal(signal.SIGCONT)

    def begin_anew(self) -> None:
        """Note that the process lost its lease meanwhile, and is another server from now on."""
        self._lives += 1
        self._journal.note(ServerBegan(time.monotonic(), self.name))

    def said(self) -> str:
        """Return what it printed and logged."""
        return self._output.read_text(errors="replace") if self._output.exists() else ""

    def _try_to_start(self, deadline: float) -> bool:
        command = [sys.executable, "manage.py", "runjobserver", "--listen", "127.0.0.1", "--port", str(self.port)]
        with self._output.open("ab") as output:
            offset = output.tell()
            self._process = subprocess.Popen(
                [*command, "--log-file", "stderr", *self._options],
                cwd=ROOT,
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

        def is_decided() -> bool:
            return not self.is_up or b" listening on " in self._output.read_bytes()[offset:]

        eventually(is_decided, max(1.0, deadline - time.monotonic()), f"the server on port {self.port} to listen")
        return self.is_up

    def _end(self, number: signal.Signals, how: str) -> None:
        assert self._process is not None
        if self.is_up:
            self._signal(number)
            self._process.wait(SERVER_TIMEOUT_S)
            self._journal.note(ServerLost(time.monotonic(), self.name, how))

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


class WorkerProcess:
    """One worker, in as many lives as it is given; its diary is read at the end."""

    def __init__(self, name: str, kind: str, folder: Path, servers: Sequence[str], journal: Journal) -> None:
        self.name = name
        self.diary = folder / f"{name}.diary"
        self._command = [sys.executable, "-m", "tests.chaos.worker_program", name, str(self.diary), kind, *servers]
        self._journal = journal
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        """Let it die with no chance to do anything."""
        assert self._process is not None
        # The time before the signal: another worker may have the job before this one's end is heard of here.
        died_at = time.monotonic()
        self._process.kill()
        self._process.wait(SERVER_TIMEOUT_S)
        self._journal.note(WorkerDied(died_at, self.name))

    def restart_if_dead(self) -> None:
        """Start it again if it ended itself, as a supervisor does."""
        assert self._process is not None
        if self._process.poll() is not None:
            self._journal.note(WorkerDied(time.monotonic(), self.name))
            self.start()


@dataclass
class House:
    """The processes and threads of one run of the chaos.

    Args:
        folder: where logs and diaries go.
        alias: the database, as Django in this process knows it.
        url: the same, for GEARJOBS_TEST_DATABASE_URL of other processes.
        servers_count: how many job servers share it.
        options: further options of the servers.
        seed: draws what is left to chance here.
    """

    folder: Path
    alias: str
    url: str
    servers_count: int
    options: Sequence[str] = ()
    seed: int = 1
    workers_of_ours: int = 4
    stock_workers: int = 2
    journal: Journal = field(default_factory=Journal)
    servers: list[ServerProcess] = field(default_factory=list)
    workers: list[WorkerProcess] = field(default_factory=list)

    def __post_init__(self) -> None:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.support.settings",
            "GEARJOBS_TEST_DATABASE_URL": self.url,
        }
        self.servers = [
            ServerProcess(self.folder, environment, self.options, self.journal) for _ in range(self.servers_count)
        ]
        addresses = [server.address for server in self.servers]
        kinds = ["ours"] * self.workers_of_ours + ["stock"] * self.stock_workers
        self.workers = [
            WorkerProcess(f"{kind}{number}", kind, self.folder, addresses, self.journal)
            for number, kind in enumerate(kinds)
        ]
        self._is_over = threading.Event()
        self._handles = HandleMaker("H:chaos", make_incarnation(time.time(), random.getrandbits(RANDOM_BITS)))
        self._numbers = count(1)
        self._lock = threading.Lock()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Have everything running but the submitters; end it all at the end of the block."""
        with ExitStack() as stack:
            for server in self.servers:
                stack.callback(server.kill)
                stack.callback(self._resume, server)
                server.start()
            for worker in self.workers:
                stack.callback(worker.kill)
                worker.start()
            yield

    @contextmanager
    def submitting(self) -> Iterator[None]:
        """Submit jobs in every way there is until the end of the block."""
        jobs: list[Callable[[random.Random], None]] = [self._submit_with_handles, self._submit_stock, self._enqueue]
        threads = [
            threading.Thread(target=job, args=(random.Random(self.seed * 10 + number),), name=job.__name__)
            for number, job in enumerate(jobs)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join(SERVER_TIMEOUT_S)
                assert not thread.is_alive(), f"{thread.name} did not end"

    def pause(self, seconds: float) -> None:
        """Let time pass; workers that ended themselves are replaced meanwhile."""
        until = time.monotonic() + seconds
        while (rest_s := until - time.monotonic()) > 0:
            threading.Event().wait(min(0.1, rest_s))
            for worker in self.workers:
                worker.restart_if_dead()

    @contextmanager
    def disturbed(self, who: str = "") -> Iterator[None]:
        """Note that somebody (everybody, if nobody is named) was disturbed during the block."""
        began = time.monotonic()
        yield
        self.journal.note(Disturbed(began, time.monotonic(), who))

    def _resume(self, server: ServerProcess) -> None:
        if server.is_up:
            server.resume()

    def _new_job(self) -> tuple[str, bytes]:
        with self._lock:
            return self._handles.next_handle().decode(), b"%d" % next(self._numbers)

    def _promised(self, handle: str, payload: bytes) -> None:
        self.journal.note(Promised(time.monotonic(), handle.encode(), FUNCTION, b"", payload))

    def _submit_with_handles(self, chance: random.Random) -> None:
        with Client([server.address for server in self.servers], answer_timeout_s=10.0) as client:
            while not self._is_over.wait(_SUBMIT_PAUSE_S * chance.random()):
                handle, payload = self._new_job()
                # Refused, or nobody there: then nothing is promised.
                with suppress(GearjobsError):
                    self._promised(client.submit_background(FUNCTION, payload, handle=handle), payload)

    def _submit_stock(self, chance: random.Random) -> None:
        while not self._is_over.wait(_SUBMIT_PAUSE_S):
            server = chance.choice(self.servers)
            with suppress(OSError, AssertionError), WirePeer(parse_server(server.address)) as peer:
                while not self._is_over.wait(_SUBMIT_PAUSE_S * chance.random()):
                    _, payload = self._new_job()
                    self._promised(peer.submit_background(FUNCTION, payload).decode(), payload)

    def _enqueue(self, chance: random.Random) -> None:
        """Enqueue in transactions, as a web process does; mostly the server is nudged, sometimes the nudge is lost."""
        with Client([server.address for server in self.servers]) as client:
            while not self._is_over.wait(_SUBMIT_PAUSE_S * chance.random()):
                jobs = [self._new_job() for _ in range(chance.choice((1, 1, 3)))]
                is_undone = chance.random() < _UNDONE_SHARE
                if self._inserted(jobs, is_undone=is_undone) and chance.random() < 0.8:
                    client.adopt_jobs()
        connections[self.alias].close()

    def _inserted(self, jobs: list[tuple[str, bytes]], *, is_undone: bool) -> bool:
        try:
            with transaction.atomic(using=self.alias):
                insert_jobs([NewJob(handle, FUNCTION, payload) for handle, payload in jobs], using=self.alias)
                transaction.set_rollback(is_undone, using=self.alias)
        except Error:
            # Whether it was committed is not known.
            with suppress(Error):
                connections[self.alias].close()
            return False
        for handle, payload in jobs:
            if is_undone:
                self.journal.note(RolledBack(time.monotonic(), handle.encode()))
            else:
                self._promised(handle, payload)
        return not is_undone
