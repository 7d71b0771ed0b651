"""What happened to a durable job, as plain values: the vocabulary between the queue and its store.

The queue emits a change for every step of a background job (see `effects.Record`); a JobStore commits them, in order,
in batches. The order of the changes of one job is a promise: Accepted first, Finished or Forgotten last, but for
Explained, which comes when the cause is known. Times are unix seconds (float). How a store writes them lives in
`stores/`; when a reply may leave, in `server/commit`. They stand in core/ and not beside the stores because the queue
emits them and imports point down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.core.terms import NO_TERMS, JobTerms


class Outcome(StrEnum):
    """How a job ended: the terminal values of the row's `status_detail`."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    TIMED_OUT = "timed_out"
    LOST = "lost"
    DEAD = "dead"


@dataclass(slots=True)
class JobDetails:
    """What a gearjobs client says of a job beyond Gearman's own words; the queue carries it to the store unread."""

    #: Dotted path of the decorated task; empty for a job of the plain wire.
    task: str = ""
    #: The django.tasks queue name.
    queue: str = ""
    #: Alias of the django.tasks backend that enqueued it.
    backend: str = ""
    #: Who enqueued it: a Django user's primary key as text, or empty.
    enqueued_by: str = ""
    #: JSON-ready values the caller attached.
    metadata: dict[str, object] = field(default_factory=dict)
    #: The job's terms as `terms.write_terms` writes them; empty for none.
    terms: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class JobFailure:
    """Why an attempt failed."""

    #: Dotted path of the exception's class; empty when the worker gave none.
    class_path: str = ""
    message: str = ""
    traceback: str = ""


_NO_FUNCTION: Final = FunctionName(b"")


@dataclass(slots=True, init=False)
class Accepted:
    """A background job was submitted: the row must exist before JOB_CREATED leaves."""

    handle: JobHandle
    function: FunctionName
    unique: bytes
    payload: bytes
    #: -100 to 100, higher first; the wire's HIGH, NORMAL and LOW are 50, 0 and -50.
    priority: int
    #: Unix seconds before which it must not start; 0 for at once.
    run_at: float
    #: Unix seconds.
    accepted_at: float
    details: JobDetails | None
    #: Function that reduces the results (SUBMIT_REDUCE_JOB_BACKGROUND); empty for an ordinary job.
    reducer: bytes

    def __init__(  # noqa: PLR0913, PLR0917 - one that `dataclass` writes is not compiled, see `jobs`
        self,
        handle: JobHandle,
        function: FunctionName,
        unique: bytes,
        payload: bytes,
        priority: int,
        run_at: float,
        accepted_at: float,
        details: JobDetails | None = None,
        reducer: bytes = b"",
    ) -> None:
        self.handle = handle
        self.function = function
        self.unique = unique
        self.payload = payload
        self.priority = priority
        self.run_at = run_at
        self.accepted_at = accepted_at
        self.details = details
        self.reducer = reducer


@dataclass(slots=True, init=False)
class Started:
    """The job was handed to a worker."""

    handle: JobHandle
    #: 1 for the first run.
    attempt: int
    #: Client id of the worker of every attempt so far, this one last.
    worker_ids: Sequence[str]
    started_at: float
    #: True when the worker may come back to this run, on another connection or at another server; see `reattachment`.
    is_resumable: bool
    #: True when others may have the job's unique from now on.
    frees_unique: bool

    def __init__(  # noqa: PLR0917 - as for Accepted
        self,
        handle: JobHandle,
        attempt: int,
        worker_ids: Sequence[str],
        started_at: float,
        is_resumable: bool = False,  # noqa: FBT001, FBT002 - by position, as it is made for every run
        frees_unique: bool = False,  # noqa: FBT001, FBT002 - likewise
    ) -> None:
        self.handle = handle
        self.attempt = attempt
        self.worker_ids = worker_ids
        self.started_at = started_at
        self.is_resumable = is_resumable
        self.frees_unique = frees_unique


@dataclass(slots=True)
class Progressed:
    """The worker told how far it is."""

    handle: JobHandle
    numerator: float
    denominator: float
    #: Free text of the worker; empty on the plain wire.
    message: str
    progressed_at: float


@dataclass(slots=True)
class Streamed:
    """The worker sent a piece of data or a warning while it runs."""

    handle: JobHandle
    is_warning: bool
    body: bytes
    streamed_at: float


@dataclass(slots=True)
class Requeued:
    """The running job goes back to waiting: its worker was lost, gave it back, timed out, or did not come back."""

    handle: JobHandle
    #: True when the worker was lost rather than giving the job back.
    is_crash: bool
    requeued_at: float
    #: How often its worker was lost so far, this time included: the number itself and not one more, so that a batch
    #: that is committed once more, because its answer was lost, counts nothing twice.
    crashes: int = 0
    #: The run that was cut short; 0 where that is not known.
    attempt: int = 0
    #: Why, for the record of the attempt; None where nothing is to be recorded of it.
    failure: JobFailure | None = None
    #: As what the run ended: LOST or TIMED_OUT.
    outcome: Outcome = Outcome.LOST
    #: How many runs so far were lost or given back, this one included: they do not count as attempts.
    lost: int = 0
    #: Whose run it was; empty where nobody said.
    function: FunctionName = field(default=FunctionName(b""), compare=False)


