"""`manage.py runworkers` against a real `manage.py runjobserver`, as an operator and a user meet them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.running_site import JOB_TIMEOUT_S, RunningSite

pytestmark = pytest.mark.slow

#: What a user types into `manage.py shell`; prints one line for each finding.
USE_OF_A_SHELL = """
import time
from django.db import transaction
from gearjobs import JobFailed
from gearjobs.tasks.django_tasks import TaskResultDoesNotExist
from tests.support.worker_site.tasks import add, count_users, fail

def ended(result):
    deadline = time.monotonic() + 20
    while not result.is_finished and time.monotonic() < deadline:
        time.sleep(0.01)
        result.refresh()
    return result

print("value", ended(add.enqueue(1, b=2)).return_value)
failed = ended(fail.enqueue("too bad"))
print("error", failed.status, failed.errors[0].exception_class.__name__)
print("foreground", add.do(3, 4))
try:
    fail.do("too bad")
except JobFailed as error:
    print("foreground error", error.class_path, error.message)
with transaction.atomic():
    committed = add.enqueue(5, 5)
print("committed", ended(committed).return_value)
try:
    with transaction.atomic():
        undone = add.enqueue(6, 6)
        raise KeyError
except KeyError:
    pass
try:
    undone.refresh()
except TaskResultDoesNotExist:
    print("rolled back")
print("users", ended(count_users.enqueue()).return_value)
"""


@pytest.fixture
def site(tmp_path: Path):
    with RunningSite(tmp_path) as site:
        yield site


def held_by(directory: Path) -> int:
    """Wait until a job of `hold` runs; return the worker process's id."""
    file = directory / "held"
    eventually(lambda: file.exists() and file.read_text(encoding="ascii"), JOB_TIMEOUT_S, "a job to be held")
    return int(file.read_text(encoding="ascii"))


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_user_of_a_shell_gets_what_the_readme_says(site):
    site.start_workers(count=2)

    session = site.manage(["shell"], code=USE_OF_A_SHELL)

    assert session.returncode == 0, session.stderr
    assert [line for line in session.stdout.splitlines() if line and "import" not in line] == [
        "value 3",
        "error FAILED ValueError",
        "foreground 7",
        "foreground error builtins.ValueError too bad",
        "committed 10",
        "rolled back",
        "users 0",
    ]


def test_outcome_is_in_the_row(site):
    workers = site.start_workers("--worker-id", "box")

    good = site.await_row(site.submit("add", 1, 2), status="SUCCESSFUL")
    bad = site.await_row(site.submit("fail", "too bad"), status="FAILED")

    assert (good["result"], good["worker_ids"], good["attempt"]) == (b"3", '["box-0"]', 1)
    assert (bad["error_class"], bad["error_message"]) == ("builtins.ValueError", "too bad")
    assert "raise ValueError(words)\nValueError: too bad" in bad["error_traceback"]
    assert "tasks.add attempt=1 status=SUCCESSFUL duration_s=" in workers.output


def test_worker_process_tells_of_its_start_and_stop(site, tmp_path):
    workers = site.start_workers("--worker-id", "box")

    starts = site.await_row(site.submit("list_starts"), status="SUCCESSFUL")["result"]
    workers.stop()

    assert starts == b'["box-0"]'
    assert (tmp_path / "stopped").read_text(encoding="ascii") == "box-0"


def test_worker_lives_on_after_a_payload_that_is_no_call(site):
    site.start_workers()

    handle = site.client.submit_background("tests.support.worker_site.tasks.add", b"\xff no call")

    row = site.await_row(handle, status="FAILED")
    assert row["error_class"] == "gearjobs.tasks.payload.PayloadError"
    assert "the payload must be JSON" in row["error_message"]
    site.await_row(site.submit("add", 1, 2), status="SUCCESSFUL", attempt=1)


