"""Worker processes whose job server is lost: what they run goes on, once, and its outcome is kept (F22, F24, F25)."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from gearjobs.client.admin_client import AdminClient
from tests.support.eventually import eventually
from tests.support.running_site import JOB_TIMEOUT_S, RunningSite

pytestmark = pytest.mark.slow


@pytest.fixture
def site(tmp_path: Path):
    with RunningSite(tmp_path) as site:
        yield site


def journal(site: RunningSite) -> list[list[int]]:
    """Number, attempt and process of every execution that began."""
    file = site.directory / "journal"
    lines = file.read_text(encoding="ascii").splitlines() if file.exists() else []
    return [[int(word) for word in line.split()] for line in lines]


def run_jobs(site: RunningSite, count: int) -> list[str]:
    """Submit so many jobs and wait until all of them run and the store knows; return their handles."""
    handles = [site.submit("note_and_wait", str(site.directory), number) for number in range(count)]
    for handle in handles:
        site.await_row(handle, progress_message="noted")
    return handles


def release(site: RunningSite) -> None:
    (site.directory / "released").touch()


def kill_server(site: RunningSite) -> None:
    site.server.signal(signal.SIGKILL)
    site.server.await_end()


@pytest.mark.parametrize("ends_while_gone", [False, True])
def test_jobs_outlive_the_death_of_their_server(site, ends_while_gone):
    workers = site.start_workers(count=3)
    handles = run_jobs(site, 3)

    kill_server(site)
    if ends_while_gone:
        release(site)
        eventually(lambda: workers.output.count("status=SUCCESSFUL") == 3, JOB_TIMEOUT_S, "the jobs to end")
    site.restart_server()
    release(site)

    for number, handle in enumerate(handles):
        row = site.await_row(handle, status="SUCCESSFUL")
        assert (row["attempt"], row["result"]) == (1, b"[%d,1]" % number)
    assert sorted(entry[:2] for entry in journal(site)) == [[0, 1], [1, 1], [2, 1]]


def test_long_job_is_known_to_its_server_again_before_it_ends(site):
    workers = site.start_workers()
    (handle,) = run_jobs(site, 1)
    kill_server(site)
    workers.await_output("Lost job server")

    site.restart_server()
    workers.await_output("(?s)Serving job server.*Serving job server")
    release(site)

    assert site.await_row(handle, status="SUCCESSFUL")["progress_message"] == "released"
    assert len(journal(site)) == 1


def test_outcome_the_server_had_and_did_not_commit_is_offered_again(site):
    workers = site.start_workers()
    (handle,) = run_jobs(site, 1)

    with closing(sqlite3.connect(site.database, isolation_level=None, timeout=10)) as other:
        # Nobody else can commit now.
        other.execute("BEGIN IMMEDIATE")
        release(site)
        workers.await_output("status=SUCCESSFUL")
        kill_server(site)
        other.execute("ROLLBACK")
    assert site.row(handle)["status"] == "RUNNING"
    site.restart_server()

    row = site.await_row(handle, status="SUCCESSFUL")
    assert (row["attempt"], row["result"]) == (1, b"[0,1]")
    assert len(journal(site)) == 1


def test_worker_that_stops_while_its_server_is_gone_still_hands_in_its_outcome(site):
    workers = site.start_workers()
    (handle,) = run_jobs(site, 1)
    kill_server(site)

    workers.signal(signal.SIGTERM)
    workers.await_output("Stopping worker processes")
    release(site)
    site.restart_server()

    assert workers.await_end() == 0
    assert site.await_row(handle, status="SUCCESSFUL")["attempt"] == 1
    assert len(journal(site)) == 1


def test_run_whose_server_is_gone_for_too_long_is_ended_and_runs_again_once(tmp_path):
    # Two seconds less for the worker.
    with RunningSite(tmp_path, "--reattach", "4") as site:
        workers = site.start_workers()
        (handle,) = run_jobs(site, 1)
        ((_, _, pid),) = journal(site)

        kill_server(site)
        workers.await_output(f"Ending this worker process with its lost run job={handle} pid={pid}")
        workers.await_output(f"Worker process ended index=0 pid={pid} with=signal 9")
        site.restart_server()

        eventually(lambda: len(journal(site)) == 2, JOB_TIMEOUT_S, "the job to run again")
        release(site)
        assert site.await_row(handle, status="SUCCESSFUL")["result"] == b"[0,2]"
        assert len(journal(site)) == 2


def test_outcome_of_a_job_nobody_wants_any_more_holds_no_worker_up(site):
    workers = site.start_workers()
    (handle,) = run_jobs(site, 1)

    with AdminClient(site.address) as admin:
        assert admin.command(f"cancel job {handle}").startswith(b"OK")
    release(site)
    workers.await_output("status=SUCCESSFUL")
    workers.signal(signal.SIGTERM)

    assert workers.await_end() == 0
    assert "no job server has settled" not in workers.output


def test_worker_process_that_is_stopped_for_good_is_ended_in_time_and_its_job_runs_again(tmp_path):
    # Two seconds less for the worker.
    with RunningSite(tmp_path, "--reattach", "6") as site:
        workers = site.start_workers()
        (handle,) = run_jobs(site, 1)
        ((_, _, pid),) = journal(site)
        stopped_at = time.monotonic()

        os.kill(pid, signal.SIGSTOP)

        workers.await_output(f"Killing worker process past its deadline index=0 pid={pid}")
        assert time.monotonic() - stopped_at < 6.0
        eventually(lambda: len(journal(site)) == 2, JOB_TIMEOUT_S, "the job to run again")
        release(site)
        assert site.await_row(handle, status="SUCCESSFUL")["result"] == b"[0,2]"


def test_worker_process_that_gets_no_time_for_a_while_keeps_its_run(tmp_path):
    # As C code does that holds the interpreter for longer than a server may be silent: four seconds less a margin.
    with RunningSite(tmp_path, "--lease-ttl", "4") as site:
        site.start_workers()
        (handle,) = run_jobs(site, 1)
        ((_, _, pid),) = journal(site)

        os.kill(pid, signal.SIGSTOP)
        threading.Event().wait(5.0)
        os.kill(pid, signal.SIGCONT)

        release(site)
        assert site.await_row(handle, status="SUCCESSFUL")["attempt"] == 1
        assert len(journal(site)) == 1
