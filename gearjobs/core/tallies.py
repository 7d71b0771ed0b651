"""What the queue's jobs did so far, counted per function: the figures behind the metrics.

A tally only grows while its function lives; what a moment looks like (how many wait, who works) is `snapshot`'s. The
queue tells a JobObserver of each step, and where nobody wants to know it has none, so that counting costs nothing;
JobTallies is the one the server uses. Function names come from peers, so at most `FUNCTION_LIMIT` are counted apart
and all further ones together: a client that makes names up cannot fill the memory.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from gearjobs.core.changes import Outcome
from gearjobs.core.jobs import FunctionName, Job

#: Upper ends of the histograms' buckets in seconds, 1 ms to an hour; a last bucket takes what is longer. Waits are
#: usually at the lower end, runs anywhere; Prometheus' own default ends at 10 s, which is short for a job.
BUCKET_ENDS_S: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0),
)
#: Functions counted apart: some 60 series each, and Prometheus begins to groan at some 100,000 of one target.
FUNCTION_LIMIT: Final = 1000


class JobObserver(Protocol):
    """Whoever wants to know what jobs do; it is told within the step and must not change anything."""

    def job_submitted(self, job: Job) -> None:
        """A new job was taken in."""

    def job_started(self, job: Job, now: float) -> None:
        """The job was handed to a worker."""

    def job_requeued(self, job: Job) -> None:
        """The job's run was cut short, and it waits again."""

    def job_retried(self, job: Job, now: float) -> None:
        """The job's run failed, and it is to run again."""

    def job_ended(self, job: Job, outcome: Outcome, now: float) -> None:
        """The job reached its outcome; its state is still the one it leaves."""


@dataclass(slots=True)
class Durations:
    """A histogram of seconds."""

    #: Durations per bucket of BUCKET_ENDS_S, and the longer ones.
    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKET_ENDS_S) + 1))
    total_s: float = 0.0

    def add(self, seconds: float) -> None:
        """Count a duration; a negative one, after the clock was set back, is none at all."""
        seconds = max(seconds, 0.0)
        self.counts[bisect_left(BUCKET_ENDS_S, seconds)] += 1
        self.total_s += seconds

    def copy(self) -> Durations:
        """Return the same figures, for a thread that reads them while the queue goes on."""
        return Durations(self.counts.copy(), self.total_s)


@dataclass(slots=True)
class FunctionTally:
    """What the jobs of one function did since the server's start."""

    submitted: int = 0
    requeued: int = 0
    retried: int = 0
    ended: dict[Outcome, int] = field(default_factory=dict)
    #: From being ready to run to being handed out, once a run.
    waits: Durations = field(default_factory=Durations)
    #: From being handed out to the outcome; runs that were cut short and repeated are not in it.
    runs: Durations = field(default_factory=Durations)

    def copy(self) -> FunctionTally:
        """Return the same figures, for a thread that reads them while the queue goes on."""
        return FunctionTally(
            self.submitted, self.requeued, self.retried, self.ended.copy(), self.waits.copy(), self.runs.copy()
        )


class JobTallies:
    """Counts what it observes, per function.

    Args:
        function_limit: functions counted apart; all further ones are counted together.
    """

    def __init__(self, function_limit: int = FUNCTION_LIMIT) -> None:
        self._function_limit = function_limit
        self._by_function: dict[FunctionName, FunctionTally] = {}
        #: All functions beyond the limit.
        self._others = FunctionTally()

    def job_submitted(self, job: Job) -> None:
        self._tally(job.function).submitted += 1

    def job_inserted(self, function: FunctionName) -> None:
        """Count a job that its client put into the store."""
        self._tally(function).submitted += 1

    def job_started(self, job: Job, now: float) -> None:
        self._tally(job.function).waits.add(now - job.queued_at)

    def job_requeued(self, job: Job) -> None:
        self._tally(job.function).requeued += 1

    def job_retried(self, job: Job, now: float) -> None:
        tally = self._tally(job.function)
        tally.retried += 1
        tally.runs.add(now - job.started_at)

    def job_ended(self, job: Job, outcome: Outcome, now: float) -> None:
        tally = self._tally(job.function)
        tally.ended[outcome] = tally.ended.get(outcome, 0) + 1
        if job.is_running:
            tally.runs.add(now - job.started_at)

    def copy(self) -> tuple[dict[FunctionName, FunctionTally], FunctionTally]:
        """Return the figures of each function counted apart, and of all others together, as they are now.

        Any thread may ask: no step that changes the dictionary can come between those of making the list.
        """
        return {name: tally.copy() for name, tally in list(self._by_function.items())}, self._others.copy()

    def forget(self, functions: Iterable[FunctionName]) -> None:
        """Forget functions that are no more (`drop function`)."""
        for name in functions:
            self._by_function.pop(name, None)

    def _tally(self, function: FunctionName) -> FunctionTally:
        tally = self._by_function.get(function)
        if tally is not None:
            return tally
        if len(self._by_function) >= self._function_limit:
            return self._others
        tally = self._by_function[function] = FunctionTally()
        return tally
