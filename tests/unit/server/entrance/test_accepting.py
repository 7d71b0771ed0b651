"""A listening socket: whom it lets in, whom it turns away, and that it neither spins nor floods the log."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Iterator

import pytest

from gearjobs.server.entrance import accepting
from gearjobs.server.entrance.accepting import LOG_EVERY_S, PAUSE_S, Acceptor
from gearjobs.server.entrance.admission import Admission, TurnedAway
from tests.support.time_travel import advance, aeventually, travelling


class Listener(socket.socket):
    """A listening socket on which accept() fails as a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.bind(("127.0.0.1", 0))
        self.listen(100)
        self.calls = 0
        #: Errors of the next calls, 0 for none.
        self.failures: list[int] = []

    def accept(self):
        self.calls += 1
        number = self.failures.pop(0) if self.failures else 0
        if number:
            raise OSError(number, "as the test says")
        return super().accept()


class Guests:
    """Those who were let in."""

    def __init__(self) -> None:
        self.peers: list[asyncio.Protocol] = []

    def make(self) -> asyncio.Protocol:
        self.peers.append(asyncio.Protocol())
        return self.peers[-1]


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as listener:
        yield listener


@pytest.fixture
def guests() -> Guests:
    return Guests()


def connect(listener: Listener) -> socket.socket:
    return socket.create_connection(listener.getsockname(), timeout=5.0)


async def is_turned_away(peer: socket.socket) -> bool:
    """Whether the other side closed."""
    peer.setblocking(False)
    with peer:
        return not await asyncio.wait_for(asyncio.get_running_loop().sock_recv(peer, 1), 5.0)


@travelling
async def test_peer_is_let_in_and_has_a_place(listener, guests):
    admission = Admission(1)
    acceptor = Acceptor(listener, guests.make, admission=admission)
    with connect(listener):
        await aeventually(lambda: guests.peers, "a peer")

        assert admission.reason_to_refuse("127.0.0.1") is TurnedAway.FULL
        acceptor.close()


@travelling
async def test_peer_without_a_place_is_closed_at_once(listener, guests, caplog):
    acceptor = Acceptor(listener, guests.make, admission=Admission(1))
    with connect(listener), caplog.at_level(logging.WARNING, "gearjobs.server"):
        await aeventually(lambda: guests.peers, "the first peer")

        assert await is_turned_away(connect(listener))

        acceptor.close()
    assert "turn away connections=1: 1 connections are open" in caplog.text
    assert len(guests.peers) == 1


@travelling
async def test_stranger_too_many_is_turned_away_with_a_line_in_the_log(listener, guests, caplog, monkeypatch):
    monkeypatch.setattr(accepting, "UNPROVEN_LIMIT", 1)
    monkeypatch.setattr("gearjobs.server.entrance.admission.UNPROVEN_LIMIT", 1)
    admission = Admission(10)
    acceptor = Acceptor(listener, guests.make, admission=admission, must_prove=True)
    with connect(listener), caplog.at_level(logging.WARNING, "gearjobs.server"):
        await aeventually(lambda: guests.peers, "the first peer")
        assert await is_turned_away(connect(listener))

        admission.prove(guests.peers[0])
        with connect(listener):
            await advance(PAUSE_S)
            await aeventually(lambda: len(guests.peers) == 2, "the one after the proof")
            acceptor.close()

    assert "turn away connections=1: 1 connections are open that have not shown who they are" in caplog.text
    assert admission.turned_away == {TurnedAway.UNPROVEN_FULL: 1}


@travelling
async def test_place_of_one_who_left_is_taken_after_a_pause(listener, guests):
    admission = Admission(1)
    acceptor = Acceptor(listener, guests.make, admission=admission)
    with connect(listener):
        await aeventually(lambda: guests.peers, "the first peer")
        assert await is_turned_away(connect(listener))
        admission.leave(guests.peers[0])

        with connect(listener):
            await advance(PAUSE_S)
            await aeventually(lambda: len(guests.peers) == 2, "the second peer")
            acceptor.close()


