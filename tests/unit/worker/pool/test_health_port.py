"""What probes are answered, and that nobody who asks holds up the supervisor."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import replace

import pytest

from gearjobs.errors import UsageError
from gearjobs.worker.pool.health_port import MAX_CONNECTIONS, PATIENCE_S, HealthPort, answer_to
from gearjobs.worker.pool.pool_services import PoolState, PoolView
from tests.support.eventually import eventually

WELL = PoolView(PoolState.RUNNING, wanted=2, running=2, serving=2, busy_lanes=1, lanes=2, jobs_done=9, jobs_failed=1)


def ask(path: str, view: PoolView = WELL, *, method: str = "GET") -> tuple[int, dict[str, object]]:
    head, _, body = answer_to(f"{method} {path} HTTP/1.1\r\n\r\n".encode(), view).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body or b"{}")


def test_pool_that_does_what_it_should_is_ready():
    status, document = ask("/readyz")

    assert (status, document["status"], document["running"], document["jobs_done"]) == (200, "ok", 2, 9)


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        (replace(WELL, state=PoolState.STOPPING), "the workers are stopping"),
        (replace(WELL, state=PoolState.QUIET), "the workers were told to take no jobs"),
        (replace(WELL, running=1, serving=1), "1 of 2 processes are missing"),
        (replace(WELL, serving=0), "2 of 2 processes have no job server"),
    ],
)
def test_pool_that_does_not_is_not_ready_and_lives_all_the_same(view, reason):
    status, document = ask("/readyz", view)

    assert (status, document["reason"]) == (503, reason)
    assert ask("/livez", view)[0] == 200


def test_other_questions_are_refused():
    assert ask("/")[0] == 404
    assert ask("/livez", method="POST")[0] == 405


def test_head_is_answered_without_a_body():
    assert answer_to(b"HEAD /livez HTTP/1.1\r\n\r\n", WELL).endswith(b"\r\n\r\n")


@pytest.fixture
def port():
    port = HealthPort("127.0.0.1:0")
    yield port
    port.close()


def connect(port: HealthPort) -> socket.socket:
    host, _, number = port.address.rpartition(":")
    return socket.create_connection((host, int(number)), timeout=5)


def test_question_that_comes_in_pieces_is_answered_when_it_is_whole(port):
    with connect(port) as probe:
        for piece in (b"GET /livez", b" HTTP/1.1\r\nHost: x\r\n"):
            probe.sendall(piece)
            port.turn(WELL, time.monotonic())
        probe.sendall(b"\r\n")
        eventually(lambda: port.turn(WELL, time.monotonic()) or not port._asking, 5, "the answer")

        assert probe.recv(100).startswith(b"HTTP/1.1 200 OK")


def test_connection_that_asks_nothing_is_closed(port):
    with connect(port) as probe:
        eventually(lambda: port.turn(WELL, 0.0) or port._asking, 5, "the connection")
        port.turn(WELL, PATIENCE_S)

        assert probe.recv(1) == b""


def test_crowd_is_let_in_bit_by_bit(port):
    crowd = [connect(port) for _ in range(MAX_CONNECTIONS + 1)]
    eventually(lambda: port.turn(WELL, 0.0) or len(port._asking) == MAX_CONNECTIONS, 5, "a full house")
    port.turn(WELL, 0.0)

    assert len(port._asking) == MAX_CONNECTIONS
    for probe in crowd:
        probe.close()


class WatchedDescriptors(set[int]):
    """Stands for the supervisor's waits."""

    watch, unwatch = set.add, set.remove


def test_who_waits_outside_does_not_keep_the_supervisor_busy(port):
    watched = WatchedDescriptors()
    port.open(watched)
    crowd = [connect(port) for _ in range(MAX_CONNECTIONS)]
    eventually(lambda: port.turn(WELL, 0.0) or len(port._asking) == MAX_CONNECTIONS, 5, "a full house")
    assert port.descriptor not in watched

    crowd.pop().close()
    eventually(lambda: port.turn(WELL, 0.0) or len(port._asking) < MAX_CONNECTIONS, 5, "room")

    assert port.descriptor in watched
    for peer in crowd:
        peer.close()


def test_port_is_kept_by_its_descriptor():
    first = HealthPort("127.0.0.1:0")
    kept = HealthPort("127.0.0.1:0", descriptor=first._listener.detach())

    with connect(kept) as probe:
        assert probe.getpeername()[1] == int(kept.address.rpartition(":")[2])
    kept.close()


@pytest.mark.parametrize("address", ["", "host", "host:port", "host:70000"])
def test_address_that_is_none_is_refused(address):
    with pytest.raises(UsageError, match="--health wants host:port"):
        HealthPort(address)


def test_taken_port_is_refused(port):
    with pytest.raises(UsageError, match="cannot listen on"):
        HealthPort(port.address)
