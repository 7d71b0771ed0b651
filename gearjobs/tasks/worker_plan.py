"""What a group of worker processes is to do: which functions, for which tasks, at which job servers.

Worked out once, before the processes are forked, from the tasks of the project and what the operator asked for. The
queues a worker can serve without being told their names are those that tasks are declared on and those that TASKS
lists.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, Final

from django.conf import settings

from gearjobs.errors import UsageError
from gearjobs.settings import gearjobs_settings
from gearjobs.tasks.backend import GearmanBackend
from gearjobs.tasks.backend_lookup import all_backends
from gearjobs.tasks.discovery import discover_tasks, plain_tasks
from gearjobs.tasks.django_tasks import Task
from gearjobs.tasks.function_names import function_table, home_queue_of
from gearjobs.tasks.registry import registered_tasks

#: The operator's word for every queue.
ALL_QUEUES: Final = "*"


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """What each worker process does."""

    #: `host[:port]` of every job server jobs are taken from.
    servers: tuple[str, ...]
    #: The task of every function, on the queue the function says.
    tasks: dict[str, Task[..., Any]]
    #: The queues whose jobs these are.
    queues: tuple[str, ...] = ()
    #: Functions that were asked for and are not served, for their tasks run elsewhere.
    left_out: tuple[str, ...] = ()


def make_worker_plan(*, queue_names: Collection[str], patterns: Sequence[str] = ()) -> WorkerPlan:
    """Return what worker processes of this project serve; imports the `tasks` modules of all applications.

    Args:
        queue_names: queues by name, or ALL_QUEUES.
        patterns: functions by name, `*` and `?` allowed; none means all of the queues'.

    Raises:
        UsageError: there is nothing to serve, TASKS allows no such queue, or a pattern matches no function.
    """
    discover_tasks()
    backends = [backend for backend in all_backends() if isinstance(backend, GearmanBackend)]
    tasks = _tasks_of(backends)
    if not tasks:
        raise UsageError("no task was found; decorate one with @gear_task in the tasks.py of an installed application")
    known = _known_queues(tasks, backends)
    _check_queues(queue_names, known=known, is_closed=bool(backends) and all(backend.queues for backend in backends))
    queues = sorted(known if ALL_QUEUES in queue_names else queue_names)
    table = function_table(tasks, queues=queues)
    servers = dict.fromkeys(server for backend in backends for server in backend.servers)
    return WorkerPlan(tuple(servers) or gearjobs_settings().servers, _matching(table, patterns), tuple(queues))


def _tasks_of(backends: list[GearmanBackend]) -> list[Task[..., Any]]:
    # A plain task's calls come by `using(backend=...)`, for which TASKS must name a backend of ours.
    has_named_backend = bool(backends) and settings.is_overridden("TASKS")
    return registered_tasks() + (plain_tasks() if has_named_backend else [])


def _known_queues(tasks: list[Task[..., Any]], backends: list[GearmanBackend]) -> set[str]:
    return {home_queue_of(task) for task in tasks}.union(*(backend.queues for backend in backends))


def _check_queues(queue_names: Collection[str], *, known: set[str], is_closed: bool) -> None:
    """Refuse a queue nothing can be enqueued on, which is misspelt; where any queue is allowed there is none."""
    unknown = sorted(set(queue_names) - known - {ALL_QUEUES})
    if not queue_names or (unknown and is_closed):
        came = repr(unknown[0]) if unknown else "none"
        raise UsageError(f"a queue must be one of {', '.join(sorted(known))}, or {ALL_QUEUES} for all; got {came}")


def _matching(table: dict[str, Task[..., Any]], patterns: Sequence[str]) -> dict[str, Task[..., Any]]:
    for pattern in patterns:
        if not any(fnmatchcase(function, pattern) for function in table):
            near = get_close_matches(pattern, table, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(table))}"
            raise UsageError(f"no function of the queues matches {pattern!r}; {hint}")
    return {
        function: task
        for function, task in table.items()
        if not patterns or any(fnmatchcase(function, pattern) for pattern in patterns)
    }
