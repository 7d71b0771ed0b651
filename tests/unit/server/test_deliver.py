"""Effects become packets: in their order, to whoever is still there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from gearjobs.core.changes import Change, Progressed
from gearjobs.core.effects import Benched, Effect, News, NewsKind, Record, Wake
from gearjobs.core.jobs import ConnectionId, FunctionName, JobHandle
from gearjobs.protocol.codec import encode_response
from gearjobs.protocol.packets import PacketType
from gearjobs.server.connection import Connection
from gearjobs.server.deliver import Deliver
from tests.support.fake_transport import FakeTransport, QuietHandler, make_connection

NOW = 1_000.0
PEER = ConnectionId(1)
JOB = JobHandle(b"H:1")


@dataclass
class Ledger:
    """Stands in for Durability: notes what it is given."""

    changes: list[tuple[Change, float]] = field(default_factory=list)
    held: list[tuple[Connection, JobHandle, bytes]] = field(default_factory=list)

    def record(self, change: Change, *, now: float) -> None:
        self.changes.append((change, now))

    def hold_ended(self, connection: Connection, handle: JobHandle, reply: bytes) -> None:
        self.held.append((connection, handle, reply))


class Office:
    """A Deliver with one peer."""

    def __init__(self) -> None:
        self.effects: list[Effect] = []
        self.ledger = Ledger()
        self.handler = QuietHandler()
        self.connection, self.transport = make_connection(self.handler, number=PEER)
        self.deliver = Deliver(self.effects, {PEER: self.connection}, self.ledger)  # type: ignore[arg-type]  # a stand-in

    def carry_out(self, *effects: Effect) -> list[bytes]:
        """Have the effects carried out; return what the peer read."""
        self.effects += effects
        self.deliver.carry_out(NOW)
        self.handler.flush()
        return self.transport.read


@pytest.fixture
def office() -> Iterator[Office]:
    office = Office()
    assert isinstance(office.transport, FakeTransport)
    yield office
    assert office.effects == []


def test_change_goes_to_the_store(office):
    change = Progressed(JOB, 1.0, 2.0, "", NOW)

    assert office.carry_out(Record(change)) == []

    assert office.ledger.changes == [(change, NOW)]


def test_wake_is_a_noop(office):
    assert office.carry_out(Wake(PEER)) == [encode_response(PacketType.NOOP)]


@pytest.mark.parametrize(
    ("kind", "arguments", "packet"),
    [
        (NewsKind.STATUS, (b"1", b"2"), PacketType.WORK_STATUS),
        (NewsKind.DATA, (b"a\0b",), PacketType.WORK_DATA),
        (NewsKind.WARNING, (b"ink",), PacketType.WORK_WARNING),
        (NewsKind.COMPLETE, (b"done",), PacketType.WORK_COMPLETE),
        (NewsKind.FAIL, (), PacketType.WORK_FAIL),
        (NewsKind.EXCEPTION, (b"no paper",), PacketType.WORK_EXCEPTION),
    ],
)
def test_each_kind_of_news_is_its_packet(office, kind, arguments, packet):
    assert office.carry_out(News(PEER, kind, JOB, arguments)) == [encode_response(packet, JOB, *arguments)]


def test_every_kind_of_news_has_a_packet(office):
    for kind in NewsKind:
        arguments = (b"1", b"2") if kind is NewsKind.STATUS else () if kind is NewsKind.FAIL else (b"1",)
        office.carry_out(News(PEER, kind, JOB, arguments))


def test_news_that_await_the_store_are_held(office):
    assert office.carry_out(News(PEER, NewsKind.COMPLETE, JOB, (b"done",), awaits_store=True)) == []

    packet = encode_response(PacketType.WORK_COMPLETE, JOB, b"done")
    assert office.ledger.held == [(office.connection, JOB, packet)]


def test_news_for_a_peer_that_is_gone_are_dropped(office):
    assert office.carry_out(News(ConnectionId(9), NewsKind.COMPLETE, JOB, (b"done",))) == []


def test_effects_are_carried_out_in_their_order(office):
    read = office.carry_out(News(PEER, NewsKind.DATA, JOB, (b"1",)), Wake(PEER), News(PEER, NewsKind.FAIL, JOB))

    assert read == [
        encode_response(PacketType.WORK_DATA, JOB, b"1")
        + encode_response(PacketType.NOOP)
        + encode_response(PacketType.WORK_FAIL, JOB)
    ]


def test_benched_worker_is_logged(office, caplog):
    office.carry_out(Benched(PEER, FunctionName(b"re\nsize")))

    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "bench peer=10.0.0.7:5121 function=re\\x0asize: it fails fast, and gets only some of its jobs")
    ]
