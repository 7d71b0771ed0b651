"""What an operator says of a function: pause it, and how many of its jobs may wait, run, and start in a time.

A function that is held up (`function_brake`) hands out nothing and wakes nobody; its jobs wait as they would, in their
order, and are counted as ever. What runs goes on. Limits are those of this one server; those that jobs state themselves
(`limits`) hold beside them. What is said of a function outlives the function: it may be dropped and come again. Who
says it, and where it is kept, is the server's matter.
"""

from __future__ import annotations

from collections.abc import Iterator

from gearjobs.core.function_brake import NO_CONTROL, FunctionBrake, QueueControl
from gearjobs.core.function_queue import NO_LIMITS, FunctionQueue
from gearjobs.core.jobs import FunctionName
from gearjobs.core.limits import StartWindow


class QueueControls:
    """What operators say of all functions of a server."""

    def __init__(self) -> None:
        self._brakes: dict[FunctionName, FunctionBrake] = {}
        #: Functions whose rate is used up, and the unix seconds at which it allows one more start.
        self._due: dict[FunctionName, float] = {}

    def __iter__(self) -> Iterator[FunctionName]:
        """Go through the functions of which something is said."""
        return iter(list(self._brakes))

    def find(self, name: FunctionName) -> QueueControl:
        """Return what is said of the function."""
        brake = self._brakes.get(name)
        return NO_CONTROL if brake is None else brake.control

    def say(self, name: FunctionName, control: QueueControl, *, now: float) -> None:
        """Let this be all that is said of the function; starts that count already go on counting."""
        old = self._brakes.pop(name, None)
        self._due.pop(name, None)
        if control == NO_CONTROL:
            return
        brake = self._brakes[name] = FunctionBrake(control)
        if brake.window is not None and old is not None and old.window is not None:
            brake.window.take_over(old.window)
            self._look_at(name, brake.window, now=now)

    def fit(self, queue: FunctionQueue) -> None:
        """Let the queue obey what is said of its function."""
        brake = self._brakes.get(queue.name)
        had_limits = queue.brake is not None and queue.brake.control.max_jobs is not None
        queue.brake = brake
        if brake is not None and brake.control.max_jobs is not None:
            queue.limits = brake.control.max_jobs
        elif had_limits:
            queue.limits = NO_LIMITS

    def note_start(self, queue: FunctionQueue, *, now: float) -> None:
        """Count a start of a job of a function of which something is said."""
        window = None if queue.brake is None else queue.brake.window
        if window is not None:
            window.forget(now)
            window.add(now)
            self._look_at(queue.name, window, now=now)

    def open_due(self, now: float) -> list[FunctionName]:
        """Look at the rates whose time has come; return the functions of which one more may start by them."""
        due = [name for name, due_at in self._due.items() if due_at <= now]
        for name in due:
            window = self._brakes[name].window
            if window is None:
                raise AssertionError(f"function {name!r} waits for a rate that it has not")
            self._look_at(name, window, now=now)
        return [name for name in due if name not in self._due]

    def next_due(self) -> float | None:
        """Return the unix seconds at which `open_due` has something to do, or None; never later than the truth."""
        return min(self._due.values()) if self._due else None

    def move(self, by_s: float) -> None:
        """Move every start, for the clock it is told by was set."""
        for brake in self._brakes.values():
            if brake.window is not None:
                brake.window.move(by_s)
        self._due = {name: due_at + by_s for name, due_at in self._due.items()}

    def _look_at(self, name: FunctionName, window: StartWindow, *, now: float) -> None:
        window.forget(now)
        if window.has_room:
            self._due.pop(name, None)
        else:
            self._due[name] = window.opens_at()
