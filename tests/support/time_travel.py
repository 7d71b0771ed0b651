"""An event loop whose clock a test may put forward, so that nobody waits thirty seconds for what takes thirty seconds.

`@travelling` runs a coroutine function as a test in such a loop; `advance` puts the clock forward and lets what has
become due happen. The clock of the wall (`time.time`) stays as it is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
Found = TypeVar("Found")

#: Seconds between two looks of `aeventually`.
_INTERVAL_S: Final = 0.002
#: Turns of the loop that `advance` gives to what has become due and what follows from it.
_TURNS: Final = 5


class TravelLoop(asyncio.SelectorEventLoop):
    """A loop with an adjustable clock."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead_s = 0.0

    def time(self) -> float:
        return super().time() + self.ahead_s


def travelling(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run the test in a TravelLoop."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=TravelLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


async def advance(seconds: float) -> None:
    """Put the loop's clock forward; what is due by then has happened when this returns."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, TravelLoop), "expected a test that is @travelling"
    loop.ahead_s += seconds
    await turns()


async def turns(count: int = _TURNS) -> None:
    """Let the loop turn, so that what was scheduled for soon happens."""
    for _ in range(count):
        await asyncio.sleep(0)


async def aeventually(predicate: Callable[[], Found], what: str, *, timeout_s: float = 5.0) -> Found:
    """Return the predicate's first true value, with the loop turning meanwhile.

    Raises:
        AssertionError: there was none in time; it names `what` was waited for.
    """
    # Not the loop's clock, which a test may put forward.
    deadline = time.monotonic() + timeout_s
    while not (found := predicate()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited {timeout_s} s for {what}")
        await asyncio.sleep(_INTERVAL_S)
    return found
