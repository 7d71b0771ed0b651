"""The tasks that the conformance suite enqueues: plain Tasks, declared under Django's dummy backend.

Imported by the suite when its first test class begins, and by whatever runs the jobs. A backend must take such tasks
as they are: what stands in a module was made under the settings of its import.
"""

from __future__ import annotations

import asyncio
from typing import Any, Never

from gearjobs.tasks.django_tasks import TaskContext, task

#: What `note` was called with in this process.
noted: list[Any] = []


@task
def add(a: int, b: int = 1) -> int:
    """Return a sum."""
    return a + b


@task
def multiply(a: int, b: int) -> int:
    """Return a product."""
    return a * b


@task
def note(value: object) -> None:
    """Remember that this ran, in this process."""
    noted.append(value)


@task
def give_back(*args: object, **kwargs: object) -> list[object]:
    """Return the arguments as the task got them, in a tuple where JSON has lists."""
    return [args, kwargs]


@task
def fail(words: str) -> Never:
    """Raise."""
    raise ValueError(words)


@task
def return_a_set() -> set[int]:
    """Return what has no JSON form."""
    return {1}


@task
def interrupt() -> Never:
    """Do what Ctrl-C does."""
    raise KeyboardInterrupt


@task
async def add_later(a: int, b: int) -> int:
    """Return a sum, as a coroutine."""
    await asyncio.sleep(0)
    return a + b


@task(takes_context=True)
def tell_context(context: TaskContext[..., Any], word: str) -> list[object]:
    """Return what the context tells."""
    return [isinstance(context, TaskContext), context.attempt, context.task_result.id, word]


@task
def enqueue_another(a: int) -> str:
    """Enqueue a job in a job; return its id."""
    return str(add.enqueue(a).id)
