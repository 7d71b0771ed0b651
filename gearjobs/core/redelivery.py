"""What becomes of a job whose run was cut short: again at once, or given up, and as what.

`job_retries` is gearmand 2.0's `--job-retries`: -1 hands a job out without end, 0 never a second time, N gives it up
when the Nth run was cut short. Beside it stands a bound of our own: a background job that loses its worker
`max_crashes` times is dead, for it most likely kills whoever runs it, and it would go on until no worker is left. A
worker that says WORK_FAIL ended the job itself: nothing here applies. A restart of the server is nobody's crash, but it
cuts a run short as well: who asked for one run at most gets one. A job's own terms come after the operator's: `on_lost`
and `max_lost` for a worker that is gone, `max_attempts` for a run that took longer than `timeout_s`, which is the job's
doing and counts as an attempt though its worker was lost with it. A job that was told to stop does not run again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from gearjobs.core.changes import Outcome
from gearjobs.core.jobs import Job
from gearjobs.core.terms import OnLoss

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
    #: The run took longer than the job's terms allow: its worker ended it by force, or should have.
    OUT_OF_TIME = "out of time"
    #: The server ended, and the worker's connection with it, or it was cut; the worker has not come back in time.
    NOT_RESUMED = "server or connection lost"


#: The run is nobody's any more, and how far it came is not known.
_LOSSES: Final = frozenset({Cut.WORKER_LOST, Cut.NOT_RESUMED})
#: Runs that say nothing of the job.
_UNCOUNTED: Final = _LOSSES | {Cut.GIVEN_BACK}
_TIMEOUTS: Final = frozenset({Cut.TIMED_OUT, Cut.OUT_OF_TIME})


@dataclass(slots=True)
class RetryLimits:
    """How often a job may be handed out."""

    #: -1 without end, 0 never again, N runs at most.
    job_retries: int = -1
    #: Lost workers after which a background job is dead; 0 for no bound.
    max_crashes: int = MAX_CRASHES


def may_retry(job: Job, run_at: float) -> bool:
    """Whether a job whose run failed may run again then (unix seconds), as its worker wants it."""
    expires_at = job.terms.expires_at
    return job.is_background and not job.is_cancel_asked and not 0 < expires_at <= run_at


def judge_cut(job: Job, cut: Cut, *, now: float) -> Cut:
    """Return how the run was really cut short: a worker that is lost after the end of the run's time ended it by force.

    Args:
        job: a job that runs.
        cut: what was seen.
        now: unix seconds.
    """
    return Cut.OUT_OF_TIME if cut is Cut.WORKER_LOST and 0 < job.timeout_at <= now else cut


def count_cut(job: Job, cut: Cut) -> None:
    """Count the run that was cut short."""
    job.crashes += cut is Cut.WORKER_LOST
    job.lost += cut in _UNCOUNTED


def attempt_outcome(cut: Cut) -> Outcome:
    """Return as what a run that was cut short stands in the list of the job's attempts."""
    return Outcome.TIMED_OUT if cut in _TIMEOUTS else Outcome.LOST


def last_outcome(job: Job, cut: Cut, limits: RetryLimits) -> Outcome | None:
    """Return as what the job is given up after its present run was cut short and counted, or None: it runs again."""
    if job.is_cancel_asked:
        return Outcome.CANCELLED
    if 0 <= limits.job_retries <= job.attempt:
        return attempt_outcome(cut)
    if cut is Cut.OUT_OF_TIME:
        return None if job.attempt - job.lost < job.terms.max_attempts else Outcome.TIMED_OUT
    if cut not in _LOSSES:
        return None
    if job.terms.on_lost is OnLoss.FAIL:
        return Outcome.LOST
    max_lost = job.terms.max_lost or limits.max_crashes
    is_deadly = cut is Cut.WORKER_LOST and job.is_background and 0 < max_lost <= job.crashes
    return Outcome.DEAD if is_deadly else None
