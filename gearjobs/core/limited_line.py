"""The waiting jobs of one function that have limits, kept so that a closed limit holds up any number of them at once.

Jobs with the same limits are a group: where one of them may not start, none may. A group stands at the gate of one of
its limits, and behind a closed gate nobody looks. So a job is parked when its turn comes and a limit is found closed:
its group moves to that limit's gate. Nothing is decided when a gate opens; the jobs behind it come into question again,
each by its priority and its age, and those for which another limit is closed move on. How a job is counted does not
change by that. Each step costs the logarithm of what waits, and as much for each group it moves, which happens once for
a limit that closed. When limits open and close is `limits`' to say.
"""

from __future__ import annotations

import heapq
from typing import Generic, Protocol, TypeVar

from gearjobs.core.jobs import FunctionName, Job, JobState
from gearjobs.core.limits import Throttle, Throttles
from gearjobs.core.terms import Limit

#: Before whom a job comes: its priority, negated, and its place in the order of arrival; the lowest is first.
Rank = tuple[int, int]


class _Ranked(Protocol):
    """What may stand in a ranking."""

    #: The number of its last entry; the others were left behind.
    entry: int
    #: What it was entered as; None while it is not.
    rank: Rank | None

    def first_rank(self) -> Rank | None:
        """Return the rank of the first of its jobs that come into question, or None."""


_Member = TypeVar("_Member", bound=_Ranked)


class _Ranking(Generic[_Member]):
    """Groups, or gates, by the ranks of their first jobs."""

    def __init__(self) -> None:
        self._heap: list[tuple[Rank, int, _Member]] = []

    def put(self, member: _Member) -> None:
        """Enter the member, unless none of its jobs comes into question or it stands far enough in front."""
        rank = member.first_rank()
        if rank is None or (member.rank is not None and member.rank <= rank):
            return
        member.entry += 1
        member.rank = rank
        heapq.heappush(self._heap, (rank, member.entry, member))

    def first(self) -> _Member | None:
        """Return the first member; those that stand too far in front, for their first jobs left, are put right."""
        while self._heap:
            rank, entry, member = self._heap[0]
            is_current = entry == member.entry and member.rank is not None
            if is_current and member.first_rank() == rank:
                return member
            heapq.heappop(self._heap)
            if is_current:
                member.rank = None
                self.put(member)
        return None

    def sweep(self) -> None:
        """Throw away the entries that were left behind."""
        self._heap = [entry for entry in self._heap if entry[1] == entry[2].entry and entry[2].rank is not None]
        heapq.heapify(self._heap)


class _Group:
    """Jobs with the same limits."""

    def __init__(self, throttles: tuple[Throttle, ...], gate: _Gate) -> None:
        self.throttles = throttles
        self.gate = gate
        self.waiting = 0
        self.entry = 0
        self.rank: Rank | None = None
        #: By rank; a job that left otherwise than by `take` is still there, which its state or its place tells.
        self._jobs: list[tuple[int, int, Job]] = []

    def add(self, job: Job) -> None:
        """Let the job wait here."""
        heapq.heappush(self._jobs, (-job.priority, job.place, job))

    def first_job(self) -> Job | None:
        """Return the first job."""
        while self._jobs:
            job = self._jobs[0][2]
            if _waits(self._jobs[0]):
                return job
            heapq.heappop(self._jobs)
        return None

    def first_rank(self) -> Rank | None:
        """Return the first job's rank."""
        job = self.first_job()
        return None if job is None else (-job.priority, job.place)

    def take(self) -> Job:
        """Remove and return the first job, of which `first_rank` has just told."""
        return heapq.heappop(self._jobs)[2]

    def closed(self) -> Throttle | None:
        """Return a limit that lets none of the jobs start, or None."""
        for throttle in self.throttles:
            if not throttle.is_open:
                return throttle
        return None

    def sweep(self) -> None:
        """Forget the jobs that left."""
        self._jobs = [entry for entry in self._jobs if _waits(entry)]
        heapq.heapify(self._jobs)


class _Gate:
    """Where groups of one function wait for one limit."""

    def __init__(self, function: FunctionName, throttle: Throttle, opened: _Ranking[_Gate]) -> None:
        self.function = function
        self.throttle = throttle
        self.groups: _Ranking[_Group] = _Ranking()
        #: Jobs in its groups.
        self.waiting = 0
        self.entry = 0
        self.rank: Rank | None = None
        self._opened = opened

    def first_rank(self) -> Rank | None:
        """Return the rank of the first job behind it; None while it is closed."""
        if not self.throttle.is_open:
            return None
        group = self.groups.first()
        return None if group is None else group.rank

    def reopen(self) -> None:
        """The limit may let one of the jobs through."""
        self._opened.put(self)


