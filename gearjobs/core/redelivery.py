"""What becomes of a job whose run was cut short: again at once, or given up.

`job_retries` is gearmand 2.0's `--job-retries`: -1 hands a job out without end, 0 never a second time, N gives it up
when the Nth run was cut short. A worker that says WORK_FAIL ended the job itself: nothing here applies.
"""

from __future__ import annotations

from enum import Enum

from gearjobs.core.jobs import Job


class Cut(Enum):
    """How a run was cut short."""

    #: The worker's connection is gone.
    WORKER_LOST = "worker lost"
    #: The worker took back its ability to do the function.
    GIVEN_BACK = "given back"
    #: The worker's own timeout for the function ran out.
    TIMED_OUT = "timed out"


def may_run_again(job: Job, *, job_retries: int) -> bool:
    """Tell whether the job is handed out once more after its present attempt was cut short."""
    return job_retries < 0 or job.attempt < job_retries
