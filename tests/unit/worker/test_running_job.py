"""The running job as its function sees it, and what its reports look like on the wire."""

from __future__ import annotations

import threading
import time

import pytest

from gearjobs.errors import SoftTimeout, UsageError
from gearjobs.protocol.attributes import AssignAttributes
from gearjobs.protocol.codec import Decoder, Packet, encode_request
from gearjobs.protocol.packets import REQUEST_MAGIC, PacketType
from gearjobs.worker import running_job
from gearjobs.worker.grab_loop import Assignment
from gearjobs.worker.running_job import RunningJob, wire_fraction
from tests.support.eventually import eventually

HANDLE = b"H:a:1"
ASSIGNMENT = Assignment(HANDLE, b"resize", b"u", b"p", AssignAttributes(2, 7, 1.0, 2.0, ["w1", "w2"]))


class Reports:
    """Collects what a job reports."""

    def __init__(self) -> None:
        self.decoder = Decoder(expects=REQUEST_MAGIC)

    def send(self, chunk: bytes) -> None:
        self.decoder.receive(chunk)

    def next(self) -> Packet | None:
        packet = self.decoder.next_packet()
        assert packet is None or isinstance(packet, Packet)
        return packet


@pytest.fixture
def reports() -> Reports:
    return Reports()


def test_job_knows_what_the_server_said_of_it(reports):
    job = RunningJob(ASSIGNMENT, reports.send, has_extensions=True)

    assert (job.handle, job.function, job.unique, job.payload) == ("H:a:1", b"resize", b"u", b"p")
    assert (job.attempt, job.priority, job.run_at, job.accepted_at) == (2, 7, 1.0, 2.0)
    assert job.worker_ids == ["w1", "w2"]
    assert not job.is_resumable


def test_job_knows_its_server_and_whether_it_may_outlive_it(reports):
    attributes = AssignAttributes(lease_s=8.0, resume_s=28.0)
    assignment = Assignment(HANDLE, b"resize", b"", b"", attributes)

    job = RunningJob(assignment, reports.send, has_extensions=True, server="127.0.0.1:4730")

    assert (job.server, job.is_resumable) == ("127.0.0.1:4730", True)


def test_progress_carries_its_message_to_a_gearjobs_server(reports):
    RunningJob(ASSIGNMENT, reports.send, has_extensions=True).send_progress(1, 2, "häl\0f")

    assert reports.next() == Packet(PacketType.WORK_STATUS_EXT, (HANDLE, b"1", b"2", "häl\0f".encode()))


def test_progress_leaves_its_message_out_for_a_stock_server(reports):
    RunningJob(ASSIGNMENT, reports.send, has_extensions=False).send_progress(1, 2, "half")

    assert reports.next() == Packet(PacketType.WORK_STATUS, (HANDLE, b"1", b"2"))


def test_data_and_warnings_are_sent_as_they_are(reports):
    job = RunningJob(ASSIGNMENT, reports.send, has_extensions=False)

    job.send_data(b"a\0b")
    job.send_warning(b"hm")

    assert reports.next() == Packet(PacketType.WORK_DATA, (HANDLE, b"a\0b"))
    assert reports.next() == Packet(PacketType.WORK_WARNING, (HANDLE, b"hm"))


def test_reports_after_the_end_are_dropped(reports):
    job = RunningJob(ASSIGNMENT, reports.send, has_extensions=False)

    job.end()
    job.send_data(b"late")

    assert reports.next() is None


@pytest.mark.parametrize(
    ("numerator", "denominator", "expected"),
    [
        (3, 10, (b"3", b"10")),
        (3.0, 10.0, (b"3", b"10")),
        (0, 0, (b"0", b"0")),
        (0.5, 1, (b"500", b"1000")),
        (2.25, 3.5, (b"2250", b"3500")),
        (1234.5, 5000.25, (b"1234", b"5000")),
        (2**40, 2**41, (b"1099511627776", b"2199023255552")),
    ],
)
def test_progress_becomes_whole_numbers_of_the_same_ratio(numerator, denominator, expected):
    assert wire_fraction(numerator, denominator) == expected


