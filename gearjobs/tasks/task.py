"""GearTask: a django.tasks Task that knows its Gearman function.

A frozen slots dataclass as Django's is; `gear_task` makes it, whatever backend is configured, and so does Django's own
`@task` when its backend is ours. It runs under any backend. Submitting, waiting and reading belong to the backend.
Zero-argument `super()` does not work in a slots dataclass (the class is made twice): methods call `Task.name(self)`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, ParamSpec, Self, TypeVar, Unpack, cast

from asgiref.sync import sync_to_async
from django.utils import timezone

from gearjobs.errors import UsageError
from gearjobs.tasks import registry
from gearjobs.tasks.backend_lookup import BulkBackend, ForegroundBackend, backend_for
from gearjobs.tasks.commit_enqueue import enqueue_after_commit
from gearjobs.tasks.context import GearContext
from gearjobs.tasks.django_tasks import (
    DEFAULT_TASK_BACKEND_ALIAS,
    DEFAULT_TASK_PRIORITY,
    DEFAULT_TASK_QUEUE_NAME,
    BaseTaskBackend,
    GenericTask,
    Task,
    TaskContext,
    TaskResultStatus,
    normalize_json,
)
from gearjobs.tasks.groups.signature import Signature
from gearjobs.tasks.job_backend import JobBackend, job_backend_of
from gearjobs.tasks.late_records import saved_schedules
from gearjobs.tasks.option_words import CallValues, OptionValues
from gearjobs.tasks.payload import decode_call, encode_call
from gearjobs.tasks.result import GearResult
from gearjobs.tasks.schedules.schedule_spec import ScheduleSpec, ScheduleWords, When
from gearjobs.tasks.task_options import (
    NO_OPTIONS,
    TaskOptions,
    call_options,
    check_keys,
    read_options,
)

if TYPE_CHECKING:
    from gearjobs.models import Schedule

P = ParamSpec("P")
R = TypeVar("R")

#: Bytes of a function name: gearmand's GEARMAN_FUNCTION_MAX_SIZE.
FUNCTION_LIMIT_BYTES: Final = 512


class _WrappedFunction:
    """`task.__wrapped__` for `inspect`; the class itself wraps nothing, which a property could not say."""

    def __get__(self, task: Task[..., Any] | None, owner: type) -> object:
        if task is None:
            raise AttributeError("__wrapped__")
        return task.func


@dataclass(frozen=True, slots=True, kw_only=True)
class GearTask(GenericTask[P, R], Generic[P, R]):
    """A task that is a Gearman function; `enqueue` puts a call into its queue, `do` waits for it."""

    #: The name it was given, else its function's own, as Django has it.
    name: str = ""
    #: Further Gearman functions it answers to: names it had before it was renamed.
    aliases: tuple[str, ...] = ()
    #: The Gearman function of a call on the declared queue: the name given, else the dotted path.
    function_name: str = ""
    #: The queue it was declared on; `using(queue_name=...)` leaves it.
    home_queue: str = ""
    #: What is said of its jobs beyond django.tasks' own words.
    options: TaskOptions = NO_OPTIONS

    # In the place of dataclass's: Django's `@task` hands over each option by its name.
    def __init__(  # noqa: PLR0913 - as Django's own
        self,
        *,
        func: Callable[..., Any],
        priority: int = DEFAULT_TASK_PRIORITY,
        backend: str = DEFAULT_TASK_BACKEND_ALIAS,
        queue_name: str = DEFAULT_TASK_QUEUE_NAME,
        run_after: datetime | None = None,
        takes_context: bool = False,
        name: str = "",
        aliases: Sequence[str] = (),
        function_name: str = "",
        home_queue: str = "",
        options: TaskOptions = NO_OPTIONS,
        **given: Unpack[OptionValues],
    ) -> None:
        values = {
            "func": func,
            "priority": priority,
            "backend": backend,
            "queue_name": queue_name,
            "run_after": run_after,
            "takes_context": takes_context,
            "name": name or func.__name__,
            "aliases": tuple(aliases),
            "function_name": function_name,
            "home_queue": home_queue or queue_name,
            "options": read_options(given, base=options),
        }
        for attribute, value in values.items():
            object.__setattr__(self, attribute, value)
        check_keys(self.options, func, takes_context=takes_context)
        Task.__post_init__(self)
        if not home_queue:
            self._declare(name)

    def _declare(self, name: str) -> None:
        """Make the task known under its function's name, and its aliases."""
        object.__setattr__(self, "function_name", self.function_name or name or self.module_path)
        functions = (self.function_name, *self.aliases)
        for function in functions:
            check_function_name(function)
        registry.register(self, functions=functions)

    def get_backend(self) -> BaseTaskBackend:
        """Return the backend, also where the project has no TASKS."""
        return backend_for(self.backend)

    def using(
        self,
        *,
        priority: int | None = None,
        queue_name: str | None = None,
        run_after: datetime | timedelta | None = None,
        backend: str | None = None,
        **given: Unpack[CallValues],
    ) -> Self:
        """Return a copy that enqueues otherwise; what is not given, or None, stays.

        Args:
            priority: -100 to 100, higher first.
            queue_name: another queue than the declared one.
            run_after: the earliest moment of the start, or how long from now.
            backend: another alias of TASKS.
            given: `unique`, `expires`, `timeout` and `metadata`, see `option_words.CallValues`.

        Raises:
            InvalidTask: the backend refuses a value.
            UsageError: an option's value cannot be.
        """
        if isinstance(run_after, timedelta):
            run_after = timezone.now() + run_after
        named = {"priority": priority, "queue_name": queue_name, "run_after": run_after, "backend": backend}
        changes: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
        return replace(self, **changes, options=call_options(self.options, given))

    # Django's stubs also parametrise a result by the arguments, which a GearResult does not depend on.

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> GearResult[R]:  # type: ignore[override]  # as above
        """Put a call into the task's queue and return its result-to-be.

        In a transaction on the Job table's database the job is part of it: rolled back, it never was.

        Raises:
            InvalidTask: the backend refuses the task.
            PayloadError: the arguments have no JSON form.
            UsageError: a key of the task's options cannot be made of the arguments.
            UniqueConflict: its unique is taken, and the task has `on_conflict="raise"`.
            ServerError: the job server refused the job.
        """
        return GearResult.from_result(Task.enqueue(self, *args, **kwargs))

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> GearResult[R]:  # type: ignore[override]  # as above
        """See `enqueue`; runs in the thread that owns the surrounding transaction."""
        return GearResult.from_result(await Task.aenqueue(self, *args, **kwargs))

    def enqueue_on_commit(self, *args: P.args, **kwargs: P.kwargs) -> GearResult[R]:
        """Enqueue a call for when the present transaction has committed, or at once where there is none.

        With GearmanBackend that is what `enqueue` does: the job is part of the transaction, and its id valid at once.
        Under a foreign backend the call is enqueued after the commit, and the result gets its id and state then.
        """
        if isinstance(self.get_backend(), JobBackend):
            return self.enqueue(*args, **kwargs)
        return enqueue_after_commit(self, args, kwargs=kwargs)

    def enqueue_many(self, calls: Iterable[tuple[Sequence[Any], Mapping[str, Any]]]) -> list[GearResult[R]]:
        """Put many calls into the task's queue in one go and return their results-to-be in order.

        In a transaction on the Job table's database they are part of it, in statements of many rows; outside of one
        they travel together. Under a foreign backend they are enqueued one by one.

        Args:
            calls: the positional and the keyword arguments of each call.

        Raises:
            PayloadError: the arguments of a call have no JSON form; nothing was enqueued.
            PartlyRefused: the job server refused some of them; the others are kept, and their results in `results`.
            The same as `enqueue` besides.
        """
        backend = self.get_backend()
        if isinstance(backend, BulkBackend):
            return backend.enqueue_many(self, calls)
        return [GearResult.from_result(cast("Any", Task.enqueue)(self, *args, **kwargs)) for args, kwargs in calls]

    async def aenqueue_many(self, calls: Iterable[tuple[Sequence[Any], Mapping[str, Any]]]) -> list[GearResult[R]]:
        """See `enqueue_many`; runs in the thread that owns the surrounding transaction."""
        return await sync_to_async(self.enqueue_many, thread_sensitive=True)(calls)

    def get_result(self, result_id: str) -> GearResult[R]:  # type: ignore[override]  # as above
        """Return the result of an earlier call by its id.

        Raises:
            TaskResultDoesNotExist: there is no such job.
            TaskResultMismatch: the job is another task's.
        """
        return GearResult.from_result(Task.get_result(self, result_id))

    async def aget_result(self, result_id: str) -> GearResult[R]:  # type: ignore[override]  # as above
        """See `get_result`."""
        return GearResult.from_result(await Task.aget_result(self, result_id))

    # Its own arguments are not P: the first one may come from the call before it.

    def s(self, *args: Any, **kwargs: Any) -> Signature:
        """Return a call to be put into a group or a chain, where it is given what comes before it as first argument."""
        return Signature(self, args, kwargs)

    def si(self, *args: P.args, **kwargs: P.kwargs) -> Signature:
        """Return a call to be put into a group or a chain that wants nothing of what comes before it."""
        return Signature(self, args, kwargs, takes_input=False)

    def do(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the call on a worker, wait for it and return its value; under a foreign backend run it here.

        A foreground job leaves no row and is lost with its caller.

        Raises:
            UsageError: the task has a `run_after`.
            JobFailed: the task raised; the class path and message are the original's.
            ServerUnavailable: no job server answers.
        """
        if self.run_after is not None:
            raise UsageError(f"{self.name}.do() starts at once and cannot have a run_after; use enqueue()")
        backend = self.get_backend()
        if isinstance(backend, ForegroundBackend):
            return cast("R", backend.do(self, args, kwargs=kwargs))
        # Through JSON and back, as on a worker.
        normal_args, normal_kwargs = cast("Any", normalize_json([args, kwargs]))
        local_args, local_kwargs = decode_call(encode_call(normal_args, normal_kwargs))
        return cast("R", normalize_json(cast("Any", self.call)(*local_args, **local_kwargs)))

    async def ado(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """See `do`; waits in a thread of its own, so that other coroutines go on."""
        return await sync_to_async(self.do, thread_sensitive=False)(*args, **kwargs)

    def purge(self) -> int:
        """Cancel the jobs of this task that wait, on any queue, scheduled ones too; return how many.

        Raises:
            ServerUnavailable: a job is at a server that does not answer; others may have been cancelled.
            UsageError: the task's backend cannot cancel jobs.
        """
        return job_backend_of(self, "purge").purge(self)

    def schedule(self, when: When, *, key: str, **words: Unpack[ScheduleWords]) -> Schedule:
        """Let it be called again and again, from now on; a schedule made so before, under the same key, is changed.

        Schedules of the code itself are declared, by `@periodic`.

        Args:
            when: a crontab's five fields, or the time between two runs.
            key: name of the schedule.
            words: `args`, `kwargs`, `tz`, `overlap`, `catch_up` and `jitter`, see `schedules.schedule_spec`.

        Raises:
            UsageError: a value cannot be, or the key is that of a schedule declared in code.
        """
        return saved_schedules.save_schedule(self, ScheduleSpec(when, key=key, **words))

    def call(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run it here and return the value, of a coroutine function too; a context is made where none is given."""
        return cast("R", cast("Any", Task.call)(self, *self._with_context(args), **kwargs))

    async def acall(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """See `call`."""
        return cast("R", await cast("Any", Task.acall)(self, *self._with_context(args), **kwargs))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the plain function here; a context is made where the task takes one."""
        return self.func(*self._with_context(args), **kwargs)

    #: For `inspect.signature` and documentation tools.
    __wrapped__ = _WrappedFunction()

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """Itself: a task cannot change, and Django's copy would import its module again."""
        return self

    def _with_context(self, args: tuple[object, ...]) -> tuple[object, ...]:
        """Put a GearContext first where the task takes one: the one given, one around Django's, or a local one."""
        if not self.takes_context or (args and isinstance(args[0], GearContext)):
            return args
        if args and isinstance(args[0], TaskContext):
            return (GearContext(task_result=args[0].task_result), *args[1:])
        return (GearContext(task_result=_local_result(self)), *args)


class AsyncGearTask(GearTask[P, R]):
    """A GearTask around a coroutine function: R is what the coroutine returns. Nothing else differs."""

    __slots__ = ()

    # A job of it returns the coroutine's value, a direct call the coroutine: R cannot be both.
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:  # type: ignore[override]  # as above
        """Return the coroutine of the plain function."""
        return cast("Coroutine[Any, Any, R]", GearTask.__call__(self, *args, **kwargs))


def options_of(task: Task[..., Any]) -> TaskOptions:
    """Return what a task says of its jobs; a plain Task says nothing."""
    return task.options if isinstance(task, GearTask) else NO_OPTIONS


def check_function_name(function: str) -> None:
    """Refuse what cannot be a function on the wire and in the admin lines.

    Raises:
        UsageError: the name is empty, too long, or has white space or control characters.
    """
    if not function or len(function.encode()) > FUNCTION_LIMIT_BYTES:
        raise UsageError(f"a function name must have 1 to {FUNCTION_LIMIT_BYTES} bytes, got {function[:40]!r}")
    # Of all white space only the plain space counts as printable.
    if " " in function or not function.isprintable():
        raise UsageError(f"a function name must not have white space or control characters, got {function[:40]!r}")


def _local_result(task: GearTask[..., Any]) -> GearResult[Any]:
    now = timezone.now()
    return GearResult(
        task=task,
        id="local",
        status=TaskResultStatus.RUNNING,
        enqueued_at=now,
        started_at=now,
        finished_at=None,
        last_attempted_at=now,
        args=[],
        kwargs={},
        backend=task.backend,
        errors=[],
        worker_ids=[socket.gethostname()],
        status_detail="running",
    )
