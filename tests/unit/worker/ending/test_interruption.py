"""Exceptions raised in a function from another thread: where they hit, and where they must not."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest

from gearjobs.errors import JobCancelled, SoftTimeout
from gearjobs.worker.ending import interruption as interruption_module
from gearjobs.worker.ending.interruption import LOOK_SIGNAL, Interruption, hear_interrupts

#: Seconds a function waits in vain before the test gives up on it.
PATIENCE_S = 10.0


@pytest.fixture
def interruption() -> Interruption:
    return Interruption()


@pytest.fixture
def heard_in_main():
    """The main thread hears interrupts, as in a worker process."""
    before = signal.getsignal(LOOK_SIGNAL)
    hear_interrupts()
    yield
    signal.signal(LOOK_SIGNAL, before)
    interruption_module._main.hears = False


def spin() -> None:
    """Run Python code for a while, as a task that computes."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        pass


def interrupt_soon(interruption: Interruption, error: SoftTimeout | JobCancelled) -> threading.Thread:
    """Interrupt from another thread, once the function runs."""

    def hit() -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not (interruption.thread_id or interruption._wake_coroutine) and time.monotonic() < deadline:
            pass
        interruption.interrupt(error)
        while interruption.remind() and time.monotonic() < deadline:
            time.sleep(0.01)

    thread = threading.Thread(target=hit)
    thread.start()
    return thread


def outcome_in_thread(call: Callable[[], object]) -> object:
    """Call in a thread of its own; return the value or the exception."""
    outcomes: list[object] = []

    def run() -> None:
        try:
            outcomes.append(call())
        except BaseException as error:  # noqa: BLE001 - handed to the test
            outcomes.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(2 * PATIENCE_S)
    assert outcomes, "the function did not end"
    return outcomes[0]


def test_function_that_is_left_alone_returns_its_value(interruption):
    assert interruption.run(lambda: 7) == 7
    assert interruption.thread_id == 0


def test_function_in_any_thread_is_hit(interruption):
    hitting = interrupt_soon(interruption, SoftTimeout("too long"))

    assert isinstance(outcome_in_thread(lambda: interruption.run(spin)), SoftTimeout)
    hitting.join()


@pytest.mark.usefixtures("heard_in_main")
def test_main_thread_is_hit_while_it_waits(interruption):
    hitting = interrupt_soon(interruption, SoftTimeout("too long"))
    began = time.monotonic()

    with pytest.raises(SoftTimeout, match="too long"):
        interruption.run(lambda: threading.Event().wait(PATIENCE_S))

    assert time.monotonic() - began < PATIENCE_S
    hitting.join()


@pytest.mark.usefixtures("heard_in_main")
def test_main_thread_is_hit_while_it_computes(interruption):
    hitting = interrupt_soon(interruption, JobCancelled("stop"))

    with pytest.raises(JobCancelled, match="stop"):
        interruption.run(spin)
    hitting.join()


@pytest.mark.usefixtures("heard_in_main")
def test_function_may_catch_it_and_end_in_its_own_way(interruption):
    hitting = interrupt_soon(interruption, SoftTimeout("too long"))

    def clean_up() -> str:
        with suppress(SoftTimeout):
            spin()
        return "cleaned up"

    assert interruption.run(clean_up) == "cleaned up"
    hitting.join()


def test_exception_that_comes_first_waits_for_the_function(interruption):
    interruption.interrupt(JobCancelled("stop"))
    calls: list[int] = []

    with pytest.raises(JobCancelled, match="stop"):
        interruption.run(lambda: calls.append(1))
    assert calls == []


@pytest.mark.parametrize("in_main", [True, False])
def test_exception_that_comes_late_hits_nobody(interruption, in_main, request):
    if in_main:
        request.getfixturevalue("heard_in_main")

    def run_and_go_on() -> str:
        interruption.run(lambda: None)
        interruption.interrupt(SoftTimeout("late"))
        time.sleep(0)
        return "not hit"

    assert (run_and_go_on() if in_main else outcome_in_thread(run_and_go_on)) == "not hit"


