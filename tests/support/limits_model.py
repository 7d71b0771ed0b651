"""The naive model of limits and conflicts: every job in one list, every question answered by looking at all of them.

What the queue keeps in heaps and counters is counted anew here each time, so that the two can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gearjobs.core.function_brake import NO_CONTROL, QueueControl
from gearjobs.core.terms import JobTerms, UniqueSpan


@dataclass(eq=False)
class LimitedJob:
    """One job as an onlooker sees it."""

    handle: bytes
    function: bytes
    unique: bytes
    priority: int
    terms: JobTerms
    run_at: float
    #: Since which moment it stands in its line, or among those that are not due.
    queued: int
    is_waiting: bool = False
    attempt: int = 0
    #: Whether this life of the server knows of a run.
    has_run_here: bool = False
    #: The connection that runs it.
    worker: int | None = None
    #: Until when its worker may come back, and since which moment.
    orphaned: tuple[float, int] | None = None
    is_over: bool = False
    #: Since which moment its worker holds it.
    held: int = 0
    #: Whether it began to run because its worker had it already, limits or not.
    is_forced: bool = False

    @property
    def is_running(self) -> bool:
        return self.worker is not None or self.orphaned is not None

    @property
    def is_delayed(self) -> bool:
        return not (self.is_over or self.is_waiting or self.is_running)

    @property
    def keys(self) -> set[str]:
        return {limit.key for limit in self.terms.limits}

    def has_unique(self, function: bytes, unique: bytes) -> bool:
        """Whether it keeps others of this function and unique out."""
        is_free = self.attempt > 0 and self.terms.unique_for is UniqueSpan.QUEUED
        return bool(unique) and (self.function, self.unique) == (function, unique) and not is_free


@dataclass
class LimitsModel:
    """All jobs, and when jobs of each key started."""

    jobs: list[LimitedJob] = field(default_factory=list)
    starts: dict[str, list[float]] = field(default_factory=dict)
    #: What operators say of functions, and when jobs started of those that have a rate.
    controls: dict[bytes, QueueControl] = field(default_factory=dict)
    controlled_starts: dict[bytes, list[float]] = field(default_factory=dict)
    moments: int = 0

    def moment(self) -> int:
        """Return a number higher than all before."""
        self.moments += 1
        return self.moments

    def live(self) -> list[LimitedJob]:
        return [job for job in self.jobs if not job.is_over]

    def running(self) -> list[LimitedJob]:
        return [job for job in self.jobs if job.is_running]

    def holder(self, function: bytes, unique: bytes) -> LimitedJob | None:
        """Return the live job that has this unique."""
        return next((job for job in self.live() if job.has_unique(function, unique)), None)

    def may_start(self, job: LimitedJob, now: float) -> bool:
        """Whether the job waits, and all of its limits and what operators say allow it."""
        if self.is_held_up(job.function, now):
            return False
        for limit in job.terms.limits:
            running = sum(limit.key in other.keys for other in self.running())
            if limit.concurrency and running >= limit.concurrency:
                return False
            started = sum(at + limit.per_s > now for at in self.starts.get(limit.key, []))
            if limit.rate and started >= limit.rate:
                return False
        return job.is_waiting

    def is_held_up(self, function: bytes, now: float) -> bool:
        """Whether what operators say lets no job of the function start."""
        control = self.controls.get(function, NO_CONTROL)
        running = sum(job.function == function for job in self.running())
        started = sum(at + control.per_s > now for at in self.controlled_starts.get(function, []))
        has_slot = not control.concurrency or running < control.concurrency
        return control.is_paused or not has_slot or 0 < control.rate <= started

    def say(self, function: bytes, control: QueueControl) -> None:
        """Let an operator say this; a rate that follows another one knows its starts, and nothing else does."""
        old = self.controls.get(function, NO_CONTROL)
        if not (old.rate and control.rate):
            self.controlled_starts[function] = []
        self.controls[function] = control

    def begin(self, job: LimitedJob, *, worker: int, now: float) -> None:
        """A worker has the job."""
        job.is_waiting, job.worker, job.attempt, job.held = False, worker, job.attempt + 1, self.moment()
        job.has_run_here = True
        self.note_start(job, now)
        if self.controls.get(job.function, NO_CONTROL).rate:
            self.controlled_starts[job.function].append(now)

    def note_start(self, job: LimitedJob, now: float) -> None:
        """Count a start of each of its keys."""
        for key in job.keys:
            self.starts.setdefault(key, []).append(now)

    def line_up(self, job: LimitedJob, *, now: float) -> None:
        """Let the job wait, for a worker or for its time."""
        job.worker = job.orphaned = None
        job.is_waiting, job.queued = job.run_at <= now, self.moment()

    def line_up_again(self, job: LimitedJob) -> None:
        """Let a job wait for a worker that was due once, whatever the clock shows."""
        self.line_up(job, now=job.run_at)

    def end(self, job: LimitedJob) -> None:
        """The job is over."""
        job.worker = job.orphaned = None
        job.is_waiting, job.is_over = False, True
