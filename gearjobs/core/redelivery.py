"""What becomes of a job whose run was cut short: again at once, or given up, and as what.

`job_retries` is gearmand 2.0's `--job-retries`: -1 hands a job out without end, 0 never a second time, N gives it up
when the Nth run was cut short. Beside it stands a bound of our own: a background job that loses its worker
`max_crashes` times is dead, for it most likely kills whoever runs it, and it would go on until no worker is left. A
worker that says WORK_FAIL ended the job itself: nothing here applies. A restart of the server is nobody's crash, but it
cuts a run short as well: who asked for one run at most gets one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from gearjobs.core.changes import Outcome
from gearjobs.core.jobs import Job

#: Lost workers after which a background job is dead: one may be bad luck, two a bad day, three is the job.
MAX_CRASHES: Final = 3


class Cut(Enum):
    """How a run was cut short."""

    #: The worker's connection is gone.
    WORKER_LOST = "worker lost"
    #: The worker took back its ability to do the function.
    GIVEN_BACK = "given back"
    #: The worker's own timeout for the function ran out.
    TIMED_OUT = "timed out"
    #: The server ended, and the worker's connection with it, or it was cut; the worker has not come back in time.
    NOT_RESUMED = "server or connection lost"


@dataclass(slots=True)
class RetryLimits:
    """How often a job may be handed out."""

    #: -1 without end, 0 never again, N runs at most.
    job_retries: int = -1
    #: Lost workers after which a background job is dead; 0 for no bound.
    max_crashes: int = MAX_CRASHES


def last_outcome(job: Job, cut: Cut, limits: RetryLimits) -> Outcome | None:
    """Return as what the job is given up after its present run was cut short, or None when it runs again."""
    if 0 <= limits.job_retries <= job.attempt:
        return Outcome.TIMED_OUT if cut is Cut.TIMED_OUT else Outcome.LOST
    is_deadly = cut is Cut.WORKER_LOST and job.is_background and 0 < limits.max_crashes <= job.crashes
    return Outcome.DEAD if is_deadly else None
