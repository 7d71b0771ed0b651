"""Acknowledged means kept: a server that is killed, in the middle of a storm of submits, loses no job it told of."""

from __future__ import annotations

from tests.support.eventually import eventually
from tests.support.job_storm import drain, storm

#: Seconds until an outcome is in the table.
COMMIT_TIMEOUT_S = 20.0


def test_acknowledged_jobs_survive_kill_9_and_all_run(job_server):
    acknowledged = storm(job_server, connections=5, count=500, on_count=(250, job_server.kill9))
    # Given: the server died in the middle of it.
    assert 250 <= len(acknowledged) < 500
    job_server.restart()

    # When: those whose connection broke go on, and a worker does all there is.
    acknowledged |= storm(job_server, connections=5, count=500 - len(acknowledged))
    done = drain(job_server)

    # Then: every job whose submitter was told of it has run, once.
    assert len(acknowledged) == 500
    assert acknowledged <= set(done)
    assert len(done) == len(set(done))
    eventually(lambda: job_server.count_jobs("SUCCESSFUL") == len(done), COMMIT_TIMEOUT_S, "all outcomes in the table")


def test_running_job_runs_again_after_kill_9_which_is_no_crash_of_its_worker(new_job_server):
    # A worker that cannot come back to its run is waited for all the same, to let it notice; not here.
    job_server = new_job_server("--stock-grace", "0")
    job_server.start()
    with job_server.peer() as client, job_server.peer() as worker:
        worker.can_do(b"resize")
        handle = client.submit_background(b"resize")
        assert worker.grab()[0] == handle
        eventually(lambda: job_server.job(handle)["status"] == "RUNNING", COMMIT_TIMEOUT_S, "the start in the table")
        job_server.kill9()
    job_server.restart()

    assert drain(job_server) == [handle]
    eventually(lambda: job_server.job(handle)["finished_at"], COMMIT_TIMEOUT_S, "the outcome in the table")
    row = job_server.job(handle)
    assert (row["attempt"], row["crashes"], row["status"]) == (2, 0, "SUCCESSFUL")


def test_finished_job_does_not_run_again_after_kill_9(job_server):
    with job_server.peer() as client:
        handle = client.submit_background(b"resize")
    assert drain(job_server) == [handle]
    eventually(lambda: job_server.job(handle)["finished_at"], COMMIT_TIMEOUT_S, "the outcome in the table")

    job_server.kill9()
    job_server.restart()

    assert drain(job_server) == []


def test_restarted_server_gives_no_handle_twice(job_server):
    handles = []
    for _ in range(2):
        with job_server.peer() as client:
            handles += [client.submit_background(b"resize") for _ in range(3)]
        job_server.kill9()
        job_server.restart()

    assert len(set(handles)) == 6


def test_stop_in_a_storm_keeps_what_was_acknowledged(job_server):
    exit_codes: list[int] = []

    acknowledged = storm(
        job_server, connections=4, count=4000, on_count=(200, lambda: exit_codes.append(job_server.terminate()))
    )

    assert exit_codes == [0]
    kept = {row["handle"].encode() for row in job_server.rows("SELECT handle FROM gearjobs_job")}
    assert acknowledged <= kept
