"""Taking jobs back on an operator's word: one job, or a function with all its jobs.

A cancelled job ends like any other: its record says so, its clients hear WORK_FAIL once, and its unique is free at once
(gearmand lets later submits join it, and they wait for ever). The worker that runs it is not stopped; what it still
reports is passed over. The jobs of a dropped function leave no record: gearmand forgets to drop them at all, so that
they come back with the next start.
"""

from __future__ import annotations

from gearjobs.core.abilities import Abilities
from gearjobs.core.changes import Finished, Outcome
from gearjobs.core.function_queue import FunctionQueue
from gearjobs.core.jobs import FunctionName, JobHandle, JobState
from gearjobs.core.lifecycle import Lifecycle
from gearjobs.errors import FunctionInUse, FunctionUnknown, JobUnknown


def cancel(life: Lifecycle, abilities: Abilities, handle: JobHandle, *, now: float) -> None:
    """End a job at whatever stage it is.

    Raises:
        JobUnknown: no live job has the handle.
    """
    job = life.jobs.get(handle)
    if job is None or job.state is JobState.ENDED:
        raise JobUnknown(f"no live job has the handle {handle!r}")
    if job.worker is not None:
        abilities.peers[job.worker].passed_over[handle] = job.is_resumable
    life.cancel(job, Finished(handle, Outcome.CANCELLED, b"", now))


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


def _find(abilities: Abilities, name: FunctionName) -> FunctionQueue:
    """Return the function of that name, else the first that differs from it by case only, as gearmand compares them."""
    if name in abilities.functions:
        return abilities.functions[name]
    for queue in abilities.functions.values():
        if queue.name.lower() == name.lower():
            return queue
    raise FunctionUnknown(f"there is no function {name!r}")
