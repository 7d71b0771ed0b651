"""How many jobs the processes of `runworkers` run at once and where, and when a process gives place to a fresh one."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.running_site import JOB_TIMEOUT_S, RunningSite, SiteProcess

pytestmark = pytest.mark.slow


@pytest.fixture
def site(tmp_path: Path):
    with RunningSite(tmp_path) as site:
        yield site


def journal(directory: Path, count: int) -> list[tuple[int, int, int]]:
    """Return number, process and thread of each run, once there are so many."""

    def look() -> list[str]:
        file = directory / "journal"
        lines = file.read_text(encoding="ascii").splitlines() if file.exists() else []
        return lines if len(lines) >= count else []

    lines = eventually(look, JOB_TIMEOUT_S, f"{count} jobs to run at once")
    return [(int(number), int(pid), int(thread)) for number, pid, thread in map(str.split, lines)]


def results(site: RunningSite, handles: list[str]) -> list[int]:
    """Return the results of jobs, each of which must have been run once."""
    return [json.loads(site.await_row(one, status="SUCCESSFUL", attempt=1)["result"]) for one in handles]


def alive_workers(workers: SiteProcess) -> list[int]:
    """Return the processes that were started and have not ended."""
    started = [int(pid) for pid in workers.find_all(r"Started worker process index=\d+ group=\w+ pid=(\d+)")]
    ended = {int(pid) for pid in workers.find_all(r"Worker process ended index=\d+ pid=(\d+)")}
    return [pid for pid in started if pid not in ended]


def test_threads_of_a_process_run_as_many_jobs_at_once(site, tmp_path):
    site.start_workers("--threads", "4")

    handles = [site.submit("wait_in_thread", str(tmp_path), number) for number in range(4)]
    runs = journal(tmp_path, 4)
    (tmp_path / "released").touch()

    assert results(site, handles) == [0, 1, 2, 3]
    assert len({pid for _, pid, _ in runs}) == 1
    assert len({thread for _, _, thread in runs}) == 4


def test_coroutines_share_the_event_loop_of_their_process(site, tmp_path):
    site.start_workers("--async-concurrency", "12")

    handles = [site.submit("wait_in_loop", str(tmp_path), number) for number in range(10)]
    handles += [site.submit("wait_in_thread", str(tmp_path), number) for number in (10, 11)]
    runs = sorted(journal(tmp_path, 12))
    (tmp_path / "released").touch()

    assert results(site, handles) == list(range(12))
    assert len({pid for _, pid, _ in runs}) == 1
    assert len({thread for _, _, thread in runs[:10]}) == 1
    assert len({thread for _, _, thread in runs}) == 3


@pytest.mark.parametrize("lanes", ["--threads", "--async-concurrency"])
def test_lanes_end_their_jobs_before_their_process_stops(site, tmp_path, lanes):
    workers = site.start_workers(lanes, "3")
    handles = [site.submit("wait_in_loop", str(tmp_path), number) for number in range(3)]
    journal(tmp_path, 3)

    workers.signal(signal.SIGTERM)
    workers.await_output("Stopping worker processes")
    (tmp_path / "released").touch()

    assert workers.await_end() == 0
    assert results(site, handles) == [0, 1, 2]


def test_process_is_replaced_after_its_share_of_jobs_and_no_job_runs_twice(site):
    site.start_workers("--max-tasks", "2", "--recycle-jitter", "0")

    pids = results(site, [site.submit("tell_pid") for _ in range(6)])

    assert sorted(pids.count(pid) for pid in set(pids)) == [2, 2, 2]


def test_process_that_took_too_much_memory_is_replaced_after_the_job(site):
    workers = site.start_workers("--max-memory", "200")

    big, after = (results(site, [site.submit(*call)])[0] for call in (("fill_memory", 250), ("tell_pid",)))

    assert big != after
    assert "MiB of memory" in workers.output
    assert alive_workers(workers) == [after]


def test_idle_process_is_replaced_when_it_is_old(site):
    workers = site.start_workers("--max-lifetime", "2", "--recycle-jitter", "0")
    [first] = alive_workers(workers)

    eventually(lambda: alive_workers(workers) not in ([], [first]), JOB_TIMEOUT_S, "a fresh process")

    assert "s old" in workers.output
    results(site, [site.submit("tell_pid")])


def test_processes_come_when_none_is_idle_and_go_when_they_are_not_needed(site, tmp_path):
    site.environment["WORKER_SITE_WORKERS"] = json.dumps({"IDLE_TIMEOUT_S": 1})
    workers = site.start_workers("--autoscale", "1,3")

    handles = [site.submit("wait_in_thread", str(tmp_path), number) for number in range(3)]
    runs = journal(tmp_path, 3)
    (tmp_path / "released").touch()

    assert len({pid for _, pid, _ in runs}) == 3
    assert results(site, handles) == [0, 1, 2]
    eventually(lambda: len(alive_workers(workers)) == 1, JOB_TIMEOUT_S, "the group to shrink")


def test_process_that_fails_at_its_start_is_started_less_and_less_often(site, tmp_path):
    (tmp_path / "crash").touch()
    workers = site.start(["runworkers", "--processes", "1"])

    workers.await_output(r"ends soon after its start index=0 times=2 last='exit code 3': next try in 2 s")
    (tmp_path / "crash").unlink()

    workers.await_output(r"Started worker process .* after='exit code 3' quick_ends=2")
    results(site, [site.submit("tell_pid")])


def test_batch_drains_the_queue_and_ends(site):
    handles = [site.submit("tell_pid") for _ in range(40)]

    workers = site.start(["runworkers", "--processes", "2", "--batch"])

    assert workers.await_end() == 0
    assert [site.row(handle)["status"] for handle in handles] == ["SUCCESSFUL"] * 40
    assert [site.row(handle)["attempt"] for handle in handles] == [1] * 40


def test_groups_serve_what_their_settings_say(site):
    groups = {
        "mail": {"QUEUES": ["mail"], "THREADS": 2, "PROCESSES": 1},
        "rest": {"QUEUES": ["default"], "PROCESSES": 2},
    }
    site.environment["WORKER_SITE_WORKERS"] = json.dumps({"GROUPS": groups})
    workers = site.start(["runworkers"])
    workers.await_output(r"(?s)Started worker process index=2")
    of_group = dict(workers.find_all(r"Started worker process index=\d+ group=(\w+) pid=(\d+)"))

    [mail] = results(site, [site.submit("mail_pid")])
    pids = results(site, [site.submit("tell_pid") for _ in range(20)])

    assert mail == int(of_group["mail"])
    assert mail not in pids


def test_group_is_named_on_the_command_line(site):
    groups = {"mail": {"QUEUES": ["mail"], "PROCESSES": 1}, "rest": {"QUEUES": ["default"], "PROCESSES": 1}}
    site.environment["WORKER_SITE_WORKERS"] = json.dumps({"GROUPS": groups})

    shown = site.manage(["runworkers", "rest", "--check"])
    refused = site.manage(["runworkers", "mial"])

    assert "rest: 1 worker process serves" in shown.stdout
    assert "mail: " not in shown.stdout
    assert "no group of workers is called 'mial'; did you mean mail?" in refused.stderr


def attempt_of(site: RunningSite, handle: str) -> tuple[str, str]:
    """Return outcome and message of the first attempt, once that has a message."""

    def look() -> tuple[str, str] | None:
        with closing(sqlite3.connect(site.database, timeout=10)) as connection:
            row: tuple[str, str] | None = connection.execute(
                "SELECT outcome, error_message FROM gearjobs_jobattempt"
                " WHERE job_id = ? AND number = 1 AND error_message LIKE 'worker process%'",
                (handle,),
            ).fetchone()
            return row

    found = eventually(look, JOB_TIMEOUT_S, "the cause of the loss")
    assert found is not None
    return found


def test_cause_of_a_lost_process_is_in_the_job_s_record(site, tmp_path):
    workers = site.start_workers()
    handle = site.submit("wait_in_thread", str(tmp_path), 1)
    [(_, pid, _)] = journal(tmp_path, 1)

    workers.kill(pid)

    outcome, message = attempt_of(site, handle)
    assert outcome == "lost"
    assert re.fullmatch(
        rf"worker process {pid} ended with signal 9 \(Killed\)(, with \d+ MiB of memory when last seen)?", message
    )
    (tmp_path / "released").touch()
    site.await_row(handle, status="SUCCESSFUL", attempt=2)


@pytest.mark.parametrize("lanes", ["--threads", "--async-concurrency"])
def test_soft_timeout_ends_a_job_and_leaves_the_others_of_its_process(site, tmp_path, lanes):
    site.start_workers(lanes, "2")
    other = site.submit("wait_in_loop", str(tmp_path), 1)
    journal(tmp_path, 1)

    late = site.await_row(site.submit("hang_softly_awaiting", str(tmp_path)), status="FAILED")
    (tmp_path / "released").touch()

    assert late["error_class"] == "gearjobs.errors.SoftTimeout"
    assert results(site, [other]) == [1]


def test_job_that_overruns_ends_its_process_and_the_others_run_again(site, tmp_path):
    site.start_workers("--threads", "2")
    other = site.submit("wait_in_thread", str(tmp_path), 1)
    journal(tmp_path, 1)

    site.await_row(site.submit("hang", str(tmp_path)), status_detail="timed_out")
    runs = journal(tmp_path, 2)
    (tmp_path / "released").touch()

    assert runs[0][1] != runs[1][1]
    # Once for each attempt of the other job, as it may happen.
    assert site.await_row(other, status="SUCCESSFUL")["attempt"] in {2, 3}
