"""Packets in, answers and job events out: the rules of one client connection."""

from __future__ import annotations

import pytest

from gearjobs.client.in_flight import (
    ForegroundJob,
    InFlight,
    JobCreated,
    JobData,
    JobProgress,
    JobWarning,
    Pending,
    read_failure,
    wire_number,
)
from gearjobs.errors import JobFailed, ServerError, UniqueConflict, WireError
from gearjobs.protocol.attributes import FailureReport, encode
from gearjobs.protocol.codec import Packet, TextLine
from gearjobs.protocol.packets import PacketType

HANDLE = b"H:a:1"
T = PacketType


def submitted(in_flight: InFlight, handle: bytes = HANDLE) -> ForegroundJob:
    """A foreground job the server has accepted."""
    job = ForegroundJob()
    in_flight.sent(Pending(T.JOB_CREATED, job))
    in_flight.receive(Packet(T.JOB_CREATED, (handle,)))
    return job


def test_answers_settle_requests_in_their_order():
    in_flight = InFlight()
    created, status, echo = Pending(T.JOB_CREATED), Pending(T.STATUS_RES), Pending(T.ECHO_RES)
    for pending in (created, status, echo):
        in_flight.sent(pending)

    in_flight.receive(Packet(T.JOB_CREATED, (HANDLE,)))
    in_flight.receive(Packet(T.STATUS_RES, (HANDLE, b"1", b"0", b"0", b"0")))

    assert created.arguments() == (HANDLE,)
    assert status.arguments()[1:] == (b"1", b"0", b"0", b"0")
    assert not echo.is_answered


def test_error_settles_the_oldest_request_only():
    in_flight = InFlight()
    refused, answered = Pending(T.JOB_CREATED), Pending(T.ECHO_RES)
    in_flight.sent(refused)
    in_flight.sent(answered)

    in_flight.receive(Packet(T.ERROR, (b"QUEUE_ERROR", b"Job queue is full")))
    in_flight.receive(Packet(T.ECHO_RES, (b"x",)))

    assert refused.is_answered
    with pytest.raises(ServerError, match="QUEUE_ERROR: Job queue is full"):
        refused.arguments()
    assert answered.arguments() == (b"x",)


def test_taken_unique_is_an_error_of_its_own():
    in_flight, pending = InFlight(), Pending(T.JOB_CREATED)
    in_flight.sent(pending)

    in_flight.receive(Packet(T.ERROR, (b"UNIQUE_TAKEN", b"a job of b'resize' is not finished: H:web:7")))

    with pytest.raises(UniqueConflict, match="UNIQUE_TAKEN") as conflict:
        pending.arguments()
    assert conflict.value.handle == "H:web:7"


def test_refused_foreground_job_is_not_followed():
    in_flight, job = InFlight(), ForegroundJob()
    in_flight.sent(Pending(T.JOB_CREATED, job))

    in_flight.receive(Packet(T.ERROR, (b"QUEUE_ERROR", b"")))

    assert not job.handle
    assert not job.events


def test_job_hears_what_happens_to_it_in_order():
    in_flight = InFlight()
    job = submitted(in_flight)

    in_flight.receive(Packet(T.WORK_STATUS, (HANDLE, b"1", b"2")))
    in_flight.receive(Packet(T.WORK_DATA, (HANDLE, b"part")))
    in_flight.receive(Packet(T.WORK_WARNING, (HANDLE, b"hm")))

    text = HANDLE.decode()
    assert job.take_events() == [
        JobCreated(text),
        JobProgress(text, 1, 2),
        JobData(text, b"part"),
        JobWarning(text, b"hm"),
    ]
    assert job.take_events() == []
    assert not job.is_over


def test_completed_job_has_its_result():
    in_flight = InFlight()
    job = submitted(in_flight)

    in_flight.receive(Packet(T.WORK_COMPLETE, (HANDLE, b"done")))

    assert job.is_over
    assert job.outcome() == b"done"


def test_failed_job_raises_without_a_reason():
    in_flight = InFlight()
    job = submitted(in_flight)

    in_flight.receive(Packet(T.WORK_FAIL, (HANDLE,)))

    assert job.is_over
    with pytest.raises(JobFailed) as failure:
        job.outcome()
    assert failure.value.message == ""


def test_failed_job_is_known_by_a_handle_with_gearmands_extra_nul():
    in_flight = InFlight()
    job = submitted(in_flight)

    in_flight.receive(Packet(T.WORK_FAIL, (HANDLE + b"\0",)))

    assert job.is_over


