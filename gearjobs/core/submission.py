"""What a client asks for and what it is answered: SUBMIT_JOB* of any kind, in the queue's words.

The packets differ in what they can say; `server/dispatch` translates each of them, and JobQueue.submit_job takes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from gearjobs.core.changes import JobDetails
from gearjobs.core.jobs import FunctionName, JobHandle


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
    #: Who submits, where access rules tell peers apart; empty otherwise.
    submitter: str = ""


@dataclass(slots=True)
class Receipt:
    """The answer to a submit."""

    handle: JobHandle
    #: True when JOB_CREATED may leave only after the commit of everything recorded so far.
    awaits_store: bool
