"""How many processes a group is to have between its least and its most: by backlog, as mod_gearman's workers do it.

Pure. A worker does not know how long the queue is, but it hears when there is nothing in it: NO_JOB. While no lane of
the group heard that for a while, work waits or is about to (a process is started, one a look); a process that has had
nothing to do for long is ended, one a look. So there is room for one more job wherever it is affordable, and a machine
that is overloaded already gets no further process.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

#: Seconds from one look to the next; mod_gearman starts one worker a second by default.
LOOK_EVERY_S: Final = 1.0


class Scaling(Enum):
    """What is to be done to a group."""

    STAY = "stay"
    GROW = "grow"
    SHRINK = "shrink"


@dataclass(frozen=True, slots=True)
class ScaleRules:
    """How a group grows and shrinks."""

    #: Processes it has at least and at most; the same number for a group that does neither.
    least: int
    most: int
    #: Seconds without a job after which a process beyond the least is ended.
    idle_timeout_s: float = 30.0
    #: Load average of the machine (1 minute) from which on the group does not grow; 0 for any.
    max_load: float = 0.0


@dataclass(frozen=True, slots=True)
class ProcessLoad:
    """One process of a group, at a look."""

    #: Which one.
    index: int
    #: How often its lanes have heard that there is no job, since its start.
    idle_turns: int
    #: Lanes that know of no job at the moment.
    idle_lanes: int
    #: Seconds since which all its lanes know of none; 0 while one is busy.
    idle_for_s: float
    #: Whether it is connected to a job server: without one it hears of nothing.
    has_servers: bool = True


class GroupScaler:
    """Decides for one group.

    Args:
        rules: how it grows and shrinks.
    """

    def __init__(self, rules: ScaleRules) -> None:
        self._rules = rules
        # Idle turns by process at the last look.
        self._idle_turns: dict[int, int] = {}

    def look(self, processes: Iterable[ProcessLoad], *, load: float) -> tuple[Scaling, int]:
        """Decide once.

        Args:
            processes: those that run and were not told to end.
            load: the machine's load average.

        Returns:
            What to do, and the process to be ended, -1 where none is.
        """
        now = list(processes)
        has_backlog = bool(now) and all(
            one.has_servers and not one.idle_lanes and one.idle_turns == self._idle_turns.get(one.index, 0)
            for one in now
        )
        self._idle_turns = {one.index: one.idle_turns for one in now}
        if has_backlog and len(now) < self._rules.most and not 0 < self._rules.max_load <= load:
            return Scaling.GROW, -1
        rested = [one for one in now if one.idle_for_s >= self._rules.idle_timeout_s]
        if rested and len(now) > self._rules.least:
            # The last one: the first keep what they have cached.
            return Scaling.SHRINK, max(one.index for one in rested)
        return Scaling.STAY, -1
