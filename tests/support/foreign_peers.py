"""Other people's Gearman libraries: how their programs in `tests/interop/programs` are started, and what they need.

`FOREIGN_PEERS` is the table. A library that is not installed is skipped with its reason, and fails the test where CI is
"true": there nothing may go untested unseen.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from gearjobs.client.admin_client import AdminClient
from gearjobs.servers import ServerAddress
from tests.support.eventually import eventually

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PROGRAMS: Final = ROOT / "tests" / "interop" / "programs"
#: Where packages are kept that a language's own package manager fetched.
FETCHED: Final = ROOT / "var" / "interop"
#: Seconds a compiler may take, or a worker until the server knows it; the machine may be busy.
READY_TIMEOUT_S: Final = 30.0
#: Seconds a package manager may take to fetch what is not here yet.
FETCH_TIMEOUT_S: Final = 120.0
#: Seconds a client may take for its four jobs.
TALK_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class ForeignPeer:
    """One library."""

    name: str
    #: What must be installed.
    wants: str
    #: A command that succeeds where it is.
    probe: tuple[str, ...]
    #: Returns the command of the client or the worker, made ready in the directory.
    command: Callable[[str, Path], list[str]]
    #: Fetches what is not here yet; returns why it could not, or nothing.
    fetch: Callable[[], str] = lambda: ""

    def require(self) -> None:
        """Skip the test, or fail it in CI, where the library is not installed."""
        found = shutil.which(self.probe[0]) is not None and _succeeds(self.probe)
        if not found:
            missing(f"{self.name} is not installed ({self.wants}), so nothing was tested with it")
        if trouble := self.fetch():
            missing(f"{self.name} cannot be fetched, so nothing was tested with it: {trouble}")


def missing(reason: str) -> None:
    """Skip the test, or fail it in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _succeeds(command: tuple[str, ...]) -> bool:
    return subprocess.run(command, capture_output=True, timeout=READY_TIMEOUT_S).returncode == 0


def _compiled(part: str, directory: Path) -> list[str]:
    program = directory / f"libgearman_{part}"
    source = PROGRAMS / f"{program.name}.c"
    flags = ["-std=c11", "-D_DEFAULT_SOURCE", "-Wall", "-Wextra", "-Werror"]
    done = subprocess.run(
        ["cc", *flags, str(source), "-o", str(program), "-lgearman"],
        capture_output=True,
        text=True,
        timeout=READY_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    return [str(program)]


def _php(part: str, _: Path) -> list[str]:
    return ["php", str(PROGRAMS / f"{part}.php")]


def _perl(part: str, _: Path) -> list[str]:
    return ["perl", str(PROGRAMS / f"{part}.pl")]


def _node(part: str, _: Path) -> list[str]:
    return ["node", str(_node_directory() / f"{part}.js")]


def _node_directory() -> Path:
    """Return where the programs stand beside what they need; one for each state of them."""
    state = hashlib.sha256()
    for path in sorted((PROGRAMS / "node").iterdir()):
        state.update(path.read_bytes())
    return FETCHED / f"node-{state.hexdigest()[:16]}"


def _fetch_node() -> str:
    """Let npm fetch the packages of the lock file, unless they are here."""
    directory = _node_directory()
    if directory.exists():
        return ""
    FETCHED.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FETCHED) as temporary:
        made = Path(temporary) / "node"
        shutil.copytree(PROGRAMS / "node", made)
        # Nothing of what is fetched is run but the library itself.
        words = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
        try:
            done = subprocess.run(words, cwd=made, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return f"npm took more than {FETCH_TIMEOUT_S:g} s"
        if done.returncode != 0:
            return f"npm ended with {done.returncode}: {done.stderr.strip()[-500:]}"
        # Another test run may have been faster.
        with suppress(OSError):
            made.rename(directory)
    return ""


def _gear(part: str, _: Path) -> list[str]:
    return [sys.executable, str(PROGRAMS / f"gear_{part}.py")]


FOREIGN_PEERS: Final = {
    peer.name: peer
    for peer in (
        ForeignPeer(
            "libgearman",
            "Debian: gcc, libc6-dev and libgearman-dev",
            ("cc", "-fsyntax-only", "-include", "libgearman/gearman.h", "-x", "c", os.devnull),
            _compiled,
        ),
        ForeignPeer(
            "php",
            "Debian: php-cli and php-gearman",
            ("php", "-r", "exit(extension_loaded('gearman') ? 0 : 1);"),
            _php,
        ),
        ForeignPeer(
            "perl",
            "Debian: libgearman-client-perl",
            ("perl", "-MGearman::Client", "-MGearman::Worker", "-e", "1"),
            _perl,
        ),
        ForeignPeer(
            "node",
            "Debian: nodejs and npm",
            ("sh", "-c", "node --version && npm --version"),
            _node,
            _fetch_node,
        ),
        ForeignPeer("gear", "PyPI: gear, in the extra `test`", (sys.executable, "-c", "import gear"), _gear),
    )
}


class ForeignWorker:
    """A worker's process; its functions begin with `prefix`.

    Args:
        peer: whose library it uses.
        directory: where its output goes.
        server: whose jobs it does.
        prefix: the beginning of its functions' names.
    """

    def __init__(self, peer: ForeignPeer, directory: Path, *, server: ServerAddress, prefix: str) -> None:
        self.prefix = prefix
        self._server = server
        self._output = directory / f"{prefix}.out"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [*peer.command("worker", directory), server.host, str(server.port), prefix],
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def await_registered(self) -> None:
        """Wait until the server knows all its functions."""
        eventually(self._is_registered, READY_TIMEOUT_S, f"the functions of {self.prefix}; it said {self.said()}")

    def said(self) -> str:
        """Return what it printed."""
        return self._output.read_text(errors="replace")

    def assert_alive(self) -> None:
        """Fail where it has ended, with what it said."""
        assert self._process.poll() is None, f"{self.prefix} ended with {self._process.returncode}: {self.said()}"

    def kill(self) -> None:
        """End it with no chance to say goodbye."""
        self._process.kill()
        self._process.wait(READY_TIMEOUT_S)

    def _is_registered(self) -> bool:
        self.assert_alive()
        with AdminClient(self._server) as admin:
            known = {line.function for line in admin.status() if line.workers}
        return {f"{self.prefix}-{name}".encode() for name in ("shout", "raise", "refuse")} <= known


@contextmanager
def running_foreign_worker(
    peer: ForeignPeer, directory: Path, *, server: ServerAddress, prefix: str
) -> Iterator[ForeignWorker]:
    """Run a worker until the end of the block; the server knows it."""
    worker = ForeignWorker(peer, directory, server=server, prefix=prefix)
    try:
        worker.await_registered()
        yield worker
    finally:
        worker.kill()


def talk(peer: ForeignPeer, directory: Path, *, server: ServerAddress, prefix: str) -> list[str]:
    """Let the library's client run the functions that begin with `prefix`; return the lines it printed."""
    done = subprocess.run(
        [*peer.command("client", directory), server.host, str(server.port), prefix],
        capture_output=True,
        text=True,
        timeout=TALK_TIMEOUT_S,
    )
    assert done.returncode == 0, f"{peer.name} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout.splitlines()
