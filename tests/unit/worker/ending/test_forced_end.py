"""What a server is told of a run that is ended by force."""

from __future__ import annotations

import threading

import pytest

from gearjobs.errors import JobCancelled, JobTimedOut
from gearjobs.protocol.attributes import AssignAttributes, FailureReport, decode_failure
from gearjobs.protocol.codec import Decoder, Packet
from gearjobs.protocol.packets import REQUEST_MAGIC, PacketType
from gearjobs.worker.ending.forced_end import LEAST_RETRY_S, report_forced_end
from gearjobs.worker.ending.run_limits import RunStep
from gearjobs.worker.grab_loop import Assignment
from gearjobs.worker.running_job import RunningJob

HANDLE = b"H:a:1"


@pytest.fixture
def said() -> list[bytes]:
    return []


def job_of(said: list[bytes], *, has_extensions: bool = True) -> RunningJob:
    attributes = AssignAttributes(timeout_s=1.5)
    assignment = Assignment(HANDLE, b"f", b"", b"", attributes)
    return RunningJob(assignment, lambda _: None, has_extensions=has_extensions, send_last=said.append)


def packet_of(said: list[bytes]) -> Packet:
    decoder = Decoder(expects=REQUEST_MAGIC)
    (chunk,) = said
    decoder.receive(chunk)
    packet = decoder.next_packet()
    assert isinstance(packet, Packet)
    return packet


def report_of(said: list[bytes]) -> FailureReport:
    packet = packet_of(said)
    assert (packet.type, packet.arguments[0]) == (PacketType.WORK_FAIL_EXT, HANDLE)
    return decode_failure(packet.arguments[1])


def test_server_is_told_that_the_time_is_over(said):
    job = job_of(said)

    report_forced_end(job, RunStep.TIME_OUT)

    report = report_of(said)
    assert (report.outcome, report.class_path, report.retry_in_s) == ("timed_out", "gearjobs.errors.JobTimedOut", None)
    assert "1.5 s" in report.message
    assert job.is_ended_by_force


def test_functions_side_decides_whether_it_runs_again(said):
    job, asked = job_of(said), []

    def decide(error: BaseException) -> float:
        asked.append(error)
        return 60.0

    job.on_forced_end = decide
    report_forced_end(job, RunStep.TIME_OUT)

    assert report_of(said).retry_in_s == 60.0
    assert isinstance(asked[0], JobTimedOut)


def test_next_run_does_not_begin_before_the_process_is_gone(said):
    job = job_of(said)
    job.on_forced_end = lambda _: 0.0

    report_forced_end(job, RunStep.TIME_OUT)

    assert report_of(said).retry_in_s == LEAST_RETRY_S


def test_question_that_fails_does_not_keep_the_process(said, caplog):
    job = job_of(said)

    def fail(_error: BaseException) -> float:
        raise ValueError("users' code")

    job.on_forced_end = fail
    report_forced_end(job, RunStep.TIME_OUT)

    assert report_of(said).retry_in_s is None
    assert "users' code" in caplog.text


@pytest.mark.parametrize("step", [RunStep.END, RunStep.TIME_OUT])
def test_cancelled_job_ends_as_cancelled_whatever_ends_it(said, step):
    job, asked = job_of(said), []
    job.is_cancel_asked = True

    def never(error: BaseException) -> None:
        asked.append(error)

    job.on_forced_end = never
    report_forced_end(job, step)

    report = report_of(said)
    assert (report.outcome, report.class_path) == ("cancelled", "gearjobs.errors.JobCancelled")
    assert isinstance(asked[0], JobCancelled)


def test_stock_server_is_told_that_it_failed(said):
    report_forced_end(job_of(said, has_extensions=False), RunStep.TIME_OUT)

    assert packet_of(said) == Packet(PacketType.WORK_FAIL, (HANDLE,))


def test_report_shows_where_the_function_is(said):
    job, is_there, may_end = job_of(said), threading.Event(), threading.Event()

    def stand_still() -> None:
        is_there.set()
        may_end.wait(10)

    function = threading.Thread(target=job.interruption.run, args=(stand_still,))
    function.start()
    assert is_there.wait(10)
    report_forced_end(job, RunStep.TIME_OUT)
    may_end.set()
    function.join(10)

    lines = report_of(said).traceback.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].endswith("in stand_still")
    assert lines[-1].startswith("gearjobs.errors.JobTimedOut: ")


def test_run_that_reported_its_end_is_not_reported_again(said):
    job = job_of(said)
    job.end()

    report_forced_end(job, RunStep.TIME_OUT)

    assert said == []
