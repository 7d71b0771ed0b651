"""Group commit and held replies: nobody is told what is not committed, and nothing done is forgotten.

How the store is opened and closed, and whose rows are adopted, is in `test_durability_life`.
"""

from __future__ import annotations

import logging

import pytest

from gearjobs.core.changes import Change, Forgotten, Requeued
from gearjobs.core.jobs import JobHandle
from gearjobs.protocol.codec import Decoder, Packet, encode_response
from gearjobs.protocol.packets import RESPONSE_MAGIC, PacketType
from gearjobs.server.commit.durability import joined_reply
from tests.support.durability_desk import JOB, NOW, finished, open_desk, progressed, started
from tests.support.time_travel import advance, aeventually, travelling
from tests.support.troubled_store import OUTAGE, accepted


@travelling
async def test_reply_leaves_after_the_commit():
    async with open_desk() as desk:
        connection, transport = desk.peer()
        desk.store.gate.clear()
        desk.submit(connection)
        await aeventually(lambda: desk.store.batches, "the commit to begin")
        desk.handler.flush()
        assert transport.read == []

        desk.store.gate.set()
        await aeventually(lambda: transport.read, "the reply")

        assert transport.read == [b"created H:1"]
        assert list(desk.store.unfinished) == [JOB]


@travelling
async def test_slow_store_holds_up_only_who_waits_for_it():
    async with open_desk() as desk:
        (waiting, its_output), (other, other_output) = desk.peer(), desk.peer()
        desk.store.gate.clear()
        desk.submit(waiting)

        for connection in (waiting, other):
            connection.send(b"echo")
        desk.handler.flush()
        assert (its_output.read, other_output.read) == ([], [b"echo"])

        desk.store.gate.set()
        await desk.settled()
        assert its_output.read == [b"created H:1echo"]


@travelling
async def test_client_hears_of_its_job_before_the_queue_does():
    async with open_desk() as desk:
        connection, transport = desk.peer()
        heard: list[bytes] = []

        def note_what_was_said(ruling: object) -> None:
            desk.handler.flush()
            heard.extend(transport.read)

        desk.durability._on_ruling = note_what_was_said
        desk.submit(connection)

        await aeventually(lambda: transport.read, "the reply")
        assert heard == [b"created H:1"]


@travelling
async def test_what_comes_during_a_commit_is_the_next_batch():
    async with open_desk() as desk:
        connection, _ = desk.peer()
        desk.store.gate.clear()
        desk.submit(connection)
        await aeventually(lambda: desk.store.batches, "the first commit to begin")
        for number in range(2, 6):
            desk.submit(connection, JobHandle(b"H:%d" % number))

        desk.store.gate.set()
        await desk.settled(2)

        assert [len(batch) for batch in desk.store.batches] == [1, 4]


@travelling
async def test_everybody_who_joined_the_job_is_answered():
    async with open_desk() as desk:
        (first, first_output), (second, second_output) = desk.peer(), desk.peer()
        desk.submit(first)
        desk.durability.hold_created(second, JOB, b"created too", refusal=b"error")

        await desk.settled()

        assert (first_output.read, second_output.read) == ([b"created H:1"], [b"created too"])


@pytest.mark.parametrize(
    ("only_for", "kind", "first"),
    [
        (b"", PacketType.JOB_CREATED, b"H:2"),
        (b"H:2", PacketType.JOB_CREATED, b"H:2"),
        (b"H:1", PacketType.ERROR, b"UNIQUE_TAKEN"),
    ],
)
def test_submitter_is_told_which_job_does_the_work_unless_it_wants_no_other(only_for, kind, first):
    decoder = Decoder(expects=RESPONSE_MAGIC)
    decoder.receive(joined_reply(JobHandle(b"H:2"), only_for=only_for))

    packet = decoder.next_packet()

    assert isinstance(packet, Packet)
    assert (packet.type, packet.arguments[0]) == (kind, first)
    assert packet.arguments[-1].split()[-1] == b"H:2"


@travelling
async def test_submitter_that_wants_no_other_job_hears_of_another_servers():
    async with open_desk() as desk:
        connection, transport = desk.peer()
        other = JobHandle(b"H:9")
        desk.store.others[other] = desk.stored(accepted(other), unique=b"u1")
        desk.submit(connection, unique=b"u1", may_join=False)

        await desk.settled()

        assert transport.read == [joined_reply(other, only_for=JOB)]


