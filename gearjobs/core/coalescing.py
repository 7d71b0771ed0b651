"""Unique ids: one job, many waiting clients.

A submit whose function and unique match a live job joins it instead of making another. An empty unique matches nothing;
`-` means that the payload itself is the key, and an empty payload then matches nothing either. A job leaves the index
when it ends, fails or is dropped: nobody can join a job that will not run (gearmand lets them, and they wait for ever).
One whose terms say so leaves it when it starts. What becomes of a submit that finds its unique taken is its own terms'
to say, and decided here; who speaks only Gearman's words joins the live job as it is, as at gearmand's.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from gearjobs.core.jobs import FunctionName, Job
from gearjobs.core.submission import Submission
from gearjobs.core.terms import OnConflict

_BY_PAYLOAD: Final = b"-"
_COALESCE: Final = OnConflict.COALESCE


class Reaction(Enum):
    """What is done about a submit whose unique is taken."""

    #: It joins the live job.
    JOIN = "join"
    #: It joins the live job, which takes the higher priority and the earlier time of the two.
    HASTEN = "hasten"
    #: The live job is cancelled, and it is a job of its own.
    REPLACE = "replace"
    #: It is refused.
    REFUSE = "refuse"


def react(live: Job, submission: Submission) -> Reaction:
    """Decide what is done about a submit whose function and unique a live job has.

    A running job is never replaced. Where access rules tell submitters apart, nor is somebody else's: to cancel jobs is
    another right than to submit them.
    """
    on_conflict = submission.terms.on_conflict
    if on_conflict is OnConflict.RAISE:
        return Reaction.REFUSE
    if on_conflict is OnConflict.REPLACE:
        is_its_own = not submission.submitter or submission.submitter in live.submitters
        return Reaction.REPLACE if is_its_own and not live.is_running else Reaction.JOIN
    is_said = submission.details is not None
    is_to_hasten = is_said and on_conflict is OnConflict.COALESCE and not live.is_running
    return Reaction.HASTEN if is_to_hasten else Reaction.JOIN


class UniqueIndex:
    """Finds the live job that a submit would join."""

    def __init__(self) -> None:
        #: The first live job of each unique; a list for one job each would take as much memory as a small job.
        self._by_unique: dict[bytes, Job] = {}
        #: Where one unique is used with several functions: its other jobs, in the order they came.
        self._others: dict[bytes, list[Job]] = {}
        self._by_payload: dict[tuple[FunctionName, bytes], Job] = {}

    def find(self, function: FunctionName, unique: bytes, payload: bytes) -> Job | None:
        """Return the live job that such a submit joins, or None."""
        if unique == _BY_PAYLOAD:
            return self._by_payload.get((function, payload)) if payload else None
        first = self._by_unique.get(unique)
        if first is None or first.function == function:
            return first
        for job in self._others.get(unique, ()):
            if job.function == function:
                return job
        return None

    def find_unique(self, unique: bytes) -> Job | None:
        """Return the first live job with that unique, whatever its function (GET_STATUS_UNIQUE)."""
        return self._by_unique.get(unique)

    def add(self, job: Job) -> None:
        """Let later submits join this job, unless its kind cannot be joined or another holds the place."""
        unique = job.unique
        if unique == _BY_PAYLOAD:
            if job.payload:
                self._by_payload.setdefault((job.function, job.payload), job)
        elif (
            unique
            and self._by_unique.setdefault(unique, job) is not job
            and self.find(job.function, unique, job.payload) is None
        ):
            self._others.setdefault(unique, []).append(job)

    def remove(self, job: Job) -> None:
        """Let nobody join this job any more; its payload must still be there. Jobs that hold no place are ignored."""
        unique = job.unique
        if unique == _BY_PAYLOAD:
            if self._by_payload.get((job.function, job.payload)) is job:
                del self._by_payload[job.function, job.payload]
            return
        others = self._others.get(unique)
        if self._by_unique.get(unique) is job:
            if others is None:
                del self._by_unique[unique]
                return
            self._by_unique[unique] = others.pop(0)
        elif others is not None and job in others:
            others.remove(job)
        if not others:
            self._others.pop(unique, None)
