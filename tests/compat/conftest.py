"""The job servers that the python-gearman drop-in is tested against: ours, and Debian's gearmand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from gearjobs.server.config import ServerConfig
from gearjobs.servers import ServerAddress
from tests.support.gearmand import gearmand, running_gearmand
from tests.support.job_server import running_memory_server

__all__ = ["gearmand", "server", "server_kind", "two_servers"]

KINDS = ["gearjobs", pytest.param("gearmand", marks=pytest.mark.interop)]


@contextmanager
def running_server(kind: str, log: Path, *, port: int = 0) -> Iterator[ServerAddress]:
    """Run a job server of the kind; a port of 0 takes a free one."""
    if kind == "gearmand":
        with running_gearmand(log, port=port) as address:
            yield address
    else:
        with running_memory_server(ServerConfig(listen=("127.0.0.1",), port=port)) as server:
            yield server.address


@pytest.fixture(params=KINDS)
def server_kind(request: pytest.FixtureRequest) -> str:
    """Each kind of job server."""
    return str(request.param)


@pytest.fixture
def server(server_kind: str, tmp_path: Path) -> Iterator[str]:
    """`host:port` of a fresh job server of each kind."""
    with running_server(server_kind, tmp_path / "server.log") as address:
        yield str(address)


@pytest.fixture
def two_servers(server_kind: str, tmp_path: Path) -> Iterator[list[str]]:
    """`host:port` of two fresh job servers of each kind."""
    with ExitStack() as stack:
        logs = [tmp_path / f"server-{number}.log" for number in range(2)]
        yield [str(stack.enter_context(running_server(server_kind, log))) for log in logs]
