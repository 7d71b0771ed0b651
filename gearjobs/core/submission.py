"""What a client asks for and is answered, in the queue's words: SUBMIT_JOB* of any kind, CANCEL_JOB, CHANGE_JOB.

The packets differ in what they can say; `server/dispatch` translates each of them, and JobQueue.submit_job takes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gearjobs.core.changes import JobDetails
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.core.terms import NO_TERMS, JobTerms


@dataclass(slots=True, init=False)
class Submission:
    """A SUBMIT_JOB packet of any kind, in the queue's words."""

    function: FunctionName
    unique: bytes
    payload: bytes
    priority: int
    is_background: bool
    #: Unix seconds before which it must not start; 0 for at once.
    run_at: float
    #: Function that reduces the results; empty for an ordinary job.
    reducer: bytes
    #: What a gearjobs client says beyond Gearman's words.
    details: JobDetails | None
    #: What of that the queue obeys.
    terms: JobTerms
    #: Who submits, where access rules tell peers apart; empty otherwise.
    submitter: str

    def __init__(  # noqa: PLR0913, PLR0917 - one that `dataclass` writes is not compiled, see `jobs`
        self,
        function: FunctionName,
        unique: bytes,
        payload: bytes,
        priority: int,
        is_background: bool,  # noqa: FBT001 - by position, as it is made for every submit
        run_at: float = 0.0,
        reducer: bytes = b"",
        details: JobDetails | None = None,
        terms: JobTerms = NO_TERMS,
        submitter: str = "",
    ) -> None:
        self.function = function
        self.unique = unique
        self.payload = payload
        self.priority = priority
        self.is_background = is_background
        self.run_at = run_at
        self.reducer = reducer
        self.details = details
        self.terms = terms
        self.submitter = submitter


@dataclass(slots=True, init=False)
class Receipt:
    """The answer to a submit."""

    handle: JobHandle
    #: True when JOB_CREATED may leave only after the commit of everything recorded so far.
    awaits_store: bool

    def __init__(self, handle: JobHandle, *, awaits_store: bool) -> None:
        self.handle = handle
        self.awaits_store = awaits_store


class CancelVerdict(StrEnum):
    """The answer to CANCEL_JOB, as it stands on the wire."""

    #: The job has ended, as cancelled.
    CANCELLED = "cancelled"
    #: It runs, and its worker was told to stop it; it ends when that has said how.
    ASKED = "asked"
    #: No live job has the handle.
    UNKNOWN = "unknown"


@dataclass(slots=True)
class CancelReceipt:
    """The answer to a wish to cancel a job."""

    verdict: CancelVerdict
    #: True when CANCEL_RES may leave only after the commit of what was recorded of it just now.
    awaits_store: bool = False


class ChangeVerdict(StrEnum):
    """The answer to CHANGE_JOB, as it stands on the wire."""

    #: It waits as it was wanted.
    CHANGED = "changed"
    #: It runs: too late.
    STARTED = "started"
    #: It is just being committed that it is there, or that it runs again: ask once more.
    BUSY = "busy"
    #: It has a unique, and keeps its function.
    UNIQUE = "unique"
    #: No live job has the handle.
    UNKNOWN = "unknown"


@dataclass(slots=True)
class ChangeReceipt:
    """The answer to a wish to have a job wait otherwise."""

    verdict: ChangeVerdict
    #: True when CHANGE_RES may leave only after the commit of what was recorded of it just now.
    awaits_store: bool = False
