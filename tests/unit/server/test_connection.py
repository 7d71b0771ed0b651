"""One peer's connection: the order of its replies, and what happens while they pile up."""

from __future__ import annotations

import pytest

from gearjobs.protocol.packets import PacketType
from gearjobs.server.connection import (
    HELD_LIMIT,
    OUTPUT_CUT_BYTES,
    OUTPUT_LIMIT_BYTES,
    STALL_LEAST_BYTES,
    STALL_LIMIT_S,
)
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


def test_replies_of_one_tick_leave_in_one_write(connection, handler, transport):
    for reply in (b"1", b"2", b"3"):
        connection.send(reply)
    handler.flush()

    assert transport.read == [b"123"]


def test_nothing_to_send_is_not_written(connection, transport):
    connection.flush()

    assert transport.read == []


def test_peer_is_known_by_host_and_port(connection):
    assert (connection.host, connection.address, connection.file_descriptor) == ("10.0.0.7", "10.0.0.7:5121", 7)


def test_peer_that_left_before_it_was_accepted_has_no_address():
    connection, _ = make_connection(peer=None)

    assert (connection.host, connection.address) == ("-", "-")


def test_bytes_go_to_the_handler(connection, handler):
    connection.data_received(ECHO[:5])
    connection.data_received(ECHO[5:])

    assert [packet.arguments for packet in handler.packets] == [(b"abc",)]


def test_held_reply_keeps_later_replies_behind_it(connection, handler, transport):
    connection.send(b"1")
    held = connection.hold(b"2", refusal=b"no")
    connection.send(b"3")
    handler.flush()
    assert transport.read == [b"1"]

    connection.release(held, is_kept=True)
    handler.flush()

    assert transport.read == [b"1", b"23"]


def test_replies_released_out_of_order_leave_in_order(connection, handler, transport):
    first, second = (connection.hold(reply, refusal=b"no") for reply in (b"1", b"2"))

    connection.release(second, is_kept=True)
    handler.flush()
    assert transport.read == []
    connection.release(first, is_kept=True)
    handler.flush()

    assert transport.read == [b"12"]


def test_refusal_stands_where_the_reply_would_have_stood(connection, handler, transport):
    held = [connection.hold(reply, refusal=b"no") for reply in (b"1", b"2", b"3")]
    for reply in held:
        connection.release(reply, is_kept=reply is not held[1])
    handler.flush()

    assert transport.read == [b"1no3"]


def test_after_the_last_release_replies_leave_at_once(connection, handler, transport):
    connection.release(connection.hold(b"1", refusal=b"no"), is_kept=True)
    connection.send(b"2")
    handler.flush()

    assert transport.read == [b"12"]


@travelling
async def test_peer_that_does_not_read_is_not_read_from(connection, handler, transport):
    choke(connection, handler, transport)
    connection.data_received(ECHO)

    assert not transport.is_reading()
    assert handler.packets == []


@travelling
async def test_peer_that_reads_again_is_read_from_again_and_what_it_said_is_not_lost(connection, handler, transport):
    choke(connection, handler, transport)
    connection.data_received(ECHO)

    transport.let_peer_read()

    assert transport.is_reading()
    assert len(handler.packets) == 1


@travelling
async def test_peer_that_reads_nothing_is_cut_off_in_time(connection, handler, transport, caplog):
    choke(connection, handler, transport)

    await advance(STALL_LIMIT_S - 1)
    assert not transport.is_aborted
    await advance(1)

    assert transport.is_aborted
    assert "cut off peer=10.0.0.7:5121" in caplog.text


@travelling
async def test_peer_that_reads_slowly_is_not_cut_off(connection, handler, transport):
    # It was cut off after 30 s however fast it read: no large payload could pass a poor line.
    choke(connection, handler, transport)

    for _ in range(5):
        await advance(STALL_LIMIT_S - 1)
        transport.let_peer_read(STALL_LEAST_BYTES)
        await advance(1)

    assert not transport.is_aborted


@travelling
async def test_peer_that_reads_next_to_nothing_is_cut_off(connection, handler, transport):
    choke(connection, handler, transport)

    transport.let_peer_read(STALL_LEAST_BYTES - 1)
    await advance(STALL_LIMIT_S)

    assert transport.is_aborted


@travelling
async def test_what_is_sent_meanwhile_does_not_make_a_reader_slow(connection, handler, transport):
    choke(connection, handler, transport)

    connection.send(bytes(2 * STALL_LEAST_BYTES))
    handler.flush()
    transport.let_peer_read(STALL_LEAST_BYTES)
    await advance(STALL_LIMIT_S)

    assert not transport.is_aborted


@travelling
async def test_peer_that_read_in_time_is_not_cut_off_later(connection, handler, transport):
    choke(connection, handler, transport)

    transport.let_peer_read()
    await advance(2 * STALL_LIMIT_S)

    assert not transport.is_aborted


