"""A server's session with the shared table: one call at a time, answered late, lost, or refused.

A call travels to the table, happens there at one moment (or never), and its answer travels back. Whoever hears nothing
in time takes the call for failed, though it may have happened or may yet happen: that is how databases fail. The next
call then comes from a new session. The line itself decides nothing about jobs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gearjobs.errors import StoreError
from tests.simulation.network import Network
from tests.simulation.shared_table import Session, SharedTable
from tests.simulation.world import Process

#: Seconds after which a server's session gives a call up.
CALL_TIMEOUT_S = 2.0
#: Seconds that a transaction takes at the table.
WORK_S = (0.0005, 0.004)


@dataclass(slots=True)
class StoreWeather:
    """What goes wrong at the table itself."""

    #: True seconds until which it answers nobody.
    down_until: float = 0.0
    #: Whether it then refuses at once (a stopped server) or hangs.
    hangs: bool = False
    #: Share of the calls whose answer is lost, though they happened.
    lost_share: float = 0.0
    #: Share of the calls that take longer, and up to how long.
    slow_share: float = 0.0
    slow_s: float = 0.0


class StoreLine:
    """What a server calls the table through.

    Args:
        process: the server.
        table: the table.
        network: what lies between.
        weather: what goes wrong at the table.
    """

    def __init__(self, process: Process, table: SharedTable, network: Network, weather: StoreWeather) -> None:
        self._process = process
        self._table = table
        self._network = network
        self._weather = weather
        self._session_number = 0
        self._call_number = 0

    def call(
        self,
        incarnation: str,
        work: Callable[[Session], Any],
        then: Callable[[Any, StoreError | None], None],
    ) -> None:
        """Let the table do something, and call back with its answer or its error."""
        world, process = self._process.world, self._process
        self._call_number += 1
        number = self._call_number
        session = Session(incarnation, process.host.name, self._session_number)
        process.later(CALL_TIMEOUT_S, self._time_out, number, then)
        chance = world.chance.random
        weather = self._weather
        if weather.down_until > world.now and not weather.hangs:
            world.call_in(0.002, process, self._answer, number, then, None, _refusal())
            return
        at = self._network.arrives_at(process.host, self._table.host) + WORK_S[0] + WORK_S[1] * chance()
        if weather.slow_share and chance() < weather.slow_share:
            at += weather.slow_s * chance()
        if weather.down_until > world.now:
            at = max(at, weather.down_until + 0.1 * chance())
        if at < float("inf"):
            world.call_at(at, None, self._execute, session, number, work, then)

    def _execute(self, session: Session, number: int, work: Callable[[Session], Any], then: Any) -> None:
        world, weather = self._process.world, self._weather
        answer, failure = None, None
        try:
            answer = work(session)
        except StoreError as error:
            failure = error
        if weather.lost_share and world.chance.random() < weather.lost_share:
            return
        at = self._network.arrives_at(self._table.host, self._process.host)
        if at < float("inf"):
            world.call_at(at, self._process, self._answer, number, then, answer, failure)

    def _time_out(self, number: int, then: Callable[[Any, StoreError | None], None]) -> None:
        if number == self._call_number:
            self._answer(number, then, None, StoreError("the database did not answer in time", is_outage=True))

    def _answer(
        self, number: int, then: Callable[[Any, StoreError | None], None], answer: Any, failure: StoreError | None
    ) -> None:
        if number != self._call_number:
            return
        # No other answer of this call counts from here on.
        self._call_number += 1
        if failure is not None and failure.is_outage:
            self._session_number += 1
        then(answer, failure)


def _refusal() -> StoreError:
    return StoreError("the database refuses connections", is_outage=True)