@pytest.mark.parametrize("in_main", [True, False])
def test_nothing_is_raised_while_it_is_held_back(interruption, in_main, request):
    if in_main:
        request.getfixturevalue("heard_in_main")
    steps: list[str] = []

    def report() -> None:
        assert interruption.hold()
        hitter = threading.Thread(target=interruption.interrupt, args=(SoftTimeout("too long"),))
        hitter.start()
        hitter.join()
        steps.append("whole packet written")
        interruption.let_go()
        steps.append("went on")

    def run() -> None:
        with pytest.raises(SoftTimeout):
            interruption.run(report)

    run() if in_main else outcome_in_thread(run)
    assert steps == ["whole packet written"]


def test_only_the_functions_own_thread_holds_it_back(interruption):
    assert not interruption.hold()


@pytest.mark.parametrize("in_main", [True, False])
def test_exceptions_at_any_moment_reach_nothing_but_the_function(in_main, request):
    # Hits a function that ends at that very moment, again and again: what comes out is its value or the exception,
    # and the interruption is closed.
    if in_main:
        request.getfixturevalue("heard_in_main")

    def storm() -> str:
        for round_number in range(300):
            interruption = Interruption()
            hitter = threading.Thread(target=interruption.interrupt, args=(SoftTimeout("too long"),))
            hitter.start()
            with suppress(SoftTimeout):
                assert interruption.run(partial(list, range(50 * (round_number % 20)))) is not None
            hitter.join()
            assert interruption.thread_id == 0
        return "unharmed"

    assert (storm() if in_main else outcome_in_thread(storm)) == "unharmed"


def run_coroutine(interruption: Interruption, make) -> object:
    async def main() -> object:
        return await interruption.run_coroutine(make())

    return asyncio.run(main())


def test_coroutine_is_hit_where_it_awaits(interruption):
    seen: list[BaseException] = []

    async def wait() -> str:
        try:
            await asyncio.sleep(PATIENCE_S)
        except SoftTimeout as error:
            seen.append(error)
            # It may still await: to its loop it is not cancelled any more.
            await asyncio.sleep(0)
        return "cleaned up"

    hitting = interrupt_soon(interruption, SoftTimeout("too long"))

    assert run_coroutine(interruption, wait) == "cleaned up"
    assert str(seen[0]) == "too long"
    hitting.join()


def test_coroutine_that_does_not_catch_it_ends_with_it(interruption):
    async def wait() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.sleep(2 * PATIENCE_S)

    hitting = interrupt_soon(interruption, JobCancelled("stop"))

    with pytest.raises(JobCancelled, match="stop"):
        run_coroutine(interruption, wait)
    hitting.join()


def test_coroutine_is_hit_by_what_came_before_it_began(interruption):
    async def wait() -> None:
        await asyncio.sleep(PATIENCE_S)

    interruption.interrupt(JobCancelled("stop"))

    with pytest.raises(JobCancelled, match="stop"):
        run_coroutine(interruption, wait)


def test_coroutine_that_cancels_itself_is_cancelled_as_ever(interruption):
    async def give_up() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel("given up")
        await asyncio.sleep(0)

    with pytest.raises(asyncio.CancelledError, match="given up"):
        run_coroutine(interruption, give_up)


def test_coroutine_hears_what_it_awaits(interruption):
    async def catch() -> str:
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.sleep(PATIENCE_S)
        return await asyncio.to_thread(lambda: "value")

    assert run_coroutine(interruption, catch) == "value"
    # After its end there is nothing to hit.
    interruption.interrupt(SoftTimeout("late"))


def test_coroutine_must_run_in_a_task(interruption):
    async def nothing() -> None:
        pass

    coroutine = nothing()
    outer = interruption.run_coroutine(coroutine)
    with pytest.raises(RuntimeError):
        outer.send(None)
    coroutine.close()
