"""The writer thread: what is committed, what is refused, what is kept for later, and that nothing ends it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from gearjobs.core.changes import Finished, Outcome, Progressed
from gearjobs.core.jobs import JobHandle
from gearjobs.errors import StoreError
from gearjobs.server.writer import Writer
from tests.support.time_travel import travelling
from tests.support.troubled_store import OUTAGE, TroubledStore, accepted

POISON = JobHandle(b"H:poison")


@contextmanager
def running(writer: Writer) -> Iterator[Writer]:
    writer.start()
    try:
        yield writer
    finally:
        writer.stop()


def progressed(handle: bytes, numerator: float = 1.0) -> Progressed:
    return Progressed(JobHandle(handle), numerator, 10.0, "", 1_000.0)


def finished(handle: bytes) -> Finished:
    return Finished(JobHandle(handle), Outcome.SUCCEEDED, b"done", 1_000.0)


@pytest.fixture
def store():
    return TroubledStore()


@pytest.fixture
def writer(store):
    """A writer whose thread does not run: `commit` is called here."""
    return Writer(store)


def handles(changes) -> list[bytes]:
    return [change.handle for change in changes]


@travelling
async def test_calls_run_in_order_in_a_thread_of_their_own():
    done: list[int] = []
    with running(Writer(TroubledStore())) as writer:
        calls = [writer.call(partial(done.append, number)) for number in range(50)]
        await asyncio.gather(*calls)
        thread = await writer.call(threading.get_ident)

    assert done == list(range(50))
    assert thread != threading.get_ident()


@travelling
async def test_store_error_comes_to_the_caller():
    def fail() -> None:
        raise OUTAGE

    with running(Writer(TroubledStore())) as writer:
        with pytest.raises(StoreError, match="the disk is full"):
            await writer.call(fail)

        assert await writer.call(lambda: "alive") == "alive"


@travelling
async def test_bug_in_the_store_does_not_end_the_thread(caplog):
    # The thread ended, and every later submitter waited for ever.
    def stumble() -> None:
        raise KeyError("handle")

    with running(Writer(TroubledStore())) as writer:
        with pytest.raises(StoreError, match="KeyError: 'handle'") as fault:
            await writer.call(stumble)

        assert await writer.call(lambda: "alive") == "alive"
    assert not fault.value.is_outage
    assert "Traceback" in caplog.text


@travelling
async def test_answer_for_a_caller_that_gave_up_is_dropped():
    gate = threading.Event()
    with running(Writer(TroubledStore())) as writer:
        abandoned = writer.call(gate.wait)
        abandoned.cancel()
        gate.set()

        assert await writer.call(lambda: "alive") == "alive"


def test_stop_waits_for_the_calls_before_it():
    store = TroubledStore()

    async def call_and_stop() -> None:
        with running(Writer(store)) as writer:
            _ = writer.call(lambda: store.commit([accepted(b"H:1")]))

    asyncio.run(call_and_stop())

    assert list(store.unfinished) == [b"H:1"]


def test_whole_batch_is_one_commit(store, writer):
    verdict = writer.commit([accepted(b"H:1"), accepted(b"H:2")])

    assert handles(verdict.committed) == [b"H:1", b"H:2"]
    assert (verdict.refused, verdict.postponed, verdict.error) == ([], [], None)
    assert len(store.batches) == 1


def test_store_that_is_down_refuses_acceptances_and_postpones_the_rest(store, writer):
    store.commit([accepted(b"H:0")])
    store.failure = OUTAGE

    verdict = writer.commit([progressed(b"H:0"), accepted(b"H:1"), finished(b"H:0")])

    assert handles(verdict.refused) == [b"H:1"]
    assert verdict.postponed == [progressed(b"H:0"), finished(b"H:0")]
    assert (verdict.committed, verdict.error) == ([], OUTAGE)


def test_what_was_recorded_of_a_refused_job_is_void(store, writer):
    store.failure = OUTAGE

    verdict = writer.commit([accepted(b"H:1"), progressed(b"H:1")])

    assert (handles(verdict.refused), verdict.postponed) == ([b"H:1"], [])


def test_poison_row_is_refused_alone(store, writer):
    store.refused_handles = {POISON}

    verdict = writer.commit([accepted(b"H:1"), accepted(POISON), progressed(POISON), accepted(b"H:2")])

    assert handles(verdict.committed) == [b"H:1", b"H:2"]
    assert handles(verdict.refused) == [POISON]
    assert verdict.error is not None
    assert not verdict.error.is_outage
    assert list(store.unfinished) == [b"H:1", b"H:2"]


def test_poison_row_is_found_in_few_commits(store, writer):
    # Each row was committed by itself: one poison row in a large batch held up every submitter for seconds.
    store.refused_handles = {POISON}
    batch = [accepted(b"H:%d" % number) for number in range(1000)]
    batch.insert(617, accepted(POISON))

    verdict = writer.commit(batch)

    assert (len(verdict.committed), handles(verdict.refused)) == (1000, [POISON])
    assert len(store.batches) <= 25


def test_order_is_kept_around_poison_rows(store, writer):
    store.refused_handles = {b"H:3", b"H:4", b"H:8"}
    batch = [accepted(b"H:%d" % number) for number in range(10)]

    verdict = writer.commit(batch)

    assert handles(verdict.committed) == [b"H:0", b"H:1", b"H:2", b"H:5", b"H:6", b"H:7", b"H:9"]
    assert handles(verdict.refused) == [b"H:3", b"H:4", b"H:8"]


def test_change_that_the_store_will_never_take_is_given_up_and_told(store, writer, caplog):
    store.refused_handles = {POISON}

    verdict = writer.commit([finished(POISON)])

    assert (verdict.committed, verdict.postponed) == ([finished(POISON)], [])
    assert "drop change=Finished job=b'H:poison': the store refuses it: value too long" in caplog.text


def test_store_that_goes_down_while_poison_is_looked_for_is_not_tried_further(store, writer):
    store.commit([accepted(b"H:0")])
    store.refused_handles = {POISON}
    batch = [progressed(b"H:0", 1), accepted(b"H:1"), accepted(POISON), finished(b"H:0")]
    store.batches.clear()
    store.failure = OUTAGE

    verdict = writer.commit(batch)

    assert verdict.postponed == [progressed(b"H:0", 1), finished(b"H:0")]
    assert handles(verdict.refused) == [b"H:1", POISON]
    assert verdict.error is OUTAGE
    assert len(store.batches) == 2


def test_bug_in_a_commit_is_a_refusal(store, writer, caplog):
    store.bug = KeyError("handle")

    verdict = writer.commit([accepted(b"H:1")])

    assert handles(verdict.refused) == [b"H:1"]
    assert "refuse what the store was called for: it met a bug" in caplog.text
