"""asyncio clients and workers at a server behind TLS and a secret, on a Unix socket, and where nobody lets them in."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from gearjobs.aio import AsyncAdminClient, AsyncClient, AsyncWorker
from gearjobs.aio.guarded_stream import GuardedStream
from gearjobs.errors import ServerUnavailable
from gearjobs.guarded_socket import NO_SECURITY, Security, make_security
from gearjobs.server.config import ServerConfig
from gearjobs.servers import ServerAddress, parse_server
from gearjobs.tls import TlsFiles
from tests.support.certificates import Authority
from tests.support.event_loop import with_asyncio
from tests.support.gearmand import free_port
from tests.support.job_server import MemoryServer, running_memory_server
from tests.support.scripted_server import ScriptedServer

WEB = f"web:{'w' * 32}"
OTHER = f"web:{'x' * 32}"


@dataclass
class Site:
    """A server and how to come to it."""

    server: MemoryServer
    security: Security
    ca: Authority


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that wants certificates and a secret."""
    directory = tmp_path_factory.mktemp("site")
    ca = Authority.make(directory / "ca")
    shown = ca.sign("server", alternative="IP:127.0.0.1")
    (directory / "secrets").write_text(WEB)
    (directory / "secrets").chmod(0o600)
    config = ServerConfig(
        listen=("127.0.0.1",),
        port=0,
        ssl=True,
        ssl_ca_file=str(ca.certificate),
        ssl_certificate=str(shown.certificate),
        ssl_key=str(shown.key),
        secret_file=str(directory / "secrets"),
    )
    with running_memory_server(config) as server:
        yield Site(server, make_security(tls=ca.sign("me").files(ca), secret=WEB), ca)


async def reverse(job):
    return job.payload[::-1]


@with_asyncio
async def test_jobs_and_questions_go_there_and_back(site):
    address, payload = site.server.address, bytes(range(256)) * 8192
    worker = AsyncWorker([address], client_id="w", concurrency=2, security=site.security)
    worker.register("reverse", reverse)
    work = asyncio.create_task(worker.work())

    async with (
        AsyncClient([address], security=site.security) as client,
        AsyncAdminClient(address, security=site.security) as admin,
    ):
        results = await asyncio.gather(*[client.do("reverse", payload, timeout_s=20.0) for _ in range(4)])
        (line,) = await admin.status()
    worker.stop()
    await work

    assert results == [payload[::-1]] * 4
    assert (line.function, line.workers) == (b"reverse", 2)


@with_asyncio
async def test_client_with_a_wrong_secret_is_not_let_in(site):
    security = Security(site.security.tls, make_security(secret=OTHER).secret)

    async with AsyncClient([site.server.address], security=security) as client:
        with pytest.raises(ServerUnavailable, match="key web is not taken"):
            await client.echo(b"")


@with_asyncio
async def test_server_of_another_authority_is_left(site, tmp_path):
    other = Authority.make(tmp_path / "other")
    security = make_security(tls=TlsFiles(str(other.certificate)), secret=WEB)

    async with AsyncClient([site.server.address], security=security) as client:
        with pytest.raises(ServerUnavailable, match=r"(?i)certificate"):
            await client.echo(b"")


@with_asyncio
async def test_stock_server_that_knows_no_secrets_is_left():
    def script(peer):
        peer._answer_option(has_extensions=False)
        peer.expect_end()

    with ScriptedServer(script) as server:
        async with AsyncClient([server.address], security=make_security(secret=WEB)) as client:
            with pytest.raises(ServerUnavailable, match="key web is not taken"):
                await client.echo(b"")


@with_asyncio
async def test_server_that_ends_the_proof_is_left():
    def script(peer):
        peer.next()

    with ScriptedServer(script) as server:
        async with AsyncClient([server.address], security=make_security(secret=WEB)) as client:
            with pytest.raises(ServerUnavailable, match="closed the connection"):
                await client.echo(b"")


