"""Closing an asyncio client while its calls are under way."""

from __future__ import annotations

import asyncio
import threading

import pytest

from gearjobs.aio import AsyncClient
from gearjobs.errors import ServerUnavailable
from gearjobs.protocol.packets import PacketType
from gearjobs.servers import ServerAddress
from tests.support.event_loop import with_asyncio
from tests.support.scripted_server import PATIENCE_S, Peer, ScriptedServer

T = PacketType


def client_of(*servers: ServerAddress) -> AsyncClient:
    return AsyncClient(servers, connect_timeout_s=1.0)


def answering(peer: Peer) -> None:
    """A stock server that answers every echo."""
    peer.negotiate_client()
    while (packet := peer.next()) is not None:
        peer.say(T.ECHO_RES, *packet.arguments)


@with_asyncio
async def test_closing_ends_what_is_under_way():
    def script(peer):
        peer.negotiate_client()
        peer.expect(T.SUBMIT_JOB)
        peer.say(T.JOB_CREATED, b"H:1")
        peer.expect_end()

    with ScriptedServer(script) as server:
        client = client_of(server.address)
        begun = asyncio.Event()
        job = asyncio.create_task(client.do("f", b"", on_event=lambda _: begun.set()))
        await begun.wait()
        await client.aclose()

        with pytest.raises(ServerUnavailable, match="this client closed the connection"):
            await job


@with_asyncio
async def test_closing_ends_a_call_that_waits_for_the_shared_connection():
    connected = asyncio.Event()
    loop = asyncio.get_running_loop()

    def script(peer):
        loop.call_soon_threadsafe(connected.set)
        while peer.next() is not None:
            pass

    with ScriptedServer(script) as server:
        client = client_of(server.address)
        asking = asyncio.create_task(client.echo(b""))
        await connected.wait()
        await client.aclose()

        with pytest.raises(ServerUnavailable, match="this client closed the connection"):
            await asking


@with_asyncio
async def test_job_whose_connection_was_being_opened_at_the_close_is_not_started():
    connected, is_closed = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def script(peer):
        loop.call_soon_threadsafe(connected.set)
        assert is_closed.wait(PATIENCE_S)
        peer.negotiate_client()
        peer.expect_end()

    with ScriptedServer(script) as server:
        client = client_of(server.address)
        starting = asyncio.create_task(client.start("f", b""))
        await connected.wait()
        await client.aclose()
        is_closed.set()

        with pytest.raises(ServerUnavailable, match="this client closed the connection"):
            await starting


@with_asyncio
async def test_question_that_was_under_way_at_the_close_opens_no_new_connection():
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def script(peer):
        peer.negotiate_client()
        peer.say(T.ECHO_RES, *peer.expect(T.ECHO_REQ))
        peer.expect(T.ECHO_REQ)
        loop.call_soon_threadsafe(asked.set)
        peer.expect_end()

    with ScriptedServer(script) as server:
        client = client_of(server.address)
        await client.echo(b"")
        asking = asyncio.create_task(client.echo(b""))
        await asked.wait()
        await client.aclose()

        with pytest.raises(ServerUnavailable, match="this client closed the connection"):
            await asking


@with_asyncio
async def test_server_of_a_client_that_was_closed_stays_the_first():
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def script(peer):
        peer.negotiate_client()
        peer.expect(T.ECHO_REQ)
        loop.call_soon_threadsafe(asked.set)
        peer.expect_end()

    with ScriptedServer(script, answering) as server, ScriptedServer() as never_asked:
        client = client_of(server.address, never_asked.address)
        asking = asyncio.create_task(client.echo(b""))
        await asked.wait()
        await client.aclose()
        with pytest.raises(ServerUnavailable):
            await asking

        assert await client.echo(b"again") == b"again"
        await client.aclose()
