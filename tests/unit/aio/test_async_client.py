"""The asyncio client, against servers that behave and servers that do not."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress

import pytest

from gearjobs.aio import AsyncClient
from gearjobs.client.in_flight import JobCreated, JobData, JobEvent
from gearjobs.client.requests import background_request, job_request
from gearjobs.core.submission import CancelVerdict
from gearjobs.errors import DeadlineExceeded, JobFailed, ServerError, ServerUnavailable, UniqueConflict, UsageError
from gearjobs.protocol.packets import ErrorCode, PacketType
from gearjobs.servers import ServerAddress
from tests.support.event_loop import with_asyncio
from tests.support.gearmand import free_port
from tests.support.scripted_server import PATIENCE_S, Peer, ScriptedServer

T = PacketType


def client_of(*servers: ServerAddress, answer_timeout_s: float = 5.0) -> AsyncClient:
    return AsyncClient(servers, connect_timeout_s=1.0, answer_timeout_s=answer_timeout_s)


def nowhere() -> ServerAddress:
    return ServerAddress("127.0.0.1", free_port())


def answering(peer: Peer) -> None:
    """A stock server that answers every echo."""
    peer.negotiate_client()
    while (packet := peer.next()) is not None:
        peer.say(T.ECHO_RES, *packet.arguments)


def breaking_off(peer: Peer) -> None:
    peer.negotiate_client()
    peer.next()


@with_asyncio
async def test_requests_of_many_tasks_share_a_connection():
    with ScriptedServer(answering) as server:
        async with client_of(server.address) as client:
            payloads = [b"%d" % number for number in range(50)]

            assert await asyncio.gather(*map(client.echo, payloads)) == payloads


@with_asyncio
async def test_job_is_done_and_its_events_are_heard():
    def script(peer):
        peer.negotiate_client()
        assert peer.expect(T.SUBMIT_JOB_HIGH) == (b"f", b"u", b"p")
        peer.say(T.JOB_CREATED, b"H:1")
        peer.say(T.WORK_DATA, b"H:1", b"part")
        peer.say(T.WORK_COMPLETE, b"H:1", b"done")
        peer.expect_end()

    events: list[JobEvent] = []
    with ScriptedServer(script) as server:
        async with client_of(server.address) as client:
            result = await client.do("f", b"p", unique="u", priority=1, on_event=events.append)

    assert result == b"done"
    assert events == [JobCreated("H:1"), JobData("H:1", b"part")]


@with_asyncio
async def test_jobs_under_way_at_once_end_in_any_order():
    def script(peer):
        peer.negotiate_client()
        payloads = [peer.expect(T.SUBMIT_JOB)[2] for _ in range(3)]
        for payload in payloads:
            peer.say(T.JOB_CREATED, b"H:" + payload)
        peer.say(T.WORK_COMPLETE, b"H:2", b"two")
        peer.say(T.WORK_EXCEPTION, b"H:3", b"three")
        peer.say(T.WORK_COMPLETE, b"H:1", b"one")
        peer.expect_end()

    with ScriptedServer(script) as server:
        async with client_of(server.address) as client:
            ends = await client.do_all([job_request("f", payload) for payload in (b"1", b"2", b"3")])

    assert ends[:2] == [b"one", b"two"]
    assert isinstance(ends[2], JobFailed)


@with_asyncio
async def test_started_job_is_iterated_over_and_its_connection_closed():
    def script(peer):
        peer.negotiate_client()
        peer.expect(T.SUBMIT_JOB)
        peer.say(T.JOB_CREATED, b"H:1")
        peer.say(T.WORK_DATA, b"H:1", b"part")
        peer.say(T.WORK_COMPLETE, b"H:1", b"done")
        peer.expect_end()

    with ScriptedServer(script) as server:
        async with client_of(server.address) as client, await client.start("f", b"") as job:
            assert [event async for event in job] == [JobCreated("H:1"), JobData("H:1", b"part")]
            assert (job.is_over, await job.result()) == (True, b"done")


@with_asyncio
async def test_result_of_a_started_job_needs_no_reader_of_its_events():
    def script(peer):
        peer.negotiate_client()
        peer.expect(T.SUBMIT_JOB)
        peer.say(T.JOB_CREATED, b"H:1")
        for _ in range(40):
            peer.say(T.WORK_DATA, b"H:1", bytes(100_000))
        peer.say(T.WORK_COMPLETE, b"H:1", b"done")
        peer.expect_end()

    with ScriptedServer(script) as server:
        async with client_of(server.address) as client:
            assert await (await client.start("f", b"")).result() == b"done"


@with_asyncio
async def test_events_that_nobody_takes_keep_the_server_waiting():
    is_stuck = threading.Event()

    def script(peer):
        peer.negotiate_client()
        peer.expect(T.SUBMIT_JOB)
        peer.say(T.JOB_CREATED, b"H:1")
        peer.socket.settimeout(0.2)
        with suppress(TimeoutError):
            for _ in range(1_000):
                peer.say(T.WORK_DATA, b"H:1", bytes(100_000))
        is_stuck.set()

    with ScriptedServer(script) as server:
        async with client_of(server.address) as client, await client.start("f", b"") as job:
            assert await asyncio.to_thread(is_stuck.wait, PATIENCE_S)

            assert len(job._job.events) < 5


@with_asyncio
async def test_job_that_takes_too_long_is_given_up_and_its_connection_closed():
    def script(peer):
        peer.negotiate_client()
        peer.expect(T.SUBMIT_JOB)
        peer.say(T.JOB_CREATED, b"H:1")
        peer.expect_end()

    with ScriptedServer(script, answering) as server:
        async with client_of(server.address) as client:
            with pytest.raises(DeadlineExceeded, match=r"the job of f did not end within 0.05 s"):
                await client.do("f", b"", timeout_s=0.05)

            assert await client.echo(b"on a new connection") == b"on a new connection"


@with_asyncio
async def test_connection_of_a_job_that_was_given_up_serves_the_others_to_their_end():
    def script(peer):
        peer.negotiate_client()
        for handle in (b"H:1", b"H:2"):
            peer.expect(T.SUBMIT_JOB)
            peer.say(T.JOB_CREATED, handle)
        # Only once the first one was given up.
        peer.say(T.WORK_COMPLETE, b"H:2", b"two")
        peer.expect_end()

    with ScriptedServer(script) as server:
        async with client_of(server.address) as client:
            first = asyncio.create_task(client.do("f", b"1", on_event=lambda _: first.cancel()))
            second = asyncio.create_task(client.do("f", b"2"))

            assert await second == b"two"
            assert first.cancelled()


@with_asyncio
async def test_next_server_is_asked_when_the_first_is_down():
    with ScriptedServer(answering) as server:
        async with client_of(nowhere(), server.address) as client:
            assert await client.echo(b"x") == b"x"


@with_asyncio
async def test_connection_that_died_unnoticed_is_replaced():
    def one_answer(peer):
        peer.negotiate_client()
        peer.say(T.ECHO_RES, *peer.expect(T.ECHO_REQ))

    with ScriptedServer(one_answer, answering) as server:
        async with client_of(server.address) as client:
            assert [await client.echo(b"1"), await client.echo(b"2")] == [b"1", b"2"]


@with_asyncio
async def test_connection_that_died_while_the_loop_was_busy_is_not_used():
    is_closed = threading.Event()

    def closing(peer):
        peer.negotiate_client()
        peer.say(T.ECHO_RES, *peer.expect(T.ECHO_REQ))
        peer.socket.shutdown(socket.SHUT_RDWR)
        is_closed.set()

    def taking(peer):
        peer.negotiate_client()
        peer.expect(T.SUBMIT_JOB_BG)
        peer.say(T.JOB_CREATED, b"H:1")
        peer.expect_end()

    with ScriptedServer(closing, taking) as server:
        async with client_of(server.address) as client:
            await client.echo(b"")
            # Blocks the loop, which hears nothing meanwhile.
            assert is_closed.wait(PATIENCE_S)

            assert await client.submit_background("f", b"") == "H:1"


@with_asyncio
async def test_submission_that_may_have_arrived_is_not_repeated():
    with ScriptedServer(breaking_off) as server, ScriptedServer() as other:
        async with client_of(server.address, other.address) as client:
            with pytest.raises(ServerUnavailable, match="may or may not have been taken"):
                await client.submit_background("f", b"")


@with_asyncio
async def test_submission_under_a_handle_of_its_own_is_sent_once_more_to_the_same_server():
    def breaking(peer):
        peer.negotiate_client(has_extensions=True)
        peer.say(T.ECHO_RES, *peer.expect(T.ECHO_REQ))
        peer.expect(T.SUBMIT_JOB_EXT)

    def taking(peer):
        peer.negotiate_client(has_extensions=True)
        peer.say(T.JOB_CREATED, peer.expect(T.SUBMIT_JOB_EXT)[0])
        peer.expect_end()

    with ScriptedServer(breaking, taking) as server:
        async with client_of(server.address) as client:
            await client.echo(b"the connection is an old one")

            assert await client.submit_background("f", b"", handle="H:own") == "H:own"


@with_asyncio
async def test_job_whose_server_breaks_off_is_not_known_of():
    def script(peer):
        peer.negotiate_client()
        peer.expect(T.SUBMIT_JOB)
        peer.say(T.JOB_CREATED, b"H:1")

    with ScriptedServer(script, script) as server:
        async with client_of(server.address) as client:
            with pytest.raises(ServerUnavailable):
                await client.do("f", b"")
            job = await client.start("f", b"")
            with pytest.raises(ServerUnavailable):
                await job.result()


@with_asyncio
async def test_server_that_gives_no_answer_is_left_but_not_the_jobs_under_way():
    def script(peer):
        peer.negotiate_client()
        peer.expect(T.SUBMIT_JOB)
        peer.say(T.JOB_CREATED, b"H:1")
        peer.expect(T.ECHO_REQ)
        # No answer; and when the next one asks, it finds no way here.
        peer.expect_end()

    with ScriptedServer(script) as server:
        async with client_of(server.address, answer_timeout_s=0.5) as client:
            begun = asyncio.Event()
            job = asyncio.create_task(client.do("f", b"", on_event=lambda _: begun.set()))
            await begun.wait()
            with pytest.raises(ServerUnavailable, match="no answer in time"):
                await client.echo(b"")
            with pytest.raises(ServerUnavailable, match="none answered in time before"):
                await client.echo(b"")

            assert not job.done()
            job.cancel()


@with_asyncio
async def test_answer_that_nobody_asked_for_ends_the_connection():
    def script(peer):
        peer.negotiate_client()
        peer.expect(T.ECHO_REQ)
        peer.say(T.NO_JOB)
        peer.expect_end()

    with ScriptedServer(script, script) as server:
        async with client_of(server.address) as client:
            with pytest.raises(ServerUnavailable, match="which nobody asked for"):
                await client.echo(b"")
            with pytest.raises(ServerUnavailable):
                await client.echo(b"")


@with_asyncio
async def test_many_submissions_have_an_outcome_each():
    def script(peer):
        peer.negotiate_client()
        for _ in range(3):
            peer.expect(T.SUBMIT_JOB_BG)
        peer.say(T.JOB_CREATED, b"H:1")
        peer.say(T.ERROR, ErrorCode.UNIQUE_TAKEN.encode(), b"taken by H:9")
        peer.say(T.JOB_CREATED, b"H:3")
        peer.expect_end()

    with ScriptedServer(script) as server:
        async with client_of(nowhere(), server.address) as client:
            first, second, third = await client.submit_all([background_request("f", b"")] * 3)

    assert (first, third) == ("H:1", "H:3")
    assert isinstance(second, UniqueConflict)
    assert second.handle == "H:9"


@with_asyncio
async def test_status_and_cancel_are_asked_of_each_server_until_one_knows():
    def knowing_nothing(peer):
        peer.negotiate_client(has_extensions=True)
        peer.say(T.STATUS_RES, *peer.expect(T.GET_STATUS), b"0", b"0", b"0", b"0")
        peer.say(T.STATUS_RES_UNIQUE, *peer.expect(T.GET_STATUS_UNIQUE), b"0", b"0", b"0", b"0", b"0")
        peer.say(T.CANCEL_RES, peer.expect(T.CANCEL_JOB)[0], b"unknown")
        peer.expect_end()

    def knowing(peer):
        peer.negotiate_client(has_extensions=True)
        peer.say(T.STATUS_RES, *peer.expect(T.GET_STATUS), b"1", b"1", b"1", b"2")
        peer.say(T.STATUS_RES_UNIQUE, *peer.expect(T.GET_STATUS_UNIQUE), b"1", b"0", b"0", b"0", b"3")
        peer.say(T.CANCEL_RES, peer.expect(T.CANCEL_JOB)[0], b"cancelled")
        peer.expect_end()

    with ScriptedServer(knowing_nothing) as one, ScriptedServer(knowing) as two:
        async with client_of(one.address, two.address) as client:
            assert (await client.get_status("H:1")).running
            assert (await client.get_status_unique("u")).waiting_clients == 3
            assert await client.cancel("H:1") is CancelVerdict.CANCELLED


@with_asyncio
async def test_stock_server_cannot_cancel():
    def script(peer):
        peer.negotiate_client()
        peer.expect_end()

    with ScriptedServer(script) as server:
        async with client_of(server.address) as client:
            with pytest.raises(ServerError, match="has no CANCEL_JOB"):
                await client.cancel("H:1")


def test_client_belongs_to_one_loop():
    client = AsyncClient([nowhere()])
    with pytest.raises(ServerUnavailable):
        asyncio.run(client.echo(b""))

    with pytest.raises(UsageError, match="belongs to the event loop"):
        asyncio.run(client.echo(b""))


@with_asyncio
async def test_submission_of_its_own_handle_that_two_connections_lost_is_not_known_of():
    def breaking(peer):
        peer.negotiate_client(has_extensions=True)
        peer.say(T.ECHO_RES, *peer.expect(T.ECHO_REQ))
        peer.expect(T.SUBMIT_JOB_EXT)

    def closing(_peer):
        pass

    with ScriptedServer(breaking, closing) as server, ScriptedServer() as other:
        async with client_of(server.address, other.address) as client:
            await client.echo(b"the connection is an old one")

            with pytest.raises(ServerUnavailable, match="may or may not have been taken"):
                await client.submit_background("f", b"", handle="H:own")


@with_asyncio
async def test_started_job_that_takes_too_long_or_is_lost_says_so():
    def slow(peer):
        peer.negotiate_client()
        peer.expect(T.SUBMIT_JOB)
        peer.say(T.JOB_CREATED, b"H:1")
        peer.expect_end()

    def breaking(peer):
        peer.negotiate_client()
        peer.expect(T.SUBMIT_JOB)
        peer.say(T.JOB_CREATED, b"H:1")

    with ScriptedServer(slow, breaking) as server:
        async with client_of(server.address) as client:
            with pytest.raises(DeadlineExceeded, match=r"job H:1 did not end within 0.05 s"):
                await (await client.start("f", b"")).result(0.05)

            job = await client.start("f", b"")
            with pytest.raises(ServerUnavailable, match="closed the connection"):
                [event async for event in job]


@with_asyncio
async def test_started_job_that_is_refused_is_raised():
    def script(peer):
        peer.negotiate_client()
        peer.expect(T.SUBMIT_JOB)
        peer.say(T.ERROR, b"QUEUE_FULL", b"full")
        peer.expect_end()

    with ScriptedServer(script) as server:
        async with client_of(server.address) as client:
            with pytest.raises(ServerError, match="QUEUE_FULL"):
                await client.start("f", b"")


@with_asyncio
async def test_submissions_that_may_have_arrived_are_not_repeated():
    with ScriptedServer(breaking_off) as server, ScriptedServer() as other:
        async with client_of(server.address, other.address) as client:
            with pytest.raises(ServerUnavailable, match="may or may not have been taken"):
                await client.submit_all([background_request("f", b"")] * 2)
