"""The state machine of one worker connection, against both kinds of server."""

from __future__ import annotations

import math

import pytest

from gearjobs.errors import ServerError, WireError
from gearjobs.protocol.attributes import AssignAttributes, FailureReport, decode_failure, encode
from gearjobs.protocol.codec import Decoder, Packet, TextLine
from gearjobs.protocol.packets import REQUEST_MAGIC, PacketType
from gearjobs.worker.grab_loop import ANSWER_TIMEOUT_S, Assignment, GrabLoop, GrabState
from gearjobs.worker.holding.server_notices import OutcomeSettled, Renewed

T = PacketType
HANDLE = b"H:a:1"
NO_JOB, NOOP = Packet(T.NO_JOB, ()), Packet(T.NOOP, ())
EXTENSIONS = Packet(T.OPTION_RES, (b"gearjobs/1",))
UNKNOWN_OPTION = Packet(T.ERROR, (b"UNKNOWN_OPTION", b"Server does not recognize given option"))
NO_SUCH_JOB = Packet(T.ERROR, (b"JOB_NOT_FOUND", b"Job given in work result not found"))
ASSIGN = Packet(T.JOB_ASSIGN_UNIQ, (HANDLE, b"resize", b"u", b"p"))


def said(loop: GrabLoop) -> list[tuple[PacketType, tuple[bytes, ...]]]:
    """What the loop has to say, read as its server reads it."""
    decoder = Decoder(expects=REQUEST_MAGIC)
    decoder.receive(loop.take_outgoing())
    packets = []
    while (packet := decoder.next_packet()) is not None:
        assert isinstance(packet, Packet)
        packets.append((PacketType(packet.type), packet.arguments))
    return packets


@pytest.fixture
def loop() -> GrabLoop:
    """Just made."""
    return GrabLoop({b"resize": 0.0, b"crop": 1.5}, client_id=b"w1", regrab_s=10.0)


@pytest.fixture
def awake(loop: GrabLoop) -> GrabLoop:
    """Introduced to a stock server."""
    loop.introduce(0.0)
    loop.receive(UNKNOWN_OPTION, 0.0)
    loop.take_outgoing()
    return loop


@pytest.fixture
def extended(loop: GrabLoop) -> GrabLoop:
    """Introduced to a gearjobs server."""
    loop.introduce(0.0)
    loop.receive(EXTENSIONS, 0.0)
    loop.take_outgoing()
    return loop


@pytest.fixture
def asleep(awake: GrabLoop) -> GrabLoop:
    """Went to sleep at a stock server, at 0 s."""
    awake.grab_job(0.0)
    awake.receive(NO_JOB, 0.0)
    awake.take_outgoing()
    return awake


def working(loop: GrabLoop) -> GrabLoop:
    loop.grab_job(0.0)
    loop.receive(ASSIGN, 0.0)
    loop.take_outgoing()
    return loop


def test_worker_introduces_itself_in_one_write(loop):
    loop.introduce(0.0)

    assert said(loop) == [
        (T.OPTION_REQ, (b"gearjobs/1",)),
        (T.SET_CLIENT_ID, (b"w1",)),
        (T.CAN_DO, (b"resize",)),
        (T.CAN_DO_TIMEOUT, (b"crop", b"1500")),
    ]
    assert loop.state is GrabState.INTRODUCED


def test_stock_server_is_asked_for_jobs_with_their_unique(awake):
    awake.grab_job(0.0)

    assert said(awake) == [(T.GRAB_JOB_UNIQ, ())]
    assert awake.state is GrabState.GRABBING


def test_gearjobs_server_is_asked_for_jobs_with_everything(extended):
    extended.grab_job(0.0)

    assert said(extended) == [(T.GRAB_JOB_EXT, ())]


def test_worker_without_a_job_sleeps(awake):
    awake.grab_job(0.0)
    awake.take_outgoing()

    awake.receive(NO_JOB, 5.0)

    assert said(awake) == [(T.PRE_SLEEP, ())]
    assert (awake.state, awake.due_at) == (GrabState.ASLEEP, 15.0)


def test_noop_wakes_a_sleeper(asleep):
    asleep.receive(NOOP, 1.0)

    assert (asleep.state, asleep.due_at) == (GrabState.AWAKE, math.inf)


def test_sleeper_asks_by_itself_when_a_noop_was_lost(asleep):
    asleep.wake_if_due(9.9)
    assert asleep.state is GrabState.ASLEEP

    asleep.wake_if_due(10.0)

    assert (asleep.state, asleep.due_at) == (GrabState.AWAKE, math.inf)


def test_noop_that_crossed_a_grab_changes_nothing(awake):
    awake.grab_job(0.0)

    awake.receive(NOOP, 0.0)

    assert awake.state is GrabState.GRABBING


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (ASSIGN, Assignment(HANDLE, b"resize", b"u", b"p")),
        (Packet(T.JOB_ASSIGN, (HANDLE, b"resize", b"p")), Assignment(HANDLE, b"resize", b"", b"p")),
        (Packet(T.JOB_ASSIGN_ALL, (HANDLE, b"crop", b"u", b"r", b"p")), Assignment(HANDLE, b"crop", b"u", b"p")),
        (
            Packet(T.JOB_ASSIGN_EXT, (HANDLE, b"crop", b"u", encode(AssignAttributes(attempt=3)), b"p")),
            Assignment(HANDLE, b"crop", b"u", b"p", AssignAttributes(attempt=3)),
        ),
    ],
)
def test_every_kind_of_assignment_is_taken(awake, packet, expected):
    awake.grab_job(0.0)

    awake.receive(packet, 1.0)

    assert awake.held() == expected
    assert (awake.state, awake.due_at) == (GrabState.WORKING, math.inf)


