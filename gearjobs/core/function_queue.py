"""The waiting jobs of one function, and who serves it.

Order: higher priority first, then first come, first served; a job that comes back from a lost worker stands at the end
of its priority, as in gearmand. A dropped job leaves the counts at once and its place in the line when the line reaches
it, or when the dropped outnumber the waiting. Which worker gets a job is decided in `assignment`, whom to wake in
`abilities`. While the stored jobs are held (`hold_stored`), only the others are taken: those that stand in the way are
put aside, and back before all later ones when they are released. They are counted as waiting all the time. Jobs with
limits stand in a line of their own (`limited_line`), and take turns with the others by priority and age; while the
stored ones are held, none of them is taken. None at all is while the function's brake holds (`function_brake`).
"""

from __future__ import annotations

from bisect import insort
from collections import OrderedDict, deque
from typing import Final

from gearjobs.core.function_brake import FunctionBrake
from gearjobs.core.jobs import ConnectionId, FunctionName, Job, JobState, lane_of
from gearjobs.core.limited_line import LimitedLine

#: Dropped jobs up to which sweeping the lines is not worth its while: some 100 KiB.
_SWEEP_FROM: Final = 256
#: Lines, one a priority, up to which empty ones are kept: the next job of the priority is probably on its way.
_KEPT_LINES: Final = 8
#: Limits of a function that takes any number of jobs.
NO_LIMITS: Final = (0, 0, 0)

_WAITING: Final = JobState.WAITING


