"""Tasks of every kind for the tests, at module level as tasks must be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from django.db import transaction
from django.utils import timezone, translation

from gearjobs import GearContext, gear_task
from gearjobs.tasks.django_tasks import Task
from gearjobs.tasks.submitter import current_submitter

#: What `remember` was called with, for tests that ask whether a task ran here.
remembered: list[object] = []


@gear_task
def add(a: int, b: int = 1) -> int:
    return a + b


@gear_task
def remember(value: object) -> None:
    remembered.append(value)


@gear_task(name="resize", priority=10, queue_name="images", aliases=["shrink"])
def resize_picture(path: str, *, width: int = 100) -> dict[str, object]:
    return {"path": path, "width": width}


@gear_task(takes_context=True)
def count(context: GearContext, total: int) -> list[int]:
    for number in range(total):
        context.progress(number + 1, total, f"number {number + 1}")
    context.data({"seen": total})
    context.warn("nearly done")
    return [context.attempt, total]


@gear_task
async def wait_and_add(a: int, b: int) -> int:
    await asyncio.sleep(0)
    return a + b


@gear_task
def echo(*args: object, **kwargs: object) -> list[object]:
    return [args, kwargs]


@gear_task
def fail(words: str) -> None:
    raise ValueError(words)


@gear_task
def return_a_date() -> datetime:
    return datetime(2026, 1, 1)  # noqa: DTZ001 - only its type matters


@gear_task
def cancel_itself() -> None:
    raise asyncio.CancelledError("given up")


@gear_task
def leave() -> None:
    raise SystemExit(3)


@gear_task
def interrupt() -> None:
    raise KeyboardInterrupt


@gear_task
def empty_its_argument(values: list[int]) -> int:
    values.clear()
    return len(values)


@gear_task
def leak_context() -> None:
    translation.activate("de")
    timezone.activate("Asia/Tokyo")
    current_submitter.set("leaked")


@gear_task
def leave_a_transaction_open() -> None:
    transaction.set_autocommit(False)


@gear_task(takes_context=True)
def name_of_context(context: GearContext) -> str:
    return type(context).__name__


def _as_plain_task(function: Callable[..., object]) -> Task[..., object]:
    return Task(func=function, priority=0, backend="default", queue_name="default", run_after=None)


@_as_plain_task
def double(value: int) -> int:
    """A task that is no GearTask, as Django's own decorator makes one under a backend that is not ours."""
    return value * 2
