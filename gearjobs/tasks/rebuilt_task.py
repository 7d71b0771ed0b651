"""Tasks as a job's row or assignment names them: copies with the job's queue, priority and time.

Nothing is validated here: the job exists, whatever the settings say today. Nothing is imported by name either, since a
row's `task` may come from any peer of the wire: a task is looked up among the declared ones and in modules that are
already there, and a task that cannot be found is stood in for by one that refuses to run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from operator import attrgetter
from typing import Any, NoReturn

from django.core.exceptions import SuspiciousOperation

from gearjobs.errors import UsageError
from gearjobs.tasks.django_tasks import DEFAULT_TASK_PRIORITY, DEFAULT_TASK_QUEUE_NAME, Task
from gearjobs.tasks.registry import task_at, task_of_function
from gearjobs.tasks.task import GearTask
from gearjobs.tasks.task_options import NO_OPTIONS


def find_task(path: str, *, function: str = "") -> Task[..., Any] | None:
    """Return the task at a dotted path, or else the one that answers to a Gearman function; None when nobody knows it.

    Raises:
        SuspiciousOperation: the path is that of something else than a task.
    """
    declared = task_at(path)
    found = loaded_value(path) if declared is None else declared
    if found is None:
        name_on_queue, _, _ = function.rpartition("@")
        return task_of_function(function) or task_of_function(name_on_queue)
    if not isinstance(found, Task):
        raise SuspiciousOperation(f"{path!r} must be a task, got {type(found).__name__}")
    return found


def loaded_value(path: str) -> object:
    """Return what stands at a dotted path of a module that is already loaded; None when nothing does."""
    module, _, name = path.rpartition(".")
    try:
        found: object = attrgetter(name)(sys.modules[module])
    except (KeyError, AttributeError):
        return None
    return found


def rebuild(
    task: Task[..., Any], *, backend: str, queue_name: str, priority: int, run_after: datetime | None = None
) -> Task[..., Any]:
    """Return a copy of a task with a job's own values, of the same class and unvalidated."""
    changes = {"backend": backend, "queue_name": queue_name, "priority": priority, "run_after": run_after}
    return _assemble(type(task), {one.name: getattr(task, one.name) for one in fields(task)} | changes)


def on_queue(task: Task[..., Any], queue_name: str) -> Task[..., Any]:
    """Return a task as `using(queue_name=...)` would, unvalidated."""
    return rebuild(task, backend=task.backend, queue_name=queue_name, priority=task.priority)


def stand_in(path: str, *, backend: str) -> Task[..., Any]:
    """Return a task for a job whose task this process does not know; it cannot be run."""
    module, _, name = path.rpartition(".")
    values = {
        "func": _unknown_function(module, name),
        "priority": DEFAULT_TASK_PRIORITY,
        "backend": backend,
        "queue_name": DEFAULT_TASK_QUEUE_NAME,
        "run_after": None,
        "takes_context": False,
        "name": name,
        "aliases": (),
        "function_name": path,
        "home_queue": DEFAULT_TASK_QUEUE_NAME,
        "options": NO_OPTIONS,
    }
    return _assemble(GearTask, values)


def _assemble(task_class: type[Task[..., Any]], values: dict[str, Any]) -> Task[..., Any]:
    task = object.__new__(task_class)
    for name, value in values.items():
        object.__setattr__(task, name, value)
    return task


def _unknown_function(module: str, name: str) -> Callable[..., NoReturn]:
    def unknown_function(*args: object, **kwargs: object) -> NoReturn:
        raise UsageError(f"the task {module}.{name} is not known to this process; import its module first")

    unknown_function.__module__, unknown_function.__qualname__, unknown_function.__name__ = module, name, name
    return unknown_function
