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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import psutil

ROOT: Final = Path(__file__).resolve().parent.parent
#: Seconds a server may take to listen, or to end.
START_TIMEOUT_S: Final = 20.0
#: manage.py, for which uvloop is not installed.
_WITHOUT_UVLOOP: Final = """
import runpy, sys
sys.modules["uvloop"] = None
sys.argv[0] = "manage.py"
sys.path.insert(0, "")
runpy.run_path("manage.py", run_name="__main__")
"""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    host: str
    port: int


class PeerError(Exception):
    """A server did not start."""


class RunningServer:
    """A started server and what it has cost so far."""

    def __init__(self, process: subprocess.Popen[bytes], address: Address) -> None:
        self.address = address
        self._process = psutil.Process(process.pid)

    def cpu_s(self) -> float:
        """Processor time of the server and of all its children."""
        times = [one.cpu_times() for one in self._all()]
        return sum(time.user + time.system for time in times)

    def memory_bytes(self) -> int:
        """Resident memory of the server and of all its children."""
        return sum(one.memory_info().rss for one in self._all())

    def _all(self) -> Sequence[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]


class Peer(ABC):
    """One kind of job server with its settings.

    Args:
        name: its column in the tables.
    """

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

    @contextmanager
    def running(self, directory: Path) -> Iterator[RunningServer]:
        """Run a fresh server.

        Raises:
            PeerError: it does not listen in time.
        """
        self.prepare(directory)
        address = Address("127.0.0.1", _free_port())
        with (directory / "server.log").open("wb") as log:
            process = subprocess.Popen(
                [*self.command(address, directory)],
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, **self.environment(directory)},
            )
        try:
            _wait_until_it_listens(process, address, directory / "server.log")
            yield RunningServer(process, address)
        finally:
            process.kill()
            process.wait(START_TIMEOUT_S)


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
        return f"{told.stdout.strip().partition(' - ')[0]} {' '.join(self._options)}".strip()

    def command(self, address: Address, directory: Path) -> Sequence[str]:
        return [
            self._program or "",
            f"--listen={address.host}",
            f"--port={address.port}",
            f"--pid-file={directory / 'pid'}",
            "--log-file=stderr",
            "--file-descriptors=20000",
            *(option.format(directory=directory) for option in self._options),
        ]


class OpenStackGear(Peer):
    """The job server of OpenStack's `gear`, in Python."""

    def why_absent(self) -> str:
        return "" if find_spec("gear") else "the package gear is not installed"

    def version(self) -> str:
        return "OpenStack gear"

    def command(self, address: Address, directory: Path) -> Sequence[str]:
        program = (
            "import gear, sys, threading; gear.Server(int(sys.argv[1]), host='127.0.0.1'); threading.Event().wait()"
        )
        return [sys.executable, "-c", program, str(address.port)]


class Gearjobs(Peer):
    """`manage.py runjobserver` of this tree.

    Args:
        name: its column.
        options: after the address.
        python: the interpreter, where it is not this one.
        is_loop_plain: whether it runs on asyncio's own loop though a faster one is installed.
    """

    def __init__(self, name: str, *options: str, python: str = sys.executable, is_loop_plain: bool = False) -> None:
        super().__init__(name)
        self._options = options
        self._python = python
        self._is_loop_plain = is_loop_plain

    def why_absent(self) -> str:
        return "" if Path(self._python).exists() else f"there is no {self._python}"

    def version(self) -> str:
        asked = [
            self._python,
            "-c",
            "from gearjobs.version import __version__ as v; import sys; print(v, sys.version.split()[0])",
        ]
        told = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
        loop = "asyncio" if self._is_loop_plain else "the fastest loop installed"
        return f"gearjobs {told[0]} on Python {told[1]}, {loop} {' '.join(self._options)}".strip()

    def environment(self, directory: Path) -> dict[str, str]:
        database = self.database_url(directory)
        return {"DATABASE_URL": database, "DEMO_VAR": str(directory), "SECRET_KEY": "bench"}

    def database_url(self, directory: Path) -> str:
        """Return where this server's jobs are."""
        return f"sqlite:///{directory / 'jobs.sqlite3'}"

    def prepare(self, directory: Path) -> None:
        if "--queue-type=builtin" in self._options:
            return
        subprocess.run(
            [self._python, "manage.py", "migrate", "-v", "0"],
            check=True,
            cwd=ROOT,
            env={**os.environ, **self.environment(directory)},
        )

    def command(self, address: Address, directory: Path) -> Sequence[str]:
        return [
            self._python,
            *(("-c", _WITHOUT_UVLOOP) if self._is_loop_plain else ("manage.py",)),
            "runjobserver",
            f"--listen={address.host}",
            f"--port={address.port}",
            "--file-descriptors=20000",
            *(option.format(directory=directory) for option in self._options),
        ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_it_listens(process: subprocess.Popen[bytes], address: Address, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection((address.host, address.port), timeout=1.0).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise PeerError(f"the server did not listen on {address.host}:{address.port}: {log.read_text(errors='replace')}")
