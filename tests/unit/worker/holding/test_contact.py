"""A worker in contact with its servers while a resumable job runs, against servers that behave and servers that do not.

The servers here allow little time, so that what takes half a minute in earnest takes a second.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

import pytest

from gearjobs.errors import JobCancelled
from gearjobs.protocol.attributes import AssignAttributes, FailureReport, decode_failure, encode
from gearjobs.protocol.codec import encode_response
from gearjobs.protocol.packets import PacketType
from gearjobs.servers import ServerAddress
from gearjobs.worker.running_job import RunningJob
from gearjobs.worker.worker import Worker
from tests.support.eventually import eventually
from tests.support.running_worker import running
from tests.support.scripted_server import PATIENCE_S, Peer, ScriptedServer

T = PacketType
HANDLE = b"H:a:1"


class Stage:
    """A worker whose function does as the test says, and what became of its run."""

    def __init__(self, act: Callable[[RunningJob], bytes] | None = None) -> None:
        self.started, self.may_end, self.ended = threading.Event(), threading.Event(), threading.Event()
        self.act = act
        self.lost: list[str] = []
        self.deadlines: list[float] = []
        self.job: RunningJob | None = None

    def worker(self, *servers: ServerAddress) -> Worker:
        worker = Worker(servers, client_id="w1", after_job=lambda _job, _error: self.ended.set())
        worker.register("f", self._run)
        worker.watch_runs(on_lost=lambda job: self.lost.append(job.handle), note_deadline=self.deadlines.append)
        return worker

    def _run(self, job: RunningJob) -> bytes:
        self.job = job
        self.started.set()
        if self.act is not None:
            return self.act(job)
        assert self.may_end.wait(PATIENCE_S), "the test did not let the job end"
        return b"done"


def assign(peer: Peer, *, lease_s: float = 2.0, resume_s: float = 6.0) -> None:
    """Hand a resumable job to a worker that introduces itself."""
    peer.negotiate_worker(has_extensions=True)
    peer.expect(T.GRAB_JOB_EXT)
    attributes = AssignAttributes(attempt=2, lease_s=lease_s, resume_s=resume_s)
    peer.say(T.JOB_ASSIGN_EXT, HANDLE, b"f", b"u", encode(attributes), b"p")


def renew(peer: Peer, held: bytes = b"1") -> None:
    peer.expect(T.RENEW_JOBS)
    peer.say(T.RENEW_RES, held)


def answer_resume(peer: Peer, verdict: bytes) -> None:
    assert peer.expect(T.RESUME_JOB) == (HANDLE, b"2")
    peer.say(T.RESUME_RES, HANDLE, b"2", verdict)


def take_outcome(peer: Peer) -> None:
    """Take the outcome, whatever renewals came before it, settle it, and let the worker leave."""
    while (packet := peer.next()) is not None and packet.type == T.RENEW_JOBS:
        peer.say(T.RENEW_RES, b"1")
    assert packet is not None
    assert (packet.type, packet.arguments) == (T.WORK_COMPLETE, (HANDLE, b"done"))
    peer.say(T.OUTCOME_SETTLED, HANDLE)


def expect_farewell(peer: Peer) -> None:
    """Wait until the worker leaves; it may have asked for a job before."""
    while (packet := peer.next()) is not None:
        assert packet.type in {T.GRAB_JOB_EXT, T.RENEW_JOBS, T.RESET_ABILITIES}, packet
        if packet.type == T.RENEW_JOBS:
            peer.say(T.RENEW_RES, b"1")


def break_off(_peer: Peer) -> None:
    """Be a server that closes whatever comes."""


def test_lease_of_a_long_job_is_renewed_until_its_end():
    stage = Stage()

    def script(peer):
        assign(peer, lease_s=1.0)
        for _ in range(4):
            renew(peer)
        stage.may_end.set()
        take_outcome(peer)
        expect_farewell(peer)

    with ScriptedServer(script) as server, running(stage.worker(server.address)):
        assert stage.ended.wait(PATIENCE_S)

    assert stage.lost == []
    assert stage.deadlines == sorted(stage.deadlines)
    assert stage.deadlines[-1] == math.inf


def test_run_goes_on_at_a_server_that_was_restarted():
    stage = Stage()

    def vanish(peer):
        assign(peer)
        assert stage.started.wait(PATIENCE_S)

    def come_back(peer):
        peer.negotiate_worker(has_extensions=True)
        answer_resume(peer, b"unknown")
        answer_resume(peer, b"accepted")
        renew(peer)
        stage.may_end.set()
        take_outcome(peer)
        expect_farewell(peer)

    with ScriptedServer(vanish, come_back) as server, running(stage.worker(server.address)):
        assert stage.ended.wait(PATIENCE_S)

    assert stage.lost == []


def test_run_goes_on_at_another_server_of_the_list():
    stage = Stage()
    has_assigned, is_known = threading.Event(), threading.Event()

    def vanish(peer):
        assign(peer)
        has_assigned.set()
        assert is_known.wait(PATIENCE_S)

    def take_over(peer):
        # Otherwise the worker might ask this one for a job first.
        assert has_assigned.wait(PATIENCE_S)
        peer.negotiate_worker(has_extensions=True)
        is_known.set()
        answer_resume(peer, b"accepted")
        renew(peer)
        stage.may_end.set()
        take_outcome(peer)
        expect_farewell(peer)

    with (
        ScriptedServer(vanish, then=break_off) as gone,
        ScriptedServer(take_over) as heir,
        running(stage.worker(gone.address, heir.address)),
    ):
        assert stage.ended.wait(PATIENCE_S)

    assert stage.lost == []


def test_reports_made_without_a_server_go_out_before_anything_new():
    is_gone, is_back = threading.Event(), threading.Event()

    def report(job: RunningJob) -> bytes:
        assert is_gone.wait(PATIENCE_S)
        while b"kept" not in sent:
            job.send_data(b"kept")
            is_back.wait(0.01)
        job.send_data(b"new")
        return b"done"

    stage = Stage(report)
    sent: list[bytes] = []

    def vanish(peer):
        assign(peer)
        peer.socket.close()
        is_gone.set()

    def come_back(peer):
        peer.negotiate_worker(has_extensions=True)
        answer_resume(peer, b"accepted")
        while b"new" not in sent:
            packet = peer.next()
            assert packet is not None
            if packet.type == T.WORK_DATA:
                sent.append(packet.arguments[1])
        take_outcome(peer)
        expect_farewell(peer)

    with ScriptedServer(vanish, come_back) as server, running(stage.worker(server.address)):
        assert stage.ended.wait(PATIENCE_S)

    assert set(sent[:-1]) == {b"kept"}


def test_refused_run_is_lost_at_once_and_its_outcome_dropped(caplog):
    stage = Stage()

    def vanish(peer):
        assign(peer)

    def refuse(peer):
        peer.negotiate_worker(has_extensions=True)
        answer_resume(peer, b"refused")
        expect_farewell(peer)

    with ScriptedServer(vanish, refuse) as server, running(stage.worker(server.address)):
        eventually(lambda: stage.lost, PATIENCE_S, "the run to be lost")
        assert stage.job is not None
        assert stage.job.is_lost
        stage.may_end.set()
        assert stage.ended.wait(PATIENCE_S)

    assert stage.lost == ["H:a:1"]
    assert "Dropped the outcome of a lost run job=H:a:1" in caplog.text


def test_run_no_server_confirms_in_time_is_lost():
    stage = Stage()

    def vanish(peer):
        assign(peer, resume_s=1.0)

    with ScriptedServer(vanish, then=break_off) as server, running(stage.worker(server.address)):
        eventually(lambda: stage.lost, PATIENCE_S, "the run to be lost")
        stage.may_end.set()


def test_run_of_a_server_that_hangs_is_lost_in_the_end_and_given_back(caplog):
    stage = Stage()

    def say_nothing(peer):
        assign(peer, lease_s=0.4, resume_s=1.2)
        packets = []
        while (packet := peer.next()) is not None:
            packets.append(packet.type)
        assert packets[-1] == T.RESET_ABILITIES

    with ScriptedServer(say_nothing, then=break_off) as server, running(stage.worker(server.address)):
        eventually(lambda: stage.lost, PATIENCE_S, "the run to be lost")
        stage.may_end.set()

    assert "no job server confirmed it in time" in caplog.text


def test_outcome_that_was_not_settled_is_offered_again():
    stage = Stage(lambda _job: b"done")

    def forget(peer):
        assign(peer)
        peer.expect(T.WORK_COMPLETE)

    def come_back(peer):
        peer.negotiate_worker(has_extensions=True)
        answer_resume(peer, b"accepted")
        # Not before: the job might have been handed out again.
        peer.expect(T.GRAB_JOB_EXT)
        assert peer.expect(T.WORK_COMPLETE) == (HANDLE, b"done")
        peer.say(T.OUTCOME_SETTLED, HANDLE)
        expect_farewell(peer)

    with ScriptedServer(forget, come_back) as server:
        worker = stage.worker(server.address)
        with running(worker):
            assert stage.ended.wait(PATIENCE_S)
            eventually(lambda: not len(worker._held.outcomes), PATIENCE_S, "the outcome to be settled")


def test_worker_that_stops_waits_for_its_outcome_to_be_settled():
    stage = Stage(lambda _job: b"done")
    has_stopped = threading.Event()

    def settle_late(peer):
        assign(peer)
        peer.expect(T.WORK_COMPLETE)
        peer.expect(T.GRAB_JOB_EXT)
        assert has_stopped.wait(PATIENCE_S)
        peer.say(T.OUTCOME_SETTLED, HANDLE)
        expect_farewell(peer)

    with ScriptedServer(settle_late) as server:
        worker = stage.worker(server.address)
        with running(worker):
            assert stage.ended.wait(PATIENCE_S)
            worker.stop()
            has_stopped.set()

        assert len(worker._held.outcomes) == 0


def test_assignment_that_was_under_way_for_too_long_is_not_run(caplog):
    stage = Stage(lambda _job: b"done")
    is_over = threading.Event()

    def dawdle(peer):
        peer.negotiate_worker(has_extensions=True)
        peer.expect(T.GRAB_JOB_EXT)
        attributes = AssignAttributes(lease_s=0.000001, resume_s=6.0)
        peer.say(T.JOB_ASSIGN_EXT, HANDLE, b"f", b"u", encode(attributes), b"p")
        peer.expect(T.RESET_ABILITIES)
        peer.expect_end()
        is_over.set()

    with ScriptedServer(dawdle, then=break_off) as server, running(stage.worker(server.address)):
        assert is_over.wait(PATIENCE_S)

    assert not stage.started.is_set()
    assert "it assigned job H:a:1 too late" in caplog.text


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_worker_that_is_to_end_gives_a_resumable_job_back(error):
    def end(_job: RunningJob) -> bytes:
        raise error

    def script(peer):
        assign(peer)
        peer.expect(T.RESET_ABILITIES)
        peer.expect_end()

    with ScriptedServer(script) as server, pytest.raises(type(error)):
        Stage(end).worker(server.address).work()


def test_server_that_talks_nonsense_gives_no_more_time():
    stage = Stage()

    def talk_nonsense(peer):
        assign(peer, lease_s=0.8, resume_s=60.0)
        peer.say(T.JOB_CREATED, HANDLE)
        while peer.next() is not None:
            pass

    with ScriptedServer(talk_nonsense, then=break_off) as server, running(stage.worker(server.address)):
        eventually(lambda: stage.lost, PATIENCE_S, "the run to be lost")
        stage.may_end.set()


def test_worker_that_was_not_told_whom_to_tell_loses_its_run_all_the_same(caplog):
    may_end = threading.Event()

    def vanish(peer):
        assign(peer, resume_s=0.8)

    with ScriptedServer(vanish, then=break_off) as server:
        worker = Worker([server.address], client_id="w1")
        worker.register("f", lambda _job: b"done" if may_end.wait(PATIENCE_S) else b"")
        with running(worker):
            eventually(lambda: "Lost the running job job=H:a:1" in caplog.text, PATIENCE_S, "the loss to be logged")
            may_end.set()


def cancel(peer: Peer, force: bytes = b"0") -> None:
    peer.say(T.CANCEL_NOTICE, HANDLE, force)


def take_failure(peer: Peer) -> FailureReport:
    """Take the report of a failure, whatever renewals came before it, settle it, and let the worker leave."""
    while (packet := peer.next()) is not None and packet.type == T.RENEW_JOBS:
        peer.say(T.RENEW_RES, b"1")
    assert packet is not None
    assert (packet.type, packet.arguments[0]) == (T.WORK_FAIL_EXT, HANDLE)
    peer.say(T.OUTCOME_SETTLED, HANDLE)
    return decode_failure(packet.arguments[1])


def test_running_job_hears_within_a_second_that_it_was_cancelled():
    def wait(job: RunningJob) -> bytes:
        asked_at = time.monotonic()
        eventually(lambda: job.is_cancel_asked, PATIENCE_S, "the cancel")
        waits.append(time.monotonic() - asked_at)
        raise JobCancelled

    stage, waits = Stage(wait), list[float]()
    reports: list[FailureReport] = []

    def script(peer):
        # As long a lease as servers give.
        assign(peer, lease_s=8.0, resume_s=28.0)
        cancel(peer)
        reports.append(take_failure(peer))
        expect_farewell(peer)

    with ScriptedServer(script) as server, running(stage.worker(server.address)):
        assert stage.ended.wait(PATIENCE_S)

    assert waits[0] < 1.5
    assert reports[0].outcome == "cancelled"


def test_job_cancelled_before_it_begins_is_not_run():
    stage, reports = Stage(), []

    def script(peer):
        peer.negotiate_worker(has_extensions=True)
        peer.expect(T.GRAB_JOB_EXT)
        attributes = AssignAttributes(attempt=2, lease_s=2.0, resume_s=6.0)
        job = encode_response(T.JOB_ASSIGN_EXT, HANDLE, b"f", b"u", encode(attributes), b"p")
        # In one piece, so that the worker finds both at once.
        peer.socket.sendall(job + encode_response(T.CANCEL_NOTICE, HANDLE, b"0"))
        reports.append(take_failure(peer))
        expect_farewell(peer)

    with ScriptedServer(script) as server, running(stage.worker(server.address)):
        assert stage.ended.wait(PATIENCE_S)

    assert not stage.started.is_set()
    assert reports[0].outcome == "cancelled"


def test_cancel_of_another_job_is_passed_over():
    stage = Stage()

    def script(peer):
        assign(peer, lease_s=1.0)
        peer.say(T.CANCEL_NOTICE, b"H:a:9", b"1")
        for _ in range(2):
            renew(peer)
        stage.may_end.set()
        take_outcome(peer)
        expect_farewell(peer)

    with ScriptedServer(script) as server, running(stage.worker(server.address)):
        assert stage.ended.wait(PATIENCE_S)

    assert stage.job is not None
    assert not stage.job.is_cancel_asked


def test_progress_held_back_is_sent_while_the_job_goes_on():
    stage = Stage()

    def script(peer):
        assign(peer, lease_s=1.0)
        assert stage.started.wait(PATIENCE_S)
        assert stage.job is not None
        stage.job.send_progress(1, 9)
        stage.job.send_progress(2, 9)
        seen: list[object] = []
        while len(seen) < 2:
            packet = peer.next()
            if packet.type == T.RENEW_JOBS:
                peer.say(T.RENEW_RES, b"1")
            else:
                seen.append((packet.type, packet.arguments[1]))
        assert seen == [(T.WORK_STATUS_EXT, b"1"), (T.WORK_STATUS_EXT, b"2")]
        stage.may_end.set()
        take_outcome(peer)
        expect_farewell(peer)

    with ScriptedServer(script) as server, running(stage.worker(server.address)):
        assert stage.ended.wait(PATIENCE_S)


def test_run_that_overruns_is_reported_and_its_outcome_dropped():
    stage, overruns, reports = Stage(), [], []

    def let_end(job: RunningJob) -> None:
        overruns.append(job.handle)
        stage.may_end.set()

    def script(peer):
        peer.negotiate_worker(has_extensions=True)
        peer.expect(T.GRAB_JOB_EXT)
        attributes = AssignAttributes(attempt=2, lease_s=8.0, resume_s=28.0, timeout_s=0.1)
        peer.say(T.JOB_ASSIGN_EXT, HANDLE, b"f", b"u", encode(attributes), b"p")
        reports.append(take_failure(peer))
        # The worker leaves, as its process would end.
        expect_farewell(peer)

    worker_server = ScriptedServer(script, then=expect_nothing)
    with worker_server as server:
        worker = stage.worker(server.address)
        worker.watch_runs(on_overrun=let_end, note_deadline=stage.deadlines.append)
        with running(worker):
            assert stage.ended.wait(PATIENCE_S)

    assert (overruns, reports[0].outcome) == (["H:a:1"], "timed_out")
    assert min(stage.deadlines) < stage.deadlines[0]
    assert stage.deadlines[-1] == math.inf


def expect_nothing(peer: Peer) -> None:
    """Be a server to which the worker comes back: it takes no job there, and reports none."""
    while (packet := peer.next()) is not None:
        assert packet.type not in {T.WORK_COMPLETE, T.WORK_FAIL_EXT, T.RESUME_JOB}, packet
