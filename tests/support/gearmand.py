"""Debian's own job server as a fixture: what gearjobs' client and worker must also get along with.

`gearmand` is a fresh server for each test that asks for it. Where the program is not installed, the test is skipped
and says so.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gearjobs.servers import ServerAddress
from tests.support.eventually import eventually

#: Seconds a server may take to listen, or to end.
START_TIMEOUT_S = 10.0


@pytest.fixture
def gearmand(tmp_path: Path) -> Iterator[ServerAddress]:
    """Address of a fresh gearmand."""
    with running_gearmand(tmp_path / "gearmand.log") as address:
        yield address


@contextmanager
def running_gearmand(log: Path, *options: str, port: int = 0) -> Iterator[ServerAddress]:
    """Run a gearmand; a port of 0 takes a free one."""
    address = ServerAddress("127.0.0.1", port or free_port())
    command = [
        gearmand_program(),
        "--listen=127.0.0.1",
        f"--port={address.port}",
        f"--pid-file={log.with_suffix('.pid')}",
    ]
    with log.open("ab") as log_file:
        process = subprocess.Popen([*command, "--log-file=stderr", *options], stdout=log_file, stderr=log_file)
    try:
        eventually(lambda: listens(address) or process.poll() is not None, START_TIMEOUT_S, "gearmand to listen")
        if process.poll() is not None:
            pytest.fail(f"gearmand ended with {process.returncode}: {log.read_text()}")
        yield address
    finally:
        process.kill()
        process.wait(START_TIMEOUT_S)


def free_port() -> int:
    """Return a port nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(address: ServerAddress) -> bool:
    """Whether somebody listens there, asked without a connection: gearmand's `workers` shows one for a while after."""
    table = Path("/proc/net/tcp")
    if not table.exists():
        return accepts(address)
    rows = [row.split() for row in table.read_text(encoding="ascii").splitlines()[1:]]
    return any(row[1].endswith(f":{address.port:04X}") and row[3] == "0A" for row in rows)


def accepts(address: ServerAddress) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection((address.host, address.port), timeout=1.0).close()
    except OSError:
        return False
    return True


def gearmand_program() -> str:
    """Return the path of the program; skip the test where there is none."""
    program = shutil.which("gearmand") or shutil.which("gearmand", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("gearmand is not installed (Debian: gearman-job-server), so nothing was tested against it")
    return program
