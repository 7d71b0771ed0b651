"""Queues that each break a rule of limits; what they are for is said in `mutants`."""

from __future__ import annotations

from collections.abc import Iterable

from gearjobs.core.job_queue import JobQueue, QueueRules
from gearjobs.core.jobs import FunctionName
from gearjobs.core.limits import Throttles
from gearjobs.core.tallies import JobObserver
from gearjobs.core.terms import Limit


class _ThrottlesThatCountNothing(Throttles):
    def begin(self, limits: Iterable[Limit], *, now: float) -> None:
        """Forget it."""

    def end(self, limits: Iterable[Limit]) -> list[FunctionName]:
        return []


class _ThrottlesThatKeepSlots(Throttles):
    def end(self, limits: Iterable[Limit]) -> list[FunctionName]:
        return []


class _ThrottlesThatForgetStarts(Throttles):
    def begin(self, limits: Iterable[Limit], *, now: float) -> None:
        super().begin(limits, now=now - 1000.0)


class QueueWithoutLimits(JobQueue):
    """Any number of jobs of a key runs."""

    new_throttles: type[Throttles] = _ThrottlesThatCountNothing

    def __init__(self, rules: QueueRules, observer: JobObserver | None = None) -> None:
        super().__init__(rules, observer)
        self._life.throttles = self.new_throttles()


class QueueThatKeepsSlots(QueueWithoutLimits):
    """A run that is over has its slot for ever."""

    new_throttles = _ThrottlesThatKeepSlots


class QueueThatForgetsStarts(QueueWithoutLimits):
    """Any number of jobs of a key starts in any time."""

    new_throttles = _ThrottlesThatForgetStarts


class QueueThatOpensNoRate(JobQueue):
    """A rate that is used up is so for ever."""

    def next_due(self) -> float | None:
        self._life.throttles._heap.clear()
        return super().next_due()
