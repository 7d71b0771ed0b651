"""What the rota does with servers that stay silent, which takes shorter patience than a worker's."""

from __future__ import annotations

import threading

from gearjobs.protocol.packets import PacketType
from gearjobs.servers import ServerList
from gearjobs.worker.grab_loop import GrabLoop
from gearjobs.worker.server_rota import ServerRota
from tests.support.scripted_server import ScriptedServer

T = PacketType


def patient_loop() -> GrabLoop:
    return GrabLoop({b"f": 0.0}, client_id=b"w1")


def impatient_loop() -> GrabLoop:
    return GrabLoop({b"f": 0.0}, client_id=b"w1", answer_timeout_s=0.1)


def test_server_that_owes_an_answer_for_too_long_is_dropped_and_left_alone():
    dropped = threading.Event()

    def say_nothing(peer):
        peer.negotiate_worker()
        peer.expect(T.GRAB_JOB_UNIQ)
        peer.expect_end()
        dropped.set()

    with ScriptedServer(say_nothing) as server:
        servers = ServerList([server.address])
        rota = ServerRota(servers, impatient_loop, connect_timeout_s=1.0)
        while servers.to_try(0.0):
            assert rota.next_turn() is None
        rota.leave()
        # Comes too late and does no harm.
        rota.wake()
        assert dropped.wait(5)


def test_wake_ends_a_wait_however_often_it_was_called():
    def never_answer(peer):
        peer.expect(T.OPTION_REQ)
        peer.expect(T.SET_CLIENT_ID)
        peer.expect(T.CAN_DO)
        peer.expect(T.RESET_ABILITIES)
        peer.expect_end()

    with ScriptedServer(never_answer) as server:
        rota = ServerRota(ServerList([server.address]), patient_loop, connect_timeout_s=1.0)
        # More than a socket holds.
        for _ in range(70_000):
            rota.wake()
        # Would wait for 30 s otherwise.
        assert rota.next_turn() is None
        rota.leave()
