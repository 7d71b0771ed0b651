"""Effects become packets: in their order, to whoever is still there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from gearjobs.core.changes import Change, Progressed
from gearjobs.core.effects import Benched, CancelNotice, Effect, News, NewsKind, OutcomeSettled, Record, Wake
from gearjobs.core.jobs import ConnectionId, FunctionName, JobHandle
from gearjobs.protocol.codec import encode_response
from gearjobs.protocol.packets import PacketType
from gearjobs.server.connection import FAR_BEHIND_BYTES, OUTPUT_LIMIT_BYTES, Connection
from gearjobs.server.deliver import Deliver
from tests.support.fake_transport import FakeTransport, QuietHandler, make_connection
from tests.support.time_travel import travelling

NOW = 1_000.0
PEER = ConnectionId(1)
JOB = JobHandle(b"H:1")


@dataclass
class Ledger:
    """Stands in for Durability: notes what it is given."""

    changes: list[Change] = field(default_factory=list)
    held: list[tuple[Connection, JobHandle, bytes, bytes | None]] = field(default_factory=list)

    def record(self, change: Change) -> None:
        self.changes.append(change)

    def hold_ended(self, connection: Connection, handle: JobHandle, reply: bytes, *, refusal: bytes | None) -> None:
        self.held.append((connection, handle, reply, refusal))


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
        self.deliver.carry_out()
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

    assert office.ledger.changes == [change]


def test_worker_that_can_keep_outcomes_is_told_that_it_need_not(office):
    office.connection.has_extensions = True

    assert office.carry_out(OutcomeSettled(PEER, JOB)) == [encode_response(PacketType.OUTCOME_SETTLED, JOB)]


def test_worker_that_is_gone_is_told_of_no_outcome(office):
    assert office.carry_out(OutcomeSettled(ConnectionId(7), JOB)) == []


def test_worker_without_the_extensions_is_told_of_no_outcome(office):
    assert office.carry_out(OutcomeSettled(PEER, JOB)) == []


@pytest.mark.parametrize(("is_forced", "word"), [(False, b"0"), (True, b"1")])
def test_worker_is_told_to_stop_a_job(office, is_forced, word):
    notice = encode_response(PacketType.CANCEL_NOTICE, JOB, word)

    assert office.carry_out(CancelNotice(PEER, JOB, is_forced)) == [notice]


def test_worker_that_is_gone_is_told_to_stop_nothing(office):
    assert office.carry_out(CancelNotice(ConnectionId(7), JOB, is_forced=False)) == []


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
    assert office.ledger.held == [(office.connection, JOB, packet, None)]


def test_news_of_a_job_that_nobody_was_told_of_are_void_if_it_is_refused(office):
    office.carry_out(News(PEER, NewsKind.FAIL, JOB, awaits_store=True, awaits_created=True))

    packet = encode_response(PacketType.WORK_FAIL, JOB)
    assert office.ledger.held == [(office.connection, JOB, packet, b"")]


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


def fall_behind(office: Office) -> None:
    office.transport.peer_reads = False
    office.connection.send(bytes(OUTPUT_LIMIT_BYTES + 1))
    office.handler.flush()


@pytest.mark.parametrize("kind", [NewsKind.STATUS, NewsKind.DATA, NewsKind.WARNING])
@travelling
async def test_worker_waits_for_a_client_that_is_behind_with_its_news(kind):
    office = Office()
    worker, of_worker = make_connection(office.handler, number=2)
    arguments = (b"1", b"2") if kind is NewsKind.STATUS else (b"1",)
    office.effects.append(News(PEER, kind, JOB, arguments))
    office.deliver.carry_out(sender=worker)
    assert of_worker.is_reading()

    fall_behind(office)
    office.effects.append(News(PEER, kind, JOB, arguments))
    office.deliver.carry_out(sender=worker)

    assert not of_worker.is_reading()
    office.connection.connection_lost(None)


@travelling
async def test_worker_does_not_wait_for_a_client_to_read_a_result():
    office = Office()
    worker, of_worker = make_connection(office.handler, number=2)
    fall_behind(office)
    office.effects.append(News(PEER, NewsKind.COMPLETE, JOB, (b"done",)))
    office.deliver.carry_out(sender=worker)

    assert of_worker.is_reading()
    office.connection.connection_lost(None)


@travelling
async def test_worker_does_not_wait_for_a_client_of_a_job_that_outlives_it():
    office = Office()
    worker, of_worker = make_connection(office.handler, number=2)
    fall_behind(office)
    news = News(PEER, NewsKind.DATA, JOB, (bytes(FAR_BEHIND_BYTES),), outlives_client=True)
    office.effects.append(news)
    office.deliver.carry_out(sender=worker)
    office.handler.flush()
    assert (of_worker.is_reading(), office.transport.is_aborted) == (True, False)

    office.effects.append(news)
    office.deliver.carry_out(sender=worker)

    assert (of_worker.is_reading(), office.transport.is_aborted) == (True, True)
    office.connection.connection_lost(None)


@travelling
async def test_nobody_waits_for_a_client_where_nobody_sent():
    office = Office()
    fall_behind(office)

    office.carry_out(News(PEER, NewsKind.DATA, JOB, (b"1",)))
    office.connection.connection_lost(None)
