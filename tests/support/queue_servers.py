"""Private Redis and memcached servers, for tests of the stores on them.

Like `database_servers`: each on a free port of 127.0.0.1, in a directory of its own, gone at the end. Redis keeps its
data over `kill` and `start`, since its append-only file is synchronised at every write; memcached has nothing to keep.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pytest

from tests.support.eventually import eventually
from tests.support.foreign_peers import missing
from tests.support.gearmand import free_port

#: Seconds a server may take to start or to end; the machine may be busy.
_TIMEOUT_S: Final = 30.0


def require_program(name: str, package: str) -> None:
    """Skip the test where a program is not installed; with CI set to "true" it fails."""
    if shutil.which(name) is None:
        missing(f"{name} is not installed (Debian: {package}), so nothing was tested with it")


class QueueServer:
    """A server that has a queue; starts when the block begins and is gone, with its data, when it ends."""

    #: The program, which is in Debian's package of the same name but for memcached's.
    program: str

    def __init__(self, *options: str) -> None:
        require_program(self.program, self.program)
        self.port = free_port()
        self.options = options
        self._directory = Path()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix=f"gearjobs-{self.program}-"))
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)

    def start(self) -> None:
        """Start the server at its port; returns when it answers."""
        # A server must not outlive the tests that started it, whatever ends them.
        dying = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*dying, *self._command()],
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        eventually(self.answers, _TIMEOUT_S, f"{self.program} to answer")

    def kill(self) -> None:
        """Kill it: it writes nothing any more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_TIMEOUT_S)
            self._process = None

    def pause(self) -> None:
        """Let it hang: connections stay, nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        self._signal(signal.SIGCONT)

    def make_ready(self) -> None:
        """Have it answer again, whatever a test did to it."""
        self.resume()
        if self._process is None:
            self.start()

    def ask(self, words: bytes) -> bytes:
        """Return the beginning of the answer to a line of its protocol."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=_TIMEOUT_S) as connection:
            connection.sendall(words + b"\r\n")
            return connection.recv(65_536)

    def answers(self) -> bool:
        """Whether it does."""
        with suppress(OSError):
            return self._is_ready()
        return False

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _is_ready(self) -> bool:
        raise NotImplementedError


class RedisServer(QueueServer):
    """Redis, as durable as it can be unless options say otherwise."""

    program = "redis-server"

    def _command(self) -> list[str]:
        durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        return [self.program, "--port", str(self.port), "--bind", "127.0.0.1", *durable, *self.options]

    def _is_ready(self) -> bool:
        return self.ask(b"PING").startswith((b"+PONG", b"-NOAUTH"))


class MemcachedServer(QueueServer):
    """memcached, with its own defaults."""

    program = "memcached"

    def _command(self) -> list[str]:
        as_root = ["-u", "nobody"] if os.geteuid() == 0 else []
        return [self.program, "-l", "127.0.0.1", "-p", str(self.port), "-U", "0", *as_root, *self.options]

    def _is_ready(self) -> bool:
        return self.ask(b"version").startswith(b"VERSION")


@pytest.fixture(scope="session")
def running_redis() -> Iterator[RedisServer]:
    """A Redis of the whole run."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_server(running_redis: RedisServer) -> Iterator[RedisServer]:
    """A Redis that the test may maltreat."""
    yield running_redis
    running_redis.make_ready()


@pytest.fixture(scope="session")
def running_memcached() -> Iterator[MemcachedServer]:
    """A memcached of the whole run."""
    # Payloads of 20 MB are in the contract of stores.
    with MemcachedServer("-I", "64m", "-m", "512") as server:
        yield server


@pytest.fixture
def memcached_server(running_memcached: MemcachedServer) -> Iterator[MemcachedServer]:
    """A memcached that the test may maltreat."""
    yield running_memcached
    running_memcached.make_ready()
