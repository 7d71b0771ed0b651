"""The groups of worker processes that a command is to run: from GEARJOBS["WORKERS"], flags, and the project's tasks.

A group is a number of processes that serve the same functions in the same manner. Without groups in the settings there
is one, `default`. A task may say where it runs (`executor`): then the groups of that kind serve it, wherever there are
any; "process", which means that nothing else runs beside it, is never served otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, Final

from gearjobs.errors import UsageError
from gearjobs.settings import WorkerSettings
from gearjobs.tasks.django_tasks import Task
from gearjobs.tasks.task import options_of
from gearjobs.tasks.worker_plan import WorkerPlan, make_worker_plan
from gearjobs.worker.pool.autoscaling import ScaleRules
from gearjobs.worker.pool.child_slot import PoolGroup
from gearjobs.worker.pool.recycling import RecycleLimits

#: The group that there is without settings.
DEFAULT_GROUP: Final = "default"
#: What a process of a group runs at once: one job, several in threads, or many in an event loop.
PROCESS, THREAD, ASYNC = "process", "thread", "async"


@dataclass(frozen=True, slots=True)
class WorkerGroup:
    """One group."""

    name: str
    settings: WorkerSettings
    plan: WorkerPlan

    @property
    def executor(self) -> str:
        """What its processes run at once."""
        return executor_of(self.settings)

    @property
    def pool_group(self) -> PoolGroup:
        """What a pool must know of it."""
        given = self.settings
        return PoolGroup(
            self.name,
            ScaleRules(
                given.processes,
                max(given.processes, given.max_processes),
                idle_timeout_s=given.idle_timeout_s,
                max_load=given.max_load,
            ),
            lanes=given.async_concurrency or given.threads,
            recycle=RecycleLimits(given.max_tasks, given.max_memory_mib * 1024 * 1024, given.max_lifetime_s),
            jitter=given.recycle_jitter,
        )


def make_worker_groups(
    settings: WorkerSettings, names: Sequence[str] = (), *, flags: Mapping[str, Any] | None = None
) -> list[WorkerGroup]:
    """Return the groups to be run; imports the `tasks` modules of all applications.

    Args:
        settings: of all.
        names: which groups; none means all there are.
        flags: what wins over the settings of every group, by the name of the setting's field.

    Raises:
        UsageError: there is no such group, or one of them could not do anything.
    """
    known = {name: settings.of_group(name) for name in settings.groups} or {DEFAULT_GROUP: settings}
    if DEFAULT_GROUP in names:
        known.setdefault(DEFAULT_GROUP, settings)
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
            raise UsageError(f"no group of workers is called {name!r}; {hint}")
    groups = [_make_group(name, replace(one, **(flags or {}))) for name, one in known.items()]
    shared = [_with_its_tasks(group, groups) for group in groups]
    chosen = [group for group in shared if not names or group.name in names]
    for group in chosen:
        if not group.plan.tasks:
            raise UsageError(
                f"the group {group.name} has nothing to do: other groups have the executors its tasks want"
            )
    return chosen


def executor_of(settings: WorkerSettings) -> str:
    """Return what the processes of such a group run at once."""
    if settings.async_concurrency:
        return ASYNC
    return THREAD if settings.threads > 1 else PROCESS


def unserved_tasks(groups: Sequence[WorkerGroup]) -> list[str]:
    """Return the functions that these groups would serve, were it not for their task's executor."""
    served = {function for group in groups for function in group.plan.tasks}
    return sorted({function for group in groups for function in group.plan.left_out} - served)


def _make_group(name: str, settings: WorkerSettings) -> WorkerGroup:
    if settings.processes < 1:
        raise UsageError(f"the group {name} needs at least one process, got {settings.processes}")
    if settings.async_concurrency and settings.threads > 1:
        raise UsageError(
            f"the group {name} must have threads or asynchronous jobs, got {settings.threads} threads and both"
        )
    return WorkerGroup(name, settings, make_worker_plan(queue_names=settings.queues, patterns=settings.functions))


def _with_its_tasks(group: WorkerGroup, groups: Sequence[WorkerGroup]) -> WorkerGroup:
    """Return the group without the functions of tasks that are to run elsewhere."""
    own = {
        function: task for function, task in group.plan.tasks.items() if _is_for(group, function, task, groups=groups)
    }
    left_out = tuple(function for function in group.plan.tasks if function not in own)
    return replace(group, plan=replace(group.plan, tasks=own, left_out=left_out))


def _is_for(group: WorkerGroup, function: str, task: Task[..., Any], *, groups: Sequence[WorkerGroup]) -> bool:
    wanted = options_of(task).executor
    if not wanted or wanted == group.executor:
        return True
    has_home = any(other.executor == wanted and function in other.plan.tasks for other in groups)
    return wanted != PROCESS and not has_home
