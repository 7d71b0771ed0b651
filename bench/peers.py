"""The job servers that are measured, each started fresh for every reading on a free port of 127.0.0.1.

gearmand stands three times: with its own defaults, with one thread, and with a hash table that is large enough (its
default slows it down many times once 200,000 jobs wait). The best of the three is what the others are compared with.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from bench.process_cost import ProcessCost

ROOT: Final = Path(__file__).resolve().parent.parent
#: Seconds a server may take to listen, or to end.
START_TIMEOUT_S: Final = 60.0
#: What gearmand needs so that many waiting jobs do not slow it down, and many workers can connect at once.
TUNED: Final = ("--hashtable-buckets=1000003", "--backlog=1024")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    host: str
    port: int


class PeerError(Exception):
    """A server did not start."""


class RunningServer:
    """A started server and what it has cost so far.

    Args:
        pid: its first process.
        address: where it listens.
        companions: the first processes of what works for it, a database say: their time counts, their memory does not.
    """

    def __init__(self, pid: int, address: Address, companions: Sequence[int] = ()) -> None:
        self.address = address
        #: The load generator's options for this server's workers.
        self.work_options: dict[str, bool] = {}
        self._own = ProcessCost([pid])
        self._together = ProcessCost([pid, *companions])

    def cpu_s(self) -> float:
        """Processor time of the server, its children and its companions."""
        return self._together.cpu_s()

    def memory_bytes(self) -> int:
        """Resident memory of the server and of all its children."""
        return self._own.memory_bytes()


class Peer(ABC):
    """One kind of job server with its settings.

    Args:
        name: its column in the tables.
    """

    #: The load generator's options for its workers.
    work_options: Mapping[str, bool] = {}

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def why_absent(self) -> str:
        """Say why it cannot be measured here; empty where it can."""

    @abstractmethod
    def version(self) -> str: ...

    @abstractmethod
    def command(self, address: Address, directory: Path) -> Sequence[str]:
        """Return what starts it; `directory` is its own and empty."""

    def environment(self, directory: Path) -> dict[str, str]:
        """Return what it needs in its environment beyond ours."""
        return {}

    def prepare(self, directory: Path) -> None:  # noqa: B027 - most need nothing
        """Do what is no part of a start."""

    def tidy(self) -> None:  # noqa: B027 - most need nothing
        """Remove what `prepare` made outside of its directory."""

    def filled(self, words: Sequence[str], directory: Path) -> Sequence[str]:
        """Put this reading's place into options."""
        return [word.format(directory=directory) for word in words]

    def companions(self) -> Sequence[int]:
        """Return the first processes of what works for it and is measured with it."""
        return ()

    @contextmanager
    def running(self, directory: Path) -> Iterator[RunningServer]:
        """Run a fresh server.

        Raises:
            PeerError: it does not listen in time.
        """
        self.prepare(directory)
        address = Address("127.0.0.1", free_port())
        with (directory / "server.log").open("wb") as log:
            process = subprocess.Popen(
                [*self.command(address, directory)],
                stdout=log,
                stderr=log,
                cwd=directory,
                env={**os.environ, **self.environment(directory)},
            )
        try:
            wait_until_it_listens(process, address, directory / "server.log")
            server = RunningServer(process.pid, address, self.companions())
            server.work_options = dict(self.work_options)
            yield server
        finally:
            process.kill()
            process.wait(START_TIMEOUT_S)
            self.tidy()


class Gearmand(Peer):
    """gearmand, as the distribution has it.

    Args:
        name: its column.
        options: after the address.
    """

    def __init__(self, name: str, *options: str) -> None:
        super().__init__(name)
        self._options = options
        search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
        self._program = shutil.which("gearmand", path=search)

    def why_absent(self) -> str:
        return "" if self._program else "gearmand is not installed (Debian: gearman-job-server)"

    def version(self) -> str:
        told = subprocess.run([self._program or "", "--version"], capture_output=True, text=True, check=False)
        return f"{told.stdout.strip().partition(' - ')[0]} {settings_among(self._options)}".strip()

    def command(self, address: Address, directory: Path) -> Sequence[str]:
        return [
            self._program or "",
            f"--listen={address.host}",
            f"--port={address.port}",
            f"--pid-file={directory / 'pid'}",
            "--log-file=stderr",
            "--file-descriptors=20000",
            *self.filled(self._options, directory),
        ]


class OpenStackGear(Peer):
    """The job server of OpenStack's `gear`, in Python; it knows no GRAB_JOB, only GRAB_JOB_UNIQ."""

    work_options: Mapping[str, bool] = {"grab-uniq": True}

    def why_absent(self) -> str:
        return "" if find_spec("gear") else "the package gear is not installed"

    def version(self) -> str:
        return f"OpenStack gear {version('gear')}"

    def command(self, address: Address, directory: Path) -> Sequence[str]:
        program = (
            "import gear, sys, threading; gear.Server(int(sys.argv[1]), host='127.0.0.1'); threading.Event().wait()"
        )
        return [sys.executable, "-c", program, str(address.port)]


def settings_among(options: Sequence[str]) -> str:
    """Return the options without those that say where this reading's files and databases are."""
    return " ".join(option for option in options if "{" not in option and "127.0.0.1" not in option)


def free_port() -> int:
    """Return a port nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_it_listens(process: subprocess.Popen[Any], address: Address, log: Path) -> None:
    """Return when somebody accepts connections there.

    Raises:
        PeerError: the process ended, or it took too long.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection((address.host, address.port), timeout=1.0).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise PeerError(f"the server did not listen on {address.host}:{address.port}: {log.read_text(errors='replace')}")
