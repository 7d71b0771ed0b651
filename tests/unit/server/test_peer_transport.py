"""One peer's socket on the loop that is made for peers: what is read, what is written, and how it ends."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import closing
from functools import wraps
from typing import Any

import pytest

from gearjobs.server.peer_loop import PeerLoop
from gearjobs.server.peer_transport import READ_BYTES, PeerTransport
from tests.support.time_travel import aeventually

#: More than the kernel takes for a peer that does not read.
BIG = bytes(8 * 1024 * 1024)


class Line(asyncio.Protocol):
    """A protocol that notes what it is told."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.news: list[str] = []
        self.error: Exception | None = None
        self.transport: PeerTransport

    @property
    def received(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def is_lost(self) -> bool:
        return "lost" in self.news

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, PeerTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.chunks.append(data)

    def pause_writing(self) -> None:
        self.news.append("pause")

    def resume_writing(self) -> None:
        self.news.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.news.append("lost")
        self.error = exc


def on_peer_loop(test: Callable[[Line, socket.socket], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run the test with a line, and the socket at its other end."""

    @wraps(test)
    def run() -> None:
        async def both() -> None:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, PeerLoop)
            ours, theirs = socket.socketpair()
            line = Line()
            with closing(theirs):
                ours.setblocking(False)
                theirs.setblocking(False)
                loop.open_peer(line, ours)
                await test(line, theirs)
                line.transport.abort()
                await aeventually(lambda: line.is_lost, "the end")

        with asyncio.Runner(loop_factory=PeerLoop) as runner:
            runner.run(both())

    # Else pytest would take the test's arguments for fixtures.
    del run.__wrapped__
    return run


async def read_all(theirs: socket.socket, count: int) -> bytes:
    """Return so many bytes that the peer reads."""
    loop, read = asyncio.get_running_loop(), bytearray()
    while len(read) < count:
        read += await loop.sock_recv(theirs, READ_BYTES)
    return bytes(read)


@on_peer_loop
async def test_bytes_go_to_the_protocol(line, theirs):
    theirs.send(b"abc")

    await aeventually(lambda: line.received == b"abc", "the bytes")


@on_peer_loop
async def test_what_is_written_is_read(line, theirs):
    line.transport.write(b"abc")
    line.transport.writelines([b"d", b"ef"])

    assert await read_all(theirs, 6) == b"abcdef"


@on_peer_loop
async def test_what_the_kernel_does_not_take_is_written_as_the_peer_reads(line, theirs):
    line.transport.write(BIG)
    line.transport.write(b"end")
    assert line.transport.get_write_buffer_size() > 0

    assert await read_all(theirs, len(BIG) + 3) == BIG + b"end"
    assert line.transport.get_write_buffer_size() == 0


@on_peer_loop
async def test_protocol_is_told_to_pause_and_to_go_on(line, theirs):
    line.transport.set_write_buffer_limits(high=1024)
    line.transport.write(BIG)
    assert line.news == ["pause"]

    await read_all(theirs, len(BIG))

    await aeventually(lambda: line.news == ["pause", "resume"], "the protocol to be told")


@on_peer_loop
async def test_peer_is_not_read_from_while_reading_is_paused(line, theirs):
    line.transport.pause_reading()
    line.transport.pause_reading()
    theirs.send(b"abc")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (line.chunks, line.transport.is_reading()) == ([], False)

    line.transport.resume_reading()
    line.transport.resume_reading()

    await aeventually(lambda: line.received == b"abc", "the bytes")


@on_peer_loop
async def test_protocol_may_pause_reading_before_anything_is_read(line, theirs):
    class Reluctant(Line):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.transport.pause_reading()

    loop = asyncio.get_running_loop()
    assert isinstance(loop, PeerLoop)
    ours, others = socket.socketpair()
    ours.setblocking(False)
    reluctant = Reluctant()
    loop.open_peer(reluctant, ours)
    with closing(others):
        others.send(b"early")
        theirs.send(b"later")
        await aeventually(lambda: line.received, "what was sent later")
        assert reluctant.received == b""

        reluctant.transport.resume_reading()
        await aeventually(lambda: reluctant.received == b"early", "what was sent early")
        reluctant.transport.abort()
        await aeventually(lambda: reluctant.is_lost, "the end")


@on_peer_loop
async def test_peer_that_is_not_read_from_is_still_written_to(line, theirs):
    line.transport.pause_reading()
    line.transport.write(BIG)
    theirs.send(b"abc")

    assert await read_all(theirs, len(BIG)) == BIG
    assert line.chunks == []


@on_peer_loop
async def test_end_of_the_peers_bytes_ends_the_connection_when_all_is_written(line, theirs):
    line.transport.write(BIG)
    theirs.shutdown(socket.SHUT_WR)
    await aeventually(line.transport.is_closing, "the end of the peer's bytes")
    assert not line.is_lost

    assert await read_all(theirs, len(BIG)) == BIG

    await aeventually(lambda: line.is_lost, "the end")
    assert line.error is None


@on_peer_loop
async def test_close_ends_when_all_is_written(line, theirs):
    line.transport.write(BIG)
    line.transport.close()
    line.transport.resume_reading()

    assert await read_all(theirs, len(BIG)) == BIG
    await aeventually(lambda: line.is_lost, "the end")


@on_peer_loop
async def test_abort_throws_away_what_is_not_written(line, theirs):
    line.transport.write(BIG)

    line.transport.abort()
    line.transport.abort()
    line.transport.write(b"nobody hears this")

    await aeventually(lambda: line.is_lost, "the end")
    assert (line.news.count("lost"), line.transport.get_write_buffer_size()) == (1, 0)


@on_peer_loop
async def test_peer_that_is_gone_is_told_of_by_a_write(line, theirs):
    line.transport.pause_reading()
    theirs.close()

    line.transport.write(b"abc")

    await aeventually(lambda: line.is_lost, "the end")
    assert isinstance(line.error, OSError)


@on_peer_loop
async def test_peer_that_is_gone_is_told_of_by_the_rest_of_a_write(line, theirs):
    line.transport.pause_reading()
    line.transport.write(BIG)

    theirs.close()

    await aeventually(lambda: line.is_lost, "the end")
    assert isinstance(line.error, OSError)


@on_peer_loop
async def test_peer_that_resets_the_connection_is_told_of_by_a_read(line, theirs):
    # Unread bytes at its close make a Unix socket's peer reset the connection.
    line.transport.write(b"abc")
    theirs.close()

    await aeventually(lambda: line.is_lost, "the end")


def test_peer_that_is_gone_before_it_is_opened_has_no_name():
    with asyncio.Runner(loop_factory=PeerLoop) as runner:
        loop = runner.get_loop()
        sock = socket.socket()
        transport = PeerTransport(sock, Line(), loop=loop, poller=loop._peers)  # type: ignore[attr-defined]  # PeerLoop's
        sock.close()

    assert transport.get_extra_info("peername") is None


@pytest.mark.parametrize("high", [None, 10])
def test_limits_may_be_left_to_the_transport(high):
    with asyncio.Runner(loop_factory=PeerLoop) as runner:
        loop = runner.get_loop()
        with socket.socket() as sock:
            transport = PeerTransport(sock, Line(), loop=loop, poller=loop._peers)  # type: ignore[attr-defined]  # as above
            transport.set_write_buffer_limits(high)

    assert not transport.is_closing()
