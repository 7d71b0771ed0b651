"""What all connections hold together is bounded: the heaviest wait, then submits are refused, then one is cut off."""

from __future__ import annotations

import logging

import pytest

from gearjobs.protocol.packets import PacketType
from gearjobs.server.connection import Connection
from gearjobs.server.memory_budget import LIGHT_BYTES, LOG_EVERY_S, LOOK_EVERY_S, MemoryBudget, Strain
from tests.support.fake_transport import FakeTransport, make_connection
from tests.support.time_travel import advance, travelling
from tests.support.wire_peer import frame

LIMIT_BYTES = 100_000
UPLOAD = frame(PacketType.ECHO_REQ, bytes(200_000))


@pytest.fixture
def budget():
    return MemoryBudget(LIMIT_BYTES)


class Uploads:
    """Connections in the middle of a packet, each holding so many bytes."""

    def __init__(self, *held: int) -> None:
        opened = [make_connection(number=number) for number in range(1, len(held) + 1)]
        self.peers: list[Connection] = [one for one, _ in opened]
        self.transports: list[FakeTransport] = [transport for _, transport in opened]
        for connection, count in zip(self.peers, held, strict=True):
            connection.data_received(UPLOAD[:count])

    def note(self, budget: MemoryBudget) -> None:
        for peer in self.peers:
            budget.note(peer)

    def grow(self, place: int, count: int, budget: MemoryBudget) -> None:
        """Let more of an upload come."""
        peer = self.peers[place]
        peer.data_received(UPLOAD[peer.received_bytes : peer.received_bytes + count])
        budget.note(peer)

    def finish(self, place: int) -> None:
        """Let the rest of an upload come: nothing of it is held any more."""
        self.peers[place].data_received(UPLOAD[self.peers[place].received_bytes :])

    @property
    def read_from(self) -> list[bool]:
        return [transport.is_reading() for transport in self.transports]

    @property
    def cut_off(self) -> list[bool]:
        return [transport.is_aborted for transport in self.transports]


@travelling
async def test_within_half_of_the_budget_nothing_is_done(budget):
    uploads = Uploads(20_000, 30_000)
    uploads.note(budget)

    assert uploads.read_from == [True, True]
    assert (budget.strain, budget.total_bytes) == (Strain.NONE, 50_000)


@travelling
async def test_beyond_half_of_the_budget_the_heaviest_are_read_from_no_more(budget, caplog):
    uploads = Uploads(30_000, 10_000, 20_000)
    uploads.note(budget)

    assert uploads.read_from == [False, True, False]
    assert (budget.strain, budget.held_off, budget.is_refusing) == (Strain.SLOWING, 2, False)
    assert "read no more from the heaviest peers: connections hold 60000 of 100000 bytes" in caplog.text


@travelling
async def test_little_more_is_no_reason_to_weigh_all_again(budget):
    uploads = Uploads(55_000, 6_000, 6_000)
    uploads.note(budget)
    assert uploads.read_from == [False, True, True]

    uploads.grow(1, 1_000, budget)
    assert uploads.read_from == [False, True, True]

    uploads.grow(2, 1_000, budget)
    assert uploads.read_from == [False, True, False]


@travelling
async def test_those_held_off_take_turns(budget):
    uploads = Uploads(31_000, 32_000)
    uploads.note(budget)
    assert uploads.read_from == [False, False]

    turns = []
    for _ in range(3):
        await advance(LOOK_EVERY_S)
        turns.append(uploads.read_from)

    assert turns == [[False, True], [True, False], [False, True]]


@travelling
async def test_whose_turn_it_is_goes_on_whatever_it_holds(budget):
    uploads = Uploads(31_000, 32_000)
    uploads.note(budget)
    await advance(LOOK_EVERY_S)

    uploads.grow(1, 8_000, budget)

    assert uploads.read_from == [False, True]


@travelling
async def test_all_go_on_once_there_is_room(budget):
    uploads = Uploads(31_000, 32_000, 5_000)
    uploads.note(budget)
    await advance(LOOK_EVERY_S)
    uploads.finish(1)

    await advance(LOOK_EVERY_S)

    assert uploads.read_from == [True, True, True]
    assert (budget.strain, budget.held_off) == (Strain.NONE, 0)


@travelling
async def test_who_is_gone_is_held_off_no_more(budget):
    uploads = Uploads(31_000, 32_000)
    uploads.note(budget)
    await advance(LOOK_EVERY_S)
    for peer in uploads.peers:
        budget.forget(peer)

    await advance(LOOK_EVERY_S)

    assert (budget.strain, budget.held_off, budget.total_bytes) == (Strain.NONE, 0, 0)


@travelling
async def test_beyond_three_quarters_submits_are_refused_until_there_is_room(budget, caplog):
    uploads = Uploads(40_000, 36_000)
    uploads.note(budget)
    assert budget.is_refusing

    await advance(LOOK_EVERY_S)
    uploads.finish(0)
    await advance(LOOK_EVERY_S)

    assert not budget.is_refusing
    assert "refuse submits: connections hold 76000 of 100000 bytes" in caplog.text


@travelling
async def test_steps_taken_again_and_again_are_logged_now_and_then(budget, caplog):
    for _ in range(5):
        uploads = Uploads(60_000)
        uploads.note(budget)
        budget.forget(uploads.peers[0])
        await advance(LOOK_EVERY_S)
    assert len(caplog.messages) == 1

    await advance(LOG_EVERY_S)
    Uploads(60_000).note(budget)

    assert len(caplog.messages) == 2
    budget.stop()


@travelling
async def test_beyond_the_budget_the_heaviest_is_cut_off(budget, caplog):
    uploads = Uploads(30_000, 60_000, 20_000)
    with caplog.at_level(logging.WARNING, "gearjobs.server"):
        uploads.note(budget)

    assert uploads.cut_off == [False, True, False]
    assert "all connections may hold 100000 bytes, this one held 60000" in caplog.text
    assert budget.cut_off == 1


@travelling
async def test_what_was_held_once_does_not_count(budget):
    uploads = Uploads(45_000, 60_000)
    budget.note(uploads.peers[0])
    uploads.finish(0)
    budget.note(uploads.peers[1])

    assert uploads.cut_off == [False, False]


@travelling
async def test_what_a_closed_connection_held_does_not_count(budget):
    uploads = Uploads(60_000, 60_000)
    budget.note(uploads.peers[0])
    budget.forget(uploads.peers[0])
    budget.note(uploads.peers[1])

    assert uploads.cut_off == [False, False]


@travelling
async def test_unread_answers_count(budget):
    uploads = Uploads(60_000)
    deaf, of_deaf = make_connection(number=2)
    of_deaf.peer_reads = False
    deaf.send(bytes(70_000))
    deaf.flush()
    uploads.note(budget)
    budget.note(deaf)

    assert (uploads.cut_off, of_deaf.is_aborted) == ([False], True)


@travelling
async def test_light_connections_do_not_count(budget):
    uploads = Uploads(*[LIGHT_BYTES] * 50)
    uploads.note(budget)

    assert not any(uploads.cut_off)
    assert all(uploads.read_from)


@travelling
async def test_budget_that_is_stopped_looks_no_more(budget):
    uploads = Uploads(31_000, 32_000)
    uploads.note(budget)
    budget.stop()
    budget.stop()

    await advance(LOOK_EVERY_S)

    assert uploads.read_from == [False, False]
