"""From a backend's alias to the backend, with the one that needs no settings.

A project that never set TASKS has Django's default in it, which runs tasks at once: nobody's wish for `@gear_task`.
For such a project the alias "default" means a GearmanBackend on GEARJOBS["SERVERS"] that accepts any queue. As soon as
the project (or `override_settings`) says TASKS, Django's own handler decides. Both make backends by dotted path, so
that this file knows none, and one for each thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, runtime_checkable

from django.conf import settings

from gearjobs.tasks.django_tasks import (
    DEFAULT_TASK_BACKEND_ALIAS,
    BaseTaskBackend,
    Task,
    TaskBackendHandler,
    task_backends,
)
from gearjobs.tasks.result import GearResult

#: What TASKS is taken for when the project does not set it; `QUEUES: []` is Django's word for any queue.
IMPLICIT_TASKS: Final = {
    DEFAULT_TASK_BACKEND_ALIAS: {"BACKEND": "gearjobs.tasks.backend.GearmanBackend", "QUEUES": []},
}

_implicit_backends: Final = TaskBackendHandler(IMPLICIT_TASKS)


@runtime_checkable
class ForegroundBackend(Protocol):
    """A backend that can run a task elsewhere while the caller waits."""

    def do(self, task: Task[..., Any], args: Sequence[object], *, kwargs: Mapping[str, object]) -> object:
        """Run the call on a worker and return its result."""


@runtime_checkable
class BulkBackend(Protocol):
    """A backend that takes many calls of a task in one go."""

    def enqueue_many(
        self, task: Task[..., Any], calls: Iterable[tuple[Sequence[object], Mapping[str, object]]]
    ) -> list[GearResult[Any]]:
        """Enqueue the calls and return their results in order."""


@runtime_checkable
class GroupBackend(Protocol):
    """A backend that takes calls which wait for one another."""

    def validate_task(self, task: Task[..., Any]) -> None:
        """Refuse a task that cannot be enqueued here."""

    def enqueue_group(self, whole: Any) -> Any:
        """Enqueue a `Group` or `Chain` and return its GroupResult."""


def backend_for(alias: str) -> BaseTaskBackend:
    """Return this thread's backend of an alias.

    Raises:
        InvalidTaskBackend: TASKS has no such alias, or its BACKEND cannot be imported.
    """
    if alias == DEFAULT_TASK_BACKEND_ALIAS and not settings.is_overridden("TASKS"):
        return _implicit_backends[alias]
    return task_backends[alias]


def all_backends() -> list[BaseTaskBackend]:
    """Return every backend that a task may name."""
    if settings.is_overridden("TASKS"):
        return list(task_backends.all())
    return list(_implicit_backends.all())
