"""The one timer: it rings in time, is moved only to ring earlier, and does not spin."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from gearjobs.server.timers import Timers
from tests.support.time_travel import advance, travelling, turns


@dataclass
class Alarms:
    """Things to do at their times, and when they were done; the clock is the loop's."""

    due: list[float] = field(default_factory=list)
    rang_at: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start = asyncio.get_running_loop().time()
        self.timers = Timers(lambda: min(self.due, default=None), self._ring, clock=self.now)

    def now(self) -> float:
        """Seconds since the start of the test."""
        return asyncio.get_running_loop().time() - self.start

    def set(self, due_at: float) -> None:
        self.due.append(due_at)
        self.timers.rearm()

    def _ring(self) -> None:
        self.rang_at.append(round(self.now()))
        self.due = [due_at for due_at in self.due if due_at > self.now()]


@travelling
async def test_timer_rings_when_something_is_due():
    alarms = Alarms()
    alarms.set(10)

    await advance(9)
    assert alarms.rang_at == []
    await advance(1)

    assert alarms.rang_at == [10]


@travelling
async def test_timer_rings_for_each_thing():
    alarms = Alarms()
    for due_at in (10, 20):
        alarms.set(due_at)

    await advance(10)
    await advance(10)

    assert alarms.rang_at == [10, 20]


@travelling
async def test_timer_is_moved_to_ring_earlier():
    alarms = Alarms()
    alarms.set(10)
    alarms.set(5)

    await advance(5)

    assert alarms.rang_at == [5]


@travelling
async def test_timer_that_rings_too_early_costs_one_look():
    alarms = Alarms()
    alarms.set(5)
    alarms.due = [10]
    alarms.timers.rearm()

    await advance(5)
    await advance(5)

    assert alarms.rang_at == [5, 10]


@travelling
async def test_nothing_due_sets_no_timer():
    alarms = Alarms()
    alarms.timers.rearm()

    await advance(1_000_000)

    assert alarms.rang_at == []


@travelling
async def test_clock_that_stands_still_does_not_spin_the_loop():
    rings = 0

    def ring() -> None:
        nonlocal rings
        rings += 1

    loop = asyncio.get_running_loop()
    timers = Timers(lambda: 5.0, ring, clock=lambda: 10.0)
    began = loop.time()
    timers.rearm()
    await turns(2000)
    timers.stop()

    # Once a millisecond, not once a turn.
    assert rings <= (loop.time() - began) * 1000 + 1


@travelling
async def test_stopped_timer_never_rings():
    alarms = Alarms()
    alarms.set(5)

    alarms.timers.stop()
    alarms.timers.stop()
    await advance(10)

    assert alarms.rang_at == []


@travelling
async def test_stopped_timer_is_not_set_anew():
    # Connections that ended after their server rearmed its timer, which kept all of its jobs in memory for ever.
    alarms = Alarms()
    alarms.timers.stop()
    alarms.set(5)

    await advance(10)

    assert alarms.rang_at == []
