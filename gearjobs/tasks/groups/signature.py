"""Calls put together before any of them is enqueued: signatures, groups and chains, as plain values.

`task.s(...)` is a call to be made later. A group runs its parts at the same time, its value is the list of theirs; a
chain runs them one after the other, each given the value of the one before as its first argument, its value is that of
the last. A chord is a chain of a group and what takes its results; `map_reduce` is a chord over many arguments. Parts
may be groups and chains themselves. Nothing here knows of rows or servers; `plan` says which job waits for which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from gearjobs.errors import UsageError
from gearjobs.tasks.backend_lookup import GroupBackend, backend_for
from gearjobs.tasks.django_tasks import DEFAULT_TASK_BACKEND_ALIAS, Task

if TYPE_CHECKING:
    from gearjobs.tasks.groups.group_result import GroupResult


@dataclass(frozen=True, slots=True)
class Signature:
    """One call of a task, to be made later."""

    task: Task[..., Any]
    args: tuple[object, ...] = ()
    kwargs: Mapping[str, object] = field(default_factory=dict)
    #: False for a call that wants nothing of what came before it.
    takes_input: bool = True

    def using(self, **options: Any) -> Signature:
        """Return the same call with other options of the task, as `Task.using` has them."""
        return Signature(self.task.using(**options), self.args, self.kwargs, self.takes_input)

    def __or__(self, other: Part) -> Chain:
        """Return the chain of this and the other."""
        return chain(self, other)


@dataclass(frozen=True, slots=True)
class Group:
    """Parts that run at the same time."""

    parts: tuple[Part, ...]

    def __or__(self, other: Part) -> Chain:
        """Return the chain of this and the other, which is given the list of this group's values."""
        return chain(self, other)

    def enqueue(self) -> GroupResult:
        """Put all of it into the queue; see `enqueue_group`."""
        return _enqueue(self)


@dataclass(frozen=True, slots=True)
class Chain:
    """Parts that run one after the other."""

    parts: tuple[Part, ...]

    def __or__(self, other: Part) -> Chain:
        """Return this chain with one part more at its end."""
        return chain(*self.parts, other)

    def enqueue(self) -> GroupResult:
        """Put all of it into the queue; see `enqueue_group`."""
        return _enqueue(self)


Part: TypeAlias = Signature | Group | Chain


def group(*parts: Part | Iterable[Part]) -> Group:
    """Return parts that run at the same time; its value is the list of theirs, in this order.

    Args:
        parts: each of them, or one iterable of all; none at all has the value [].

    Raises:
        UsageError: something is no part.
    """
    return Group(_parts(parts, what="a group"))


def chain(*parts: Part | Iterable[Part]) -> Chain:
    """Return parts that run one after the other, each given the value of the one before as its first argument.

    Args:
        parts: each of them, or one iterable of all.

    Raises:
        UsageError: there is none, or something is no part.
    """
    found = _parts(parts, what="a chain")
    if not found:
        raise UsageError("a chain must have at least one part, got none")
    # A chain in a chain is the same as its parts.
    return Chain(tuple(step for part in found for step in (part.parts if isinstance(part, Chain) else (part,))))


def chord(header: Group | Iterable[Part], body: Part) -> Chain:
    """Return a group and what is given the list of its values when all of it has succeeded.

    Raises:
        UsageError: something is no part.
    """
    return chain(header if isinstance(header, Group) else group(header), body)


def map_reduce(mapper: Signature, arguments: Iterable[object], reducer: Part) -> Chain:
    """Return a chord that calls `mapper` for each of the arguments, as its first one, and `reducer` with the results.

    Args:
        mapper: `task.s(...)` with what stands behind the first argument.
        arguments: one for each call; the results are in their order.
        reducer: is given the list of results.
    """
    calls = (Signature(mapper.task, (one, *mapper.args), mapper.kwargs) for one in arguments)
    return chord(group(calls), reducer)


def _parts(given: tuple[Part | Iterable[Part], ...], *, what: str) -> tuple[Part, ...]:
    first = given[0] if len(given) == 1 else None
    parts = tuple(first) if isinstance(first, Iterable) else given
    found = []
    for part in parts:
        if not isinstance(part, Signature | Group | Chain):
            raise UsageError(f"{what} is made of task.s(...), groups and chains, got {part!r}")
        found.append(part)
    return tuple(found)


def first_task(part: Part) -> Task[..., Any] | None:
    """Return the task of the first call in a part; None where there is no call at all."""
    if isinstance(part, Signature):
        return part.task
    return next((task for one in part.parts if (task := first_task(one)) is not None), None)


def _enqueue(whole: Group | Chain) -> GroupResult:
    task = first_task(whole)
    backend = backend_for(DEFAULT_TASK_BACKEND_ALIAS if task is None else task.backend)
    if not isinstance(backend, GroupBackend):
        raise UsageError(f"groups and chains need gearjobs' own backend, got {type(backend).__name__}")
    result: GroupResult = backend.enqueue_group(whole)
    return result
