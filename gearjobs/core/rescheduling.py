"""Another place in the line for a job that has not started, or not again: on a submitter's word, or on an operator's.

A submission that joins a job may only want it sooner (`hasten`). An operator may say anything (`reschedule`): another
priority, another time, sooner or later, another function. A run is never touched: what runs, has ended, or is just
being committed stays as it is, and whoever asked is told so. A job with a unique keeps its function: there another job
may have that unique.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gearjobs.core.abilities import Abilities
from gearjobs.core.changes import Hastened, Rescheduled
from gearjobs.core.jobs import FunctionName, Job, JobHandle, JobState
from gearjobs.core.lifecycle import Lifecycle
from gearjobs.core.submission import ChangeReceipt, ChangeVerdict

_DELAYED: Final = JobState.DELAYED
_WAITING: Final = JobState.WAITING


@dataclass(slots=True)
class Wish:
    """What an operator wants of a job; None says nothing."""

    #: -100 to 100.
    priority: int | None = None
    #: Unix seconds before which it must not start; 0 for at once.
    run_at: float | None = None
    function: FunctionName | None = None
    #: The django.tasks queue that goes with the function, for the job's record.
    queue: str = ""


def reschedule(life: Lifecycle, abilities: Abilities, handle: JobHandle, *, wish: Wish, now: float) -> ChangeReceipt:
    """Let a job that waits for a worker, or for its time, wait as it is wanted now.

    Args:
        life: the jobs.
        abilities: the functions and workers.
        handle: the job.
        wish: what is to be another.
        now: unix seconds.
    """
    job = life.jobs.get(handle)
    if job is None or job.state is JobState.ENDED:
        return ChangeReceipt(ChangeVerdict.UNKNOWN)
    if job.is_running:
        return ChangeReceipt(ChangeVerdict.STARTED)
    if job.state is JobState.STORING or not job.is_kept:
        return ChangeReceipt(ChangeVerdict.BUSY)
    moves = wish.function is not None and wish.function != job.function
    if moves and job.unique:
        return ChangeReceipt(ChangeVerdict.UNIQUE)
    was_waiting, queued_at = job.state is _WAITING, job.queued_at
    _take_out(job, abilities)
    job.priority = job.priority if wish.priority is None else wish.priority
    # It was due once, and a clock that was set back does not undo that.
    known_at = min(job.run_at, now) if was_waiting else job.run_at
    job.run_at = known_at if wish.run_at is None else wish.run_at
    job.function = job.function if wish.function is None else wish.function
    function = job.function if moves else FunctionName(b"")
    has_run = job.attempt > 0
    life.note(job, Rescheduled(handle, job.priority, job.run_at, now, function, wish.queue, has_run))
    life.enqueue(job, now=now)
    if was_waiting and job.state is _WAITING:
        job.queued_at = queued_at
    return ChangeReceipt(ChangeVerdict.CHANGED, life.may_have_row(job))


def hasten(life: Lifecycle, abilities: Abilities, job: Job, *, priority: int, run_at: float, now: float) -> None:
    """Give a job that has not started this priority and time, where they are higher and earlier than its own."""
    state = job.state
    # Between two attempts its time is what the failure of the last one asks for.
    is_sooner = state is not _WAITING and not job.attempt and job.run_at > max(now, run_at)
    if priority <= job.priority and not is_sooner:
        return
    priority, run_at = max(job.priority, priority), run_at if is_sooner else job.run_at
    if state is _WAITING:
        abilities.function(job.function).pull(job)
    job.priority, job.run_at = priority, run_at
    life.note(job, Hastened(job.handle, priority, run_at, now))
    if state is _WAITING:
        queue = abilities.function(job.function)
        queue.push(job)
        abilities.announce(queue, now=now)
    elif state is _DELAYED and is_sooner:
        life.delayed.add(job)
        life.promote_due(now)


def _take_out(job: Job, abilities: Abilities) -> None:
    queue = abilities.function(job.function)
    if job.state is _WAITING:
        queue.pull(job)
    else:
        queue.delayed -= 1
