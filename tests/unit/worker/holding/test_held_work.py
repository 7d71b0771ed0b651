"""What a worker holds, brought to the wire: two grab loops whose servers are played by the test."""

from __future__ import annotations

import math

import pytest

from gearjobs.core.reattachment import ResumeVerdict
from gearjobs.protocol.attributes import AssignAttributes, encode
from gearjobs.protocol.codec import Decoder, Packet
from gearjobs.protocol.packets import REQUEST_MAGIC, PacketType
from gearjobs.worker.grab_loop import GrabLoop, GrabState
from gearjobs.worker.holding.held_work import HeldWork
from gearjobs.worker.holding.outcome_packets import success_packet
from gearjobs.worker.holding.run_lease import RunVerdict
from gearjobs.worker.holding.server_notices import CancelAsked

T = PacketType
H = b"H:a:1"
DONE = success_packet(H, b"done")
ACCEPTED, REFUSED, UNKNOWN = (Packet(T.RESUME_RES, (H, b"2", verdict.value.encode())) for verdict in ResumeVerdict)
SETTLED = Packet(T.OUTCOME_SETTLED, (H,))
RESUME = (T.RESUME_JOB, (H, b"2"))


def said(loop: GrabLoop) -> list[tuple[PacketType, tuple[bytes, ...]]]:
    decoder = Decoder(expects=REQUEST_MAGIC)
    decoder.receive(loop.take_outgoing())
    packets = []
    while (packet := decoder.next_packet()) is not None:
        assert isinstance(packet, Packet)
        packets.append((PacketType(packet.type), packet.arguments))
    return packets


def introduced(*, has_extensions: bool = True) -> GrabLoop:
    loop = GrabLoop({b"f": 0.0}, client_id=b"w1")
    loop.introduce(90.0)
    answer = Packet(T.OPTION_RES, (b"gearjobs/1",)) if has_extensions else Packet(T.ERROR, (b"UNKNOWN_OPTION", b""))
    loop.receive(answer, 90.0)
    loop.take_outgoing()
    return loop


def hand_over(loop: GrabLoop, attributes: AssignAttributes) -> None:
    """Have the loop grab at 100 s and be handed the job at 101 s."""
    loop.grab_job(100.0)
    loop.receive(Packet(T.JOB_ASSIGN_EXT, (H, b"f", b"", encode(attributes), b"p")), 101.0)
    loop.take_outgoing()


@pytest.fixture
def own() -> GrabLoop:
    """The connection to the job's server."""
    return introduced()


@pytest.fixture
def other() -> GrabLoop:
    """A connection to another server."""
    return introduced()


@pytest.fixture
def held(own: GrabLoop) -> HeldWork:
    """Holds the second run of a job grabbed at 100 s; its server may be silent for 8 s and gone for 28."""
    hand_over(own, AssignAttributes(attempt=2, lease_s=8.0, resume_s=28.0))
    held = HeldWork()
    assert held.begin_run(own)
    return held


def tell(held: HeldWork, loop: GrabLoop, packet: Packet, now: float) -> bool:
    loop.receive(packet, now)
    return held.hear(loop, now)


def test_job_that_is_not_resumable_is_not_held(own):
    hand_over(own, AssignAttributes())
    held = HeldWork()

    assert not held.begin_run(own)

    assert not held.has_say
    assert (held.deadline, held.verdict(1e9)) == (math.inf, RunVerdict.GOES_ON)
    with pytest.raises(RuntimeError, match="no resumable run is held"):
        held.end_run(DONE, 102.0)


def test_deadline_counts_from_the_grab_and_not_from_the_assignment(held):
    assert held.deadline == 108.0


def test_lease_is_renewed_where_the_run_is(held, own, other):
    for loop in (own, other):
        held.speak(loop, 102.5)

    assert (said(own), said(other)) == ([(T.RENEW_JOBS, ())], [])
    assert tell(held, own, Packet(T.RENEW_RES, (b"1",)), 104.0)
    assert held.deadline == 110.5


