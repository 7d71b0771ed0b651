"""Coroutine functions as tests, without a plugin."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Final, ParamSpec

from asgiref.sync import async_to_sync

P = ParamSpec("P")

#: Seconds after which a test that waits for something has waited for long enough.
DEADLINE_S: Final = 60.0


def in_event_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run the test in an event loop, with the calling thread as the one of `sync_to_async`, as under ASGI."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async_to_sync(_within_time(test))(*args, **kwargs)

    return run


def with_asyncio(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run the test by `asyncio.run`, as a program without Django does."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(_within_time(test)(*args, **kwargs))

    return run


def _within_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, Coroutine[Any, Any, None]]:
    async def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await test(*args, **kwargs)

    return run
