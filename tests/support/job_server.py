"""gearjobs' own job server as a fixture: in memory in a thread of the test, and as the real command in a process.

`memory_server` starts within milliseconds and keeps its jobs in a MemoryStore that the test may look into; a test that
asks for it runs on every event loop there is. `job_server` is `manage.py runjobserver` on a migrated SQLite file of its
own, which can be killed and started again. Its rows are read by SQLite itself: a test sees what is committed and
nothing else.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest

from gearjobs.core.changes import Finished, StoredJob
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.server.config import ServerConfig
from gearjobs.server.job_server import JobServer
from gearjobs.server.peer_loop import PeerLoop
from gearjobs.server.queue_desk import ControlKeeper
from gearjobs.servers import UNIX_PREFIX, ServerAddress, parse_server
from gearjobs.stores.memory import MemoryStore
from tests.support.eventually import eventually
from tests.support.wire_peer import WirePeer

ROOT: Final = Path(__file__).resolve().parent.parent.parent
#: Seconds a server may take to listen, or to end; the machine may be busy.
START_TIMEOUT_S: Final = 20.0

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

LOOPS: Final[dict[str, LoopFactory]] = {"asyncio": asyncio.new_event_loop, "peers": PeerLoop}
if find_spec("uvloop") is not None:
    LOOPS["uvloop"] = import_module("uvloop").new_event_loop


class MemoryServer:
    """A JobServer in a thread with a loop of its own.

    Args:
        server: not yet serving; its `on_listening` must be this server's `listens`.
        store: the server's store.
    """

    def __init__(
        self,
        store: MemoryStore,
        config: ServerConfig,
        *,
        loop_factory: LoopFactory,
        keeper: ControlKeeper | None = None,
    ) -> None:
        #: What the server keeps; written by its writer thread.
        self.store = store
        self.server = JobServer(config, store, on_listening=self._note_addresses, keeper=keeper)
        self.addresses: list[ServerAddress] = []
        self.fault: BaseException | None = None
        self._runner = asyncio.Runner(loop_factory=loop_factory)
        self._thread = threading.Thread(target=self._run, name="job-server")

    @property
    def address(self) -> ServerAddress:
        """Where it listens."""
        return self.addresses[0]

    @property
    def host(self) -> str:
        return self.address.host

    @property
    def port(self) -> int:
        return self.address.port

    @property
    def is_serving(self) -> bool:
        return self._thread.is_alive()

    def peer(self, *, receive_buffer_bytes: int = 0) -> WirePeer:
        """Connect."""
        return WirePeer(self.address, receive_buffer_bytes=receive_buffer_bytes)

    def start(self) -> None:
        """Serve; what `serve` raises is raised here."""
        self._thread.start()
        eventually(lambda: self.addresses or not self.is_serving, START_TIMEOUT_S, "the server to listen")
        if not self.addresses:
            self._thread.join()
            assert self.fault is not None
            raise self.fault

    def stop(self) -> None:
        """Stop it and wait for its end."""
        self.ask_to_stop()
        self._thread.join(START_TIMEOUT_S)
        assert not self.is_serving, f"the server did not stop within {START_TIMEOUT_S} s"

    def ask_to_stop(self) -> None:
        """Do what the signals do."""
        # The loop is closed where the server has ended by itself.
        with suppress(RuntimeError):
            self.do(self.server.stop)

    def do(self, action: Callable[[], object]) -> None:
        """Let the server's thread call it soon."""
        self._runner.get_loop().call_soon_threadsafe(action)

    def insert(self, handle: bytes, *, function: bytes, payload: bytes = b"payload") -> None:
        """Put a job into the store as a client without a server does."""
        job = StoredJob(JobHandle(handle), FunctionName(function), b"", payload, 0, 0.0, 1_000.0)
        self.store.unowned[job.handle] = job

    def outcome(self, handle: bytes) -> Finished | None:
        """Return how a job ended; None while the store does not know."""
        return self.store.finished.get(JobHandle(handle))

    def _note_addresses(self, addresses: list[tuple[str, int]]) -> None:
        self.addresses = [
            parse_server(host) if host.startswith(UNIX_PREFIX) else ServerAddress(host, port)
            for host, port in addresses
        ]

    def _run(self) -> None:
        try:
            with self._runner:
                self._runner.run(self.server.serve())
        except BaseException as fault:  # noqa: BLE001 - told to the test, from the thread it belongs to
            self.fault = fault


@contextmanager
def running_memory_server(
    config: ServerConfig | None = None,
    *,
    store: MemoryStore | None = None,
    keeper: ControlKeeper | None = None,
    loop: str = "asyncio",
) -> Iterator[MemoryServer]:
    """Run a server on a free port; it must end by itself or by its stop, and without a fault.

    Args:
        config: how it runs; on a free port of 127.0.0.1 if not given.
        store: what it serves; an empty one if not given.
        keeper: where it keeps what operators say of functions; nowhere if not given.
        loop: a name of LOOPS.
    """
    default = ServerConfig(listen=("127.0.0.1",), port=0)
    server = MemoryServer(store or MemoryStore(), config or default, loop_factory=LOOPS[loop], keeper=keeper)
    server.start()
    try:
        yield server
    finally:
        server.stop()
    assert server.fault is None, f"the server ended with {server.fault!r}"


@pytest.fixture(params=list(LOOPS))
def memory_server(request: pytest.FixtureRequest) -> Iterator[MemoryServer]:
    """A fresh job server that keeps its jobs in memory, on each event loop."""
    with running_memory_server(loop=request.param) as server:
        yield server