def test_nothing_is_said_before_it_is_due(held, own):
    held.speak(own, 102.0)

    assert said(own) == []
    assert held.due_at([own]) == 102.5


def test_renewal_of_a_connection_without_the_run_gives_no_time(held, other):
    other.renew_jobs(105.0)

    tell(held, other, Packet(T.RENEW_RES, (b"1",)), 105.0)

    assert held.deadline == 108.0


def test_run_of_a_lost_server_is_resumed_elsewhere_and_reported_there(held, own, other):
    held.broke(own, 105.0, is_silent=False)
    assert held.seeks_server
    held.speak(other, 105.0)
    assert said(other) == [RESUME]

    tell(held, other, ACCEPTED, 105.2)

    held.speak(other, 105.2)
    held.end_run(DONE, 106.0)
    assert said(other) == [(T.RENEW_JOBS, ()), (T.WORK_COMPLETE, (H, b"done"))]
    assert other.state is GrabState.AWAKE


def test_server_that_does_not_know_the_job_is_asked_again(held, own, other):
    held.broke(own, 105.0, is_silent=False)
    held.speak(other, 105.0)
    tell(held, other, UNKNOWN, 105.1)
    assert held.due_at([other]) == 105.5

    held.speak(other, 105.5)

    assert said(other) == [RESUME, RESUME]


def test_refused_run_is_lost_at_once(held, own, other):
    held.broke(own, 105.0, is_silent=False)
    held.speak(other, 105.0)

    tell(held, other, REFUSED, 105.1)

    assert held.verdict(105.1) is RunVerdict.REFUSED
    assert held.lose_run() is None
    assert held.run is None


def test_run_nobody_resumes_is_lost_when_its_time_is_over(held, own):
    held.broke(own, 105.0, is_silent=False)

    assert held.due_at([]) == 128.0
    assert held.verdict(127.9) is RunVerdict.GOES_ON
    assert held.verdict(128.0) is RunVerdict.EXPIRED


def test_lost_run_names_the_connection_that_still_has_it(held, own):
    assert held.verdict(108.0) is RunVerdict.EXPIRED

    assert held.lose_run() is own


def test_run_moves_from_a_server_that_does_not_own_it_to_the_one_that_does(held, own, other):
    own.renew_jobs(102.0)
    tell(held, own, Packet(T.RENEW_RES, (b"0",)), 102.0)
    held.speak(other, 103.0)

    tell(held, other, ACCEPTED, 103.1)

    assert not held.seeks_server
    assert (own.state, other.state) == (GrabState.AWAKE, GrabState.WORKING)


def test_stock_server_is_asked_nothing(held, own):
    stock = introduced(has_extensions=False)
    held.broke(own, 105.0, is_silent=False)

    held.speak(stock, 105.0)

    assert said(stock) == []
    assert held.due_at([stock]) == 128.0


def test_outcome_is_kept_until_it_is_settled(held, own):
    held.end_run(DONE, 102.0)
    assert len(held.outcomes) == 1
    assert not held.has_say

    tell(held, own, SETTLED, 102.1)

    assert len(held.outcomes) == 0


def test_outcome_of_a_lost_connection_is_sent_where_the_run_is_taken(held, own, other):
    held.end_run(DONE, 102.0)
    held.broke(own, 102.1, is_silent=False)
    held.speak(other, 102.1)

    assert tell(held, other, ACCEPTED, 102.2)

    assert said(other) == [RESUME, (T.WORK_COMPLETE, (H, b"done"))]


def test_outcome_of_a_run_without_a_server_is_offered(held, own, other):
    held.broke(own, 102.0, is_silent=False)
    held.end_run(DONE, 103.0)

    held.speak(other, 103.0)

    assert said(other) == [RESUME]
    assert held.due_at([other]) == 103.0 + 600.0


