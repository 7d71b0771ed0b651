"""Tasks of every kind for the tests, at module level as tasks must be."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from django.db import transaction
from django.utils import timezone, translation

from gearjobs import GearContext, gear_task
from gearjobs.tasks.django_tasks import Task
from gearjobs.tasks.retry_policy import linear
from gearjobs.tasks.submitter import current_submitter

logger = logging.getLogger(__name__)

#: What `fail_with` raises, and what `do_as_told` calls: one of each, put there by a test.
to_raise: list[Exception] = []
to_do: list[Callable[[], None]] = []

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


@gear_task
def enqueue_a_chain(length: int) -> None:
    if length:
        enqueue_a_chain.enqueue(length - 1)


@gear_task
def remember_on_commit(value: object) -> None:
    transaction.on_commit(lambda: remembered.append(value))


@gear_task(
    unique="user:{user_id}",
    on_conflict="raise",
    max_attempts=3,
    timeout=30,
    soft_timeout=20,
    expires=3600,
    concurrency=2,
    rate="10/m",
    metadata={"team": "billing"},
)
def careful(user_id: int, *, words: str = "dear") -> str:
    return f"{words} {user_id}"


@gear_task(takes_context=True, max_attempts=3, backoff=linear(60, 0, jitter=0))
def succeed_at_the_third(context: GearContext, value: object) -> int:
    remembered.append((value, context.attempt))
    if context.attempt < 3:
        raise ConnectionError("not yet")
    return context.attempt


@gear_task(max_attempts=2, backoff=linear(60, 0, jitter=0))
def fail_twice() -> None:
    raise ConnectionError("not at all")


@gear_task(max_attempts=3, backoff=linear(5.0, 0.0, jitter=0.0), give_up_on=[KeyError])
def fail_with() -> None:
    raise to_raise[0]


def _break(_error: BaseException, _result: object) -> float:
    raise RuntimeError("the backoff is broken")


@gear_task(max_attempts=3, backoff=_break)
def fail_with_bad_backoff() -> None:
    raise to_raise[0]


@gear_task(max_attempts=3, backoff=linear(0.0, 0.0))
def do_as_told() -> None:
    to_do[0]()


@gear_task(capture_logs=True)
def log_as_told() -> None:
    to_do[0]()


@gear_task(capture_logs=True)
def log_something(lines: int) -> None:
    for number in range(lines):
        logger.warning("line %d", number)


@gear_task(capture_logs="error")
async def log_something_awaiting() -> None:
    logger.warning("not this")
    await asyncio.sleep(0)
    logger.error("but %s", "this")


@gear_task(max_attempts=3, takes_context=True)
def tell_context(context: GearContext) -> list[object]:
    context.logger.warning("from the task")
    deadline = context.deadline
    return [context.is_cancelled, context.max_attempts, context.is_last_attempt, deadline and deadline.timestamp()]


@gear_task(takes_context=True)
def check_cancelled(context: GearContext) -> str:
    context.check_cancelled()
    return "goes on"


@gear_task
def leave_an_atomic_block_open() -> None:
    transaction.atomic().__enter__()
