"""A worker that fails whatever it gets, at once, against a real server."""

from __future__ import annotations

from gearjobs.protocol.packets import PacketType as T
from gearjobs.server.config import ServerConfig
from tests.support.job_server import MemoryServer, running_memory_server
from tests.support.wire_peer import WirePeer


def fail_all(worker: WirePeer) -> int:
    """Let the worker fail jobs until it gets none; return how many."""
    failed = 0
    while True:
        worker.say(T.GRAB_JOB)
        kind, body = worker.next_body("an assignment or NO_JOB")
        if kind == T.NO_JOB:
            return failed
        worker.say(T.WORK_FAIL, body.partition(b"\0")[0])
        failed += 1


def test_worker_that_fails_everything_leaves_the_queue_to_the_others(memory_server: MemoryServer):
    with memory_server.peer() as client, memory_server.peer() as black_hole, memory_server.peer() as healthy:
        handles = [client.submit_background(b"resize") for _ in range(200)]
        black_hole.can_do(b"resize")
        healthy.can_do(b"resize")

        failed = fail_all(black_hole)
        black_hole.say(T.PRE_SLEEP)
        black_hole.expect_quiet()
        done = [healthy.grab()[0] for _ in range(len(handles) - failed)]

        assert failed == 21
        assert done == handles[21:]


def test_bench_can_be_turned_off():
    config = ServerConfig(listen=("127.0.0.1",), port=0, bench_after=0)
    with running_memory_server(config) as server, server.peer() as client, server.peer() as worker:
        for _ in range(100):
            client.submit_background(b"resize")
        worker.can_do(b"resize")

        assert fail_all(worker) == 100
