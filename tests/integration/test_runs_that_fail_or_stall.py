"""Runs that fail, hang, are cancelled or hold the interpreter, in real worker processes; executions are counted."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gearjobs.core.submission import CancelVerdict
from tests.support.eventually import eventually
from tests.support.running_site import JOB_TIMEOUT_S, RunningSite, SiteProcess

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory):
    with RunningSite(tmp_path_factory.mktemp("site")) as site:
        site.start_workers()
        yield site


@pytest.fixture(scope="module", params=["--threads", "--async-concurrency"])
def lanes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """A site whose worker process runs several jobs at once."""
    with RunningSite(tmp_path_factory.mktemp("site")) as site:
        site.start(["runworkers", "--processes", "1", request.param, "3"])
        yield site


def workers_of(site: RunningSite) -> SiteProcess:
    """The workers' supervisor, which was started last."""
    return site._processes[-1]


def runs(directory: Path) -> list[int]:
    """The process id of each run so far."""
    file = directory / "runs"
    return [int(line) for line in file.read_text(encoding="ascii").splitlines()] if file.exists() else []


def await_run(directory: Path, count: int = 1) -> int:
    """Wait until so many runs have begun; return the last one's process."""
    return eventually(lambda: runs(directory)[count - 1 : count], JOB_TIMEOUT_S, f"run {count}")[0]


def enqueue(site: RunningSite, task: str, *args: object) -> str:
    """Enqueue as a project does, with the task's terms; return the job's handle."""
    code = f"from tests.support.worker_site.tasks import {task}\nprint('id', {task}.enqueue(*{args!r}).id)\n"
    session = site.manage(["shell"], code=code)
    assert session.returncode == 0, session.stderr
    return next(line[3:] for line in session.stdout.splitlines() if line.startswith("id "))


def attempts(site: RunningSite, handle: str) -> list[dict[str, Any]]:
    """The rows of the runs that did not end the job."""
    with closing(sqlite3.connect(site.database, timeout=10)) as connection:
        connection.row_factory = sqlite3.Row
        sql = "SELECT * FROM gearjobs_jobattempt WHERE job_id = ? ORDER BY number"
        return [dict(row) for row in connection.execute(sql, (handle,))]


def output_of(site: RunningSite, handle: str) -> str:
    """What the job streamed."""
    with closing(sqlite3.connect(site.database, timeout=10)) as connection:
        sql = "SELECT body FROM gearjobs_joboutput WHERE job_id = ? ORDER BY id"
        return "\n".join(bytes(body).decode() for (body,) in connection.execute(sql, (handle,)))


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_task_that_fails_at_first_is_run_until_it_does_not(site, tmp_path):
    handle = enqueue(site, "fail_at_first", str(tmp_path), 2)

    row = site.await_row(handle, status="SUCCESSFUL")

    assert (row["result"], row["attempt"], len(runs(tmp_path))) == (b"[3,4,false]", 3, 3)
    failed = attempts(site, handle)
    assert [(one["number"], one["outcome"], one["error_class"]) for one in failed] == [
        (1, "failed", "builtins.ValueError"),
        (2, "failed", "builtins.ValueError"),
    ]
    # The frames that lead up to the task are the same for every job.
    assert failed[0]["error_traceback"].splitlines()[1].endswith("in fail_at_first")


def test_task_that_fails_each_time_is_run_as_often_as_it_says(site, tmp_path):
    handle = enqueue(site, "fail_at_first", str(tmp_path), 99)

    row = site.await_row(handle, status="FAILED")

    assert (row["status_detail"], row["error_class"]) == ("failed", "builtins.ValueError")
    assert (len(runs(tmp_path)), len(attempts(site, handle))) == (4, 3)


@pytest.mark.parametrize(("kind", "count"), [("given up", 1), ("discard", 1), ("retry", 4)])
def test_error_decides_whether_it_is_run_again(site, tmp_path, kind, count):
    handle = enqueue(site, "fail_at_first", str(tmp_path), 99, kind)

    site.await_row(handle, status="FAILED")

    assert len(runs(tmp_path)) == count


def test_what_a_task_logs_is_kept_with_it(site, tmp_path):
    handle = enqueue(site, "fail_at_first", str(tmp_path), 1)

    site.await_row(handle, status="SUCCESSFUL")

    logged = output_of(site, handle)
    assert ("WARNING tests.support.worker_site.tasks: run 1" in logged, "run 2" in logged) == (True, True)


def test_failure_is_logged_once_with_its_traceback(site, tmp_path):
    handle = site.submit("fail", f"sorry {tmp_path.name}")

    site.await_row(handle, status="FAILED")
    workers_of(site).await_output(rf"job={handle} .* status=FAILED")

    assert workers_of(site).output.count(f"\nValueError: sorry {tmp_path.name}") == 1