@travelling
async def test_client_of_a_cancelled_job_does_not_wait_for_the_other_job_that_it_is_told_of():
    async with open_desk() as desk:
        (submitter, submitted), (client, heard), (canceller, answered) = desk.peer(), desk.peer(), desk.peer()
        other = JobHandle(b"H:9")
        desk.store.others[other] = desk.stored(accepted(other), unique=b"u1")
        desk.store.gate.clear()
        desk.submit(submitter, unique=b"u1")
        desk.durability.hold_created(client, JOB, b"created", refusal=b"error")
        await aeventually(lambda: desk.store.batches, "the commit to begin")
        desk.durability.record(finished(JOB))
        desk.durability.hold_ended(canceller, JOB, b"cancelled", refusal=b"error")
        desk.durability.hold_ended(client, JOB, b"fail", refusal=b"")

        desk.store.gate.set()
        await desk.settled()

        created = joined_reply(other, only_for=b"")
        # What is written at once is one piece.
        assert b"".join(heard.read) == created + encode_response(PacketType.WORK_FAIL, other)
        assert (submitted.read, answered.read) == ([created], [b"error"])


@travelling
async def test_store_that_is_down_is_an_error_to_the_submitter():
    async with open_desk() as desk:
        connection, transport = desk.peer()
        desk.store.failure = OUTAGE
        desk.submit(connection)

        ruling = await desk.settled()

        assert transport.read == [b"error"]
        assert [change.handle for change in ruling.refused] == [JOB]


@travelling
async def test_refused_row_is_an_error_to_its_submitter_only():
    async with open_desk() as desk:
        desk.store.refused_handles = {b"H:2"}
        outputs = []
        for handle in (b"H:1", b"H:2", b"H:3"):
            connection, transport = desk.peer()
            desk.submit(connection, JobHandle(handle))
            outputs.append(transport)

        await desk.settled()

        assert [output.read for output in outputs] == [[b"created H:1"], [b"error"], [b"created H:3"]]


@travelling
async def test_submits_go_on_when_the_store_is_back():
    async with open_desk() as desk:
        connection, transport = desk.peer()
        desk.store.failure = OUTAGE
        desk.submit(connection)
        await desk.settled()

        desk.store.failure = None
        desk.submit(connection, JobHandle(b"H:2"))
        await advance(0.1)
        await desk.settled(2)

        assert transport.read == [b"error", b"created H:2"]


@travelling
async def test_outcome_is_kept_until_the_store_is_back_and_told_only_then():
    async with open_desk() as desk:
        connection, transport = desk.peer()
        desk.store.commit([accepted(JOB), started()])
        desk.store.failure = OUTAGE
        desk.end(connection)
        await desk.tried(2)
        assert transport.read == []

        desk.store.failure = None
        await advance(0.1)
        await desk.settled()

        assert desk.store.finished[JOB] == finished()
        assert transport.read == [b"complete H:1"]


@travelling
async def test_changes_of_an_outage_are_committed_in_their_order():
    async with open_desk() as desk:
        desk.store.commit([accepted(JOB)])
        desk.store.failure = OUTAGE
        changes: list[Change] = [
            started(),
            progressed(1),
            Requeued(JOB, is_crash=True, requeued_at=NOW),
            started(),
            finished(),
        ]
        for change in changes[:3]:
            desk.durability.record(change)
        await desk.tried(2)
        for change in changes[3:]:
            desk.durability.record(change)

        desk.store.failure = None
        await advance(0.1)
        await desk.settled()

        assert desk.store.batches[-1] == changes


@travelling
async def test_store_that_stays_down_is_tried_ever_less_often():
    async with open_desk() as desk:
        desk.store.commit([accepted(JOB)])
        desk.store.failure = OUTAGE
        desk.durability.record(finished())

        for tries, pause_s in enumerate((0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0), start=1):
            await desk.tried(tries + 1)
            await advance(pause_s - 0.05)
            assert len(desk.store.batches) == tries + 1
            await advance(0.05)


