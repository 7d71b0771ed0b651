"""`@gear_task`: makes a module-level function a GearTask.

The overloads keep the function's signature: `enqueue`, `do` and a direct call take what the function takes, without
the context where there is one; the value of a coroutine function is what it returns when awaited. Everything a task
then is and does stands in `task`, what its options mean in `task_options`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from inspect import iscoroutinefunction
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar, Unpack, overload

from gearjobs.tasks.context import GearContext
from gearjobs.tasks.django_tasks import (
    DEFAULT_TASK_BACKEND_ALIAS,
    DEFAULT_TASK_PRIORITY,
    DEFAULT_TASK_QUEUE_NAME,
)
from gearjobs.tasks.option_words import OptionValues
from gearjobs.tasks.schedules.declarations import declare_schedule
from gearjobs.tasks.schedules.schedule_spec import ScheduleSpec, When
from gearjobs.tasks.task import AsyncGearTask, GearTask
from gearjobs.tasks.task_options import read_options

P = ParamSpec("P")
R = TypeVar("R")


class _Decorator(Protocol):
    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncGearTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> GearTask[P, R]: ...


class _ContextDecorator(Protocol):
    @overload
    def __call__(
        self, function: Callable[Concatenate[GearContext, P], Coroutine[Any, Any, R]], /
    ) -> AsyncGearTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[GearContext, P], R], /) -> GearTask[P, R]: ...


@overload
def gear_task(function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncGearTask[P, R]: ...
@overload
def gear_task(function: Callable[P, R], /) -> GearTask[P, R]: ...
@overload
def gear_task(
    *,
    name: str | None = None,
    priority: int = DEFAULT_TASK_PRIORITY,
    queue_name: str = DEFAULT_TASK_QUEUE_NAME,
    backend: str = DEFAULT_TASK_BACKEND_ALIAS,
    takes_context: Literal[False] = False,
    aliases: Sequence[str] = (),
    schedule: When | ScheduleSpec | None = None,
    **options: Unpack[OptionValues],
) -> _Decorator: ...
@overload
def gear_task(
    *,
    name: str | None = None,
    priority: int = DEFAULT_TASK_PRIORITY,
    queue_name: str = DEFAULT_TASK_QUEUE_NAME,
    backend: str = DEFAULT_TASK_BACKEND_ALIAS,
    takes_context: Literal[True],
    aliases: Sequence[str] = (),
    schedule: When | ScheduleSpec | None = None,
    **options: Unpack[OptionValues],
) -> _ContextDecorator: ...
def gear_task(  # noqa: PLR0913 - the decorator's options are its surface
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    priority: int = DEFAULT_TASK_PRIORITY,
    queue_name: str = DEFAULT_TASK_QUEUE_NAME,
    backend: str = DEFAULT_TASK_BACKEND_ALIAS,
    takes_context: bool = False,
    aliases: Sequence[str] = (),
    schedule: When | ScheduleSpec | None = None,
    **options: Unpack[OptionValues],
) -> Any:
    """Make a module-level function a task, bare or with options.

    Args:
        function: the function, when the decorator is used bare.
        name: the Gearman function; by default the dotted path of the function.
        priority: -100 to 100, higher first.
        queue_name: which workers take it: those of `runworkers --queue-name`.
        backend: an alias of TASKS.
        takes_context: the function's first parameter, which must be called `context`, is a GearContext.
        aliases: further Gearman functions the task answers to, such as the names it had before.
        schedule: when it is called by itself, without arguments unless a ScheduleSpec says some; see also `periodic`.
        options: uniqueness, retries, times, limits and the rest of `option_words.OptionValues`.

    Raises:
        InvalidTask: the function is not at module level, or the backend refuses an option.
        UsageError: the function name cannot be, or is another task's; or an option's value cannot be.
        TypeError: there is no such option.
    """
    # Here and not below, so that a mistake is reported at its own line.
    task_options = read_options(options)

    def make_task(decorated: Callable[..., Any]) -> GearTask[..., Any]:
        task_class = AsyncGearTask if iscoroutinefunction(decorated) else GearTask
        task: GearTask[..., Any] = task_class(
            func=decorated,
            name=name or "",
            priority=priority,
            queue_name=queue_name,
            backend=backend,
            takes_context=takes_context,
            # Django 6.0 has no default for it.
            run_after=None,
            aliases=tuple(aliases),
            options=task_options,
        )
        if schedule is not None:
            declare_schedule(task, schedule)
        return task

    return make_task if function is None else make_task(function)
