"""System checks of the declared tasks: what can be seen only when all of them are known, or means nothing together.

What is wrong in itself (a time below zero, a template that names no parameter) is refused when the task is declared.
`gearjobs.E111` the tasks of an application cannot be declared together, as two of one Gearman function; `gearjobs.E112`
a task with options under a backend that does not know them; `gearjobs.W111` retry rules of a task that is never tried
again; `gearjobs.W112` words about a unique of a task without one; `gearjobs.W113` an executor that only a
coroutine function can have; `gearjobs.W114` a task that expires before its limits let it start.
"""

from __future__ import annotations

from collections.abc import Iterator
from inspect import iscoroutinefunction
from typing import Any, Final

from django.core import checks

from gearjobs.errors import UsageError
from gearjobs.tasks.backend import GearmanBackend
from gearjobs.tasks.discovery import discover_tasks
from gearjobs.tasks.django_tasks import BaseTaskBackend, InvalidTask, InvalidTaskBackend
from gearjobs.tasks.flow_limits import Rate
from gearjobs.tasks.registry import registered_tasks
from gearjobs.tasks.task import GearTask
from gearjobs.tasks.task_options import NO_OPTIONS

_DECLARE_HINT: Final = "Importing the application's tasks shows where. QUEUES in TASKS lists the queues; [] allows any."
#: Django's own backends for tests: options mean nothing there, and do no harm.
_TEST_BACKENDS: Final = ("DummyBackend", "ImmediateBackend")


def check_task_options(**_: Any) -> list[checks.CheckMessage]:
    """Report what is wrong with the tasks of the installed applications, which are imported for it."""
    try:
        discover_tasks()
    except (UsageError, InvalidTask) as error:
        return [checks.Error(f"A task cannot be declared: {error}", hint=_DECLARE_HINT, id="gearjobs.E111")]
    tasks = [task for task in registered_tasks() if isinstance(task, GearTask)]
    return [report for task in tasks for check in _CHECKS for report in check(task)]


def _check_backend(task: GearTask[..., Any]) -> Iterator[checks.CheckMessage]:
    if task.options == NO_OPTIONS:
        return
    try:
        backend = task.get_backend()
    except InvalidTaskBackend:
        # Django's own check says so.
        return
    if not isinstance(backend, GearmanBackend) and not _is_for_tests(backend):
        yield checks.Error(
            f"{task.module_path} has options that {type(backend).__name__} does not know.",
            hint=f"Use GearmanBackend for TASKS[{task.backend!r}], or django.tasks' own options only.",
            id="gearjobs.E112",
        )


def _check_retries(task: GearTask[..., Any]) -> Iterator[checks.CheckMessage]:
    options = task.options
    says_something = any(
        getattr(options, name) != getattr(NO_OPTIONS, name) for name in ("backoff", "retry_on", "give_up_on")
    )
    if options.max_attempts == 1 and says_something:
        yield checks.Warning(
            f"{task.module_path} has retry rules, but max_attempts is 1: its jobs are never tried again.",
            hint="Set max_attempts.",
            id="gearjobs.W111",
        )


def _check_unique(task: GearTask[..., Any]) -> Iterator[checks.CheckMessage]:
    options = task.options
    says_something = any(getattr(options, name) != getattr(NO_OPTIONS, name) for name in ("unique_for", "on_conflict"))
    if options.unique is False and says_something:
        yield checks.Warning(
            f"{task.module_path} has unique_for or on_conflict, but no unique: its jobs never conflict.",
            hint="Set unique, or leave it to using(unique=...) and silence this check.",
            id="gearjobs.W112",
        )


def _check_executor(task: GearTask[..., Any]) -> Iterator[checks.CheckMessage]:
    executor = task.options.executor
    if executor == "async" and not iscoroutinefunction(task.func):
        yield checks.Warning(
            f"{task.module_path} is to run on an event loop but is no coroutine function: it would hold up the others.",
            hint='Write it with async def, or use executor="thread".',
            id="gearjobs.W113",
        )


def _check_expiry(task: GearTask[..., Any]) -> Iterator[checks.CheckMessage]:
    options = task.options
    if not options.expires_s:
        return
    slow = [
        limit for limit in options.limits if isinstance(limit, Rate) and limit.per_s / limit.count > options.expires_s
    ]
    if slow:
        yield checks.Warning(
            f"{task.module_path} expires after {options.expires_s:g} s, but its rate of {slow[0].count} in "
            f"{slow[0].per_s:g} s lets a waiting job start less often than that.",
            hint="Most jobs would expire: let them wait longer, or allow more of them.",
            id="gearjobs.W114",
        )


def _is_for_tests(backend: BaseTaskBackend) -> bool:
    return type(backend).__name__ in _TEST_BACKENDS


_CHECKS: Final = (_check_backend, _check_retries, _check_unique, _check_executor, _check_expiry)
