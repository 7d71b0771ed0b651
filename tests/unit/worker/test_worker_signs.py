"""When a worker tells its servers of itself, and what it hears."""

from __future__ import annotations

import math

import pytest

from gearjobs.protocol.codec import Packet
from gearjobs.protocol.packets import PacketType
from gearjobs.protocol.worker_report import WorkerState
from gearjobs.worker.grab_loop import GrabLoop
from gearjobs.worker.holding.held_work import HeldWork
from gearjobs.worker.worker_signs import REPORT_EVERY_S, REPORT_PAUSE_S, WorkerSigns


class Stage:
    """A worker at one server."""

    def __init__(self) -> None:
        self.state = WorkerState.IDLE
        self.heard: list[str] = []
        self.signs = WorkerSigns(lambda: self.state, source=lambda state: state.encode(), on_control=self.heard.append)
        self.grab_loop = GrabLoop({b"f": 0.0}, client_id=b"w")
        self.grab_loop.introduce(0.0)
        self.grab_loop.receive(Packet(PacketType.OPTION_RES, (b"gearjobs/1",)), 0.0)
        self.grab_loop.take_outgoing()

    def said(self) -> bytes:
        """Return the body of what was said, without its header."""
        return self.grab_loop.take_outgoing()[12:]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_server_is_told_when_it_begins_to_be_served(stage):
    stage.signs.greet(stage.grab_loop, 100.0)

    assert stage.said() == b"idle"
    assert stage.signs.due_at == 100.0 + REPORT_EVERY_S


def test_change_is_told_soon(stage):
    stage.signs.greet(stage.grab_loop, 100.0)
    stage.said()

    stage.state = WorkerState.QUIET
    assert stage.signs.due_at == 100.0 + REPORT_PAUSE_S
    stage.signs.tell([stage.grab_loop], 101.0)

    assert stage.said() == b"quiet"
    assert stage.signs.due_at == 101.0 + REPORT_EVERY_S


def test_second_server_does_not_put_off_what_the_first_is_to_hear(stage):
    stage.signs.greet(stage.grab_loop, 100.0)
    stage.state = WorkerState.BUSY

    stage.signs.greet(stage.grab_loop, 110.0)

    assert stage.signs.due_at == 100.0 + REPORT_PAUSE_S


def test_worker_without_a_report_says_nothing(stage):
    signs = WorkerSigns()

    signs.greet(stage.grab_loop, 0.0)
    signs.tell([stage.grab_loop], 0.0)

    assert (stage.said(), signs.due_at) == (b"", math.inf)


def test_stock_server_is_told_nothing(stage):
    stock = GrabLoop({b"f": 0.0}, client_id=b"w")

    stage.signs.greet(stock, 0.0)

    assert stock.take_outgoing() == b""


def test_words_of_operators_are_handed_on_once(stage):
    held = HeldWork()
    stage.grab_loop.receive(Packet(PacketType.WORKER_CONTROL, (b"quiet",)), 0.0)
    held.hear(stage.grab_loop, 0.0)

    stage.signs.hear(held)
    stage.signs.hear(held)

    assert stage.heard == ["quiet"]
