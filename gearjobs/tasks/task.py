"""GearTask: a django.tasks Task that knows its Gearman function.

A frozen slots dataclass as Django's is; `gear_task` makes it, whatever backend is configured, and so does Django's own
`@task` when its backend is ours. It runs under any backend. Submitting, waiting and reading belong to the backend.
Zero-argument `super()` does not work in a slots dataclass (the class is made twice): methods call `Task.name(self)`.
"""

from __future__ import annotations

import socket
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Generic, ParamSpec, Self, TypeVar, cast

from asgiref.sync import sync_to_async
from django.utils import timezone

from gearjobs.errors import UsageError
from gearjobs.tasks import registry
from gearjobs.tasks.backend_lookup import BulkBackend, ForegroundBackend, backend_for
from gearjobs.tasks.context import GearContext
from gearjobs.tasks.django_tasks import (
    BaseTaskBackend,
    GenericTask,
    Task,
    TaskContext,
    TaskResultStatus,
    normalize_json,
)
from gearjobs.tasks.payload import decode_call, encode_call
from gearjobs.tasks.result import GearResult

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

    def __post_init__(self) -> None:
        Task.__post_init__(self)
        if not self.home_queue:
            self._declare()

    def _declare(self) -> None:
        """Fill in what was not given, and make the task known."""
        values = {
            "name": self.name or self.func.__name__,
            "aliases": tuple(self.aliases),
            "function_name": self.function_name or self.name or self.module_path,
            "home_queue": self.queue_name,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
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
    ) -> Self:
        """Return a copy that enqueues otherwise.

        Args:
            priority: -100 to 100, higher first.
            queue_name: another queue than the declared one.
            run_after: the earliest moment of the start, or how long from now.
            backend: another alias of TASKS.

        Raises:
            InvalidTask: the backend refuses a value.
        """
        if isinstance(run_after, timedelta):
            run_after = timezone.now() + run_after
        given = {"priority": priority, "queue_name": queue_name, "run_after": run_after, "backend": backend}
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        return replace(self, **changes)

    # Django's stubs also parametrise a result by the arguments, which a GearResult does not depend on.

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> GearResult[R]:  # type: ignore[override]  # as above
        """Put a call into the task's queue and return its result-to-be.

        In a transaction on the Job table's database the job is part of it: rolled back, it never was.

        Raises:
            InvalidTask: the backend refuses the task.
            PayloadError: the arguments have no JSON form.
            ServerError: the job server refused the job.
        """
        return GearResult.from_result(Task.enqueue(self, *args, **kwargs))

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> GearResult[R]:  # type: ignore[override]  # as above
        """See `enqueue`; runs in the thread that owns the surrounding transaction."""
        return GearResult.from_result(await Task.aenqueue(self, *args, **kwargs))

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