@travelling
async def test_outage_is_logged_once_and_so_is_its_end(caplog):
    caplog.set_level(logging.INFO, "gearjobs.server")
    async with open_desk() as desk:
        desk.store.commit([accepted(JOB)])
        desk.store.failure = OUTAGE
        desk.durability.record(finished())
        for tries in (2, 3, 4):
            await desk.tried(tries)
            await advance(1)
        desk.store.failure = None
        await advance(1)
        await aeventually(lambda: desk.store.finished, "the commit")

    assert caplog.text.count("keep changes=1: the disk is full") == 1
    assert caplog.text.count("the store answers again") == 1


@travelling
async def test_what_is_recorded_of_a_job_while_it_is_refused_is_void():
    # It was committed later: rows of output for a job that never was.
    async with open_desk() as desk:
        connection, transport = desk.peer()
        desk.store.gate.clear()
        desk.store.failure = OUTAGE
        desk.submit(connection)
        await aeventually(lambda: desk.store.batches, "the commit to begin")
        for change in (started(), progressed(1), progressed(2)):
            desk.durability.record(change)
        desk.end(connection)

        desk.store.gate.set()
        await desk.settled()
        desk.store.failure = None
        await advance(1)
        await desk.tried(2)

        assert transport.read == [b"errorcomplete H:1"]
        assert desk.store.batches[1:] == [[Forgotten(JOB, was_refused=True)]]


@travelling
async def test_client_that_was_told_error_hears_no_end_of_the_job():
    # It heard WORK_FAIL behind the ERROR when an operator cancelled the job while it was being stored.
    async with open_desk() as desk:
        connection, transport = desk.peer()
        desk.store.gate.clear()
        desk.store.failure = OUTAGE
        desk.submit(connection)
        desk.durability.record(finished())
        desk.durability.hold_ended(connection, JOB, b"failed H:1", refusal=b"")
        connection.send(b"echo")

        desk.store.gate.set()
        await desk.settled()

        assert transport.read == [b"errorecho"]


@travelling
async def test_progress_is_written_once_an_interval():
    async with open_desk() as desk:
        desk.store.commit([accepted(JOB)])
        for numerator in (1, 2, 3):
            desk.durability.record(progressed(numerator))
        await desk.settled()
        assert desk.store.progress[JOB] == progressed(1)

        await advance(1)
        await desk.tried(3)

        assert desk.store.progress[JOB] == progressed(3)


@travelling
async def test_last_progress_is_written_before_the_outcome():
    async with open_desk() as desk:
        desk.store.commit([accepted(JOB)])
        for change in (progressed(1), progressed(9), finished()):
            desk.durability.record(change)
        await desk.settled()

    assert desk.store.batches[-1] == [progressed(1), progressed(9), finished()]


@travelling
async def test_progress_of_a_run_that_was_cut_short_is_not_written():
    async with open_desk() as desk:
        desk.store.commit([accepted(JOB)])
        requeued = Requeued(JOB, is_crash=True, requeued_at=NOW)
        for change in (progressed(1), progressed(9), requeued):
            desk.durability.record(change)
        await desk.settled()

    assert desk.store.batches[-1] == [progressed(1), requeued]


@travelling
async def test_bug_in_the_store_is_an_error_to_the_submitter_and_nothing_more():
    async with open_desk() as desk:
        connection, transport = desk.peer()
        desk.store.bug = KeyError("handle")
        desk.submit(connection)
        await desk.settled()

        desk.submit(connection, JobHandle(b"H:2"))
        await desk.settled(2)

        assert transport.read == [b"error", b"created H:2"]


@travelling
async def test_stuck_outcome_does_not_keep_the_next_changes_from_their_commit():
    async with open_desk() as desk:
        desk.store.commit([accepted(JOB), accepted(b"H:2")])
        desk.store.bugs_at = {JOB}
        desk.durability.record(finished(JOB))
        await desk.tried(2)
        # It is tried again ever less often.
        for _ in range(5):
            tries = len(desk.store.batches)
            await advance(60)
            await desk.tried(tries + 1)
        desk.store.bugs_at.clear()

        desk.durability.record(started(JobHandle(b"H:2")))
        await aeventually(lambda: desk.store.batches[-1] == [started(JobHandle(b"H:2"))], "the next commit")