def test_unix_socket_is_as_good(tmp_path: Path):
    path = tmp_path / "jobs.sock"

    @with_asyncio
    async def ask():
        async with AsyncClient([f"unix:{path}"]) as client:
            assert await client.echo(b"hello") == b"hello"

    with running_memory_server(ServerConfig(listen=(f"unix:{path}",), port=0)):
        ask()


@with_asyncio
async def test_every_place_of_a_name_is_tried(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        async def two_places(*_arguments, **_options):
            return [(socket.AF_INET, 0, 0, "", ("127.0.0.1", one)) for one in (free_port(), port)]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", two_places, raising=False)
        stream = await GuardedStream.open(ServerAddress("jobs"), NO_SECURITY, timeout_s=5.0)

        assert stream.silence_s() < 5.0
        assert stream.is_writable
        stream.abort()
        assert stream.is_spent


@with_asyncio
async def test_silent_server_costs_its_time_only():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = parse_server(f"127.0.0.1:{listener.getsockname()[1]}")
        async with AsyncClient([address], answer_timeout_s=0.1) as client:
            with pytest.raises(ServerUnavailable, match="no answer in time"):
                await client.echo(b"")


@with_asyncio
async def test_place_that_does_not_answer_leaves_time_for_the_next(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        loop = asyncio.get_running_loop()
        good = listener.getsockname()
        connect = loop.sock_connect

        async def two_places(*_arguments, **_options):
            return [(socket.AF_INET, 0, 0, "", place) for place in (("127.0.0.1", 1), good)]

        async def connect_to_one(connected, place):
            # A packet filter that drops all: nobody says no.
            await (connect(connected, place) if place == good else asyncio.Event().wait())

        monkeypatch.setattr(loop, "getaddrinfo", two_places, raising=False)
        monkeypatch.setattr(loop, "sock_connect", connect_to_one, raising=False)
        stream = await GuardedStream.open(ServerAddress("jobs"), NO_SECURITY, timeout_s=0.5)

        assert stream.is_writable
        stream.abort()


@with_asyncio
async def test_name_that_cannot_be_asked_for_is_a_server_that_is_not_there():
    with pytest.raises(OSError, match="cannot be looked up"):
        await GuardedStream.open(ServerAddress("x" * 64), NO_SECURITY, timeout_s=5.0)


@with_asyncio
async def test_handshake_that_is_cancelled_at_any_step_leaves_nothing_behind(site, monkeypatch):
    address = site.server.address

    async def at_once(*_arguments, **_options):
        # A thread that looks the name up would take the steps from those that matter.
        return [(socket.AF_INET, 0, 0, "", (address.host, address.port))]

    async def open_one() -> GuardedStream:
        return await GuardedStream.open(address, site.security, timeout_s=5.0)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", at_once, raising=False)
    for turns in range(20):
        opening = asyncio.create_task(open_one())
        for _ in range(turns):
            await asyncio.sleep(0)
        opening.cancel()
        with suppress(asyncio.CancelledError):
            (await opening).abort()
        # A transport that is left goes on by itself.
        for _ in range(3):
            await asyncio.sleep(0)

        # Whoever gets its descriptor next.
        stream = await open_one()
        assert stream.is_writable
        stream.abort()
    # What was left open says so.
    gc.collect()


@with_asyncio
async def test_connection_that_is_cancelled_twice_as_it_is_opened_leaves_nothing_behind(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = ServerAddress(*listener.getsockname())

        async def at_once(*_arguments, **_options):
            return [(socket.AF_INET, 0, 0, "", (address.host, address.port))]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", at_once, raising=False)
        for turns in range(12):
            opening = asyncio.create_task(GuardedStream.open(address, NO_SECURITY, timeout_s=5.0))
            for _ in range(turns):
                await asyncio.sleep(0)
            opening.cancel()
            await asyncio.sleep(0)
            opening.cancel()
            with suppress(asyncio.CancelledError):
                (await opening).abort()

        stream = await GuardedStream.open(address, NO_SECURITY, timeout_s=5.0)
        assert stream.is_writable
        stream.abort()
        await asyncio.sleep(0.0)