def test_result_and_next_grab_travel_in_one_write(awake):
    working(awake)

    awake.work_complete(b"r\0r")
    awake.grab_job(1.0)

    assert said(awake) == [(T.WORK_COMPLETE, (HANDLE, b"r\0r")), (T.GRAB_JOB_UNIQ, ())]


def test_ended_job_is_let_go_of(awake):
    working(awake).work_complete(b"")

    assert awake.state is GrabState.AWAKE
    with pytest.raises(RuntimeError, match="no job is held: the connection is awake"):
        awake.work_complete(b"again")


def test_gearjobs_server_hears_class_message_and_traceback_of_a_failure(extended):
    report = FailureReport("builtins.ValueError", "bad", "Traceback ...")

    working(extended).work_fail(report)

    [(packet_type, (handle, body))] = said(extended)
    assert (packet_type, handle) == (T.WORK_FAIL_EXT, HANDLE)
    assert decode_failure(body) == report


def test_stock_server_hears_a_failure_without_the_traceback(awake):
    working(awake).work_fail(FailureReport("builtins.ValueError", "bad", "Traceback ..."))

    (exception, (_, body)), failed = said(awake)
    assert exception == T.WORK_EXCEPTION
    assert decode_failure(body) == FailureReport("builtins.ValueError", "bad")
    assert failed == (T.WORK_FAIL, (HANDLE,))


def test_stock_server_hears_nothing_but_the_failure_where_it_is_not_to_be_told_why(awake):
    working(awake).work_fail(FailureReport("builtins.ValueError", "bad"), tells_why=False)

    assert said(awake) == [(T.WORK_FAIL, (HANDLE,))]
    assert awake.state is GrabState.AWAKE


def test_gearmands_complaint_about_the_second_word_of_a_failure_is_expected(awake):
    working(awake).work_fail(FailureReport())
    awake.grab_job(0.0)

    awake.receive(NO_SUCH_JOB, 0.0)

    assert awake.complaints == []
    assert awake.state is GrabState.GRABBING


def test_second_complaint_about_a_failure_is_none_to_expect(awake):
    working(awake).work_fail(FailureReport())
    awake.grab_job(0.0)

    awake.receive(NO_SUCH_JOB, 0.0)
    awake.receive(NO_SUCH_JOB, 0.0)

    assert len(awake.complaints) == 1


def test_complaint_is_expected_only_until_the_next_job(awake):
    working(awake).work_fail(FailureReport())
    working(awake).work_complete(b"")

    awake.receive(NO_SUCH_JOB, 0.0)

    assert len(awake.complaints) == 1


def test_other_complaints_are_kept_for_the_log(awake):
    working(awake).work_complete(b"")
    awake.grab_job(0.0)

    awake.receive(Packet(T.ERROR, (b"SOME_CODE", b"text")), 0.0)

    assert [(error.code, error.text) for error in awake.complaints] == [("SOME_CODE", "text")]
    assert isinstance(awake.complaints[0], ServerError)


@pytest.mark.parametrize("ask", [GrabLoop.introduce, GrabLoop.grab_job])
def test_server_that_owes_an_answer_for_too_long_is_overdue(loop, ask):
    ask(loop, 100.0)

    assert not loop.is_overdue(100.0 + ANSWER_TIMEOUT_S - 0.1)
    assert loop.is_overdue(100.0 + ANSWER_TIMEOUT_S)


def test_worker_that_waits_for_nothing_is_never_overdue(asleep):
    assert not asleep.is_overdue(1e9)


def test_worker_that_leaves_gives_everything_back(awake):
    working(awake).reset_abilities()

    assert said(awake) == [(T.RESET_ABILITIES, ())]


@pytest.mark.parametrize(
    "packet",
    [NO_JOB, ASSIGN, EXTENSIONS, Packet(T.JOB_CREATED, (HANDLE,)), TextLine((b"OK",))],
)
def test_what_an_awake_worker_cannot_expect_is_fatal(awake, packet):
    with pytest.raises(WireError, match="a worker that is awake expects no") as fault:
        awake.receive(packet, 0.0)

    assert fault.value.is_fatal


def test_assignment_of_a_function_never_offered_is_fatal(awake):
    awake.grab_job(0.0)

    with pytest.raises(WireError, match="b'drop'") as fault:
        awake.receive(Packet(T.JOB_ASSIGN, (HANDLE, b"drop", b"")), 0.0)

    assert fault.value.is_fatal
    assert awake.assignment is None


def test_server_notices_are_taken_in_any_state_and_given_out_once(extended):
    extended.renew_jobs(5.0)
    assert said(extended) == [(T.RENEW_JOBS, ())]

    extended.receive(Packet(T.RENEW_RES, (b"1",)), 6.0)
    extended.receive(Packet(T.OUTCOME_SETTLED, (HANDLE,)), 6.0)

    assert extended.take_notices() == [Renewed(5.0, is_held=True), OutcomeSettled(HANDLE)]
    assert extended.take_notices() == []
    assert extended.state is GrabState.AWAKE


def test_notice_of_a_server_without_extensions_is_fatal(awake):
    with pytest.raises(WireError, match="expects no OUTCOME_SETTLED"):
        awake.receive(Packet(T.OUTCOME_SETTLED, (HANDLE,)), 0.0)


def test_grab_is_remembered_with_its_time(awake):
    awake.grab_job(7.0)

    assert awake.grabbed_at == 7.0


def test_job_of_a_lost_connection_is_worked_on_through_another(extended):
    assignment = Assignment(HANDLE, b"resize", b"u", b"p")

    extended.take_over(assignment)

    assert extended.held() is assignment
    extended.work_complete(b"r")
    assert said(extended) == [(T.WORK_COMPLETE, (HANDLE, b"r"))]
