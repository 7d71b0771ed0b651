"""Connections whose peers send to one that does not read: they wait, or the one that does not read is cut off."""

from __future__ import annotations

import pytest

from gearjobs.protocol.packets import PacketType
from gearjobs.server.connection import FAR_BEHIND_BYTES, OUTPUT_LIMIT_BYTES, STALL_LEAST_BYTES, WAITED_LIMIT_S
from tests.support.fake_transport import QuietHandler, make_connection
from tests.support.time_travel import advance, travelling, turns
from tests.support.wire_peer import frame

ECHO = frame(PacketType.ECHO_REQ, b"abc")
BIG_REPLY = bytes(OUTPUT_LIMIT_BYTES + 1)


@pytest.fixture
def handler():
    return QuietHandler()


@pytest.fixture
def opened(handler):
    return make_connection(handler)


@pytest.fixture
def connection(opened):
    return opened[0]


@pytest.fixture
def transport(opened):
    return opened[1]


def choke(connection, handler, transport) -> None:
    """Let the peer read nothing until it is no longer read from."""
    transport.peer_reads = False
    connection.send(BIG_REPLY)
    handler.flush()


@pytest.fixture
def sender(handler):
    """Another peer, which sends to the first."""
    return make_connection(handler, number=2)


def keep_waiting(connection, handler, transport, sender) -> None:
    """Let the peer fall behind with what the other sends."""
    choke(connection, handler, transport)
    connection.keep_waiting(sender)


@travelling
async def test_sender_is_not_read_from_while_the_peer_is_behind(connection, handler, transport, sender):
    worker, of_worker = sender
    assert not connection.is_behind
    choke(connection, handler, transport)
    assert connection.is_behind

    connection.keep_waiting(worker)
    connection.keep_waiting(worker)
    assert (worker.is_choked, of_worker.is_reading()) == (True, False)

    transport.let_peer_read()
    await turns()
    assert (worker.is_choked, of_worker.is_reading()) == (False, True)


@travelling
async def test_sender_goes_on_with_what_it_had_sent_before(connection, handler, transport, sender):
    worker, _ = sender
    keep_waiting(connection, handler, transport, worker)
    worker.data_received(ECHO)
    assert handler.packets == []

    transport.let_peer_read()
    await turns()

    assert [packet.arguments for packet in handler.packets] == [(b"abc",)]


@travelling
async def test_sender_goes_on_when_the_peer_is_gone(connection, handler, transport, sender):
    worker, of_worker = sender
    keep_waiting(connection, handler, transport, worker)

    connection.connection_lost(None)
    await turns()

    assert of_worker.is_reading()


@travelling
async def test_sender_to_two_slow_peers_waits_for_both(connection, handler, transport, sender):
    worker, of_worker = sender
    other, of_other = make_connection(handler, number=3)
    keep_waiting(connection, handler, transport, worker)
    keep_waiting(other, handler, of_other, worker)

    transport.let_peer_read()
    await turns()
    assert not of_worker.is_reading()

    of_other.let_peer_read()
    await turns()
    assert of_worker.is_reading()


@travelling
async def test_peer_that_sends_to_itself_goes_on_once_it_has_caught_up(connection, handler, transport):
    keep_waiting(connection, handler, transport, connection)

    transport.let_peer_read()
    await turns()

    assert (connection.is_choked, transport.is_reading()) == (False, True)


@travelling
async def test_sender_that_left_meanwhile_is_left_alone(connection, handler, transport, sender):
    worker, of_worker = sender
    keep_waiting(connection, handler, transport, worker)
    worker.connection_lost(None)

    transport.let_peer_read()
    await turns()

    assert not of_worker.is_reading()


@travelling
async def test_peer_that_keeps_others_waiting_for_too_long_is_cut_off(connection, handler, transport, sender):
    keep_waiting(connection, handler, transport, sender[0])
    transport.let_peer_read(STALL_LEAST_BYTES)
    await advance(WAITED_LIMIT_S)

    assert transport.is_aborted


@travelling
async def test_peer_that_caught_up_in_time_is_not_cut_off(connection, handler, transport, sender):
    keep_waiting(connection, handler, transport, sender[0])
    await advance(WAITED_LIMIT_S - 1)
    transport.let_peer_read()
    await advance(WAITED_LIMIT_S)

    assert not transport.is_aborted


@travelling
async def test_peer_that_others_must_not_wait_for_is_cut_off_when_it_is_far_behind(connection, handler, transport):
    choke(connection, handler, transport)
    connection.cut_off_if_far_behind()
    assert not transport.is_aborted

    connection.send(bytes(FAR_BEHIND_BYTES))
    handler.flush()
    connection.cut_off_if_far_behind()
    assert transport.is_aborted


@travelling
async def test_peer_that_is_behind_because_of_the_store_keeps_its_senders_waiting_until_the_commit(
    connection, handler, sender
):
    worker, of_worker = sender
    held = connection.hold(BIG_REPLY, refusal=b"error")
    assert connection.is_behind
    connection.keep_waiting(worker)

    connection.release(held, is_kept=True)
    await turns()

    assert of_worker.is_reading()
