"""Two job servers on one database: what becomes of the jobs of one that dies, stops, or stands still for too long."""

from __future__ import annotations

import time

import pytest

from tests.support.eventually import eventually
from tests.support.sharing_servers import LEASE_S, done, overlaps

#: Seconds within which the jobs of a server that is gone are run: its lease, two sweeps, and a busy machine.
TAKE_OVER_S = LEASE_S + 6.0
#: The same of a server that stands still, perhaps in the middle of a transaction: the database ends that after five
#: seconds, in which the other server is kept waiting, too, and must then be sure of its own lease first.
STAND_STILL_S = TAKE_OVER_S + 5.0 + LEASE_S
JOBS = 200


@pytest.fixture
def both(new_sharing_server):
    """Two servers; the second one has had its lease for long enough to judge others."""
    servers = new_sharing_server(), new_sharing_server()
    for server in servers:
        server.start()
    return servers


def submit_many(server, count: int = JOBS) -> list[bytes]:
    with server.peer() as client:
        return [client.submit_background(b"resize", b"%d" % number) for number in range(count)]


def all_done(runner, handles) -> None:
    eventually(lambda: len(runner.runs) >= len(handles), TAKE_OVER_S, "all jobs to be run by the other server")
    assert sorted(done(runner)) == sorted(handles)


def test_jobs_of_a_killed_server_are_run_by_the_other_one(both, new_runner):
    first, second = both
    handles = submit_many(first)

    first.kill9()

    all_done(new_runner(second), handles)


def test_jobs_of_a_server_that_was_asked_to_stop_are_run_by_the_other_one_at_once(both, new_runner):
    first, second = both
    handles = submit_many(first)
    runner = new_runner(second)

    assert first.terminate() == 0
    stopped_at = time.monotonic()

    all_done(runner, handles)
    assert runner.runs[0][1] - stopped_at < 3.0


def test_server_that_stood_still_for_too_long_begins_anew_and_no_job_runs_twice_at_once(both, new_runner):
    first, second = both
    handles = submit_many(first)
    at_first = new_runner(first, run_s=0.1)
    eventually(lambda: at_first.runs, 5, "the first run")

    # When: it stands still until the other one has its jobs, and goes on as if nothing had been.
    first.pause()
    at_second = new_runner(second)
    eventually(lambda: at_second.runs, STAND_STILL_S, "the other server to take over")
    first.resume()

    # Then: it says so, serves again, and everything is run.
    eventually(lambda: "begin anew" in first.said(), TAKE_OVER_S, "the first server to begin anew")
    eventually(lambda: first.said().count("listen address") == 2, TAKE_OVER_S, "the first server to listen again")
    eventually(lambda: set(handles) <= set(done(at_first, at_second)), 30, "all jobs to be run")
    assert overlaps(at_first, at_second) == []
    later = submit_many(first, 3)
    eventually(lambda: set(later) <= set(done(at_first, at_second)), 10, "the jobs of its new life")
    eventually(lambda: first.count_jobs("SUCCESSFUL") == JOBS + 3, 10, "all outcomes in the table")


def test_unique_holds_across_servers(both):
    handles = set()
    for server in both:
        with server.peer() as client:
            handles.add(client.submit_background(b"resize", unique=b"cat.jpg"))

    assert len(handles) == 1


def test_both_servers_killed_and_restarted_run_each_job_once(both, new_runner):
    handles = [handle for server in both for handle in submit_many(server, 25)]
    for server in both:
        server.kill9()
    for server in both:
        server.restart()

    runners = [new_runner(server) for server in both]

    eventually(lambda: len(done(*runners)) >= 50, TAKE_OVER_S, "all jobs")
    assert sorted(done(*runners)) == sorted(handles)
