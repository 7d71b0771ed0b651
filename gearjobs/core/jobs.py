"""A job, its states and the one table that says which state may follow which.

Whoever changes `Job.state` calls `move`, so an impossible step is an AssertionError at the step, not a lost job later.
Priorities are the numbers of django.tasks (-100 to 100, higher first); the wire's three words are three of them. What
is written of a job lives in `changes`, who holds it in `peers`, where it waits in `function_queue` and `delayed`.

Two habits of the pure floors begin here, both for what is done for every packet. Members of enums are named once more
at the top of a file: to read one off its class costs CPython 3.11 60 ns, a name 1 ns. And dataclasses that are made for
every packet write their own `__init__`: mypyc compiles that, and leaves the one that `dataclass` writes interpreted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final, NewType

from gearjobs.core.terms import NO_TERMS, JobTerms

JobHandle = NewType("JobHandle", bytes)
FunctionName = NewType("FunctionName", bytes)
ConnectionId = NewType("ConnectionId", int)

#: What SUBMIT_JOB_HIGH, SUBMIT_JOB and SUBMIT_JOB_LOW mean as numbers: the middles of the halves they name, so that a
#: Django task may stand before or behind the wire's words.
HIGH_PRIORITY: Final = 50
NORMAL_PRIORITY: Final = 0
LOW_PRIORITY: Final = -50

#: Bytes of a unique: gearmand refuses more with ARGUMENT_TOO_LARGE.
UNIQUE_LIMIT_BYTES: Final = 64


class Lane(IntEnum):
    """The three priorities that Gearman's admin lines can tell apart."""

    HIGH = 0
    NORMAL = 1
    LOW = 2


_HIGH: Final = Lane.HIGH
_NORMAL: Final = Lane.NORMAL
_LOW: Final = Lane.LOW


def lane_of(priority: int) -> Lane:
    """Return the lane a priority number is counted in."""
    if priority > 0:
        return _HIGH
    return _NORMAL if priority == 0 else _LOW


class JobState(StrEnum):
    """Where a job is between its submission and its end."""

    #: Background job whose row does not say yet what is to be true before anybody may run it: that it is there at all,
    #: and nobody was told its handle (`Job.is_kept` is False then), or how its last run failed.
    STORING = "storing"
    #: Not due yet.
    DELAYED = "delayed"
    #: In its function's queue.
    WAITING = "waiting"
    #: Held by a worker.
    RUNNING = "running"
    #: Running as far as anybody knows, but its server or connection is gone; see `reattachment`.
    ORPHANED = "orphaned"
    #: Over. A durable job stays known until its outcome is committed.
    ENDED = "ended"


_STORING: Final = JobState.STORING
_RUNNING: Final = JobState.RUNNING
_ORPHANED: Final = JobState.ORPHANED

TRANSITIONS: Final[dict[JobState, frozenset[JobState]]] = {
    # To ORPHANED: taken out of a store while it runs.
    JobState.STORING: frozenset({JobState.WAITING, JobState.DELAYED, JobState.ORPHANED, JobState.ENDED}),
    # To DELAYED, and from WAITING to itself: somebody wants another time for it, or another function.
    JobState.DELAYED: frozenset({JobState.WAITING, JobState.DELAYED, JobState.ENDED}),
    JobState.WAITING: frozenset({JobState.RUNNING, JobState.WAITING, JobState.DELAYED, JobState.ENDED}),
    # To STORING or DELAYED: it failed and is to run again.
    JobState.RUNNING: frozenset(
        {JobState.STORING, JobState.DELAYED, JobState.WAITING, JobState.ORPHANED, JobState.ENDED}
    ),
    JobState.ORPHANED: frozenset({JobState.RUNNING, JobState.WAITING, JobState.ENDED}),
    JobState.ENDED: frozenset(),
}


@dataclass(slots=True)
class StreamedOutput:
    """What was recorded of what one job streamed; see `output_limit`."""

    pieces: int = 0
    body_bytes: int = 0


