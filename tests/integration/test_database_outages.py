"""The database is away, or stands still: who needs it hears ERROR in time, and nobody else notices.

Bounds are generous, for the machine may be busy with something else; the goal is 50 ms for whoever needs no database.
"""

from __future__ import annotations

import sqlite3
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from gearjobs.protocol.packets import PacketType
from tests.support.eventually import eventually
from tests.support.latency_probe import probed
from tests.support.sharing_servers import done

T = PacketType

#: Seconds within which a submitter must be answered, and by how much a busy machine may exceed it.
ANSWER_S, SLACK_S = 2.0, 1.0
#: Seconds of the slowest exchange, and of the median, of those who need no database.
WORST_S, USUAL_S = 0.5, 0.05


@pytest.fixture
def server(new_sharing_server):
    server = new_sharing_server()
    server.start()
    return server


def submit_and_time(client) -> tuple[PacketType, float]:
    """Submit a background job; return the kind of the answer, and after how many seconds it came."""
    began_at = time.monotonic()
    client.say(T.SUBMIT_JOB_BG, b"resize", b"", b"photo")
    came, _ = client.next_body(timeout_s=10)
    return came, time.monotonic() - began_at


@contextmanager
def submitting(server, *, connections: int) -> Iterator[list[bytes]]:
    """Submit background jobs during the block; give those that were acknowledged."""
    acknowledged: list[bytes] = []
    is_over = threading.Event()

    def submit() -> None:
        with server.peer() as peer:
            while not is_over.is_set():
                peer.say(T.SUBMIT_JOB_BG, b"resize", b"", b"photo")
                came, body = peer.next_body(timeout_s=10)
                if came == T.JOB_CREATED:
                    acknowledged.append(body)

    submitters = [threading.Thread(target=submit) for _ in range(connections)]
    for submitter in submitters:
        submitter.start()
    try:
        yield acknowledged
    finally:
        is_over.set()
        for submitter in submitters:
            submitter.join(20)


def await_more(acknowledged: list[bytes]) -> None:
    enough = len(acknowledged) + 50
    eventually(lambda: len(acknowledged) > enough, 20, "more submits to be acknowledged")


def require_calm(probe) -> None:
    assert len(probe.latencies_s) > 50
    assert statistics.median(probe.latencies_s) < USUAL_S
    assert max(probe.latencies_s) < WORST_S


@pytest.mark.parametrize("trouble", ["stop", "pause"])
def test_submitters_hear_error_in_time_and_nobody_else_notices(trouble, server, shared_database):
    database_server = shared_database.server
    with server.peer() as client, probed(server) as probe:
        getattr(database_server, trouble)()
        try:
            answers = [submit_and_time(client) for _ in range(3)]
        finally:
            database_server.make_ready()

        assert [came for came, _ in answers] == [T.ERROR] * 3
        assert max(seconds for _, seconds in answers) < ANSWER_S + SLACK_S
        require_calm(probe)
        # The first submit after its return succeeds.
        came, _ = submit_and_time(client)
        assert came == T.JOB_CREATED
    eventually(lambda: server.count_jobs("READY") == 1, 10, "the jobs whose submitters heard ERROR to be gone")


def test_outcomes_of_an_outage_are_recorded_after_it(server, shared_database):
    with server.peer() as client, server.peer() as worker:
        worker.can_do(b"resize")
        handles = [client.submit_background(b"resize") for _ in range(20)]
        grabbed = [worker.grab()[0] for _ in range(10)]
        shared_database.server.stop()
        for handle in grabbed:
            worker.say(T.WORK_COMPLETE, handle, b"done")
        grabbed += [worker.grab()[0] for _ in range(10)]
        for handle in grabbed[10:]:
            worker.say(T.WORK_COMPLETE, handle, b"done")
        shared_database.server.start()

        assert grabbed == handles
        eventually(lambda: server.count_jobs("SUCCESSFUL") == 20, 20, "all outcomes in the table")


def test_database_restarted_under_load_loses_nothing_that_was_acknowledged(server, shared_database, new_runner):
    runner = new_runner(server)
    with probed(server) as probe:
        with submitting(server, connections=2) as acknowledged:
            for _ in range(3):
                await_more(acknowledged)
                shared_database.server.restart()
            await_more(acknowledged)
        require_calm(probe)

    eventually(lambda: set(acknowledged) <= set(done(runner)), 30, "every acknowledged job to be run")
    eventually(lambda: server.count_jobs("READY") == 0, 20, "nothing to be left over")
    assert len(done(runner)) == len(set(done(runner)))


def test_locked_sqlite_is_an_error_in_time_and_nobody_else_notices(job_server):
    with job_server.peer() as client, probed(job_server) as probe:
        with closing(sqlite3.connect(job_server.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            answers = [submit_and_time(client) for _ in range(2)]
            other.execute("ROLLBACK")

        assert [came for came, _ in answers] == [T.ERROR] * 2
        assert max(seconds for _, seconds in answers) < ANSWER_S + SLACK_S
        assert submit_and_time(client)[0] == T.JOB_CREATED
        require_calm(probe)
    eventually(lambda: job_server.count_jobs("READY") == 1, 10, "the jobs whose submitters heard ERROR to be gone")
