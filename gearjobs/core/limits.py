"""How many jobs of a key run, how many started lately, and so whether one more may start.

A job that a worker holds has a slot of each of its keys, from its start to the end of its run, however that comes; an
orphan has its slots as well, for it may be running. A rate is kept by the times of the starts themselves (a sliding
window), not by tokens that fill up again: in no stretch of `per_s` seconds do more than `rate` jobs start, and so many
may start at once where none did before. Above `EXACT_STARTS` the times are rounded up by at most a thousandth of the
stretch. What this server does not see it does not count: the limits of other servers, and, after a restart, starts
before it but for those of runs that go on. Where two jobs state one key with different numbers, each is held to its
own; slots and starts are those of the key. A job that needs several slots starts when it can have all of them at once,
and reserves none before: under constant pressure jobs with fewer limits are luckier. Jobs that must wait are parked by
`limited_line`, which is told here when a limit opens.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from typing import Final, Protocol

from gearjobs.core.jobs import FunctionName
from gearjobs.core.terms import Limit

#: Starts that are kept one by one: 64 KiB for a key that is busy.
EXACT_STARTS: Final = 1000
#: Limits up to which looking for those that nobody needs any more is not worth its while: some 500 KiB.
_SWEEP_FROM: Final = 1024


class Gate(Protocol):
    """Where jobs of one function wait for a limit to open."""

    function: FunctionName

    def reopen(self) -> None:
        """The limit may let one of them through."""


class StartWindow:
    """The starts of a key's jobs, as far back as one limit looks."""

    __slots__ = ("_grain_s", "_per_s", "_rate", "_starts", "count")

    def __init__(self, limit: Limit) -> None:
        self._rate = limit.rate
        self._per_s = limit.per_s
        self._grain_s = 0.0 if limit.rate <= EXACT_STARTS else limit.per_s / EXACT_STARTS
        #: Of starts that are kept together the first one's time, the last one's, and their number; oldest first.
        self._starts: deque[tuple[float, float, int]] = deque()
        #: Starts in the window, as of the last `forget`.
        self.count = 0

    def add(self, now: float) -> None:
        """Note a start."""
        self.count += 1
        if self._starts and self._starts[-1][0] + self._grain_s > now:
            first_at, last_at, number = self._starts.pop()
            self._starts.append((first_at, max(last_at, now), number + 1))
        else:
            self._starts.append((now, now, 1))

    def forget(self, now: float) -> None:
        """Forget the starts that are out of the window."""
        while self._starts and self._starts[0][1] + self._per_s <= now:
            self.count -= self._starts.popleft()[2]

    @property
    def has_room(self) -> bool:
        """Whether one more may start."""
        return self.count < self._rate

    def opens_at(self) -> float:
        """Return the unix seconds at which it has room; it must have none."""
        too_many = self.count - self._rate
        for _, last_at, number in self._starts:
            too_many -= number
            if too_many < 0:
                return last_at + self._per_s
        raise AssertionError(f"a window of {self.count} starts, {self._rate} allowed, has no room whatever leaves it")

    def take_over(self, other: StartWindow) -> None:
        """Begin with what another window of the same key knows."""
        self._starts.extend(other._starts)
        self.count = other.count

    def move(self, by_s: float) -> None:
        """Move every start, for the clock it is told by was set."""
        self._starts = deque((first_at + by_s, last_at + by_s, number) for first_at, last_at, number in self._starts)


class Throttle:
    """One limit as jobs state it; all jobs that state it alike share it."""

    __slots__ = ("due_at", "gates", "is_open", "key", "limit", "waiting", "window")

    def __init__(self, key: LimitedKey, limit: Limit) -> None:
        self.key = key
        self.limit = limit
        self.window = StartWindow(limit) if limit.rate else None
        #: Whether it lets one more job start.
        self.is_open = True
        #: Waiting jobs that state it, wherever they are parked.
        self.waiting = 0
        #: Where jobs are parked for it.
        self.gates: dict[FunctionName, Gate] = {}
        #: Unix seconds at which it is looked at again; 0 while that is not needed.
        self.due_at = 0.0

    @property
    def has_slot(self) -> bool:
        """Whether its concurrency allows one more job."""
        return not self.limit.concurrency or self.key.running < self.limit.concurrency

    @property
    def has_start(self) -> bool:
        """Whether its rate allows one more job, as of the last look at the clock."""
        return self.window is None or self.window.has_room

    def is_idle(self, now: float) -> bool:
        """Whether nothing would be forgotten with it."""
        if self.window is not None:
            self.window.forget(now)
        return not (self.waiting or self.due_at or (self.window is not None and self.window.count))


