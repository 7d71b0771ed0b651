"""How fast jobs come into each function's line, and how fast workers take them out of it, lately.

The function's queue counts both since the server's start; here are kept two earlier readings of each, at least
`_SPAN_S` apart, and a rate is what came since the earlier one. So it tells of the last half a minute to a minute, costs
a job nothing, and a function that rests is back to none after that time. Retries and jobs whose time has come enter the
line, too: what enters less what is taken is what the line grows by. What stood there when the server began, came
before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gearjobs.core.function_queue import FunctionQueue
from gearjobs.core.jobs import FunctionName

#: Seconds between two readings: long enough for a steady figure, short enough to show a change.
_SPAN_S: Final = 30.0
#: Least seconds that a rate is told of: what a function has at its first reading came since the look before.
_LEAST_S: Final = 1.0


@dataclass(slots=True)
class FlowRate:
    """Jobs a second."""

    entered: float = 0.0
    taken: float = 0.0


@dataclass(slots=True)
class _Reading:
    """What a queue had counted."""

    at: float
    entered: int
    taken: int


class FlowRates:
    """The readings of one server's functions."""

    def __init__(self) -> None:
        #: The earlier and the later one of each function.
        self._readings: dict[FunctionName, tuple[_Reading, _Reading]] = {}
        self._has_begun = False

    def read(self, functions: Mapping[FunctionName, FunctionQueue], now: float) -> None:
        """Take readings where it is time; to be called about once a second."""
        for name in [name for name in self._readings if name not in functions]:
            del self._readings[name]
        for name, queue in functions.items():
            known = self._readings.get(name)
            if known is None or queue.entered < known[0].entered:
                # Its first, or that of another queue of the same name: the function was dropped and came again.
                first = _Reading(now, 0, 0) if self._has_begun else _Reading(now, queue.entered, queue.taken)
                self._readings[name] = (first, first)
            elif now - known[1].at >= _SPAN_S:
                self._readings[name] = (known[1], _Reading(now, queue.entered, queue.taken))
        self._has_begun = True

    def rate(self, queue: FunctionQueue, now: float) -> FlowRate:
        """Return the function's rates; none before its first reading."""
        known = self._readings.get(queue.name)
        if known is None or now <= known[0].at:
            return FlowRate()
        since, span_s = known[0], max(_LEAST_S, now - known[0].at)
        return FlowRate((queue.entered - since.entered) / span_s, (queue.taken - since.taken) / span_s)

    def move(self, by_s: float) -> None:
        """Move every reading, for the clock it is told by was set."""
        readings = {id(one): one for pair in self._readings.values() for one in pair}
        for reading in readings.values():
            reading.at += by_s
