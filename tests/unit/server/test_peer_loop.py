"""The loop that is made for peers: batches, what asyncio wants of it meanwhile, and bugs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from gearjobs.server.peer_loop import PeerLoop
from tests.support.time_travel import aeventually


class Peer(asyncio.Protocol):
    """A protocol that answers each piece with itself; `bug` makes it raise."""

    def __init__(self, told: list[str], name: str) -> None:
        self.told = told
        self.name = name
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.told.append(self.name)
        if data == b"bug":
            raise RuntimeError("a bug")
        self.transport.write(data)


class Batches:
    """Notes where batches begin and end."""

    def __init__(self, told: list[str]) -> None:
        self.told = told
        self.has_bug = False
        self.has_early_bug = False

    def batch_began(self) -> None:
        self.told.append("(")
        if self.has_early_bug:
            raise RuntimeError("an early bug")

    def batch_ended(self) -> None:
        self.told.append(")")
        if self.has_bug:
            raise RuntimeError("a bug")


class Stage:
    """A running loop and what it tells."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, PeerLoop)
        self.loop = loop
        self.told: list[str] = []
        self.batches = Batches(self.told)
        self.bugs: list[BaseException | None] = []
        loop.tell_batches(self.batches)
        loop.set_exception_handler(lambda _, context: self.bugs.append(context.get("exception")))

    def open(self, name: str) -> socket.socket:
        """Return the other end of a peer."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.settimeout(5)
        self.loop.open_peer(Peer(self.told, name), ours)
        return theirs


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=PeerLoop) as runner:
        yield runner


def test_what_is_ready_at_once_is_one_batch(runner):
    async def scene() -> None:
        stage = Stage()
        with closing(stage.open("a")) as first, closing(stage.open("b")) as second:
            first.send(b"1")
            second.send(b"2")
            await aeventually(lambda: ")" in stage.told, "the batch")
            stage.loop.tell_batches(None)

        assert (stage.told[0], sorted(stage.told[1:3]), stage.told[3]) == ("(", ["a", "b"], ")")

    runner.run(scene())


def test_bug_of_a_peer_is_told_and_the_others_are_served(runner):
    async def scene() -> None:
        stage = Stage()
        with closing(stage.open("a")) as first, closing(stage.open("b")) as second:
            first.send(b"bug")
            second.send(b"2")
            await aeventually(lambda: stage.bugs and "b" in stage.told, "both")
            assert second.recv(1) == b"2"
            await asyncio.sleep(0)
            assert first.recv(1) == b"", "expected the connection that met the bug to be closed"

        assert [str(bug) for bug in stage.bugs] == ["a bug"]

    runner.run(scene())


def test_bug_at_the_end_of_a_batch_is_told(runner):
    async def scene() -> None:
        stage = Stage()
        stage.batches.has_bug = True
        with closing(stage.open("a")) as first:
            first.send(b"1")
            await aeventually(lambda: stage.bugs, "the bug")

    runner.run(scene())


def test_bug_at_the_beginning_of_a_batch_is_told_and_the_peers_are_served(runner):
    async def scene() -> None:
        stage = Stage()
        stage.batches.has_early_bug = True
        with closing(stage.open("a")) as first:
            first.send(b"1")
            await aeventually(lambda: ")" in stage.told, "the batch")
            stage.loop.tell_batches(None)

        assert stage.told[:3] == ["(", "a", ")"]
        assert str(stage.bugs[0]) == "an early bug"

    runner.run(scene())


def test_timers_and_other_sockets_go_on_while_peers_are_busy(runner):
    async def scene() -> None:
        stage = Stage()
        ours, theirs = socket.socketpair()
        rang: list[float] = []
        with closing(stage.open("a")) as peer, closing(ours), closing(theirs):
            peer.setblocking(False)
            ours.setblocking(False)
            stage.loop.call_later(0.02, lambda: rang.append(stage.loop.time()))
            peer.send(b"1")
            theirs.send(b"other")
            # The peer's own answers keep it busy: each is said again.
            stage.loop.add_reader(peer, lambda: peer.send(peer.recv(10)))
            heard = await stage.loop.sock_recv(ours, 10)
            await aeventually(lambda: rang, "the timer")
            stage.loop.remove_reader(peer)

        assert heard == b"other"

    runner.run(scene())


def test_threads_wake_the_loop(runner):
    async def scene() -> None:
        assert await asyncio.to_thread(lambda: 1) == 1

    runner.run(scene())


def test_readers_of_asyncio_may_change(runner):
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with closing(ours), closing(theirs):
            told: list[str] = []
            loop.add_reader(ours, told.append, "read")
            loop.add_writer(ours, told.append, "write")
            await aeventually(lambda: "write" in told, "the writer")
            loop.remove_writer(ours)
            theirs.send(b"1")
            await aeventually(lambda: "read" in told, "the reader")
            loop.remove_reader(ours)

    runner.run(scene())


def test_peer_that_left_in_a_batch_is_not_called(runner):
    async def scene() -> None:
        stage = Stage()
        first, second = stage.open("a"), stage.open("b")
        transports = list(stage.loop._peers._peers.values())
        with closing(first), closing(second):
            # Whoever is read from first ends the other.
            ends = [on_events.__self__.abort for on_events in transports]  # type: ignore[attr-defined]  # bound methods

            class Ender(Batches):
                def batch_began(self) -> None:
                    super().batch_began()
                    for end in ends:
                        end()

            stage.loop.tell_batches(Ender(stage.told))
            first.send(b"1")
            second.send(b"2")
            await aeventually(lambda: ")" in stage.told, "the batch")
            stage.loop.tell_batches(None)

        assert not {"a", "b"} & set(stage.told)

    runner.run(scene())


def test_what_is_no_peer_makes_no_batch(runner):
    # The answer of the writer's thread woke the loop before there was a lease, and the server held all its jobs back.
    async def scene() -> None:
        stage = Stage()

        await asyncio.to_thread(lambda: None)

        stage.loop.tell_batches(None)
        assert stage.told == []

    runner.run(scene())