class LimitedLine:
    """A function's waiting jobs that have limits.

    Args:
        function: the function.
        throttles: the server's limits.
    """

    def __init__(self, function: FunctionName, throttles: Throttles) -> None:
        #: Jobs that came so far, those without limits too: a job's `place`, by which both kinds keep their order.
        self.arrivals = 0
        self._function = function
        self._throttles = throttles
        self._groups: dict[tuple[Limit, ...], _Group] = {}
        self._gates: dict[Throttle, _Gate] = {}
        #: The gates that are open.
        self._opened: _Ranking[_Gate] = _Ranking()

    def push(self, job: Job) -> None:
        """Take in a job that is WAITING and has its place."""
        group = self._groups.get(job.terms.limits)
        if group is None:
            group = self._new_group(job.terms.limits)
        group.add(job)
        self._count(group, 1)
        group.gate.groups.put(group)
        self._opened.put(group.gate)

    def withdraw(self, job: Job) -> None:
        """Count a job no more that has left, or is about to."""
        group = self._groups[job.terms.limits]
        self._count(group, -1)
        if not group.waiting:
            group.rank = None
            del self._groups[job.terms.limits]
            self._drop_empty(group.gate)

    def first_rank(self) -> Rank | None:
        """Return the rank of the job that `take` would return, or None where no limit lets one start."""
        group = self._first_group()
        return None if group is None else group.rank

    def take(self) -> Job:
        """Remove and return the first job that may start, of which `first_rank` has told; its state is the caller's."""
        group = self._first_group()
        if group is None:
            raise AssertionError(f"a job of {self._function!r} was to be taken, and its limits let none start")
        job = group.take()
        self.withdraw(job)
        return job

    def throttled(self) -> int:
        """Return how many jobs wait at closed limits; one pass over the limits."""
        return sum(gate.waiting for throttle, gate in self._gates.items() if not throttle.is_open)

    def oldest_queued_at(self) -> float | None:
        """Return since when the first jobs of all limits wait, the longest of them, in unix seconds; None for none."""
        jobs = (group.first_job() for group in self._groups.values())
        return min((job.queued_at for job in jobs if job is not None), default=None)

    def sweep(self) -> None:
        """Forget what was left behind by jobs that left."""
        for group in self._groups.values():
            group.sweep()
        for gate in self._gates.values():
            gate.groups.sweep()
        self._opened.sweep()

    def _first_group(self) -> _Group | None:
        while (gate := self._opened.first()) is not None and (group := gate.groups.first()) is not None:
            throttle = group.closed()
            if throttle is None:
                return group
            self._park(group, throttle)
        return None

    def _new_group(self, limits: tuple[Limit, ...]) -> _Group:
        throttles = self._throttles.find(limits)
        # A closed one; of those that are open the one with most jobs, so that few groups have to move when it closes.
        throttle = max(throttles, key=lambda one: (not one.is_open, one.waiting))
        group = self._groups[limits] = _Group(throttles, self._gate(throttle))
        return group

    def _gate(self, throttle: Throttle) -> _Gate:
        gate = self._gates.get(throttle)
        if gate is None:
            gate = self._gates[throttle] = _Gate(self._function, throttle, self._opened)
            throttle.gates[self._function] = gate
        return gate

    def _park(self, group: _Group, throttle: Throttle) -> None:
        """Let the group wait for this limit, which is closed."""
        group.gate.waiting -= group.waiting
        self._drop_empty(group.gate)
        group.gate = self._gate(throttle)
        group.gate.waiting += group.waiting
        group.rank = None
        group.gate.groups.put(group)

    def _count(self, group: _Group, number: int) -> None:
        group.waiting += number
        group.gate.waiting += number
        for throttle in group.throttles:
            throttle.waiting += number

    def _drop_empty(self, gate: _Gate) -> None:
        if not gate.waiting:
            gate.rank = None
            del self._gates[gate.throttle]
            del gate.throttle.gates[self._function]


def _waits(entry: tuple[int, int, Job]) -> bool:
    job = entry[2]
    return job.state is JobState.WAITING and job.place == entry[1]