def test_progress_is_in_the_row_while_the_job_runs(site, tmp_path):
    site.start_workers()

    handle = site.submit("hold", str(tmp_path))

    row = site.await_row(handle, progress_message="held")
    (tmp_path / "released").touch()
    assert (row["status"], row["progress_numerator"], row["progress_denominator"]) == ("RUNNING", 1.0, 2.0)
    site.await_row(handle, status="SUCCESSFUL")


def test_job_of_a_killed_worker_runs_again_and_the_worker_is_replaced(site, tmp_path):
    workers = site.start_workers()
    handle = site.submit("hold", str(tmp_path))
    killed = held_by(tmp_path)
    (tmp_path / "held").unlink()

    os.kill(killed, signal.SIGKILL)

    successor = held_by(tmp_path)
    (tmp_path / "released").touch()
    row = site.await_row(handle, status="SUCCESSFUL")
    assert successor != killed
    assert (row["result"], row["attempt"]) == (f"[{successor},2]".encode(), 2)
    assert f"pid={killed} with=signal 9" in workers.output


def test_sigterm_lets_the_running_job_end(site, tmp_path):
    workers = site.start_workers(count=2)
    handle = site.submit("hold", str(tmp_path))
    pid = held_by(tmp_path)

    workers.signal(signal.SIGTERM)
    workers.await_output("Stopping worker processes")
    assert is_alive(pid)
    (tmp_path / "released").touch()

    assert workers.await_end() == 0
    assert site.await_row(handle, status="SUCCESSFUL")["attempt"] == 1


def test_job_that_does_not_end_in_time_is_given_back(site, tmp_path):
    workers = site.start_workers("--shutdown-timeout", "0.2")
    handle = site.submit("hold", str(tmp_path))
    pid = held_by(tmp_path)

    workers.signal(signal.SIGTERM)

    assert workers.await_end() == 1
    assert not is_alive(pid)
    site.await_row(handle, status="READY", attempt=1)


def test_workers_die_with_their_supervisor(site, tmp_path):
    workers = site.start_workers()
    site.submit("hold", str(tmp_path))
    pid = held_by(tmp_path)

    workers.signal(signal.SIGKILL)

    eventually(lambda: not is_alive(pid), JOB_TIMEOUT_S, "the worker process to die")
    assert workers.await_end() == -signal.SIGKILL


def test_workers_of_a_queue_take_its_calls_only(site):
    site.start_workers("--queue-name", "default")

    elsewhere = site.submit("add", 1, 1, on_queue="slow")
    here = site.submit("add", 2, 2)

    site.await_row(here, status="SUCCESSFUL")
    assert site.row(elsewhere)["status"] == "READY"
    site.start_workers("--queue-name", "slow,other", "--functions", "*.add*")
    site.await_row(elsewhere, status="SUCCESSFUL")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--functions", "tests.support.worker_site.tasks.ad"], "did you mean tests.support.worker_site.tasks.add?"),
        (["--processes", "0"], "at least one process, got 0"),
    ],
)
def test_what_cannot_be_served_is_said_at_once(tmp_path, arguments, complaint):
    ended = RunningSite(tmp_path).manage(["runworkers", *arguments])

    assert ended.returncode == 1
    assert complaint in ended.stderr
    assert "Traceback" not in ended.stderr


def test_job_enqueued_while_no_server_ran_is_run_when_one_comes(site):
    site.server.stop()
    enqueue = "from tests.support.worker_site.tasks import add; print('handle', add.enqueue(1, b=2).id)"

    session = site.manage(["shell"], code=enqueue)
    handle = session.stdout.split("handle ")[1].strip()
    waiting = site.row(handle)
    site.restart_server()
    site.start_workers()

    assert (waiting["status"], waiting["owner"]) == ("READY", "")
    assert site.await_row(handle, status="SUCCESSFUL")["result"] == b"3"


def test_worker_outlives_a_restart_of_its_server(site):
    site.start_workers()
    site.await_row(site.submit("add", 1, 2), status="SUCCESSFUL")

    site.server.stop()
    site.restart_server()

    site.await_row(site.submit("add", 3, 4), status="SUCCESSFUL")