def test_exception_of_a_gearjobs_worker_names_class_and_message():
    in_flight = InFlight()
    job = submitted(in_flight)
    report = FailureReport(class_path="builtins.ValueError", message="bad")

    in_flight.receive(Packet(T.WORK_EXCEPTION, (HANDLE, encode(report))))

    with pytest.raises(JobFailed) as failure:
        job.outcome()
    assert (failure.value.class_path, failure.value.message) == ("builtins.ValueError", "bad")


def test_packets_of_a_job_that_is_over_are_dropped():
    in_flight = InFlight()
    job = submitted(in_flight)
    in_flight.receive(Packet(T.WORK_EXCEPTION, (HANDLE, b"why")))

    in_flight.receive(Packet(T.WORK_FAIL, (HANDLE,)))

    assert job.failure is not None
    assert job.failure.message == "why"


def test_two_submissions_coalesced_into_one_job_each_get_its_end():
    in_flight = InFlight()
    first, second = submitted(in_flight), submitted(in_flight)

    in_flight.receive(Packet(T.WORK_COMPLETE, (HANDLE, b"r")))
    assert (first.is_over, second.is_over) == (True, False)
    in_flight.receive(Packet(T.WORK_COMPLETE, (HANDLE, b"r")))

    assert second.outcome() == b"r"


def test_answer_of_another_kind_than_due_is_fatal():
    in_flight = InFlight()
    in_flight.sent(Pending(T.ECHO_RES))

    with pytest.raises(WireError, match="JOB_CREATED where ECHO_RES was due") as fault:
        in_flight.receive(Packet(T.JOB_CREATED, (HANDLE,)))

    assert fault.value.is_fatal


@pytest.mark.parametrize(
    "packet",
    [
        Packet(T.JOB_CREATED, (HANDLE,)),
        Packet(T.ERROR, (b"CODE", b"text")),
        Packet(T.NOOP, ()),
        TextLine((b"HTTP/1.1", b"400")),
    ],
)
def test_what_nobody_asked_for_is_fatal(packet):
    with pytest.raises(WireError, match="nobody asked for") as fault:
        InFlight().receive(packet)

    assert fault.value.is_fatal


@pytest.mark.parametrize(("body", "message"), [(b"plain", "plain"), (b"\xff", "\\xff"), (b'{"a": 1}', '{"a": 1}')])
def test_exception_of_another_worker_is_shown_as_it_is(body, message):
    failure = read_failure(body)

    assert (failure.class_path, failure.message) == ("", message)


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        (b"7", 7),
        (b"0.5", 0.5),
        (b"", 0),
        (b"x1", 0),
        (b"nan", 0),
        (b"inf", 0),
        (b"9" * 5000, 0),
    ],
)
def test_number_that_is_none_counts_as_zero(raw, number):
    assert wire_number(raw) == number


def test_who_waits_is_woken_by_answers_events_and_ends():
    woken = []
    in_flight, job = InFlight(), ForegroundJob(wake=lambda: woken.append("job"))
    in_flight.sent(Pending(T.JOB_CREATED, job, wake=lambda: woken.append("answer")))
    in_flight.sent(Pending(T.ECHO_RES, wake=lambda: woken.append("error")))

    in_flight.receive(Packet(T.JOB_CREATED, (b"H:1",)))
    in_flight.receive(Packet(T.ERROR, (b"CODE", b"text")))
    in_flight.receive(Packet(T.WORK_DATA, (b"H:1", b"part")))
    in_flight.receive(Packet(T.WORK_COMPLETE, (b"H:1", b"done")))

    assert woken == ["answer", "error", "job", "job"]


def test_events_that_nobody_is_to_take_are_not_kept():
    in_flight, job = InFlight(), ForegroundJob(keeps_events=False)
    in_flight.sent(Pending(T.JOB_CREATED, job))

    in_flight.receive(Packet(T.JOB_CREATED, (b"H:1",)))
    in_flight.receive(Packet(T.WORK_DATA, (b"H:1", b"part")))

    assert job.take_events() == []


def test_end_of_a_submitted_job_is_its_result_or_what_it_has_instead():
    refused = Pending(T.JOB_CREATED, ForegroundJob(), error=ServerError("QUEUE_FULL", "full"))
    failure = JobFailed("no")
    failed = Pending(T.JOB_CREATED, ForegroundJob(is_over=True, failure=failure))
    done = Pending(T.JOB_CREATED, ForegroundJob(is_over=True, result=b""))

    assert [refused.end(), failed.end(), done.end()] == [refused.error, failure, b""]
    assert Pending(T.JOB_CREATED, ForegroundJob()).end() is None