@travelling
async def test_peer_whose_unread_replies_grow_beyond_all_reason_is_cut_off_at_once(connection, handler, transport):
    choke(connection, handler, transport)

    connection.send(bytes(OUTPUT_CUT_BYTES))
    handler.flush()

    assert transport.is_aborted


@travelling
async def test_peer_with_many_held_replies_is_not_read_from(connection, handler, transport):
    held = [connection.hold(b"x", refusal=b"no") for _ in range(HELD_LIMIT - 1)]
    assert transport.is_reading()

    held.append(connection.hold(b"x", refusal=b"no"))
    connection.data_received(ECHO)
    assert not transport.is_reading()
    assert handler.packets == []

    connection.release(held[0], is_kept=True)
    await turns()

    assert transport.is_reading()
    assert len(handler.packets) == 1


@travelling
async def test_peer_with_large_replies_behind_a_held_one_is_not_read_from(connection, handler, transport):
    # Only held replies were counted: whoever sent ECHOs behind a submit filled the memory while the store was slow.
    held = connection.hold(b"created", refusal=b"no")
    connection.send(BIG_REPLY)
    connection.data_received(ECHO)
    assert not transport.is_reading()
    assert handler.packets == []

    connection.release(held, is_kept=True)
    await turns()

    assert transport.is_reading()
    assert len(handler.packets) == 1


@travelling
async def test_refusals_are_counted_by_their_own_length(connection, handler, transport):
    held = connection.hold(BIG_REPLY, refusal=b"no")
    assert not transport.is_reading()

    connection.release(held, is_kept=False)
    await turns()
    connection.hold(b"x", refusal=b"no")

    assert transport.is_reading()


def test_peer_whose_held_replies_grow_beyond_all_reason_is_cut_off_at_once(connection, transport):
    connection.hold(b"created", refusal=b"no")
    connection.send(bytes(OUTPUT_CUT_BYTES))

    assert transport.is_aborted


@travelling
async def test_release_does_not_read_from_a_peer_that_does_not_read(connection, handler, transport):
    # The release read from it again, and what it sent piled up.
    choke(connection, handler, transport)
    held = [connection.hold(b"x", refusal=b"no") for _ in range(HELD_LIMIT)]

    connection.release(held[0], is_kept=True)
    await turns()

    assert not transport.is_reading()


@travelling
async def test_peer_that_reads_again_is_not_read_from_while_its_replies_are_held(connection, handler, transport):
    # It was, and every further submit was held, without any limit.
    choke(connection, handler, transport)
    held = [connection.hold(b"x", refusal=b"no") for _ in range(HELD_LIMIT)]

    transport.let_peer_read()
    connection.data_received(ECHO)
    assert not transport.is_reading()
    assert handler.packets == []

    connection.release(held[0], is_kept=True)
    await turns()

    assert transport.is_reading()


@travelling
async def test_peer_that_is_to_end_is_never_read_from_again(connection, handler, transport):
    choke(connection, handler, transport)
    connection.data_received(ECHO)

    connection.stop_reading()
    transport.let_peer_read()

    assert not transport.is_reading()
    assert handler.packets == []


@travelling
async def test_peer_that_is_to_end_still_gets_what_it_was_promised(connection, handler, transport):
    held = connection.hold(b"created", refusal=b"no")

    connection.stop_reading()
    connection.release(held, is_kept=True)
    connection.close()

    assert transport.read == [b"created"]
    assert transport.is_closing()


@travelling
async def test_closed_stream_is_not_worked_off_again(connection, handler, transport):
    # The fatal error that had closed it was answered a second time once the peer had read the first answer.
    choke(connection, handler, transport)
    calls = handler.calls

    connection.close()
    transport.let_peer_read()

    assert handler.calls == calls


@travelling
async def test_peer_is_cut_off_without_a_word_when_it_was_to_end_anyway(connection, handler, transport, caplog):
    choke(connection, handler, transport)

    connection.close()
    await advance(STALL_LIMIT_S)

    assert transport.is_aborted
    assert caplog.text == ""


@travelling
async def test_lost_connection_takes_no_replies(connection, handler, transport):
    held = connection.hold(b"1", refusal=b"no")
    connection.connection_lost(None)

    connection.send(b"2")
    connection.release(held, is_kept=True)
    connection.release(connection.hold(b"3", refusal=b"no"), is_kept=True)
    handler.flush()

    assert transport.read == []
    assert handler.lost_peers == [connection]


@travelling
async def test_lost_connection_is_not_cut_off(connection, handler, transport, caplog):
    choke(connection, handler, transport)

    connection.connection_lost(None)
    await advance(2 * STALL_LIMIT_S)

    assert caplog.text == ""


def test_aborted_connection_sends_nothing_more(connection, transport):
    transport.peer_reads = False
    connection.send(b"1")
    connection.flush()

    connection.abort()

    assert (transport.is_aborted, bytes(transport.unread)) == (True, b"")
