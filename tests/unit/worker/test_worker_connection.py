"""A worker's connection under two threads: one that drives it, one that reports."""

from __future__ import annotations

import ssl
import threading

import pytest

from gearjobs.errors import WireError
from gearjobs.protocol.packets import PacketType
from gearjobs.worker.grab_loop import GrabLoop
from gearjobs.worker.worker_connection import ServerLost, WorkerConnection
from tests.support.eventually import eventually
from tests.support.scripted_server import PATIENCE_S, Peer, ScriptedServer


def connected(server: ScriptedServer) -> WorkerConnection:
    return WorkerConnection(server.address, GrabLoop({b"f": 0.0}, client_id=b"w1"), connect_timeout_s=5.0)


def test_report_that_blocks_is_broken_off_by_a_close():
    ended = threading.Event()

    def read_nothing(_peer: Peer) -> None:
        ended.wait(PATIENCE_S)

    with ScriptedServer(read_nothing) as server:
        connection = connected(server)
        has_left: list[bool] = []
        # More than both kernels' buffers hold.
        reporter = threading.Thread(target=lambda: has_left.append(connection.report(bytes(64 * 1024 * 1024))))
        reporter.start()
        eventually(connection._lock.locked, PATIENCE_S, "the report to be written")

        connection.flush()
        connection.receive()
        assert connection.grab_loop.has_outgoing
        connection.close()

        reporter.join(PATIENCE_S)
        ended.set()

    assert has_left == [False]
    assert connection.fileno() == -1
    assert not connection.report(b"late")


def test_report_to_a_broken_connection_is_not_taken_and_told_to_the_driver():
    closed = threading.Event()

    def vanish(peer: Peer) -> None:
        peer.socket.close()
        closed.set()

    with ScriptedServer(vanish) as server:
        connection = connected(server)
        assert closed.wait(PATIENCE_S)
        eventually(lambda: not connection.report(b"x"), PATIENCE_S, "the report to be refused")

        with pytest.raises(ServerLost) as lost:
            connection.flush()
        connection.close()

    assert lost.value.is_closed_by_server


@pytest.mark.parametrize(
    ("cause", "is_closed_by_server"),
    [
        (ConnectionResetError("reset"), True),
        (BrokenPipeError("pipe"), True),
        (ssl.SSLEOFError("end"), True),
        (TimeoutError("silence"), False),
        (OSError("no route to host"), False),
        (WireError("INVALID_PACKET", "nonsense"), False),
    ],
)
def test_only_the_servers_own_word_counts_as_its_end(cause, is_closed_by_server):
    assert ServerLost(cause).is_closed_by_server is is_closed_by_server


def test_notices_are_read_from_the_wire():
    def settle(peer: Peer) -> None:
        peer.negotiate_worker(has_extensions=True)
        peer.say(PacketType.OUTCOME_SETTLED, b"H:a:1")
        peer.expect_end()

    with ScriptedServer(settle) as server:
        connection = connected(server)
        connection.flush()

        def notices() -> list[object]:
            connection.receive()
            return list(connection.grab_loop.take_notices())

        assert eventually(notices, PATIENCE_S, "the notice")
        connection.close()
