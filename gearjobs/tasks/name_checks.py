"""System checks of names: queues, and the Gearman functions that tasks answer to.

`gearjobs.E131` a task that its backend refuses, such as for a queue that TASKS does not list; `gearjobs.E132` two tasks
of one Gearman function; `gearjobs.E133` a function that no job server would take, for its length or its characters;
`gearjobs.E134` a queue in TASKS whose name cannot be part of a function's. Tasks that cannot even be declared are
reported by `option_checks`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core import checks

from gearjobs.errors import UsageError
from gearjobs.tasks.backend import GearmanBackend
from gearjobs.tasks.backend_lookup import all_backends, backend_for
from gearjobs.tasks.discovery import discover_tasks, plain_tasks
from gearjobs.tasks.django_tasks import InvalidTask, InvalidTaskBackend, Task
from gearjobs.tasks.function_names import check_queue_name, function_table, home_queue_of
from gearjobs.tasks.registry import registered_tasks
from gearjobs.tasks.task import check_function_name


def check_names(**_: Any) -> list[checks.CheckMessage]:
    """Report queues and functions that cannot be used; imports the tasks of the installed applications."""
    try:
        discover_tasks()
        backends = [backend for backend in all_backends() if isinstance(backend, GearmanBackend)]
    except (UsageError, InvalidTask, InvalidTaskBackend):
        # Said by other checks.
        return []
    tasks = [*registered_tasks(), *plain_tasks()]
    queues = {home_queue_of(task) for task in tasks}.union(*(backend.queues for backend in backends))
    return [*_check_queues(backends), *_check_acceptance(tasks), *_check_functions(tasks, queues)]


def _check_queues(backends: list[GearmanBackend]) -> Iterator[checks.CheckMessage]:
    for backend in backends:
        for queue in sorted(backend.queues):
            try:
                check_queue_name(queue)
            except UsageError as error:
                yield checks.Error(
                    f'TASKS[{backend.alias!r}]["QUEUES"] has {queue[:40]!r}, which cannot be a queue: {error}.',
                    hint="Give the queue a name without white space.",
                    id="gearjobs.E134",
                )


def _check_acceptance(tasks: list[Task[..., Any]]) -> Iterator[checks.CheckMessage]:
    for task in tasks:
        try:
            backend_for(task.backend).validate_task(task)
        except InvalidTaskBackend as error:
            yield checks.Error(
                f"{task.module_path} is for the backend {task.backend!r}, which cannot be had: {error}",
                hint="Name an alias of TASKS.",
                id="gearjobs.E131",
            )
        except InvalidTask as error:
            yield checks.Error(
                f"{task.module_path} is refused by its backend {task.backend!r}: {error}",
                hint=f'TASKS[{task.backend!r}]["QUEUES"] lists the queues that may be used; [] allows any.',
                id="gearjobs.E131",
            )


def _check_functions(tasks: list[Task[..., Any]], queues: set[str]) -> Iterator[checks.CheckMessage]:
    try:
        table = function_table(tasks, queues=sorted(queues))
    except UsageError as error:
        yield checks.Error(f"{error}.", hint="Give one of them another name=.", id="gearjobs.E132")
        return
    for function, task in table.items():
        try:
            check_function_name(function)
        except UsageError as error:
            yield checks.Error(
                f"{task.module_path} on the queue {task.queue_name!r} cannot be run: {error}.",
                hint="Give the task a shorter name=, or the queue a shorter name.",
                id="gearjobs.E133",
            )
