"""A job server in memory whose store the test may trouble, and two peers of it with the extensions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.job_server import MemoryServer, running_memory_server
from tests.support.troubled_store import TroubledStore
from tests.support.wire_peer import WirePeer


@pytest.fixture
def store():
    return TroubledStore()


@pytest.fixture
def server(store) -> Iterator[MemoryServer]:
    with running_memory_server(store=store) as server:
        yield server


@pytest.fixture
def client(server) -> Iterator[WirePeer]:
    with server.peer() as peer:
        peer.use_extensions()
        yield peer


@pytest.fixture
def worker(server) -> Iterator[WirePeer]:
    with server.peer() as peer:
        peer.use_extensions()
        peer.can_do(b"resize")
        yield peer
