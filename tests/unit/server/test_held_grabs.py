"""Grabs that are held, for the tick or for a moment; and never against the order of answers."""

from __future__ import annotations

import pytest

from gearjobs.core.job_queue import JobQueue, QueueRules
from gearjobs.core.jobs import ConnectionId, FunctionName, JobHandle
from gearjobs.core.reattachment import ReattachRules
from gearjobs.core.submission import Submission
from gearjobs.protocol.codec import encode_response
from gearjobs.protocol.packets import PacketType
from gearjobs.server.assignments import NO_JOB, Assignments
from gearjobs.server.connection import Connection
from gearjobs.server.deliver import Deliver
from gearjobs.server.held_grabs import LEAST_PATIENCE, MOMENT_S, PATIENCE_FACTOR, HeldGrabs
from tests.support.fake_transport import FakeTransport, QuietHandler, make_connection
from tests.support.time_travel import advance, travelling
from tests.support.wire_peer import frame

T = PacketType
NOW = 1_000.0
RESIZE = FunctionName(b"resize")


class Desk:
    """Workers of one function, whose grabs are held, and the queue they ask."""

    def __init__(self) -> None:
        self.queue = JobQueue(QueueRules(has_store=False))
        self.handler = QuietHandler()
        self.connections: dict[ConnectionId, Connection] = {}
        self.transports: dict[Connection, FakeTransport] = {}
        self.held = HeldGrabs(self.queue, Assignments(ReattachRules()), end_tick=self.end_tick, clock=lambda: NOW)
        self.deliver = Deliver(self.queue.effects, self.connections, None, called=self.held.call)  # type: ignore[arg-type]  # nothing is recorded
        self._jobs = 0

    def worker(self):
        """Return a worker that can resize."""
        number = len(self.connections) + 1
        connection, transport = make_connection(self.handler, number=number)
        self.connections[connection.id], self.transports[connection] = connection, transport
        self.queue.connect(connection.id, address=connection.address)
        self.queue.can_do(connection.id, RESIZE, now=NOW)
        return connection

    def grab(self, connection, kind: PacketType = T.GRAB_JOB) -> None:
        """Let the worker ask, as dispatch does; nothing waits for it."""
        assert self.queue.grab_job(connection.id, now=NOW) is None
        self.held.hold(connection, kind, NOW)

    def submit(self) -> bytes:
        """Queue a job; return its handle."""
        self._jobs += 1
        handle = JobHandle(b"H:%d" % self._jobs)
        client = next(iter(self.connections))
        self.queue.submit_job(client, Submission(RESIZE, b"", b"photo", 0, True), handle=handle, now=NOW)
        return handle

    def end_tick(self) -> None:
        self.deliver.carry_out()
        self.held.answer_called(NOW)
        self.deliver.carry_out()
        self.held.end_tick(NOW)
        self.handler.flush()

    def read(self, connection) -> bytes:
        """Return what the worker read since the last time."""
        transport = self.transports[connection]
        said = b"".join(transport.read)
        transport.read.clear()
        return said


@pytest.fixture
def desk():
    return Desk()


def assigned(handle: bytes) -> bytes:
    return encode_response(T.JOB_ASSIGN, handle, b"resize", b"photo")


@travelling
async def test_job_of_the_same_tick_is_the_answer(desk):
    worker = desk.worker()
    desk.grab(worker)
    handle = desk.submit()

    desk.end_tick()

    assert desk.read(worker) == assigned(handle)


@travelling
async def test_job_of_the_next_moment_is_the_answer(desk):
    worker = desk.worker()
    desk.grab(worker)
    desk.end_tick()
    assert desk.read(worker) == b""
    handle = desk.submit()

    desk.end_tick()

    assert desk.read(worker) == assigned(handle)


@travelling
async def test_grab_is_answered_when_no_job_comes_in_the_moment(desk):
    worker = desk.worker()
    desk.grab(worker)
    desk.end_tick()

    await advance(MOMENT_S)
    assert desk.read(worker) == b""
    await advance(MOMENT_S)

    assert desk.read(worker) == NO_JOB


@travelling
async def test_worker_that_was_answered_and_sleeps_is_called_with_a_noop(desk):
    worker = desk.worker()
    desk.grab(worker)
    desk.held.settle(worker, NOW)
    desk.queue.pre_sleep(worker.id, now=NOW)
    desk.submit()

    desk.end_tick()

    assert desk.read(worker) == NO_JOB + encode_response(T.NOOP)


