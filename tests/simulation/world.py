"""The simulated world: one true time, one source of chance, hosts whose clocks are wrong, and processes that may stop.

Events are calls at a time, carried out one after the other in one thread; what a process is given to do while it is
stopped (SIGSTOP) waits until it goes on, and is dropped when it dies. Nothing here knows of jobs. The same seed makes
the same run, so no part may take chance, time or an order (of a set, of ids) from anywhere else.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random
from typing import Any

from tests.support.journal import Disturbed, Event

#: Unix seconds at which every run begins.
EPOCH = 1_800_000_000.0


class World:
    """Time, chance and the journal of one run."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        #: True seconds since the run began.
        self.now = 0.0
        self.journal: list[Event] = []
        #: What went wrong inside of a simulated part: bugs that rose.
        self.events_done = 0
        self._heap: list[tuple[float, int, Process | None, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0

    def call_at(self, at: float, process: Process | None, call: Callable[..., None], *arguments: Any) -> None:
        """Let the process do something at a true time; without one it happens whatever becomes of anybody."""
        self._count += 1
        heapq.heappush(self._heap, (at, self._count, process, call, arguments))

    def call_in(self, delay_s: float, process: Process | None, call: Callable[..., None], *arguments: Any) -> None:
        """Let the process do something after so many true seconds."""
        self.call_at(self.now + delay_s, process, call, *arguments)

    def run(self, until: float, *, is_over: Callable[[], bool]) -> None:
        """Carry out what is due until a true time, or until `is_over` says so, which is asked now and then."""
        heap, pop = self._heap, heapq.heappop
        count = 0
        while heap and heap[0][0] <= until:
            at, _, process, call, arguments = pop(heap)
            self.now = at
            count += 1
            if process is None:
                call(*arguments)
            elif process.is_alive:
                if process.is_stopped:
                    process.put_off.append((call, arguments))
                else:
                    call(*arguments)
            if not count & 15 and is_over():
                break
        self.events_done += count

    def disturb(self, duration_s: float, who: str = "") -> None:
        """Note that less is to be asked of somebody for so long."""
        self.journal.append(Disturbed(self.now, self.now + duration_s, who))


class Host:
    """A machine: its name and its two clocks.

    Args:
        world: where it stands.
        name: what it is called.
        rate: seconds its clocks count in a true second.
        wall_offset_s: how wrong its wall clock is at the beginning.
    """

    def __init__(self, world: World, name: str, *, rate: float = 1.0, wall_offset_s: float = 0.0) -> None:
        self.world = world
        self.name = name
        self.rate = rate
        self._wall_offset_s = EPOCH + wall_offset_s

    def monotonic(self) -> float:
        """Return seconds of the clock that never jumps."""
        return 1000.0 + self.world.now * self.rate

    def wall(self) -> float:
        """Return unix seconds, as far as this host knows."""
        return self._wall_offset_s + self.world.now * self.rate

    def step_wall(self, by_s: float) -> None:
        """Set the wall clock forward or back."""
        self._wall_offset_s += by_s

    def set_right(self) -> None:
        """Set the wall clock to the true time."""
        self._wall_offset_s = EPOCH + self.world.now * (1.0 - self.rate)


class Process:
    """Something that can be stopped, continued and killed.

    Args:
        host: where it runs.
        name: what it is called.
    """

    def __init__(self, host: Host, name: str) -> None:
        self.host = host
        self.world = host.world
        self.name = name
        self.is_alive = True
        self.is_stopped = False
        self.put_off: list[tuple[Callable[..., None], tuple[Any, ...]]] = []

    def later(self, delay_s: float, call: Callable[..., None], *arguments: Any) -> None:
        """Do something after so many seconds of this host's clock."""
        self.world.call_at(self.world.now + delay_s / self.host.rate, self, call, *arguments)

    def stop(self) -> None:
        """SIGSTOP."""
        self.is_stopped = True

    def go_on(self) -> None:
        """SIGCONT: do what came meanwhile, in the order in which it came."""
        if not self.is_stopped:
            return
        self.is_stopped = False
        put_off, self.put_off = self.put_off, []
        for place, (call, arguments) in enumerate(put_off):
            if not self.is_alive:
                return
            if self.is_stopped:
                self.put_off = put_off[place:] + self.put_off
                return
            call(*arguments)

    def die(self) -> None:
        """Be gone, without a word."""
        self.is_alive = False
        self.put_off.clear()
