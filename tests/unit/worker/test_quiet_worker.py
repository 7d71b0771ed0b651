"""A worker that is to take no jobs for a while, or to end, in the middle of its talk with a server."""

from __future__ import annotations

import threading

import pytest

from gearjobs.protocol.codec import Packet
from gearjobs.protocol.packets import PacketType
from gearjobs.worker.grab_loop import GrabLoop, GrabState
from gearjobs.worker.worker import Worker
from tests.support.running_worker import running
from tests.support.scripted_server import PATIENCE_S, Peer, ScriptedServer

T = PacketType
EXTENSIONS = Packet(T.OPTION_RES, (b"gearjobs/1",))


@pytest.fixture
def loop() -> GrabLoop:
    """Introduced to a gearjobs server."""
    loop = GrabLoop({b"f": 0.0}, client_id=b"w")
    loop.introduce(0.0)
    loop.receive(EXTENSIONS, 0.0)
    loop.take_outgoing()
    return loop


def packet_types(loop: GrabLoop) -> list[int]:
    """Return the types of what the loop says; all of it must be of packets without arguments, or of one ability."""
    said = loop.take_outgoing()
    types = []
    while said:
        types.append(int.from_bytes(said[4:8]))
        said = said[12 + int.from_bytes(said[8:12]) :]
    return types


def test_sleeper_rests_at_once_and_is_not_to_be_called(loop):
    loop.grab_job(0.0)
    loop.receive(Packet(T.NO_JOB, ()), 0.0)
    loop.take_outgoing()

    loop.rest()
    loop.rest()

    assert packet_types(loop) == [T.RESET_ABILITIES]
    assert (loop.is_resting, loop.state) == (True, GrabState.AWAKE)


def test_who_may_be_handed_a_job_rests_later(loop):
    loop.grab_job(0.0)
    loop.take_outgoing()

    loop.rest()

    assert packet_types(loop) == []
    assert not loop.is_resting


def test_who_rises_can_do_everything_again(loop):
    loop.rest()
    loop.take_outgoing()

    loop.rise()
    loop.rise()

    assert packet_types(loop) == [T.CAN_DO]


def test_new_connection_of_a_quiet_worker_can_do_nothing_until_it_rises():
    loop = GrabLoop({b"f": 0.0}, client_id=b"w", is_resting=True)
    loop.introduce(0.0)
    assert packet_types(loop) == [T.OPTION_REQ, T.SET_CLIENT_ID]

    loop.rise()
    assert packet_types(loop) == []
    loop.receive(EXTENSIONS, 0.0)
    loop.rise()

    assert packet_types(loop) == [T.CAN_DO]


def test_quiet_worker_grabs_again_when_it_is_told_to_resume():
    done = threading.Event()

    def script(peer: Peer) -> None:
        peer.negotiate_worker()
        peer.expect(T.GRAB_JOB_UNIQ)
        peer.say(T.NO_JOB)
        peer.expect(T.PRE_SLEEP)
        worker.control("quiet")
        worker.control("dance")
        peer.expect(T.RESET_ABILITIES)
        worker.control("resume")
        peer.expect(T.CAN_DO)
        peer.expect(T.GRAB_JOB_UNIQ)
        peer.say(T.NO_JOB)
        peer.expect(T.PRE_SLEEP)
        worker.control("stop")
        peer.expect(T.RESET_ABILITIES)
        peer.expect_end()
        done.set()

    with ScriptedServer(script) as server:
        worker = Worker([server.address], client_id="w1")
        worker.register("f", lambda job: job.payload)
        with running(worker):
            assert done.wait(PATIENCE_S)


def test_job_that_is_on_its_way_when_the_worker_is_stopped_is_run():
    done = threading.Event()

    def script(peer: Peer) -> None:
        peer.negotiate_worker()
        peer.expect(T.GRAB_JOB_UNIQ)
        worker.stop()
        peer.say(T.JOB_ASSIGN_UNIQ, b"H:a:1", b"f", b"", b"p")
        assert peer.expect(T.WORK_COMPLETE) == (b"H:a:1", b"p")
        peer.expect(T.RESET_ABILITIES)
        peer.expect_end()
        done.set()

    with ScriptedServer(script) as server:
        worker = Worker([server.address], client_id="w1")
        worker.register("f", lambda job: job.payload)
        with running(worker):
            assert done.wait(PATIENCE_S)


def test_worker_tells_of_turns_without_a_job():
    turns: list[tuple[int, bool]] = []
    is_idle = threading.Event()

    def note(servers: int, is_idle_now: bool) -> None:
        turns.append((servers, is_idle_now))
        if is_idle_now:
            is_idle.set()

    def script(peer: Peer) -> None:
        peer.negotiate_worker()
        peer.expect(T.GRAB_JOB_UNIQ)
        peer.say(T.NO_JOB)
        peer.expect(T.PRE_SLEEP)
        peer.expect(T.RESET_ABILITIES)
        peer.expect_end()

    with ScriptedServer(script) as server:
        worker = Worker([server.address], client_id="w1")
        worker.register("f", lambda job: job.payload)
        worker.show_state(on_turn=note)
        with running(worker):
            assert is_idle.wait(PATIENCE_S)

    assert turns[-1] == (1, True)
    assert (1, False) in turns