@pytest.mark.parametrize(("numerator", "denominator"), [(-1, 2), (1, -2), (float("nan"), 1), (1, float("inf"))])
def test_progress_that_is_none_is_refused(reports, numerator, denominator):
    job = RunningJob(ASSIGNMENT, reports.send, has_extensions=False)

    with pytest.raises(UsageError, match="two finite numbers"):
        job.send_progress(numerator, denominator)

    assert reports.next() is None


def resumable(reports: Reports) -> RunningJob:
    attributes = AssignAttributes(lease_s=8.0, resume_s=28.0, lost=1, timeout_s=30.0, soft_timeout_s=20.0)
    return RunningJob(Assignment(HANDLE, b"f", b"", b"", attributes), reports.send, has_extensions=True)


def status(done: bytes) -> Packet:
    return Packet(PacketType.WORK_STATUS_EXT, (HANDLE, done, b"9", b""))


def test_job_knows_its_limits(reports):
    job = resumable(reports)

    assert (job.lost, job.timeout_s, job.soft_timeout_s) == (1, 30.0, 20.0)
    assert (job.is_cancel_asked, job.is_warned, job.is_ended_by_force) == (False, False, False)


def test_progress_that_comes_too_soon_is_sent_with_the_next_report(reports):
    job = resumable(reports)

    for done in (1, 2, 3):
        job.send_progress(done, 9)
    job.send_data(b"piece")

    assert [reports.next() for _ in range(4)] == [
        status(b"1"),
        status(b"3"),
        Packet(PacketType.WORK_DATA, (HANDLE, b"piece")),
        None,
    ]


def test_last_progress_is_sent_before_the_end(reports):
    job = resumable(reports)

    for done in (1, 2, 9):
        job.send_progress(done, 9)
    job.end()

    assert [reports.next() for _ in range(3)] == [status(b"1"), status(b"9"), None]


def test_progress_held_back_is_sent_when_its_time_comes(reports, monkeypatch):
    job = resumable(reports)
    job.send_progress(1, 9)
    job.send_progress(2, 9)

    job.send_late_progress()
    assert [reports.next(), reports.next()] == [status(b"1"), None]

    def is_sent() -> bool:
        job.send_late_progress()
        return bool(reports.next() == status(b"2"))

    eventually(is_sent, 5.0, "the progress")
    job.send_late_progress()
    assert reports.next() is None


def test_progress_held_back_waits_for_no_other_report(reports):
    job = resumable(reports)
    job.send_progress(1, 9)
    job.send_progress(2, 9)
    reports.next()

    with job._lock:
        eventually(lambda: time.monotonic() > job._progress_due_at, 5.0, "its time")
        job.send_late_progress()

    assert reports.next() is None


def test_every_progress_of_a_job_that_somebody_waits_for_is_sent(reports):
    job = RunningJob(ASSIGNMENT, reports.send, has_extensions=True)

    for done in (1, 2, 3):
        job.send_progress(done, 9)

    assert [reports.next() for _ in range(3)] == [status(b"1"), status(b"2"), status(b"3")]


def test_last_word_ends_the_reports(reports):
    job = resumable(reports)

    assert job.send_last(encode_request(PacketType.WORK_FAIL, HANDLE))
    job.send_data(b"late")

    assert [reports.next(), reports.next()] == [Packet(PacketType.WORK_FAIL, (HANDLE,)), None]
    assert not job.send_last(b"once more")


def test_last_word_waits_only_briefly_for_a_report(reports, monkeypatch):
    monkeypatch.setattr(running_job, "LAST_WORD_PATIENCE_S", 0.01)
    job = resumable(reports)

    with job._lock:
        assert not job.send_last(b"x")


def test_report_that_is_being_written_is_not_interrupted(reports):
    job = resumable(reports)

    def report_and_be_interrupted() -> None:
        job.send_data(b"whole")
        pytest.fail("the interruption came to nothing")

    def send(chunk: bytes) -> None:
        hitter = threading.Thread(target=job.interruption.interrupt, args=(SoftTimeout("too long"),))
        hitter.start()
        hitter.join()
        reports.send(chunk)

    job._send = send
    with pytest.raises(SoftTimeout, match="too long"):
        job.interruption.run(report_and_be_interrupted)

    assert reports.next() == Packet(PacketType.WORK_DATA, (HANDLE, b"whole"))