def test_hanging_task_is_ended_with_its_process_and_run_again_in_another(site, tmp_path):
    handle = enqueue(site, "hang", str(tmp_path))

    row = site.await_row(handle, status="FAILED")

    first, second = runs(tmp_path)
    assert first != second
    assert (row["status_detail"], row["error_class"]) == ("timed_out", "gearjobs.errors.JobTimedOut")
    assert "in wait_for_ever" in row["error_traceback"]
    assert [one["outcome"] for one in attempts(site, handle)] == ["timed_out"]
    eventually(lambda: not is_alive(second), JOB_TIMEOUT_S, "the end of the hanging process")


def test_task_that_holds_the_interpreter_is_ended_all_the_same(site, tmp_path):
    handle = enqueue(site, "hold_the_interpreter", str(tmp_path))

    row = site.await_row(handle, status="FAILED")

    assert (row["status_detail"], len(runs(tmp_path))) == ("timed_out", 1)


@pytest.mark.parametrize("task", ["hang_softly", "hang_softly_awaiting"])
def test_soft_timeout_ends_the_task_and_not_its_process(site, tmp_path, task):
    handle = enqueue(site, task, str(tmp_path))

    row = site.await_row(handle, status="FAILED")

    assert (row["status_detail"], row["error_class"]) == ("timed_out", "gearjobs.errors.SoftTimeout")
    assert is_alive(runs(tmp_path)[0])
    if task == "hang_softly":
        assert "cleaned up" in output_of(site, handle)


def test_task_that_looks_whether_it_is_cancelled_ends_soon(site, tmp_path):
    handle = enqueue(site, "work_until_cancelled", str(tmp_path))
    pid = await_run(tmp_path)

    assert site.client.cancel(handle) is CancelVerdict.ASKED

    row = site.await_row(handle, status="FAILED")
    assert (row["status_detail"], row["error_class"]) == ("cancelled", "gearjobs.errors.JobCancelled")
    assert (is_alive(pid), len(runs(tmp_path))) == (True, 1)


def test_task_that_ignores_a_forced_cancel_is_ended_with_its_process(site, tmp_path):
    handle = enqueue(site, "ignore_cancels", str(tmp_path))
    pid = await_run(tmp_path)

    assert site.client.cancel(handle, force=True) is CancelVerdict.CANCELLED

    eventually(lambda: not is_alive(pid), JOB_TIMEOUT_S, "the end of the process")
    assert site.await_row(handle, status="FAILED")["status_detail"] == "cancelled"
    site.await_row(site.submit("add", 1, 2), status="SUCCESSFUL")
    assert len(runs(tmp_path)) == 1


def test_cancelled_task_is_ended_though_its_worker_was_stopped_for_a_while(site, tmp_path):
    handle = enqueue(site, "work_until_cancelled", str(tmp_path))
    pid = await_run(tmp_path)
    os.kill(pid, signal.SIGSTOP)
    try:
        site.client.cancel(handle)
    finally:
        os.kill(pid, signal.SIGCONT)

    assert site.await_row(handle, status="FAILED")["status_detail"] == "cancelled"


def test_transaction_a_task_left_open_is_rolled_back_and_not_the_next_ones(site, tmp_path):
    before = site.await_row(site.submit("count_users"), status="SUCCESSFUL")["result"]

    site.await_row(site.submit("leave_a_transaction_open", tmp_path.name), status="SUCCESSFUL")

    assert site.await_row(site.submit("count_users"), status="SUCCESSFUL")["result"] == before
    assert "left open" in workers_of(site).output


def test_coroutine_in_any_lane_is_warned(lanes, tmp_path):
    handle = enqueue(lanes, "hang_softly_awaiting", str(tmp_path))

    row = lanes.await_row(handle, status="FAILED")

    assert (row["status_detail"], is_alive(await_run(tmp_path))) == ("timed_out", True)


def test_job_in_any_lane_is_cancelled(lanes, tmp_path):
    handle = enqueue(lanes, "work_until_cancelled", str(tmp_path))
    pid = await_run(tmp_path)

    lanes.client.cancel(handle)

    row = lanes.await_row(handle, status="FAILED")
    assert (row["status_detail"], is_alive(pid)) == ("cancelled", True)


def test_job_in_any_lane_is_ended_with_its_process(lanes, tmp_path):
    handle = enqueue(lanes, "hang", str(tmp_path))

    row = lanes.await_row(handle, status="FAILED")

    assert (row["status_detail"], len(set(runs(tmp_path)))) == ("timed_out", 2)
