"""Taking jobs back on somebody's word: one job, those of a function that wait, or a function with all its jobs.

A cancelled job ends like any other: its record says so, its clients hear WORK_FAIL once, and its unique is free at once
(gearmand lets later submits join it, and they wait for ever). One that runs is asked to stop where its worker can hear
it, and goes on until that worker tells how it ended, or is lost. By force, or where no worker hears, it ends at once:
what its worker still reports is passed over. The jobs of a dropped function leave no record: gearmand forgets to drop
them at all, so that they come back with the next start.
"""

from __future__ import annotations

from collections.abc import Sequence

from gearjobs.core.abilities import Abilities
from gearjobs.core.changes import Finished, Outcome
from gearjobs.core.function_queue import FunctionQueue
from gearjobs.core.jobs import FunctionName, Job, JobHandle, JobState
from gearjobs.core.lifecycle import Lifecycle
from gearjobs.core.submission import CancelReceipt, CancelVerdict
from gearjobs.errors import FunctionInUse, FunctionUnknown, JobUnknown


def cancel(
    life: Lifecycle, abilities: Abilities, handle: JobHandle, *, is_forced: bool, reason: str = "", now: float
) -> CancelReceipt:
    """End a job at whatever stage it is, or ask its worker to.

    Args:
        life: the jobs.
        abilities: the functions and workers.
        handle: the job.
        is_forced: whether it ends at once though its worker could be asked to stop it.
        reason: why, for its record.
        now: unix seconds.

    Raises:
        JobUnknown: no live job has the handle.
    """
    job = life.jobs.get(handle)
    if job is None or job.state is JobState.ENDED:
        raise JobUnknown(f"no live job has the handle {handle!r}")
    if not is_forced and _can_be_asked(job, abilities):
        return CancelReceipt(CancelVerdict.ASKED, life.ask_to_stop(job, reason=reason, now=now))
    if job.worker is not None:
        life.notify(job, is_forced=True)
        abilities.peers[job.worker].passed_over[handle] = job.is_resumable
    life.cancel(job, Finished(handle, Outcome.CANCELLED, b"", now, cancel_reason=reason))
    return CancelReceipt(CancelVerdict.CANCELLED, life.may_have_row(job))


def list_waiting(life: Lifecycle, name: FunctionName) -> list[JobHandle]:
    """Return the function's jobs that wait for a worker; one pass over all live jobs."""
    return [job.handle for job in life.jobs.values() if job.state is JobState.WAITING and job.function == name]


def clear(life: Lifecycle, handles: Sequence[JobHandle], *, reason: str, now: float) -> int:
    """End those of the jobs as cancelled that wait for a worker; return how many.

    Those that run, are not due, or wait for a commit, stay.
    """
    waiting = [job for handle in handles if (job := life.jobs.get(handle)) and job.state is JobState.WAITING]
    for job in waiting:
        life.cancel(job, Finished(job.handle, Outcome.CANCELLED, b"", now, cancel_reason=reason))
    return len(waiting)


def drop_function(life: Lifecycle, abilities: Abilities, name: FunctionName) -> None:
    """Remove a function that nobody serves, and its jobs; one pass over all live jobs.

    Raises:
        FunctionUnknown: there is none of that name.
        FunctionInUse: workers can do it, or run a job of it.
    """
    queue = _find(abilities, name)
    if queue.workers or queue.running:
        raise FunctionInUse(f"{queue.name!r} has {len(queue.workers)} workers and {queue.running} running jobs")
    # An ended job is only waiting for its outcome's commit, and its record stays.
    for job in [job for job in life.jobs.values() if job.function == queue.name and job.state is not JobState.ENDED]:
        life.drop(job)
    del abilities.functions[queue.name]


def _can_be_asked(job: Job, abilities: Abilities) -> bool:
    """Whether the job runs, and its worker hears of it: now, or when it is back."""
    if job.worker is None:
        return job.state is JobState.ORPHANED and job.is_resumable
    return abilities.peers[job.worker].has_extensions


def _find(abilities: Abilities, name: FunctionName) -> FunctionQueue:
    """Return the function of that name, else the first that differs from it by case only, as gearmand compares them."""
    if name in abilities.functions:
        return abilities.functions[name]
    for queue in abilities.functions.values():
        if queue.name.lower() == name.lower():
            return queue
    raise FunctionUnknown(f"there is no function {name!r}")
