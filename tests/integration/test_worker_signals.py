"""What operators tell worker processes: quiet, resume, new code, stop; by signals, by a server, by a changed file."""

from __future__ import annotations

import json
import signal
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


@pytest.fixture
def code(site: RunningSite, tmp_path: Path) -> Path:
    """A module of the project that a test may change; `tell_code` tells its version."""
    file = tmp_path / "site_code.py"
    file.write_text("VERSION = 1\n", encoding="ascii")
    site.environment["PYTHONPATH"] += f":{tmp_path}"
    site.environment["WORKER_SITE_CODE"] = "site_code"
    # Else a file changed within a second, to the same length, is the same to Python.
    site.environment["PYTHONDONTWRITEBYTECODE"] = "1"
    return file


def result(site: RunningSite, task: str, *args: object) -> object:
    return json.loads(site.await_row(site.submit(task, *args), status="SUCCESSFUL", attempt=1)["result"])


def states(site: RunningSite) -> dict[str, str]:
    """Return what each worker last said that it is at."""
    with AdminClient(site.address) as client:
        return {line.client_id.decode(): line.report.state for line in client.worker_reports()}


def await_states(site: RunningSite, **expected: str) -> None:
    named = {name.replace("_", "-"): state for name, state in expected.items()}
    eventually(lambda: states(site) == named, JOB_TIMEOUT_S, f"{named}; it is {states(site)}")


def test_quiet_workers_take_no_job_until_they_are_told_to_resume(site):
    workers = site.start_workers("--worker-id", "box", count=2)

    workers.signal(signal.SIGUSR1)
    await_states(site, box_0="quiet", box_1="quiet")
    handle = site.submit("tell_pid")
    waiting = site.await_row(handle, status="READY")
    workers.signal(signal.SIGUSR2)

    assert waiting["attempt"] == 0
    site.await_row(handle, status="SUCCESSFUL", attempt=1)
    await_states(site, box_0="idle", box_1="idle")


def test_quiet_worker_finishes_the_job_it_runs(site, tmp_path):
    workers = site.start_workers("--worker-id", "box")
    running = site.submit("hold", str(tmp_path))
    site.await_row(running, progress_message="held")

    workers.signal(signal.SIGUSR1)
    await_states(site, box_0="quiet")
    waiting = site.submit("tell_pid")
    (tmp_path / "released").touch()

    site.await_row(running, status="SUCCESSFUL", attempt=1)
    assert site.row(waiting)["status"] == "READY"


def test_process_that_replaces_another_is_quiet_as_that_was(site):
    workers = site.start_workers("--worker-id", "box")
    workers.signal(signal.SIGUSR1)
    await_states(site, box_0="quiet")
    [pid] = workers.find_all(r"Started worker process index=0 group=default pid=(\d+)")

    workers.kill(int(pid))

    workers.await_output(r"Worker process ended")
    await_states(site)
    await_states(site, box_0="quiet")


def test_operator_tells_workers_by_way_of_the_job_server(site):
    workers = site.start_workers("--worker-id", "box", count=2)
    others = site.start_workers("--worker-id", "other")
    await_states(site, box_0="idle", box_1="idle", other_0="idle")

    quiet = site.manage(["jobs_workers", "quiet", "box-*", "other-0"])
    await_states(site, box_0="quiet", box_1="quiet", other_0="quiet")
    resumed = site.manage(["jobs_workers", "resume", "box-1"])
    await_states(site, box_0="quiet", box_1="idle", other_0="quiet")
    listed = site.manage(["jobs_workers"])
    stopped = site.manage(["jobs_workers", "stop", "box-*"])

    assert quiet.stdout == "3 told to quiet\n"
    assert resumed.stdout == "1 told to resume\n"
    assert [line.split()[:2] for line in listed.stdout.splitlines()[1:]] == [
        ["box-0", "quiet"],
        ["box-1", "idle"],
        ["other-0", "quiet"],
    ]
    assert stopped.returncode == 0
    assert workers.await_end() == 0
    assert site.manage(["jobs_workers", "stop", "nobody"]).returncode == 1
    others.stop()


def test_new_code_takes_the_place_of_the_old_while_jobs_run(site, code, tmp_path):
    workers = site.start_workers(count=2)
    running = site.submit("hold", str(tmp_path))
    site.await_row(running, progress_message="held")
    before = result(site, "tell_code")

    code.write_text("VERSION = 2\n", encoding="ascii")
    workers.signal(signal.SIGHUP)
    workers.await_output("Becoming the new code")
    eventually(lambda: result(site, "tell_code") == 2, JOB_TIMEOUT_S, "the new code to serve")
    still = site.row(running)["status"]
    (tmp_path / "released").touch()

    assert (before, still) == (1, "RUNNING")
    site.await_row(running, status="SUCCESSFUL", attempt=1)
    workers.await_output(r"(?s)(Started worker process.*){4}")
    assert {result(site, "tell_code") for _ in range(4)} == {2}
    assert workers.find_all(r"Killing|signal \d+ \(") == []


def test_new_code_that_does_not_start_leaves_the_old_at_work(site, code):
    workers = site.start_workers()
    code.write_text("VERSION = = 2\n", encoding="ascii")

    workers.signal(signal.SIGHUP)

    workers.await_output(r"(?s)The new code does not start; the old goes on.*SyntaxError")
    assert result(site, "tell_code") == 1
    code.write_text("VERSION = 3\n", encoding="ascii")
    workers.signal(signal.SIGHUP)
    eventually(lambda: result(site, "tell_code") == 3, JOB_TIMEOUT_S, "the repaired code to serve")


def test_process_that_ends_after_a_reload_was_not_forgotten(site, code):
    workers = site.start_workers()
    workers.signal(signal.SIGHUP)
    workers.await_output("Becoming the new code")
    workers.await_output(r"(?s)(Started worker process.*){2}")
    first, second = workers.find_all(r"Started worker process .*pid=(\d+)")

    workers.signal(signal.SIGTERM)

    assert workers.await_end() == 0
    assert first != second
    assert workers.find_all(r"Worker process ended index=0 pid=(\d+)") == [first, second]


def test_changed_file_is_reloaded_in_development(site, code):
    site.start_workers("--reload")

    code.write_text("VERSION = 22\n", encoding="ascii")

    eventually(lambda: result(site, "tell_code") == 22, JOB_TIMEOUT_S, "the changed code to serve")
