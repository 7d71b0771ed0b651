"""SIGUSR1's drain: no new connections, the old ones go on, and the server ends with the last of them."""

from __future__ import annotations

import pytest

from gearjobs.protocol.packets import PacketType
from tests.support.eventually import eventually
from tests.support.job_server import running_memory_server

T = PacketType


def test_server_without_connections_ends_at_once():
    with running_memory_server() as server:
        server.do(server.server.drain)

        eventually(lambda: not server.is_serving, 10, "the end of the server")


def test_old_connections_go_on_and_the_last_one_ends_the_server():
    with running_memory_server() as server:
        with server.peer() as client, server.peer() as worker:
            worker.can_do(b"f")
            client.submit(b"f", b"payload")
            server.do(server.server.drain)
            eventually(lambda: refuses(server), 10, "the port to be closed")

            handle, payload = worker.grab()
            worker.say(T.WORK_COMPLETE, handle, payload)
            assert client.expect(T.WORK_COMPLETE) == [handle, b"payload"]
            client.leave()
            worker.expect_quiet()

        eventually(lambda: not server.is_serving, 10, "the end of the server")


def test_reload_disturbs_nobody():
    with running_memory_server() as server, server.peer() as peer:
        server.do(server.server.reload)

        peer.expect_quiet()


def refuses(server) -> bool:
    try:
        server.peer().close()
    except OSError:
        return True
    return False


@pytest.mark.parametrize("times", [1, 2])
def test_draining_twice_is_draining_once(times: int):
    with running_memory_server() as server:
        with server.peer() as peer:
            peer.expect_quiet()
            for _ in range(times):
                server.do(server.server.drain)
            peer.expect_quiet()

        eventually(lambda: not server.is_serving, 10, "the end of the server")