@travelling
async def test_without_a_file_descriptor_peers_are_turned_away(listener, guests, caplog):
    acceptor = Acceptor(listener, guests.make, admission=Admission(10))
    listener.failures = [errno.EMFILE]
    with caplog.at_level(logging.WARNING, "gearjobs.server"):
        assert await is_turned_away(connect(listener))

    assert "turn away connections=1: cannot accept: as the test says" in caplog.text
    acceptor.close()


@travelling
async def test_without_a_file_descriptor_the_socket_is_left_alone_for_a_while(listener, guests):
    acceptor = Acceptor(listener, guests.make, admission=Admission(10))
    listener.failures = [errno.EMFILE, errno.EMFILE, errno.EMFILE]
    with connect(listener) as waiting:
        await aeventually(lambda: listener.calls, "a look")
        calls = listener.calls
        await advance(PAUSE_S * 0.5)
        assert listener.calls == calls

        listener.failures = []
        waiting.close()
        with connect(listener):
            await advance(PAUSE_S)
            await aeventually(lambda: guests.peers, "a peer after the pause")
            acceptor.close()


@pytest.mark.parametrize("number", [errno.ENOMEM, errno.ENOBUFS, errno.EPERM])
@travelling
async def test_other_failures_leave_the_peer_waiting(number, listener, guests):
    acceptor = Acceptor(listener, guests.make, admission=Admission(10))
    listener.failures = [number]
    with connect(listener):
        await aeventually(lambda: listener.calls, "a look")
        assert not guests.peers

        await advance(PAUSE_S)
        await aeventually(lambda: guests.peers, "the peer that waited")
        acceptor.close()


@travelling
async def test_peer_that_left_before_it_was_taken_is_passed_over(listener, guests):
    acceptor = Acceptor(listener, guests.make, admission=Admission(10))
    listener.failures = [errno.ECONNABORTED]
    with connect(listener):
        await aeventually(lambda: guests.peers, "the peer behind it")
        acceptor.close()


@travelling
async def test_log_is_written_once_for_many_who_are_turned_away(listener, guests, caplog):
    acceptor = Acceptor(listener, guests.make, admission=Admission(0))
    with caplog.at_level(logging.WARNING, "gearjobs.server"):
        for _ in range(5):
            peer = connect(listener)
            await advance(PAUSE_S)
            assert await is_turned_away(peer)
        assert len(caplog.messages) == 1

        await advance(LOG_EVERY_S)
        assert await is_turned_away(connect(listener))

    assert caplog.messages[1].startswith("turn away connections=5: ")
    acceptor.close()


@travelling
async def test_host_with_all_its_places_taken_keeps_nobody_else_out(listener, guests, monkeypatch):
    monkeypatch.setattr("gearjobs.server.entrance.admission.is_local", lambda _: False)
    acceptor = Acceptor(listener, guests.make, admission=Admission(10, source_limit=1))
    with connect(listener):
        await aeventually(lambda: guests.peers, "the first peer")
        assert await is_turned_away(connect(listener))

        calls = listener.calls
        assert await is_turned_away(connect(listener))
        assert listener.calls > calls
        acceptor.close()


@travelling
async def test_closed_socket_listens_no_more(listener, guests):
    address = listener.getsockname()
    acceptor = Acceptor(listener, guests.make, admission=Admission(10))
    before = len(acceptor.sockets)

    acceptor.close()
    acceptor.close()

    assert (before, len(acceptor.sockets)) == (1, 0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=5.0)


@travelling
async def test_socket_closed_during_a_pause_does_not_come_back(listener, guests):
    acceptor = Acceptor(listener, guests.make, admission=Admission(0))
    assert await is_turned_away(connect(listener))
    acceptor.close()

    await advance(PAUSE_S)

    assert not acceptor.sockets