class LimitedKey:
    """One key that jobs name in their limits."""

    __slots__ = ("running", "throttles")

    def __init__(self) -> None:
        #: Jobs that have a slot.
        self.running = 0
        self.throttles: dict[Limit, Throttle] = {}


class Throttles:
    """All limits of a server.

    A limit opens at an end of a run or in `open_due`, and at no other time: what is open may be known without a clock.
    """

    def __init__(self) -> None:
        self._keys: dict[str, LimitedKey] = {}
        #: Limits whose rate is used up, by the time at which it allows one more; the number keeps equal times apart.
        self._heap: list[tuple[float, int, Throttle, StartWindow]] = []
        self._arrivals = 0
        self._count = 0
        self._sweep_at = _SWEEP_FROM
        #: The latest time it was told.
        self._now = 0.0

    def find(self, limits: Iterable[Limit]) -> tuple[Throttle, ...]:
        """Return the limits' throttles, made at their first mention; they last while jobs wait, run or count."""
        if self._count >= self._sweep_at:
            self._sweep()
        return tuple(self._throttle(limit) for limit in limits)

    def begin(self, limits: Iterable[Limit], *, now: float) -> None:
        """A job with these limits has started, whether they allowed it or not."""
        self._now = now
        for key in {throttle.key: None for throttle in self.find(limits)}:
            key.running += 1
            for throttle in key.throttles.values():
                if throttle.window is not None:
                    throttle.window.forget(now)
                    throttle.window.add(now)
                self._look_at(throttle)

    def end(self, limits: Iterable[Limit]) -> list[FunctionName]:
        """The run of a job with these limits is over; return the functions of which another may start now."""
        functions: dict[FunctionName, None] = {}
        for key in {throttle.key: None for throttle in self.find(limits)}:
            key.running -= 1
            for throttle in key.throttles.values():
                self._look_at(throttle, opened=functions)
        return list(functions)

    def open_due(self, now: float) -> list[FunctionName]:
        """Look at the limits whose time has come; return the functions of which a job may start now."""
        self._now = now
        functions: dict[FunctionName, None] = {}
        while self._heap and self._heap[0][0] <= now:
            _, _, throttle, window = heapq.heappop(self._heap)
            throttle.due_at = 0.0
            window.forget(now)
            self._look_at(throttle, opened=functions)
        return list(functions)

    def next_due(self) -> float | None:
        """Return the unix seconds at which `open_due` has something to do, or None; never later than the truth."""
        return self._heap[0][0] if self._heap else None

    def move(self, by_s: float) -> None:
        """Move every start, for the clock it is told by was set."""
        self._now += by_s
        for key in self._keys.values():
            for throttle in key.throttles.values():
                if throttle.window is not None:
                    throttle.window.move(by_s)
        moved = []
        for due_at, number, throttle, window in self._heap:
            throttle.due_at = due_at + by_s
            moved.append((throttle.due_at, number, throttle, window))
        self._heap = moved

    def _throttle(self, limit: Limit) -> Throttle:
        key = self._keys.get(limit.key)
        if key is None:
            key = self._keys[limit.key] = LimitedKey()
        throttle = key.throttles.get(limit)
        if throttle is None:
            throttle = Throttle(key, limit)
            if throttle.window is not None:
                _inherit(throttle.window, key)
            key.throttles[limit] = throttle
            self._count += 1
            self._look_at(throttle)
        return throttle

    def _look_at(self, throttle: Throttle, *, opened: dict[FunctionName, None] | None = None) -> None:
        """Open or close a limit, and see to it that it is looked at when its rate allows one more."""
        window = throttle.window
        throttle.is_open = throttle.has_slot and throttle.has_start
        if throttle.is_open and opened is not None:
            for gate in throttle.gates.values():
                gate.reopen()
                opened[gate.function] = None
        if window is not None and not window.has_room and not throttle.due_at:
            self._arrivals += 1
            throttle.due_at = window.opens_at()
            heapq.heappush(self._heap, (throttle.due_at, self._arrivals, throttle, window))

    def _sweep(self) -> None:
        for key in self._keys.values():
            key.throttles = {limit: one for limit, one in key.throttles.items() if not one.is_idle(self._now)}
        self._keys = {name: key for name, key in self._keys.items() if key.running or key.throttles}
        self._count = sum(len(key.throttles) for key in self._keys.values())
        # Twice what is left, so that each limit is looked at a constant number of times.
        self._sweep_at = max(_SWEEP_FROM, 2 * self._count)


def _inherit(window: StartWindow, key: LimitedKey) -> None:
    """Let a new limit know what the key's widest one knows: new numbers must not forget what has started."""
    known = [throttle for throttle in key.throttles.values() if throttle.window is not None]
    widest = max(known, key=lambda throttle: throttle.limit.per_s, default=None)
    if widest is not None and widest.window is not None:
        window.take_over(widest.window)
