"""What all connections hold together is bounded, and the heaviest pays."""

from __future__ import annotations

import logging

from gearjobs.protocol.packets import PacketType
from gearjobs.server.connection import Connection
from gearjobs.server.memory_budget import LIGHT_BYTES, MemoryBudget
from tests.support.fake_transport import FakeTransport, make_connection
from tests.support.wire_peer import frame

LIMIT_BYTES = 100_000
UPLOAD = frame(PacketType.ECHO_REQ, bytes(200_000))


def connections(*held: int) -> tuple[list[Connection], list[FakeTransport]]:
    """Return connections in the middle of a packet that hold so many bytes."""
    opened = [make_connection(number=number) for number in range(1, len(held) + 1)]
    for (connection, _), count in zip(opened, held, strict=True):
        connection.data_received(UPLOAD[:count])
    return [one for one, _ in opened], [transport for _, transport in opened]


def test_within_the_budget_nobody_is_cut_off():
    peers, transports = connections(50_000, 50_000)
    budget = MemoryBudget(LIMIT_BYTES)
    for peer in peers:
        budget.note(peer)

    assert [transport.is_aborted for transport in transports] == [False, False]


def test_beyond_the_budget_the_heaviest_is_cut_off(caplog):
    peers, transports = connections(30_000, 60_000, 20_000)
    budget = MemoryBudget(LIMIT_BYTES)
    with caplog.at_level(logging.WARNING, "gearjobs.server"):
        for peer in peers:
            budget.note(peer)

    assert [transport.is_aborted for transport in transports] == [False, True, False]
    assert "all connections may hold 100000 bytes, this one held 60000" in caplog.text


def test_what_was_held_once_does_not_count():
    peers, transports = connections(60_000, 60_000)
    budget = MemoryBudget(LIMIT_BYTES)
    budget.note(peers[0])
    peers[0].data_received(UPLOAD[60_000:])
    budget.note(peers[1])

    assert [transport.is_aborted for transport in transports] == [False, False]


def test_what_a_closed_connection_held_does_not_count():
    peers, transports = connections(60_000, 60_000)
    budget = MemoryBudget(LIMIT_BYTES)
    budget.note(peers[0])
    budget.forget(peers[0])
    budget.note(peers[1])

    assert [transport.is_aborted for transport in transports] == [False, False]


def test_unread_answers_count():
    (uploading,), (of_uploading,) = connections(60_000)
    deaf, of_deaf = make_connection(number=2)
    of_deaf.peer_reads = False
    deaf.send(bytes(70_000))
    deaf.flush()
    budget = MemoryBudget(LIMIT_BYTES)
    budget.note(uploading)
    budget.note(deaf)

    assert (of_uploading.is_aborted, of_deaf.is_aborted) == (False, True)


def test_light_connections_do_not_count():
    peers, transports = connections(*[LIGHT_BYTES] * 50)
    budget = MemoryBudget(LIMIT_BYTES)
    for peer in peers:
        budget.note(peer)

    assert not any(transport.is_aborted for transport in transports)