class FunctionQueue:
    """Everything the server knows of one function."""

    def __init__(self, name: FunctionName) -> None:
        self.name = name
        #: Waiting jobs per lane: high, normal, low.
        self.waiting: list[int] = [0, 0, 0]
        self.running = 0
        #: Jobs not due yet.
        self.delayed = 0
        #: Jobs whose acceptance is not committed yet.
        self.storing = 0
        #: How many jobs may be there, whatever their priority, when one of this lane comes (`maxqueue`); 0: any number.
        self.limits: tuple[int, int, int] = NO_LIMITS
        #: Connections of the workers that can do it.
        self.workers: set[ConnectionId] = set()
        #: Those among them that fail fast at it and get a job only now and then; see `quarantine`.
        self.benched: set[ConnectionId] = set()
        #: The sleeping ones among them, in the order in which they are to be called: who only waits with a grab first,
        #: then longest asleep first.
        self.sleepers: OrderedDict[ConnectionId, None] = OrderedDict()
        #: Calls to workers in a row that nobody answered in time; see `abilities`.
        self.unheard_calls = 0
        self._lines: dict[int, deque[Job]] = {}
        #: Negated priorities that have a line, smallest (most urgent) first.
        self._urgencies: list[int] = []
        #: Jobs withdrawn since the last sweep; those among them that the line has not reached are still in it.
        self._withdrawn = 0
        #: True while no background job may be taken.
        self.is_held = False
        #: Background jobs that stood at the head of their lines while they were held, in their order.
        self._aside: dict[int, deque[Job]] = {}
        #: Waiting jobs that have limits; None before the first one.
        self.limited: LimitedLine | None = None
        #: What an operator says holds it up; None where nothing is said.
        self.brake: FunctionBrake | None = None
        #: Jobs that came into the line so far, again after a run included, and those that workers took out of it.
        self.entered = 0
        self.taken = 0

    @property
    def is_paused(self) -> bool:
        """Whether an operator paused it."""
        return self.brake is not None and self.brake.is_paused

    @property
    def throttled(self) -> int:
        """Waiting jobs that a limit holds up; of a paused function those that a limit would."""
        if self.brake is not None and not self.brake.is_paused and self.brake.holds(self.running):
            return self.waiting_total
        return self.limited.throttled() if self.limited is not None else 0

    @property
    def may_hold_up(self) -> bool:
        """Whether a job may wait here and not be taken."""
        return self.is_held or self.limited is not None or self.brake is not None

    @property
    def waiting_total(self) -> int:
        high, normal, low = self.waiting
        return high + normal + low

    @property
    def total(self) -> int:
        """Jobs that were accepted, as the first number of the admin line `status` counts them."""
        return self.waiting_total + self.running + self.delayed

    def is_full(self, priority: int) -> bool:
        """Tell whether a new job of this priority is one too many; jobs that run or are being stored count, too."""
        # Most take any number, and every submit asks.
        if self.limits is NO_LIMITS:
            return False
        return 0 < self.limits[lane_of(priority)] <= self.total + self.storing

    def push(self, job: Job) -> None:
        """Put a job that is WAITING at the end of its priority's line."""
        self.entered += 1
        limited = self.limited
        if limited is not None:
            limited.arrivals += 1
            job.place = limited.arrivals
            if job.terms.limits:
                limited.push(job)
                self.waiting[lane_of(job.priority)] += 1
                return
        line = self._lines.get(job.priority)
        if line is None:
            line = self._add_line(job.priority)
        line.append(job)
        self.waiting[lane_of(job.priority)] += 1

    def withdraw(self, job: Job) -> None:
        """Stop counting a job that was WAITING and has left that state without being taken; its payload is let go."""
        self.waiting[lane_of(job.priority)] -= 1
        if job.terms.limits and self.limited is not None:
            self.limited.withdraw(job)
        job.payload = b""
        self._withdrawn += 1
        # Nobody takes from a function without workers, while clients come, give up and come again.
        if self._withdrawn > _SWEEP_FROM and self._withdrawn > self.waiting_total:
            self._sweep()

    def pull(self, job: Job) -> None:
        """Take a certain job that is WAITING out of its line; its state is the caller's to move."""
        self.waiting[lane_of(job.priority)] -= 1
        if job.terms.limits and self.limited is not None:
            self.limited.withdraw(job)
            # What it left behind is known by it.
            job.place = 0
            return
        line = self._aside.get(job.priority)
        if line is None or job not in line:
            line = self._lines[job.priority]
        line.remove(job)

    def hold_stored(self) -> None:
        """Let no background job be taken from now on."""
        self.is_held = True

    def release_stored(self) -> None:
        """Let background jobs be taken again, each in its turn."""
        self.is_held = False
        self.put_back()

    def put_back(self) -> None:
        """Put what was put aside into its place; while jobs are held, what still is one is put aside again in time."""
        for priority, aside in self._aside.items():
            line = self._lines.get(priority)
            if line is None:
                line = self._add_line(priority)
            line.extendleft(reversed(aside))
        self._aside.clear()

    def top_priority(self) -> int | None:
        """Return the priority of the job that `take` would return, or None when nothing that may be taken waits."""
        if self.brake is not None and self.brake.holds(self.running):
            return None
        limited = None if self.limited is None else self._limited_priority()
        for urgency in self._urgencies:
            line = self._lines[-urgency]
            while line and line[0].state is not _WAITING:
                line.popleft()
            if line and self.is_held:
                self._put_aside(line, -urgency)
            if line:
                return -urgency if limited is None else max(-urgency, limited)
        return limited

    def oldest_queued_at(self) -> float | None:
        """Return since when the job that waits longest is ready to run, in unix seconds, or None when nothing waits."""
        times: list[float] = []
        for line in (*self._lines.values(), *self._aside.values()):
            while line and line[0].state is not _WAITING:
                line.popleft()
            if line:
                times.append(line[0].queued_at)
        limited = self.limited.oldest_queued_at() if self.limited is not None else None
        if limited is not None:
            times.append(limited)
        return min(times, default=None)

    def take(self) -> Job | None:
        """Remove and return the first job of the most urgent line; its state is the caller's to move."""
        priority = self.top_priority()
        return None if priority is None else self.take_top(priority)

    def take_top(self, priority: int) -> Job:
        """Remove and return the first job of the top priority, which `top_priority` has just told."""
        self.taken += 1
        self.waiting[lane_of(priority)] -= 1
        if self.limited is not None and self._is_first(self.limited, priority):
            return self.limited.take()
        return self._lines[priority].popleft()

    def _limited_priority(self) -> int | None:
        """Return the priority of the first job with limits that may be taken, or None."""
        rank = None if self.is_held or self.limited is None else self.limited.first_rank()
        return None if rank is None else -rank[0]

    def _is_first(self, limited: LimitedLine, priority: int) -> bool:
        """Tell whether, of the jobs of the top priority, one with limits is to be taken: the older one is."""
        rank = None if self.is_held else limited.first_rank()
        if rank is None or rank[0] != -priority:
            return False
        line = self._lines.get(priority)
        # Those that came before there were any with limits have place 0.
        return not line or line[0].place > rank[1]

    def _add_line(self, priority: int) -> deque[Job]:
        if len(self._urgencies) >= _KEPT_LINES:
            self._lines = {old: line for old, line in self._lines.items() if line}
            self._urgencies = sorted(-old for old in self._lines)
        line = self._lines[priority] = deque()
        insort(self._urgencies, -priority)
        return line

    def _put_aside(self, line: deque[Job], priority: int) -> None:
        """Let the line begin with a job that may be taken, or end."""
        aside = self._aside.get(priority)
        while line and (line[0].is_background or line[0].state is not _WAITING):
            job = line.popleft()
            if job.state is _WAITING:
                if aside is None:
                    aside = self._aside[priority] = deque()
                aside.append(job)

    def _sweep(self) -> None:
        self._withdrawn = 0
        for lines in (self._lines, self._aside):
            for priority, line in lines.items():
                lines[priority] = deque(job for job in line if job.state is _WAITING)
        if self.limited is not None:
            self.limited.sweep()
