"""What mypy must make of `@gear_task`: checked by `mypy`, never run.

An `assert_type` that does not hold is an error of mypy's, and so is an ignore without an error to ignore: each of those
below says that the call is refused.
"""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, assert_type

from gearjobs import (
    Attempt,
    GearContext,
    GearResult,
    GearTask,
    Limit,
    Rate,
    exponential,
    gear_task,
)
from gearjobs.tasks.django_tasks import TaskResult
from gearjobs.tasks.job_events import Event
from gearjobs.tasks.task import AsyncGearTask


@gear_task
def bare(a: int, *, loud: bool = False) -> str:
    return str(a)


@gear_task(name="resize", priority=5, queue_name="images", aliases=["shrink"])
def with_options(a: int, /) -> str:
    return str(a)


@gear_task(takes_context=True)
def with_context(context: GearContext, a: int, /) -> str:
    return str(a)


@gear_task
async def coroutine(a: int, /) -> str:
    return str(a)


@gear_task(takes_context=True, queue_name="images")
async def coroutine_with_context(context: GearContext, a: int, /) -> str:
    return str(a)


def _pause(error: BaseException, task_result: TaskResult[..., Any]) -> float | None:
    return task_result.attempts * 2.0


@gear_task(
    unique="user:{user_id}",
    on_conflict="raise",
    max_attempts=3,
    backoff=exponential(),
    retry_on=OSError,
    give_up_on=(FileNotFoundError, KeyError),
    timeout=timedelta(minutes=1),
    concurrency=[2, Limit(1, "crm")],
    rate=("10/m", Rate(5, 1.0)),
    limit_key=lambda user_id: f"user-{user_id}",
    metadata={"team": "billing"},
)
def with_task_options(user_id: int, /) -> str:
    return str(user_id)


@gear_task(takes_context=True, max_attempts=2, backoff=_pause, executor="async")
async def coroutine_with_task_options(context: GearContext, a: int, /) -> str:
    return str(a)


def options_are_checked() -> None:
    gear_task(max_attempt=3)  # type: ignore[call-overload]  # no such option
    gear_task(on_conflict="panic")  # type: ignore[call-overload]  # no such word
    gear_task(timeout="5")  # type: ignore[call-overload]  # no number
    with_task_options.using(expires=5, metadata={"a": 1}, unique=False)
    with_task_options.using(max_attempts=5)  # type: ignore[call-arg]  # no call's business


def tasks_keep_their_signature() -> None:
    assert_type(with_options, GearTask[[int], str])
    assert_type(with_context, GearTask[[int], str])
    assert_type(coroutine, AsyncGearTask[[int], str])
    assert_type(coroutine_with_context, AsyncGearTask[[int], str])
    assert_type(with_task_options, GearTask[[int], str])
    assert_type(coroutine_with_task_options, AsyncGearTask[[int], str])


def calls_are_checked() -> None:
    bare.enqueue(1, loud=True)
    bare.enqueue("1")  # type: ignore[arg-type]  # not an int
    bare.enqueue(1, quiet=True)  # type: ignore[call-arg]  # no such parameter
    with_context.enqueue()  # type: ignore[call-arg]  # one is missing; the context is none
    with_options.do("1")  # type: ignore[arg-type]  # not an int
    with_options("1")  # type: ignore[arg-type]  # not an int


def results_have_the_type_of_the_value(result_id: str) -> None:
    assert_type(bare.enqueue(1), GearResult[str])
    assert_type(bare.enqueue(1).return_value, str)
    assert_type(bare.get_result(result_id), GearResult[str])
    assert_type(bare.do(1), str)
    assert_type(bare(1), str)
    assert_type(with_context(1), str)
    assert_type(with_options.using(priority=1).using(queue_name="default").enqueue(1), GearResult[str])


def results_can_be_waited_for_and_interfered_with(result: GearResult[str]) -> None:
    assert_type(result.wait(), str)
    assert_type(result.wait(5.0), str)
    assert_type(result.cancel(force=True), bool)
    assert_type(result.retry(at=timedelta(hours=1)), GearResult[str])
    assert_type(result.attempts_log, list[Attempt])
    for event in result.events(since=3):
        assert_type(event, Event)
    assert_type(bare.enqueue_on_commit(1), GearResult[str])
    bare.enqueue_on_commit("1")  # type: ignore[arg-type]  # not an int
    assert_type(bare.purge(), int)


async def results_can_be_awaited(result: GearResult[str]) -> None:
    assert_type(await result.await_(), str)
    assert_type(await result.acancel(), bool)
    async for event in result.aevents():
        assert_type(event, Event)


async def coroutine_functions_give_their_value(result_id: str) -> None:
    assert_type(coroutine.enqueue(1), GearResult[str])
    assert_type(await coroutine.aenqueue(1), GearResult[str])
    assert_type(await coroutine.aget_result(result_id), GearResult[str])
    assert_type(await coroutine.ado(1), str)
    assert_type(coroutine.call(1), str)
    await assert_type(coroutine(1), Coroutine[Any, Any, str])
    assert_type(await bare.ado(1), str)


def context_parameter_must_be_a_context() -> None:
    @gear_task(takes_context=True)  # type: ignore[arg-type]  # its first parameter is no context
    def without(a: int) -> None: ...
