"""When a worker holds itself back at stock servers, and what it says to them then."""

from __future__ import annotations

import logging
import math

import pytest

from gearjobs.core.quarantine import BenchRules
from gearjobs.protocol.codec import Decoder, Packet
from gearjobs.protocol.packets import REQUEST_MAGIC, PacketType
from gearjobs.worker.grab_loop import GrabLoop, GrabState
from gearjobs.worker.self_restraint import SelfRestraint

T = PacketType
RESIZE, MAIL = b"resize", b"mail"
#: Three failures are forgiven.
RULES = BenchRules(failures=3, window_s=60.0, fast_s=1.0, interval_s=3.0)


@pytest.fixture
def restraint() -> SelfRestraint:
    return SelfRestraint(RULES)


@pytest.fixture
def loop() -> GrabLoop:
    """Introduced to a stock server as one that can do both."""
    loop = introduced()
    loop.receive(Packet(T.ERROR, (b"UNKNOWN_OPTION", b"")), 0.0)
    return loop


def introduced() -> GrabLoop:
    loop = GrabLoop({RESIZE: 0.0, MAIL: 2.0}, client_id=b"w")
    loop.introduce(0.0)
    loop.take_outgoing()
    return loop


def said(loop: GrabLoop) -> list[tuple[int, tuple[bytes, ...]]]:
    decoder = Decoder(expects=REQUEST_MAGIC)
    decoder.receive(loop.take_outgoing())
    packets = []
    while isinstance(packet := decoder.next_packet(), Packet):
        packets.append((packet.type, packet.arguments))
    return packets


def fail(restraint: SelfRestraint, *ends_at: float, took_s: float = 0.01, function: bytes = RESIZE) -> None:
    for now in ends_at:
        restraint.note_end(function, is_failure=True, started_at=now - took_s, now=now)


def succeed(restraint: SelfRestraint, now: float, function: bytes = RESIZE) -> None:
    restraint.note_end(function, is_failure=False, started_at=now, now=now)


def test_function_is_withheld_after_too_many_fast_failures_in_a_row(restraint):
    fail(restraint, 1.0, 2.0, 3.0)
    assert restraint.withheld(3.0) == set()

    fail(restraint, 4.0)

    assert restraint.withheld(4.0) == {RESIZE}
    assert restraint.due_at == 7.0


def test_numbers_are_those_of_our_servers():
    restraint = SelfRestraint()
    fail(restraint, *[10.0] * BenchRules().failures)
    assert restraint.due_at == math.inf

    fail(restraint, 10.0)

    assert restraint.due_at == 10.0 + BenchRules().interval_s


def test_failures_of_another_function_do_not_count(restraint):
    fail(restraint, 1.0, 1.0, 1.0)

    fail(restraint, 1.0, 1.0, 1.0, function=MAIL)

    assert restraint.withheld(1.0) == set()


def test_success_begins_the_row_anew(restraint):
    fail(restraint, 1.0, 1.0, 1.0)
    succeed(restraint, 1.0)

    fail(restraint, 1.0, 1.0, 1.0)

    assert restraint.withheld(1.0) == set()


def test_slow_failure_begins_the_row_anew(restraint):
    fail(restraint, 1.0, 1.0, 1.0)
    fail(restraint, 2.0, took_s=1.0)

    fail(restraint, 2.0)

    assert restraint.withheld(2.0) == set()


def test_failures_that_are_far_apart_hold_nothing_back(restraint):
    fail(restraint, *(20.0 * count for count in range(20)))

    assert restraint.withheld(400.0) == set()


def test_rules_without_a_number_hold_nothing_back():
    restraint = SelfRestraint(BenchRules(failures=0))

    fail(restraint, *[1.0] * 100)

    assert restraint.withheld(1.0) == set()


def test_function_is_offered_again_when_its_time_has_come(restraint):
    fail(restraint, 1.0, 1.0, 1.0, 1.0)

    assert restraint.withheld(3.9) == {RESIZE}
    assert restraint.withheld(4.0) == set()
    assert restraint.due_at == math.inf