@dataclass(slots=True)
class Retried:
    """The run failed, as its worker reported, and the job runs again: same job, same handle."""

    handle: JobHandle
    #: The run that failed.
    attempt: int
    failure: JobFailure
    #: Unix seconds before which it must not start again.
    run_at: float
    retried_at: float
    #: As what the run ended: FAILED or TIMED_OUT.
    outcome: Outcome = Outcome.FAILED
    #: Whose run it was; empty where nobody said.
    function: FunctionName = field(default=FunctionName(b""), compare=False)


@dataclass(slots=True)
class Hastened:
    """A submission that joined the job, which had not started, wants it sooner."""

    handle: JobHandle
    #: Its priority from now on: the highest of all who want it.
    priority: int
    #: The earliest time of all who want it.
    run_at: float
    hastened_at: float


@dataclass(slots=True)
class Rescheduled:
    """An operator gave a job that does not run another place, another time, or another function."""

    handle: JobHandle
    priority: int
    #: Unix seconds before which it must not start; 0 for at once.
    run_at: float
    rescheduled_at: float
    #: The function from now on; empty where it stays.
    function: FunctionName = _NO_FUNCTION
    #: The django.tasks queue that goes with it.
    queue: str = ""
    #: True when it has been handed out before.
    has_run: bool = False


@dataclass(slots=True)
class CancelAsked:
    """The running job is to stop; it ends when its worker says how, or is lost."""

    handle: JobHandle
    asked_at: float
    #: Why, in the words of whoever wants it; may be empty.
    reason: str = ""


@dataclass(slots=True)
class Explained:
    """Whoever watches a lost worker told what became of it: its exit code or signal, its memory."""

    handle: JobHandle
    #: The run that was lost with it.
    attempt: int
    #: A sentence for people.
    cause: str


@dataclass(slots=True, init=False)
class Finished:
    """The job reached its outcome; nothing but its retention follows."""

    handle: JobHandle
    outcome: Outcome
    result: bytes
    finished_at: float
    failure: JobFailure | None
    #: True for a job of a group, whose end others may wait for.
    is_member: bool
    #: Why it was cancelled, in the words of whoever wanted it; empty where that is not said here.
    cancel_reason: str
    #: Whose run it was; empty where nobody said.
    function: FunctionName = field(compare=False)

    def __init__(  # noqa: PLR0913, PLR0917 - as for Accepted
        self,
        handle: JobHandle,
        outcome: Outcome,
        result: bytes,
        finished_at: float,
        failure: JobFailure | None = None,
        is_member: bool = False,  # noqa: FBT001, FBT002 - by position, as it is made for every end
        cancel_reason: str = "",
        function: FunctionName = _NO_FUNCTION,
    ) -> None:
        self.handle = handle
        self.outcome = outcome
        self.result = result
        self.finished_at = finished_at
        self.failure = failure
        self.is_member = is_member
        self.cancel_reason = cancel_reason
        self.function = function


@dataclass(slots=True)
class Forgotten:
    """The job is to leave no row at all: an operator dropped it with its function, or its acceptance was refused."""

    handle: JobHandle
    #: True when its submitter was told ERROR although its row may have been committed after all: a job that others came
    #: to rely on meanwhile (it was sent again to another server, or inserted by its client) is kept, for any server.
    was_refused: bool = False


Change = (
    Accepted
    | Started
    | Progressed
    | Streamed
    | Requeued
    | Retried
    | Hastened
    | Rescheduled
    | CancelAsked
    | Explained
    | Finished
    | Forgotten
)


@dataclass(slots=True)
class StoredJob:
    """An unfinished job as a store gives it back: at start-up (`load`) or when a client inserted the row (`adopt`)."""

    handle: JobHandle
    function: FunctionName
    unique: bytes
    payload: bytes
    priority: int
    run_at: float
    accepted_at: float
    attempt: int = 0
    crashes: int = 0
    worker_ids: list[str] = field(default_factory=list)
    reducer: bytes = b""
    #: True when the row says it was handed to a worker; that worker's connection is gone.
    was_running: bool = False
    #: True when that worker may come back to the run.
    is_resumable: bool = False
    #: Seconds since the server that owned it last gave a sign of life, by the store's clock; 0 where none owned it.
    owner_gone_s: float = 0.0
    terms: JobTerms = NO_TERMS
    #: True when it was told to stop while it ran.
    is_cancel_asked: bool = False
    #: How many of its runs were lost or given back.
    lost: int = 0
