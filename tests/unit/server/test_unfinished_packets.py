"""Peers in the middle of a packet: who is too slow is cut off, and nobody else."""

from __future__ import annotations

import logging

import pytest

from gearjobs.protocol.packets import PacketType
from gearjobs.server.unfinished_packets import BODY_LEAST_BYTES, HEADER_LIMIT_S, UnfinishedPackets
from tests.support.fake_transport import QuietHandler, make_connection
from tests.support.time_travel import advance, travelling
from tests.support.wire_peer import frame

LARGE = frame(PacketType.ECHO_REQ, bytes(8 * BODY_LEAST_BYTES))
ECHO = frame(PacketType.ECHO_REQ, b"abc")
A_WINDOW_S = HEADER_LIMIT_S + 0.1


class Watched(QuietHandler):
    """A server that notes who is in the middle of a packet."""

    def __init__(self):
        super().__init__()
        self.unfinished = UnfinishedPackets()

    def received(self, connection):
        super().received(connection)
        if connection.decoder.partial_bytes:
            self.unfinished.note(connection)


@pytest.fixture
def handler():
    return Watched()


@pytest.fixture
def opened(handler):
    return make_connection(handler)


@pytest.fixture
def connection(opened):
    return opened[0]


@pytest.fixture
def transport(opened):
    return opened[1]


@travelling
async def test_peer_whose_header_does_not_come_is_cut_off(connection, transport, caplog):
    connection.data_received(ECHO[:5])
    await advance(HEADER_LIMIT_S - 0.1)
    assert not transport.is_aborted

    with caplog.at_level(logging.WARNING, "gearjobs.server"):
        await advance(0.2)

    assert transport.is_aborted
    assert "cut off peer=10.0.0.7:5121: a packet must come at 1024 bytes/s, got 0 bytes in 10 s" in caplog.text


@travelling
async def test_byte_a_second_does_not_save_a_header(connection, transport):
    for second in range(11):
        connection.data_received(ECHO[second : second + 1])
        await advance(1.0)

    assert transport.is_aborted


@travelling
async def test_text_line_without_end_is_a_header(connection, transport):
    connection.data_received(b"stat")
    await advance(A_WINDOW_S)

    assert transport.is_aborted


@travelling
async def test_body_has_its_own_time_after_the_header(connection, transport):
    connection.data_received(LARGE[:5])
    await advance(HEADER_LIMIT_S - 1)
    connection.data_received(LARGE[5:20])
    await advance(2.0)
    assert not transport.is_aborted

    await advance(A_WINDOW_S)

    assert transport.is_aborted


@travelling
async def test_body_below_the_least_rate_ends_the_connection(connection, transport):
    connection.data_received(LARGE[:20])
    connection.data_received(LARGE[20 : BODY_LEAST_BYTES - 1])
    await advance(A_WINDOW_S)

    assert transport.is_aborted


@travelling
async def test_body_at_the_least_rate_may_take_as_long_as_it_does(connection, handler, transport):
    connection.data_received(LARGE[:20])
    for start in range(20, len(LARGE), BODY_LEAST_BYTES):
        connection.data_received(LARGE[start : start + BODY_LEAST_BYTES])
        await advance(A_WINDOW_S)

    assert (len(handler.packets), transport.is_aborted) == (1, False)


@travelling
async def test_peer_between_two_packets_may_be_idle(connection, transport):
    connection.data_received(ECHO[:5])
    connection.data_received(ECHO[5:])
    await advance(1000 * HEADER_LIMIT_S)

    assert not transport.is_aborted


@travelling
async def test_each_packet_has_its_own_time(connection, transport):
    # Always in the middle of a packet, never long in the same one.
    for _ in range(5):
        connection.data_received(ECHO[-5:] if connection.received_bytes else b"")
        connection.data_received(ECHO[:-5])
        await advance(HEADER_LIMIT_S * 0.7)

    assert not transport.is_aborted


@travelling
async def test_peer_that_is_not_read_from_is_not_blamed(connection, transport):
    connection.data_received(ECHO[:5])
    connection.pause_writing()
    for _ in range(2):
        await advance(A_WINDOW_S)

    assert not transport.is_aborted


@travelling
async def test_peer_is_not_blamed_for_the_servers_own_pause(connection, handler, transport):
    # A stopped process reads nothing, and its timers may run before the first read.
    connection.data_received(ECHO[:5])
    await advance(1000.0)
    assert not transport.is_aborted

    connection.data_received(ECHO[5:])
    await advance(A_WINDOW_S)

    assert (len(handler.packets), transport.is_aborted) == (1, False)


@travelling
async def test_peer_that_left_is_forgotten(connection, handler, transport):
    connection.data_received(ECHO[:5])
    handler.unfinished.forget(connection)
    await advance(A_WINDOW_S)

    assert not transport.is_aborted


@travelling
async def test_nobody_is_cut_off_any_more_after_the_stop(connection, handler, transport):
    handler.unfinished.stop()
    connection.data_received(ECHO[:5])
    handler.unfinished.stop()
    await advance(A_WINDOW_S)

    assert not transport.is_aborted


@travelling
async def test_each_of_many_peers_is_judged_by_its_own_time(handler):
    early, late = (make_connection(handler, number=number) for number in (1, 2))
    early[0].data_received(ECHO[:5])
    await advance(5.0)
    late[0].data_received(ECHO[:5])

    await advance(5.1)
    assert (early[1].is_aborted, late[1].is_aborted) == (True, False)
    await advance(5.0)
    assert late[1].is_aborted