@dataclass(slots=True, eq=False, init=False)
class Job:
    """One run-to-be, from submission to outcome."""

    handle: JobHandle
    function: FunctionName
    unique: bytes
    payload: bytes
    #: -100 to 100, higher first.
    priority: int
    #: True once anybody submitted it as a background job: it then outlives its clients.
    is_background: bool
    #: Unix seconds.
    accepted_at: float
    #: Unix seconds before which it must not start; 0 for at once.
    run_at: float
    #: Function that reduces the results; empty for an ordinary job.
    reducer: bytes
    #: What its submitter wants obeyed.
    terms: JobTerms
    state: JobState
    #: True when its row is committed, or when it needs none.
    is_kept: bool
    #: The connection that runs it, while RUNNING.
    worker: ConnectionId | None
    #: Connections that wait for it in the foreground, one entry per submit.
    clients: tuple[ConnectionId, ...]
    numerator: int
    denominator: int
    #: How often it was handed out.
    attempt: int
    #: Unix seconds since which it is ready to run, while WAITING and after; 0 before.
    queued_at: float
    #: Unix seconds of the last hand-out, or since which a job of a store is known to run; 0 before the first.
    started_at: float
    #: True when the worker of its last hand-out may come back to it on another connection; see `reattachment`.
    is_resumable: bool
    #: How often its worker was lost while it ran.
    crashes: int
    #: True when its present run may take as long as it does, whatever the worker's timeout; see `deadlines`.
    is_let_off: bool
    #: Who submitted it, where access rules tell peers apart; none otherwise.
    submitters: tuple[str, ...]
    #: What it streamed; None before its first piece.
    output: StreamedOutput | None
    #: The worker of every attempt.
    worker_ids: tuple[str, ...]
    #: Where it stands among the waiting jobs of a function that has jobs with limits; 0 where there are none.
    place: int
    #: How many of its runs so far were lost or given back: they say nothing of the job.
    lost: int
    #: Unix seconds from which on its present run takes longer than its terms allow; 0 for never.
    timeout_at: float
    #: True once the worker of its present run was told to stop it.
    is_cancel_asked: bool

    def __init__(  # noqa: PLR0913, PLR0917 - what is told of it when it comes; the rest happens to it later
        self,
        handle: JobHandle,
        function: FunctionName,
        unique: bytes,
        payload: bytes,
        priority: int,
        is_background: bool,  # noqa: FBT001 - by position, as it is made for every submit
        accepted_at: float,
        run_at: float = 0.0,
        reducer: bytes = b"",
        terms: JobTerms = NO_TERMS,
    ) -> None:
        self.handle = handle
        self.function = function
        self.unique = unique
        self.payload = payload
        self.priority = priority
        self.is_background = is_background
        self.accepted_at = accepted_at
        self.run_at = run_at
        self.reducer = reducer
        self.terms = terms
        self.state = _STORING
        self.is_kept = True
        self.worker = None
        self.clients = ()
        self.numerator = self.denominator = 0
        self.attempt = self.crashes = self.lost = 0
        self.queued_at = self.started_at = self.timeout_at = 0.0
        self.is_resumable = self.is_let_off = self.is_cancel_asked = False
        self.submitters = ()
        self.output = None
        self.worker_ids = ()
        self.place = 0

    @property
    def is_running(self) -> bool:
        """Whether it runs as far as anybody knows; an orphan has no `worker`."""
        return self.state is _RUNNING or self.state is _ORPHANED


def move(job: Job, state: JobState) -> None:
    """Put the job into its next state.

    Raises:
        AssertionError: the table does not allow the step: a bug of the caller; the job is unchanged.
    """
    if state not in TRANSITIONS[job.state]:
        raise AssertionError(f"job {job.handle!r} cannot go from {job.state.value} to {state.value}")
    job.state = state
