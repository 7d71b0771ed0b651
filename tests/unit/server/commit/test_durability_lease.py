"""The lease that a Durability keeps: asked for in time, and nothing stored handed out without it."""

from __future__ import annotations

import logging
import math

from gearjobs.core.jobs import JobHandle
from gearjobs.protocol.codec import encode_response
from gearjobs.protocol.packets import PacketType
from gearjobs.server.commit.commit_steps import CommitRules
from tests.support.durability_desk import JOB, Desk, finished, open_desk, progressed
from tests.support.time_travel import advance, aeventually, travelling
from tests.support.troubled_store import OUTAGE, accepted

LEASE_S = 10.0


async def renewed(desk: Desk, times: int) -> None:
    await aeventually(lambda: desk.store.renewals == times, f"renewal {times}")
    await aeventually(lambda: desk.durability.step_age_s(math.inf) == 0, "its answer")


@travelling
async def test_lease_is_renewed_again_and_again():
    async with open_desk(lease_s=LEASE_S) as desk:
        for renewals in range(2, 10):
            await advance(2.5)
            await renewed(desk, renewals)

        assert desk.hand_outs == []


@travelling
async def test_nothing_stored_is_handed_out_while_the_lease_cannot_be_renewed(caplog):
    caplog.set_level(logging.INFO, "gearjobs.server")
    async with open_desk(lease_s=LEASE_S) as desk:
        desk.store.renew_failure = OUTAGE
        await advance(8)
        await aeventually(lambda: desk.hand_outs == [False], "the lease to run out")
        assert not desk.durability.is_lease_held

        desk.store.renew_failure = None
        await advance(5)
        await aeventually(lambda: desk.hand_outs == [False, True], "the lease")

    assert "hold back background jobs: the store's lease has run out" in caplog.text
    assert "hand out background jobs again" in caplog.text


@travelling
async def test_process_that_was_stopped_notices_before_it_reads_a_packet():
    async with open_desk(lease_s=LEASE_S) as desk:
        loop = desk.loop()
        loop.ahead_s += 15
        desk.durability.watch()

        assert desk.hand_outs == [False]


@travelling
async def test_machine_that_slept_asks_for_its_lease_anew():
    async with open_desk(lease_s=LEASE_S) as desk:
        desk.durability.doubt_lease()
        assert desk.hand_outs == [False]

        await aeventually(lambda: desk.hand_outs == [False, True], "the renewal")


@travelling
async def test_lease_that_never_ends_is_not_doubted():
    async with open_desk() as desk:
        desk.durability.doubt_lease()

        assert desk.durability.is_lease_held


@travelling
async def test_too_much_that_waits_for_the_store_stops_the_handing_out(caplog):
    async with open_desk(CommitRules(max_changes=4)) as desk:
        desk.store.failure = OUTAGE
        desk.durability.record(finished())
        await desk.tried(1)
        for number in range(5):
            desk.durability.record(progressed(1, JobHandle(b"H:%d" % number)))
        await aeventually(lambda: desk.hand_outs == [False], "the backlog to be noticed")

        desk.store.failure = None
        await advance(1)
        await aeventually(lambda: desk.hand_outs == [False, True], "the store")

    assert "hold back background jobs: too many changes wait for the store" in caplog.text
    assert "dropped progress=" in caplog.text
    assert desk.durability.dropped_changes > 0


@travelling
async def test_submitter_of_a_hanging_store_hears_error_in_two_seconds_and_the_job_leaves_nothing():
    async with open_desk() as desk:
        connection, transport = desk.peer()
        desk.store.gate.clear()
        desk.submit(connection)
        await aeventually(lambda: desk.store.batches, "the commit to begin")
        await advance(2.1)
        assert transport.read == [b"error"]

        desk.store.gate.set()
        await desk.tried(2)

        assert desk.store.unfinished == {}


@travelling
async def test_submitter_is_told_of_the_job_that_it_joined():
    elsewhere = JobHandle(b"H:elsewhere")
    async with open_desk() as desk:
        desk.store.others[elsewhere] = desk.stored(accepted(elsewhere), unique=b"cat.jpg")
        connection, transport = desk.peer()
        desk.submit(connection, unique=b"cat.jpg")

        ruling = await desk.settled()

        assert transport.read == [encode_response(PacketType.JOB_CREATED, elsewhere)]
        assert [(change.handle, into) for change, into in ruling.joined] == [(JOB, elsewhere)]
