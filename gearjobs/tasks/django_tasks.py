"""The tasks API: Django's own from 6.0 on, the django-tasks backport before. No other file knows which.

Names are those of Django. Importing the backport's `checks` and `signals` here does all that its AppConfig would, so
that it need not stand in INSTALLED_APPS: it has no models, templates or translations. At run time Django's classes are
not generic, though their stubs are; `GenericTask` and `GenericResult` take type arguments in a list of base classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import django

if TYPE_CHECKING or django.VERSION >= (6, 0):
    from django.tasks import (
        DEFAULT_TASK_BACKEND_ALIAS,
        DEFAULT_TASK_QUEUE_NAME,
        Task,
        TaskBackendHandler,
        TaskContext,
        TaskResult,
        TaskResultStatus,
        task,
        task_backends,
    )
    from django.tasks.backends.base import BaseTaskBackend
    from django.tasks.base import DEFAULT_TASK_PRIORITY, TASK_REFRESH_ATTRS, TaskError
    from django.tasks.exceptions import (
        InvalidTask,
        InvalidTaskBackend,
        TaskException,
        TaskResultDoesNotExist,
        TaskResultMismatch,
    )
    from django.tasks.signals import task_enqueued, task_finished, task_started
    from django.utils.json import normalize_json
else:
    from django_tasks import (
        DEFAULT_TASK_BACKEND_ALIAS,
        DEFAULT_TASK_QUEUE_NAME,
        TaskBackendHandler,
        TaskContext,
        TaskResult,
        TaskResultStatus,
        checks,  # noqa: F401 - registers the system check of all backends
        task,
        task_backends,
    )
    from django_tasks.backends.base import BaseTaskBackend
    from django_tasks.base import DEFAULT_TASK_PRIORITY, TASK_REFRESH_ATTRS, Task, TaskError
    from django_tasks.exceptions import (
        InvalidTaskBackendError as InvalidTaskBackend,
    )
    from django_tasks.exceptions import (
        InvalidTaskError as InvalidTask,
    )
    from django_tasks.exceptions import (
        TaskException,
        TaskResultDoesNotExist,
        TaskResultMismatch,
    )
    from django_tasks.signals import task_enqueued, task_finished, task_started
    from django_tasks.utils import normalize_json

if TYPE_CHECKING:
    from django.tasks import Task as GenericTask
    from django.tasks import TaskContext as GenericContext
    from django.tasks import TaskResult as GenericResult
else:

    class _Generic:
        """Makes `base[P, R]` in a list of base classes mean `base`."""

        def __init__(self, base):
            self._base = base

        def __getitem__(self, type_arguments):
            return self._base

    GenericTask = _Generic(Task)
    GenericContext = _Generic(TaskContext)
    GenericResult = _Generic(TaskResult)

#: The logger to which the receivers that come with the signals write.
TASKS_LOGGER_NAME = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"

__all__ = [
    "DEFAULT_TASK_BACKEND_ALIAS",
    "DEFAULT_TASK_PRIORITY",
    "DEFAULT_TASK_QUEUE_NAME",
    "TASKS_LOGGER_NAME",
    "TASK_REFRESH_ATTRS",
    "BaseTaskBackend",
    "GenericContext",
    "GenericResult",
    "GenericTask",
    "InvalidTask",
    "InvalidTaskBackend",
    "Task",
    "TaskBackendHandler",
    "TaskContext",
    "TaskError",
    "TaskException",
    "TaskResult",
    "TaskResultDoesNotExist",
    "TaskResultMismatch",
    "TaskResultStatus",
    "normalize_json",
    "task",
    "task_backends",
    "task_enqueued",
    "task_finished",
    "task_started",
]
