"""The writer thread: its calls run in order, and nothing ends it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from gearjobs.errors import StoreBug, StoreError
from gearjobs.server.commit.writer import Writer
from tests.support.time_travel import travelling
from tests.support.troubled_store import OUTAGE, TroubledStore, accepted


@contextmanager
def running(writer: Writer) -> Iterator[Writer]:
    writer.start()
    try:
        yield writer
    finally:
        writer.stop()


@travelling
async def test_calls_run_in_order_in_a_thread_of_their_own():
    done: list[int] = []
    with running(Writer()) as writer:
        calls = [writer.call(partial(done.append, number)) for number in range(50)]
        await asyncio.gather(*calls)
        thread = await writer.call(threading.get_ident)

    assert done == list(range(50))
    assert thread != threading.get_ident()


@travelling
async def test_store_error_comes_to_the_caller():
    def fail() -> None:
        raise OUTAGE

    with running(Writer()) as writer:
        with pytest.raises(StoreError, match="the disk is full"):
            await writer.call(fail)

        assert await writer.call(lambda: "alive") == "alive"


@travelling
async def test_bug_in_the_store_does_not_end_the_thread():
    # The thread ended, and every later submitter waited for ever.
    def stumble() -> None:
        raise KeyError("handle")

    with running(Writer()) as writer:
        with pytest.raises(StoreError, match="KeyError: 'handle'") as fault:
            await writer.call(stumble)

        assert await writer.call(lambda: "alive") == "alive"
    assert isinstance(fault.value, StoreBug)
    assert not fault.value.is_outage


@travelling
async def test_answer_for_a_caller_that_gave_up_is_dropped():
    gate = threading.Event()
    with running(Writer()) as writer:
        abandoned = writer.call(gate.wait)
        abandoned.cancel()
        gate.set()

        assert await writer.call(lambda: "alive") == "alive"


def test_answer_for_a_loop_that_is_closed_is_dropped():
    # The thread ended with a traceback when the store answered after the server's end.
    gate, is_over = threading.Event(), threading.Event()
    writer = Writer()
    writer.start()

    async def ask() -> None:
        writer.call(gate.wait)
        writer.call(is_over.set)
        writer.abandon()

    asyncio.run(ask())
    gate.set()

    assert is_over.wait(10)


def test_stop_waits_for_the_calls_before_it():
    store = TroubledStore()

    async def call_and_stop() -> None:
        with running(Writer()) as writer:
            _ = writer.call(lambda: store.commit([accepted(b"H:1")]))

    asyncio.run(call_and_stop())

    assert list(store.unfinished) == [b"H:1"]
