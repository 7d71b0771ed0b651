"""What the store's side tells of itself, for health and metrics."""

from __future__ import annotations

import asyncio

from gearjobs.core.jobs import JobHandle
from tests.support.durability_desk import JOB, finished, open_desk
from tests.support.time_travel import advance, aeventually, travelling
from tests.support.troubled_store import OUTAGE, accepted


def now_in_loop() -> float:
    return asyncio.get_running_loop().time()


@travelling
async def test_nothing_is_wrong_with_a_store_that_has_nothing_to_do():
    async with open_desk() as desk:
        now = now_in_loop()

        assert desk.durability.step_age_s(now) == 0
        assert desk.durability.outage_age_s(now) is None
        assert (desk.durability.is_store_down, desk.durability.pending_changes) == (False, 0)


@travelling
async def test_commit_that_hangs_grows_old_and_later_changes_pile_up():
    async with open_desk() as desk:
        connection, _ = desk.peer()
        desk.store.gate.clear()
        desk.submit(connection)
        await aeventually(lambda: desk.store.batches, "the commit to begin")
        desk.submit(connection, JobHandle(b"H:2"))

        await advance(1.5)
        assert 1.5 <= desk.durability.step_age_s(now_in_loop()) < 2.5
        assert desk.durability.pending_changes == 1

        desk.store.gate.set()
        await desk.settled(2)
        assert desk.durability.step_age_s(now_in_loop()) == 0


@travelling
async def test_outage_is_as_old_as_its_last_refusal():
    async with open_desk() as desk:
        connection, _ = desk.peer()
        desk.store.failure = OUTAGE
        desk.submit(connection)
        await desk.settled()

        # The next try does not end.
        desk.store.gate.clear()
        await advance(7)

        assert desk.durability.is_store_down
        assert 7 <= (desk.durability.outage_age_s(now_in_loop()) or 0) < 8


@travelling
async def test_outage_is_over_with_the_next_commit():
    async with open_desk() as desk:
        desk.store.commit([accepted(JOB)])
        desk.store.failure = OUTAGE
        desk.durability.record(finished())
        await desk.tried(2)

        desk.store.failure = None
        await advance(1)
        await desk.settled()

        assert not desk.durability.is_store_down
        assert desk.durability.outage_age_s(now_in_loop()) is None