def test_job_that_fails_fast_again_is_followed_by_the_next_pause(restraint):
    fail(restraint, 1.0, 1.0, 1.0, 1.0)
    restraint.withheld(4.0)

    fail(restraint, 4.5)

    assert restraint.withheld(4.5) == {RESIZE}
    assert restraint.due_at == 7.5


@pytest.mark.parametrize("end", [succeed, lambda restraint, now: fail(restraint, now, took_s=1.5)])
def test_one_success_or_slow_failure_ends_it(restraint, end):
    fail(restraint, 1.0, 1.0, 1.0, 1.0)
    restraint.withheld(4.0)

    end(restraint, 5.0)
    fail(restraint, 5.0, 5.0, 5.0)

    assert restraint.withheld(5.0) == set()


def test_success_within_the_pause_ends_it_at_once(restraint):
    fail(restraint, 1.0, 1.0, 1.0, 1.0)

    succeed(restraint, 1.5)

    assert restraint.withheld(1.5) == set()
    assert restraint.due_at == math.inf


def test_begin_and_end_are_logged_once_each(restraint, caplog):
    caplog.set_level(logging.INFO, "gearjobs.worker")
    fail(restraint, *[1.0] * 10)
    succeed(restraint, 2.0)
    succeed(restraint, 3.0)

    levels = [record.levelno for record in caplog.records]
    assert levels == [logging.WARNING, logging.INFO]
    assert "function=resize fast_failures=4 one_job_every_s=3" in caplog.messages[0]


def test_stock_server_is_told_what_is_held_back_and_what_no_longer(loop):
    loop.hold_back(frozenset({MAIL}))
    loop.hold_back(frozenset({MAIL}))
    assert said(loop) == [(T.CANT_DO, (MAIL,))]

    loop.hold_back(frozenset({RESIZE}))

    assert said(loop) == [(T.CANT_DO, (RESIZE,)), (T.CAN_DO_TIMEOUT, (MAIL, b"2000"))]


def test_sleeper_is_to_ask_when_a_function_is_offered_again(loop):
    loop.hold_back(frozenset({MAIL}))
    loop.grab_job(0.0)
    loop.receive(Packet(T.NO_JOB, ()), 0.0)

    loop.hold_back(frozenset())

    assert (loop.state, loop.due_at) == (GrabState.AWAKE, math.inf)


def test_sleeper_sleeps_on_when_a_function_is_held_back(loop):
    loop.grab_job(0.0)
    loop.receive(Packet(T.NO_JOB, ()), 0.0)

    loop.hold_back(frozenset({MAIL}))

    assert loop.state is GrabState.ASLEEP


def test_who_may_be_handed_a_job_holds_back_later(loop):
    loop.grab_job(0.0)
    loop.take_outgoing()
    loop.hold_back(frozenset({MAIL}))
    assert said(loop) == []

    loop.receive(Packet(T.NO_JOB, ()), 0.0)
    loop.hold_back(frozenset({MAIL}))

    assert said(loop) == [(T.PRE_SLEEP, ()), (T.CANT_DO, (MAIL,))]


def test_server_with_extensions_is_told_nothing():
    loop = introduced()
    loop.hold_back(frozenset({MAIL}))
    loop.receive(Packet(T.OPTION_RES, (b"gearjobs/1",)), 0.0)

    loop.hold_back(frozenset({MAIL}))

    assert said(loop) == []


def test_quiet_worker_that_rises_holds_back_what_it_held_back(loop):
    loop.hold_back(frozenset({MAIL}))
    loop.rest()
    loop.hold_back(frozenset({MAIL}))
    loop.take_outgoing()

    loop.rise()
    loop.hold_back(frozenset({MAIL}))

    assert said(loop) == [(T.CAN_DO, (RESIZE,)), (T.CAN_DO_TIMEOUT, (MAIL, b"2000")), (T.CANT_DO, (MAIL,))]
