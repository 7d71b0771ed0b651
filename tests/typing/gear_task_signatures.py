"""What mypy must make of `@gear_task`: checked by `mypy`, never run.

An `assert_type` that does not hold is an error of mypy's, and so is an ignore without an error to ignore: each of those
below says that the call is refused.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, assert_type

from gearjobs import GearContext, GearResult, GearTask, gear_task
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


def tasks_keep_their_signature() -> None:
    assert_type(with_options, GearTask[[int], str])
    assert_type(with_context, GearTask[[int], str])
    assert_type(coroutine, AsyncGearTask[[int], str])
    assert_type(coroutine_with_context, AsyncGearTask[[int], str])


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
