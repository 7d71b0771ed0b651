"""The asyncio administrative client, against a real server, and servers that do not behave."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from gearjobs.aio import AsyncAdminClient, AsyncClient
from gearjobs.client.admin_client import AdminClient
from gearjobs.errors import ServerError, ServerUnavailable, UsageError
from gearjobs.servers import ServerAddress
from tests.support.event_loop import with_asyncio
from tests.support.gearmand import free_port
from tests.support.job_server import MemoryServer, running_memory_server
from tests.support.scripted_server import ScriptedServer


@pytest.fixture(scope="module")
def server() -> Iterator[MemoryServer]:
    with running_memory_server() as server:
        yield server


@with_asyncio
async def test_answers_are_those_of_the_blocking_client(server):
    async with AsyncClient([server.address]) as client:
        await client.submit_background("f", b"", priority=5)
    with AdminClient(server.address) as admin:
        answers = [admin.status(), admin.priority_status(), admin.jobs(), admin.version(), admin.worker_reports()]

    async with AsyncAdminClient(server.address) as asking:
        own = [
            await asking.status(),
            await asking.priority_status(),
            await asking.jobs(),
            await asking.version(),
            await asking.worker_reports(),
        ]
        addresses = {line.address for line in await asking.workers()}

    assert own == answers
    assert "127.0.0.1" in addresses


@with_asyncio
async def test_questions_of_many_tasks_take_turns(server):
    async with AsyncAdminClient(server.address) as admin:
        answers = await asyncio.gather(*[admin.command(line) for line in ("version", "status", "version")])

    assert [answer.endswith(b".\n") for answer in answers] == [False, True, False]


@with_asyncio
async def test_functions_are_controlled(server):
    async with AsyncClient([server.address]) as client, AsyncAdminClient(server.address) as admin:
        await client.submit_background("shelf", b"")
        await admin.pause("shelf")
        assert [line.is_paused for line in (await admin.snapshot()).functions if line.name == "shelf"] == [True]
        await admin.resume("shelf")
        assert await admin.clear("shelf") == 1


@with_asyncio
async def test_refusal_is_raised_and_the_connection_goes_on(server):
    async with AsyncAdminClient(server.address) as admin:
        with pytest.raises(ServerError):
            await admin._ask("create")
        with pytest.raises(UsageError, match="must be one line"):
            await admin.command("a\nb")

        assert await admin.version()


@with_asyncio
async def test_connection_that_the_server_closed_is_replaced():
    def once(peer):
        assert peer.socket.recv(100) == b"version\r\n"
        peer.socket.sendall(b"OK 1\n")

    with ScriptedServer(once, once) as server:
        async with AsyncAdminClient(server.address) as admin:
            assert await admin.version() == "1"
            assert admin._stream is not None
            async with asyncio.timeout(10.0):
                await admin._stream._reader.read()

            assert await admin.version() == "1"


@with_asyncio
async def test_server_that_is_down_or_silent_is_said_to_be():
    def silent(peer):
        assert peer.socket.recv(100)
        peer.expect_end()

    with ScriptedServer(silent) as server:
        async with AsyncAdminClient(server.address, timeout_s=0.1) as admin:
            with pytest.raises(ServerUnavailable, match="no answer in time"):
                await admin.status()
    async with AsyncAdminClient(ServerAddress("127.0.0.1", free_port())) as admin:
        with pytest.raises(ServerUnavailable, match=r"gave no answer to b'status'"):
            await admin.status()


@with_asyncio
async def test_question_that_was_cancelled_leaves_no_answer_behind():
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(peer):
        assert peer.socket.recv(100)
        loop.call_soon_threadsafe(asked.set)
        peer.expect_end()

    def quick(peer):
        assert peer.socket.recv(100) == b"version\r\n"
        peer.socket.sendall(b"OK 1\n")
        peer.expect_end()

    with ScriptedServer(slow, quick) as server:
        async with AsyncAdminClient(server.address) as admin:
            question = asyncio.create_task(admin.status())
            await asked.wait()
            question.cancel()
            with pytest.raises(asyncio.CancelledError):
                await question

            assert await admin.version() == "1"


@with_asyncio
async def test_closing_ends_the_questions_under_way():
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def silent(peer):
        assert peer.socket.recv(100)
        loop.call_soon_threadsafe(asked.set)
        peer.expect_end()

    with ScriptedServer(silent) as server:
        admin = AsyncAdminClient(server.address)
        questions = [asyncio.create_task(admin.status()) for _ in range(2)]
        await asked.wait()
        await admin.aclose()

        for question in questions:
            with pytest.raises(ServerUnavailable, match="this client closed the connection"):
                await question


@with_asyncio
async def test_connection_that_was_being_opened_at_the_close_is_not_used(monkeypatch):
    opening, is_closed = asyncio.Event(), asyncio.Event()
    connect = asyncio.get_running_loop().sock_connect

    async def slowly(*arguments):
        opening.set()
        await is_closed.wait()
        await connect(*arguments)

    def unused(peer):
        peer.expect_end()

    with ScriptedServer(unused) as server:
        monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", slowly, raising=False)
        admin = AsyncAdminClient(server.address)
        question = asyncio.create_task(admin.status())
        await opening.wait()
        await admin.aclose()
        is_closed.set()

        with pytest.raises(ServerUnavailable, match="this client closed the connection"):
            await question
