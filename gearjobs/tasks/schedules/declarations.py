"""Schedules that the code declares: `@gear_task(schedule=...)`, and `@periodic` above it, several if one likes.

Declaring only remembers; nothing is written until worker processes are started, which bring the table in line with the
declarations of the whole project (`schedule_sync`). A task's module may be imported again, as by a reload: then its
declarations replace those of before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any, Final, TypeVar, Unpack

from gearjobs.errors import UsageError
from gearjobs.tasks.django_tasks import Task
from gearjobs.tasks.schedules.schedule_spec import ScheduleSpec, ScheduleWords, When, as_spec
from gearjobs.tasks.task import GearTask

_AnyTask = TypeVar("_AnyTask", bound=GearTask[..., Any])


@dataclass(frozen=True, slots=True)
class Declaration:
    """A schedule that the code declares."""

    #: Name of the schedule.
    key: str
    task: GearTask[..., Any]
    spec: ScheduleSpec


_declared: Final[dict[str, Declaration]] = {}


def periodic(when: When, *, key: str = "", **words: Unpack[ScheduleWords]) -> Callable[[_AnyTask], _AnyTask]:
    """Declare a schedule of the task below, and return the task.

    Args:
        when: a crontab's five fields, or the time between two runs.
        key: name of the schedule; by default the task's dotted path, which only one of several can have.
        words: `args`, `kwargs`, `tz`, `overlap`, `catch_up` and `jitter`, see ScheduleSpec.

    Raises:
        UsageError: a value cannot be, the key is taken, or what stands below is no task.
    """
    spec = ScheduleSpec(when, key=key, **words)

    def declare(task: _AnyTask) -> _AnyTask:
        declare_schedule(task, spec)
        return task

    return declare


def declare_schedule(task: object, schedule: When | ScheduleSpec) -> None:
    """Remember that a task is to be called so.

    Raises:
        UsageError: the schedule cannot be, its key is taken, or the task is none of ours.
    """
    if not isinstance(task, GearTask):
        what = f"the task {task.module_path}" if isinstance(task, Task) else repr(task)[:75]
        raise UsageError(f"a schedule needs a task made by @gear_task, and stands above that decorator; got {what}")
    spec = as_spec(schedule)
    key = spec.key or task.module_path
    known = _declared.get(key)
    if known is not None and known.task is task:
        raise UsageError(f"{task.module_path} has two schedules with the key {key!r}; give each a key= of its own")
    if known is not None and known.task.module_path != task.module_path:
        raise UsageError(f"{task.module_path} cannot have the schedule {key!r}, which is {known.task.module_path}'s")
    check_call(task, spec.args, kwargs=spec.kwargs or {})
    _declared[key] = Declaration(key, task, spec)


def check_call(task: GearTask[..., Any], args: Sequence[Any], *, kwargs: Mapping[str, Any]) -> None:
    """Refuse arguments that the task's function does not take.

    Raises:
        UsageError: the text says what does not fit.
    """
    context = (None,) if task.takes_context else ()
    try:
        signature(task.func).bind(*context, *args, **kwargs)
    except TypeError as error:
        raise UsageError(f"{task.module_path} cannot be called with these arguments: {error}") from error


def declared_schedules() -> list[Declaration]:
    """Return what was declared in the modules imported so far, in the order of declaration."""
    return list(_declared.values())
