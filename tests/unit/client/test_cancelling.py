"""Having jobs ended, at a real server, and at one that cannot."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gearjobs.client.client import Client
from gearjobs.core.submission import CancelVerdict
from gearjobs.errors import ServerError, ServerUnavailable, UsageError
from gearjobs.protocol.packets import PacketType
from gearjobs.servers import ServerAddress
from tests.support.gearmand import free_port
from tests.support.job_server import MemoryServer, running_memory_server
from tests.support.scripted_server import ScriptedServer

T = PacketType


@pytest.fixture
def server() -> Iterator[MemoryServer]:
    with running_memory_server() as server:
        yield server


@pytest.fixture
def client(server) -> Iterator[Client]:
    with Client([server.address]) as client:
        yield client


@pytest.fixture
def worker(server):
    with server.peer() as peer:
        peer.use_extensions()
        peer.can_do(b"resize")
        yield peer


def test_job_that_waits_is_cancelled_and_known_no_more(client):
    handle = client.submit_background("resize", b"photo")

    assert [client.cancel(handle), client.cancel(handle)] == [CancelVerdict.CANCELLED, CancelVerdict.UNKNOWN]


@pytest.mark.parametrize(
    ("force", "verdict", "word"), [(False, CancelVerdict.ASKED, b"0"), (True, CancelVerdict.CANCELLED, b"1")]
)
def test_worker_of_a_running_job_is_told(client, worker, force, verdict, word):
    handle = client.submit_background("resize", b"photo")
    worker.grab()

    assert client.cancel(handle, force=force) is verdict
    assert worker.expect(T.CANCEL_NOTICE) == [handle.encode(), word]


def test_server_that_knows_the_job_is_looked_for(server, client):
    handle = client.submit_background("resize", b"photo")
    with running_memory_server() as other, Client([other.address, server.address]) as both:
        assert both.cancel(handle) is CancelVerdict.CANCELLED
        assert both.cancel("H:nobody") is CancelVerdict.UNKNOWN


def test_stock_server_cannot_be_asked():
    def script(peer):
        peer.negotiate_client()
        peer.expect_end()

    with (
        ScriptedServer(script) as stock,
        Client([stock.address]) as client,
        pytest.raises(ServerError, match="no CANCEL_JOB"),
    ):
        client.cancel("H:a:1")


def test_what_cannot_be_a_handle_is_refused(client):
    with pytest.raises(UsageError, match="a handle must be 1 to 63 bytes long"):
        client.cancel("")


def test_no_server_is_no_answer():
    with Client([ServerAddress("127.0.0.1", free_port())]) as client, pytest.raises(ServerUnavailable):
        client.cancel("H:a:1")


def test_reason_goes_along(server, client):
    handle = client.submit_background("resize", b"photo")

    assert client.cancel(handle, reason="wrong customer \N{PILE OF POO}") is CancelVerdict.CANCELLED

    outcome = server.outcome(handle.encode())
    assert outcome is not None
    assert outcome.cancel_reason == "wrong customer \N{PILE OF POO}"
