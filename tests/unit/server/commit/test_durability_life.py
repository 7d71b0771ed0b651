"""How a Durability opens and closes its store, adopts what clients inserted, and ends when it cannot go on."""

from __future__ import annotations

import asyncio
from typing import Never

import pytest

from gearjobs.core.changes import StoredJob
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.errors import StoreError, StoreFenced, UsageError
from gearjobs.server.commit.durability import CLOSE_TIMEOUT_S
from gearjobs.server.commit.group_commit import ADOPT_LIMIT
from tests.support.durability_desk import JOB, NOW, Desk, finished, open_desk, progressed
from tests.support.time_travel import advance, aeventually, travelling, turns
from tests.support.troubled_store import OUTAGE, TroubledStore, accepted


@travelling
async def test_close_commits_what_is_pending():
    async with open_desk() as desk:
        desk.store.commit([accepted(JOB)])
        for numerator in (1, 2):
            desk.durability.record(progressed(numerator))

    assert desk.store.progress[JOB] == progressed(2)
    assert desk.store.is_closed


@travelling
async def test_close_answers_whose_commit_is_under_way():
    desk = Desk()
    await desk.durability.open()
    connection, transport = desk.peer()
    desk.store.gate.clear()
    desk.submit(connection)
    await aeventually(lambda: desk.store.batches, "the commit to begin")
    desk.submit(connection, JobHandle(b"H:2"))

    closing = asyncio.ensure_future(desk.durability.close())
    desk.store.gate.set()
    await closing

    assert b"".join(transport.read) == b"created H:1created H:2"


@travelling
async def test_close_with_a_store_that_stays_down_tells_what_is_lost(caplog):
    desk = Desk()
    await desk.durability.open()
    desk.store.failure = OUTAGE
    desk.durability.record(finished())

    await desk.durability.close()

    assert "lose changes=1" in caplog.text
    assert desk.store.is_closed


@travelling
async def test_close_during_an_outage_gives_the_store_one_more_try():
    desk = Desk()
    await desk.durability.open()
    desk.store.commit([accepted(JOB)])
    desk.store.failure = OUTAGE
    desk.durability.record(finished())
    await desk.tried(2)

    desk.store.failure = None
    closing = asyncio.ensure_future(desk.durability.close())
    await advance(0.1)
    await closing

    assert JOB in desk.store.finished


@travelling
async def test_open_gives_the_unfinished_jobs():
    desk = Desk()
    desk.store.commit([accepted(JOB)])

    stored = await desk.durability.open()

    assert [job.handle for job in stored] == [JOB]
    await desk.durability.close()


@travelling
async def test_store_that_cannot_be_opened_can_be_closed():
    desk = Desk()
    desk.store.load_failure = OUTAGE

    with pytest.raises(StoreError, match="the disk is full"):
        await desk.durability.open()
    await desk.durability.close()

    assert desk.store.is_closed


@travelling
async def test_nudge_adopts_what_clients_inserted():
    async with open_desk() as desk:
        put_rows(desk.store, 3)

        desk.durability.adopt()
        await aeventually(lambda: desk.adopted, "the adoption")

        assert [len(jobs) for jobs in desk.adopted] == [3]
        assert desk.store.unowned == {}


@travelling
async def test_nudge_that_finds_nothing_tells_nobody():
    async with open_desk() as desk:
        desk.durability.adopt()
        await aeventually(lambda: desk.store.adoptions == 1, "the look")
        await turns()

        assert desk.adopted == []


@travelling
async def test_many_rows_are_adopted_bit_by_bit():
    async with open_desk() as desk:
        put_rows(desk.store, ADOPT_LIMIT + 1)

        desk.durability.adopt()
        await aeventually(lambda: len(desk.adopted) == 2, "the second adoption")

        assert [len(jobs) for jobs in desk.adopted] == [ADOPT_LIMIT, 1]


@travelling
async def test_adoption_that_failed_is_done_at_the_next_nudge():
    async with open_desk() as desk:
        put_rows(desk.store, 1)
        desk.store.adopt_failure = OUTAGE
        desk.durability.adopt()
        await aeventually(lambda: desk.store.adoptions == 1, "the first try")

        desk.store.adopt_failure = None
        desk.durability.adopt()
        await aeventually(lambda: desk.adopted, "the adoption")


@travelling
async def test_run_until_ends_at_the_event():
    async with open_desk() as desk:
        stopping = asyncio.Event()
        running = asyncio.ensure_future(desk.durability.run_until(stopping))
        await turns()
        assert not running.done()

        stopping.set()
        await running


@travelling
async def test_bug_behind_a_commit_is_not_kept_quiet():
    # The committing task ended without a word, and every later submitter waited for ever.
    desk = Desk()
    await desk.durability.open()
    desk.durability._on_ruling = lambda ruling: _raise(AssertionError("job cannot go from ended to waiting"))
    running = asyncio.ensure_future(desk.durability.run_until(asyncio.Event()))

    desk.durability.record(accepted(JOB))
    with pytest.raises(AssertionError, match="from ended to waiting"):
        await running
    with pytest.raises(AssertionError, match="from ended to waiting"):
        await desk.durability.close()

    assert desk.store.is_closed


def put_rows(store: TroubledStore, count: int) -> None:
    for number in range(count):
        handle = JobHandle(b"H:row:%d" % number)
        store.unowned[handle] = StoredJob(handle, FunctionName(b"resize"), b"", b"photo", 0, 0.0, NOW)


def _raise(fault: Exception) -> Never:
    raise fault


@travelling
async def test_store_that_hangs_holds_up_the_end_for_some_seconds_only(caplog):
    desk = Desk()
    await desk.durability.open()
    desk.store.gate.clear()
    desk.durability.record(finished())
    await aeventually(lambda: desk.store.batches, "the commit to begin")
    desk.durability.record(progressed(1))

    closing = asyncio.ensure_future(desk.durability.close())
    for _ in range(2):
        await advance(CLOSE_TIMEOUT_S)
    await closing
    desk.store.gate.set()
    await aeventually(lambda: desk.store.is_closed, "the thread to go on after all")

    assert "wait no longer for the store" in caplog.text
    assert "lose changes=2" in caplog.text
    assert "leave the store as it is" in caplog.text


@travelling
async def test_server_whose_jobs_were_taken_over_ends_without_an_answer():
    desk = Desk()
    await desk.durability.open()
    connection, transport = desk.peer()
    desk.store.is_fenced = True
    desk.submit(connection)

    with pytest.raises(StoreFenced):
        await desk.durability.run_until(asyncio.Event())
    with pytest.raises(StoreFenced):
        await desk.durability.close()

    assert transport.read == []
    assert desk.store.is_closed


@travelling
async def test_nothing_is_committed_by_a_durability_that_was_not_opened():
    with pytest.raises(UsageError, match=r"call open\(\) first"):
        await Desk().durability.run_until(asyncio.Event())


@travelling
async def test_alarm_may_be_one_that_does_not_tell_its_time(monkeypatch):
    # uvloop's does not, where the moment is as good as here: the server ended with an AttributeError.
    async with open_desk() as desk:
        loop = desk.loop()
        alarm = asyncio.Handle(desk.durability.adopt, (), loop)
        desk.store.commit([accepted(JOB)])
        with monkeypatch.context() as patched:
            patched.setattr(loop, "call_at", lambda when, callback: alarm)
            for numerator in (1, 2, 3):
                desk.durability.record(progressed(numerator))
                await turns()
            is_set = desk.durability._alarm is alarm

        assert is_set
        assert desk.durability._task is not None
        assert not desk.durability._task.done()
