"""Every GearTask of this process by its dotted path, and who owns which Gearman function.

A worker finds what to run here and nowhere else: never by importing a name that came over the wire.
A task enters when it is declared, at the import of its module; the copies that `using()` makes do not. Two tasks under
one function name would run each other's jobs: refused at the second declaration. No lock: imports of one module are
serialised by Python, and a dict's single operations by the interpreter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gearjobs.errors import UsageError
from gearjobs.tasks.django_tasks import Task

_tasks: Final[dict[str, Task[..., Any]]] = {}
_owners: Final[dict[str, str]] = {}


def register(task: Task[..., Any], *, functions: Sequence[str]) -> None:
    """Make a task known under its dotted path; the same path again replaces it, as after a reload.

    Args:
        task: the task as declared.
        functions: the Gearman functions it answers to, on its own queue.

    Raises:
        UsageError: another task owns one of the functions; nothing was registered.
    """
    path = task.module_path
    for function in functions:
        owner = _owners.get(function, path)
        if owner != path:
            raise UsageError(f"{path} cannot be called {function!r}, which is {owner}; give one of them another name=")
    for function in [known for known, owner in _owners.items() if owner == path]:
        del _owners[function]
    _owners.update(dict.fromkeys(functions, path))
    _tasks[path] = task


def task_at(path: str) -> Task[..., Any] | None:
    """Return the task declared at a dotted path."""
    return _tasks.get(path)


def task_of_function(function: str) -> Task[..., Any] | None:
    """Return the task that answers to a Gearman function on its own queue."""
    return _tasks.get(_owners.get(function, ""))


def registered_tasks() -> list[Task[..., Any]]:
    """Return every declared task, in the order of declaration."""
    return list(_tasks.values())