class JobServerProcess:
    """`manage.py runjobserver` on a database of its own.

    Args:
        directory: where its database, its log and its pid file are.
        options: further options of the command line.
    """

    def __init__(self, directory: Path, *options: str) -> None:
        self.database = directory / "jobs.sqlite3"
        self.log_file = directory / "job-server.log"
        self.pid_file = directory / "job-server.pid"
        self.output = directory / "job-server.out"
        self.options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def address(self) -> ServerAddress:
        """Where it listens, as its first line says."""
        return ServerAddress("127.0.0.1", self._port)

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server was not started"
        return self._process.pid

    def command(self, *options: str) -> list[str]:
        """Return the command that starts a server on this database; its pid file and log are this server's."""
        files = ["--pid-file", str(self.pid_file), "--log-file", str(self.log_file)]
        return [sys.executable, "manage.py", "runjobserver", "--listen", "127.0.0.1", *files, *options]

    def environment(self) -> dict[str, str]:
        """Return the environment in which the project's commands use this database."""
        own = {
            "DJANGO_SETTINGS_MODULE": "tests.support.settings",
            "GEARJOBS_TEST_DATABASE_URL": f"sqlite:///{self.database}",
        }
        return {**os.environ, **own}

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Run a second server that is to end by itself, and wait for that."""
        return subprocess.run(
            self.command(*options),
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
        )

    def start(self, *, port: int = 0) -> None:
        """Start it and wait until it says where it listens."""
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                self.command("--port", str(port), *self.options),
                cwd=ROOT,
                env=self.environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._port = eventually(self._announced_port, START_TIMEOUT_S, "the server's first line")

    def restart(self) -> None:
        """Start it again on the same port, after its end."""
        self.start(port=self._port)

    def kill9(self) -> None:
        """Let it die with no chance to do anything."""
        self._end(signal.SIGKILL)

    def terminate(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop; return its exit code."""
        return self._end(number)

    def wait(self) -> int:
        """Wait for its end; return its exit code."""
        assert self._process is not None, "the server was not started"
        return self._process.wait(START_TIMEOUT_S)

    def peer(self, *, receive_buffer_bytes: int = 0) -> WirePeer:
        """Connect."""
        return WirePeer(self.address, receive_buffer_bytes=receive_buffer_bytes)

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Return the rows of a query on its database."""
        with closing(sqlite3.connect(self.database)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(sql, values)]

    def job(self, handle: bytes) -> dict[str, Any]:
        """Return a job's row, which must be there."""
        (row,) = self.rows("SELECT * FROM gearjobs_job WHERE handle = ?", handle.decode())
        return row

    def count_jobs(self, status: str) -> int:
        """Return how many jobs have that status."""
        return int(self.rows("SELECT count(*) AS jobs FROM gearjobs_job WHERE status = ?", status)[0]["jobs"])

    @contextmanager
    def write_locked(self) -> Iterator[None]:
        """Keep the database from being written, as another process does in its transaction."""
        with closing(sqlite3.connect(self.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")

    def insert_row(self, template: dict[str, Any], *, handle: str, function: str) -> None:
        """Insert a job that nobody owns, as a client without a server does; the rest of its row is the template's."""
        row = {**template, "handle": handle, "function": function, "owner": ""}
        columns, marks = ", ".join(f'"{column}"' for column in row), ", ".join("?" * len(row))
        with closing(sqlite3.connect(self.database, timeout=START_TIMEOUT_S)) as database, database:
            database.execute(f"INSERT INTO gearjobs_job ({columns}) VALUES ({marks})", tuple(row.values()))

    def resident_bytes(self) -> int:
        """Return the memory it occupies."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found, "no VmRSS: has the server ended?"
        return int(found[1]) * 1024

    def clean_up(self) -> None:
        """End it if it still runs."""
        if self._process is not None and self._process.poll() is None:
            self.kill9()

    def _announced_port(self) -> int:
        first_line = self.output.read_text().partition("\n")[0]
        found = re.fullmatch(r"gearjobs job server listening on 127\.0\.0\.1:(\d+)(, .*)?", first_line)
        if found is None:
            assert self._process is not None
            assert self._process.poll() is None, self.said()
            return 0
        return int(found[1])

    def said(self) -> str:
        """Return what it printed and logged."""
        log = self.log_file.read_text() if self.log_file.exists() else ""
        return self.output.read_text() + log

    def _end(self, number: signal.Signals) -> int:
        os.kill(self.pid, number)
        return self.wait()


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the tables and nothing in them, to be copied."""
    process = JobServerProcess(tmp_path_factory.mktemp("migrated"))
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        cwd=ROOT,
        env=process.environment(),
        check=True,
        timeout=60,
    )
    return process.database


@pytest.fixture
def new_job_server(migrated_database: Path, tmp_path: Path) -> Iterator[Callable[..., JobServerProcess]]:
    """Make job server processes, not yet started, each on a database of its own."""
    made: list[JobServerProcess] = []

    def make(*options: str) -> JobServerProcess:
        directory = tmp_path / f"server-{len(made) + 1}"
        directory.mkdir()
        server = JobServerProcess(directory, *options)
        shutil.copy(migrated_database, server.database)
        made.append(server)
        return server

    yield make
    for server in made:
        server.clean_up()


@pytest.fixture
def job_server(new_job_server: Callable[..., JobServerProcess]) -> JobServerProcess:
    """The real command, listening."""
    server = new_job_server()
    server.start()
    return server