def test_outcome_of_an_earlier_run_is_not_sent_for_the_one_that_begins_anew(held, own, other):
    # The server that had the first run was lost before it had stored its start, and the next one gave the second run
    # the same number: it took the failure of the first for the second's, and another worker ran the job meanwhile.
    held.end_run(DONE, 105.0)
    held.broke(own, 106.0, is_silent=False)
    hand_over(other, AssignAttributes(attempt=2, lease_s=8.0, resume_s=28.0))

    held.begin_run(other)
    held.speak(other, 107.0)

    assert (len(held.outcomes), RESUME in said(other)) == (0, False)


def test_outcome_of_an_earlier_run_is_not_sent_where_the_server_was_asked_about_it_already(held, own, other):
    held.end_run(DONE, 105.0)
    held.broke(own, 106.0, is_silent=False)
    other.grab_job(106.0)
    held.speak(other, 106.0)
    assigned = encode(AssignAttributes(attempt=2, lease_s=8.0, resume_s=28.0))
    other.receive(Packet(T.JOB_ASSIGN_EXT, (H, b"f", b"", assigned, b"p")), 107.0)
    other.receive(ACCEPTED, 107.0)
    said(other)

    assert held.hear(other, 107.0)
    assert (len(held.outcomes), said(other)) == (0, [])


def test_connection_whose_server_believes_a_run_here_that_is_not_is_to_be_left(held, own, other):
    held.broke(own, 105.0, is_silent=False)
    held.speak(other, 105.0)
    held.lose_run()

    assert not tell(held, other, ACCEPTED, 130.0)
    assert tell(held, other, REFUSED, 130.0)


def test_answer_about_the_run_that_was_not_asked_for_changes_nothing(held, own, other):
    tell(held, other, REFUSED, 102.0)

    assert held.verdict(102.0) is RunVerdict.GOES_ON


def test_broken_connection_is_asked_no_more(held, own, other):
    held.broke(own, 105.0, is_silent=False)
    held.speak(other, 105.0)

    held.broke(other, 105.1, is_silent=True)

    third = introduced()
    held.speak(third, 105.1)
    assert said(third) == [RESUME]


def test_cancels_of_the_job_at_hand_are_told_and_others_are_not(held, own):
    for handle in (b"H:a:9", H):
        tell(held, own, Packet(T.CANCEL_NOTICE, (handle, b"0")), 102.0)

    assert held.take_cancels(H) == [CancelAsked(H, is_forced=False)]
    assert held.take_cancels(H) == []


@pytest.mark.parametrize("is_at_once", [True, False])
def test_cancel_of_a_run_that_is_over_does_not_hit_the_next_run_of_the_job(is_at_once):
    # A run that was taken from its worker for its timeout is announced as over; the job, which runs again, ended as
    # cancelled where the same worker got it.
    held, loop = HeldWork(), introduced()
    notice = Packet(T.CANCEL_NOTICE, (H, b"1"))
    loop.grab_job(100.0)
    if is_at_once:
        loop.receive(notice, 101.0)
    else:
        tell(held, loop, notice, 101.0)
    loop.receive(Packet(T.JOB_ASSIGN_UNIQ, (H, b"f", b"", b"p")), 101.0)
    held.hear(loop, 101.0)

    assert held.take_cancels(H) == []


def test_cancel_that_came_as_the_run_ended_does_not_hit_the_next_run_of_the_job(held, own):
    tell(held, own, Packet(T.CANCEL_NOTICE, (H, b"1")), 102.0)

    held.end_run(DONE, 103.0)

    assert held.take_cancels(H) == []


def test_cancel_that_came_behind_its_job_is_told():
    held, loop = HeldWork(), introduced()
    loop.grab_job(100.0)
    loop.receive(Packet(T.JOB_ASSIGN_UNIQ, (H, b"f", b"", b"p")), 101.0)
    loop.receive(Packet(T.CANCEL_NOTICE, (H, b"0")), 101.0)
    held.hear(loop, 101.0)

    assert held.take_cancels(H) == [CancelAsked(H, is_forced=False)]