@travelling
async def test_worker_to_whom_no_job_came_is_not_held_for_its_next_grabs(desk):
    worker = desk.worker()
    desk.grab(worker)
    desk.end_tick()
    await advance(2 * MOMENT_S)
    await advance(MOMENT_S)
    desk.read(worker)

    for _ in range(PATIENCE_FACTOR):
        desk.grab(worker)
        desk.end_tick()
        assert desk.read(worker) == NO_JOB
    desk.grab(worker)
    desk.end_tick()

    assert desk.read(worker) == b""


@travelling
async def test_patience_lost_again_and_again_has_a_bound(desk):
    worker = desk.worker()
    for _ in range(8):
        worker.impatience = 0
        desk.grab(worker)
        desk.end_tick()
        for _ in range(3):
            await advance(MOMENT_S)

    assert worker.impatience == LEAST_PATIENCE


@travelling
async def test_job_gives_the_patience_back(desk):
    worker = desk.worker()
    worker.lost_patience = LEAST_PATIENCE
    desk.grab(worker)
    desk.submit()

    desk.end_tick()

    assert worker.lost_patience == 0


@travelling
async def test_grab_with_more_behind_it_is_answered_at_once(desk):
    worker = desk.worker()
    worker.decoder.receive(frame(T.ECHO_REQ, b"abc"))

    desk.grab(worker)
    desk.handler.flush()

    assert desk.read(worker) == NO_JOB


@travelling
async def test_who_waits_with_a_grab_is_called_before_who_sleeps(desk):
    sleeper, asker = desk.worker(), desk.worker()
    desk.queue.pre_sleep(sleeper.id, now=NOW)
    desk.grab(asker)
    handle = desk.submit()

    desk.end_tick()

    assert (desk.read(sleeper), desk.read(asker)) == (b"", assigned(handle))


@travelling
async def test_who_was_called_and_finds_that_another_was_faster_goes_on_waiting(desk):
    asker, other = desk.worker(), desk.worker()
    desk.grab(asker)
    desk.submit()
    assert desk.queue.grab_job(other.id, now=NOW) is not None
    desk.end_tick()
    assert desk.read(asker) == b""

    handle = desk.submit()
    desk.end_tick()

    assert desk.read(asker) == assigned(handle)


@travelling
async def test_worker_that_does_not_read_gets_its_job_when_it_does(desk):
    worker = desk.worker()
    desk.grab(worker)
    handle = desk.submit()
    worker.is_choked = True
    desk.end_tick()
    assert desk.read(worker) == b""

    worker.is_choked = False
    desk.end_tick()

    assert desk.read(worker) == assigned(handle)


@travelling
async def test_worker_that_is_gone_gets_nothing(desk):
    worker = desk.worker()
    desk.grab(worker)
    desk.submit()
    worker.connection_lost(None)
    desk.queue.disconnect(worker.id, now=NOW)

    desk.end_tick()

    assert desk.read(worker) == b""


@travelling
async def test_worker_whose_connection_is_about_to_end_takes_no_job_along(desk):
    leaving, other = desk.worker(), desk.worker()
    desk.grab(leaving)
    desk.submit()
    desk.transports[leaving].close()
    desk.end_tick()
    desk.held.settle(leaving, NOW)
    leaving.connection_lost(None)
    desk.queue.disconnect(leaving.id, now=NOW)

    job = desk.queue.grab_job(other.id, now=NOW)

    assert (job.attempt, job.lost) == (1, 0)


@travelling
async def test_answer_that_meets_a_bug_ends_its_connection_and_no_other(desk):
    broken, other = desk.worker(), desk.worker()
    desk.grab(broken)
    desk.grab(other)
    # No grab is of that type. Classes are not replaced here: compiled ones cannot be.
    broken.held_grab = 999
    desk.submit()
    desk.submit()

    desk.end_tick()

    assert desk.transports[broken].is_aborted
    assert desk.read(other).startswith(assigned(b"H:1")[:12])


@travelling
async def test_each_kind_of_grab_is_answered_in_its_form(desk):
    worker = desk.worker()
    desk.grab(worker, T.GRAB_JOB_UNIQ)
    handle = desk.submit()

    desk.end_tick()

    assert desk.read(worker) == encode_response(T.JOB_ASSIGN_UNIQ, handle, b"resize", b"", b"photo")


@travelling
async def test_stop_leaves_no_timer(desk):
    worker = desk.worker()
    desk.grab(worker)
    desk.end_tick()

    desk.held.stop()
    await advance(2 * MOMENT_S)
    await advance(2 * MOMENT_S)

    assert desk.read(worker) == b""
