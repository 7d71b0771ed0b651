"""Which Gearman function a call goes to, and which functions a worker of given queues serves.

A call on its task's declared queue goes to the task's own function, so that peers in other languages see the name they
know. A call on another queue goes to `name@queue`. So a worker of queue Q serves `name` of the tasks declared on Q and
`name@Q` of all others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from gearjobs.errors import UsageError
from gearjobs.protocol.attributes import MAX_NAME_CHARACTERS
from gearjobs.tasks.django_tasks import Task
from gearjobs.tasks.rebuilt_task import loaded_value, on_queue
from gearjobs.tasks.task import GearTask, check_function_name


def function_of(task: Task[..., Any]) -> str:
    """Return the Gearman function of a call of `task` on its present queue."""
    name, home_queue = _identity(task)
    return name if task.queue_name == home_queue else f"{name}@{task.queue_name}"


def own_function_of(task: Task[..., Any]) -> str:
    """Return the Gearman function of a task, whatever its present queue."""
    return _identity(task)[0]


def home_queue_of(task: Task[..., Any]) -> str:
    """Return the queue a task was declared on."""
    return _identity(task)[1]


def function_table(tasks: Iterable[Task[..., Any]], *, queues: Collection[str]) -> dict[str, Task[..., Any]]:
    """Return every function that a worker of these queues serves, and the task it means, on the queue it says.

    Raises:
        UsageError: two tasks claim one function.
    """
    table: dict[str, Task[..., Any]] = {}
    for task in tasks:
        for function, queue in _functions_on(task, queues):
            other = table.setdefault(function, on_queue(task, queue))
            if other.func is not task.func:
                raise UsageError(f"{task.module_path} and {other.module_path} both claim the function {function!r}")
    return table


def _functions_on(task: Task[..., Any], queues: Collection[str]) -> Iterator[tuple[str, str]]:
    name, home_queue = _identity(task)
    for own_name in (name, *(task.aliases if isinstance(task, GearTask) else ())):
        for queue in queues:
            yield own_name if queue == home_queue else f"{own_name}@{queue}", queue


def check_queue_name(queue_name: str) -> None:
    """Refuse what cannot follow the `@` in a function name.

    Raises:
        UsageError: the name is empty, too long, or has white space or control characters.
    """
    if not 1 <= len(queue_name) <= MAX_NAME_CHARACTERS:
        raise UsageError(f"queue_name must have 1 to {MAX_NAME_CHARACTERS} characters, got {queue_name[:40]!r}")
    check_function_name(f"@{queue_name}")


def _identity(task: Task[..., Any]) -> tuple[str, str]:
    """Return a task's function name and declared queue."""
    if isinstance(task, GearTask):
        return task.function_name, task.home_queue
    # A plain Task forgets its declared queue in `using()`; what stands in its module still knows it.
    declared = loaded_value(task.module_path)
    return task.module_path, declared.queue_name if isinstance(declared, Task) else task.queue_name
