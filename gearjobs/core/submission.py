"""What a client asks for and what it is answered, in the queue's words: SUBMIT_JOB* of any kind, CANCEL_JOB.

The packets differ in what they can say; `server/dispatch` translates each of them, and JobQueue.submit_job takes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gearjobs.core.changes import JobDetails
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.core.terms import NO_TERMS, JobTerms


@dataclass(slots=True)
class Submission:
    """A SUBMIT_JOB packet of any kind, in the queue's words."""

    function: FunctionName
    unique: bytes
    payload: bytes
    priority: int
    is_background: bool
    #: Unix seconds before which it must not start; 0 for at once.
    run_at: float = 0.0
    #: Function that reduces the results; empty for an ordinary job.
    reducer: bytes = b""
    #: What a gearjobs client says beyond Gearman's words.
    details: JobDetails | None = None
    #: What of that the queue obeys.
    terms: JobTerms = NO_TERMS
    #: Who submits, where access rules tell peers apart; empty otherwise.
    submitter: str = ""


@dataclass(slots=True)
class Receipt:
    """The answer to a submit."""

    handle: JobHandle
    #: True when JOB_CREATED may leave only after the commit of everything recorded so far.
    awaits_store: bool


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
