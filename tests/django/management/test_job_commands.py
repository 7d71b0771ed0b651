"""`jobs_cancel`, `jobs_retry`, `jobs_list` and `jobs_enqueue`, as they are typed."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from gearjobs.core.submission import CancelVerdict
from gearjobs.models import Job
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.job_rows import jobs_run_again, make_job
from tests.support.sample_tasks import add

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def job_server():
    with client_in_place(FakeClient()) as client:
        yield client


def said(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue().strip()


def test_jobs_are_cancelled_by_flags(job_server):
    running = make_job("running", queue="images")
    make_job("waiting", queue="images", owner="")
    job_server.verdicts[running.handle] = CancelVerdict.ASKED

    assert said("jobs_cancel", "--queue-name", "images") == "1 cancelled, 1 running and told to stop"
    assert said("jobs_cancel", "--queue-name", "other") == "no unfinished job matches"


def test_jobs_are_cancelled_by_handle_and_by_force(job_server):
    row = make_job("running")
    job_server.verdicts[row.handle] = CancelVerdict.CANCELLED

    assert said("jobs_cancel", row.handle, "--force", "--verbosity", "2") == f"{row.handle} cancelled\n1 cancelled"
    assert job_server.cancelled == [(row.handle, True)]


def test_job_that_cannot_be_cancelled_fails_the_command(job_server):
    with pytest.raises(CommandError, match="not all jobs could be cancelled: 1 unknown"):
        said("jobs_cancel", "H:none:1")


def test_cancelling_can_be_tried_without_doing_it(job_server):
    for _ in range(3):
        make_job("waiting", queue="images", owner="")

    assert said("jobs_cancel", "--queue-name", "images", "--dry-run") == "3 unfinished jobs would be cancelled"
    assert said("jobs_cancel", "--status", "ready", "--limit", "2", "--dry-run").startswith("2 ")
    assert Job.objects.filter(status="READY").count() == 3


@pytest.mark.parametrize("command", ["jobs_cancel", "jobs_retry"])
def test_commands_that_change_something_want_to_be_told_what(job_server, command):
    with pytest.raises(CommandError, match="at least one thing"):
        said(command)
    with pytest.raises(CommandError, match="got 'funny'"):
        said(command, "--status", "funny")


def test_failed_jobs_run_again(job_server):
    row = make_job("failed", task="shop.tasks.a")

    (line, total) = said("jobs_retry", "--task", "shop.tasks.*", "--at", "2h").splitlines()

    (new,) = jobs_run_again()
    assert (line, total) == (f"{row.handle} -> {new.handle}", "1 jobs enqueued again")
    assert new.run_at is not None
    assert new.run_at.timestamp() == pytest.approx(timezone.now().timestamp() + 7200, abs=60)


def test_job_that_cannot_run_again_fails_the_command(job_server):
    with pytest.raises(CommandError, match="0 jobs enqueued again, 1 refused"):
        said("jobs_retry", make_job("running").handle)


def test_retrying_can_be_tried_without_doing_it(job_server):
    make_job("failed", queue="images")
    make_job("succeeded", queue="images")

    assert said("jobs_retry", "--queue-name", "images", "--dry-run") == "1 jobs would run again"
    assert not jobs_run_again()


def test_jobs_are_listed_newest_first():
    make_job("failed", task="shop.tasks.a", error_class="builtins.ValueError", error_message="too bad\nindeed")
    make_job("waiting", enqueued_at=timezone.now())

    first, second = said("jobs_list").splitlines()

    assert ("waiting" in first, "resize" in first) == (True, True)
    assert "shop.tasks.a  ValueError: too bad" in second
    assert "indeed" not in second
    assert len(said("jobs_list", "--limit", "1").splitlines()) == 1
    assert said("jobs_list", "--status", "dead") == ""


def test_jobs_are_listed_as_json():
    row = make_job("running", metadata={"a": 1})

    job = json.loads(said("jobs_list", row.handle, "--json"))

    assert (job["handle"], job["status"], job["metadata"], job["finished_at"]) == (
        row.handle,
        "RUNNING",
        {"a": 1},
        None,
    )
    assert job["enqueued_at"] == row.enqueued_at.isoformat()
    assert "payload" not in job


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--status", "funny"], "a status must be one of"),
        (["--limit", "0"], "must be a whole number from 1 up, got '0'"),
        (["--enqueued-after", "2026-13-45"], "must be like 2026-01-31"),
    ],
)
def test_mistakes_in_flags_are_said(arguments, words):
    with pytest.raises(CommandError) as error:
        said("jobs_list", *arguments)

    assert words in str(error.value)


def test_jobs_are_listed_by_time():
    now = timezone.now()
    make_job(function="old", enqueued_at=now - timedelta(days=2))
    make_job(function="new", enqueued_at=now - timedelta(minutes=5))

    assert "new" in said("jobs_list", "--enqueued-after", "1h")
    assert "old" in said("jobs_list", "--enqueued-before", (now - timedelta(days=1)).isoformat())
    assert said("jobs_list", "--enqueued-before", "2001-01-01") == ""


def test_task_is_enqueued_by_its_name(job_server):
    handle = said("jobs_enqueue", add.module_path, "--args", "[1]", "--kwargs", '{"b": 2}', "--priority", "5")

    (submitted,) = job_server.submitted
    assert (submitted.handle, submitted.priority) == (handle, 5)
    assert json.loads(submitted.payload) == {"args": [1], "kwargs": {"b": 2}}


def test_task_is_enqueued_by_its_function_for_later_once(job_server):
    said("jobs_enqueue", "resize", "--args", '["a"]', "--run-after", "1h", "--queue-name", "slow", "--unique", "{a}")

    (submitted,) = job_server.submitted
    assert (submitted.function, submitted.unique) == ("resize@slow", "{a}")
    assert submitted.run_at > timezone.now().timestamp()


def test_waiting_says_the_value(job_server):
    row = make_job("succeeded", function=add.function_name, task=add.module_path, result=b'{"sum": 3}')
    job_server.joins = row.handle

    assert said("jobs_enqueue", add.module_path, "--args", "[1]", "--wait") == '{"sum": 3}'


def test_waiting_for_what_fails_fails_the_command(job_server):
    row = make_job("failed", function=add.function_name, error_class="builtins.ValueError", error_message="too bad")
    job_server.joins = row.handle

    with pytest.raises(CommandError, match=r"has no result: ValueError: too bad") as error:
        said("jobs_enqueue", add.module_path, "--args", "[1]", "--wait")

    assert error.value.returncode == 1


def test_waiting_too_long_has_an_exit_code_of_its_own(job_server):
    job_server.joins = make_job("running", function=add.function_name).handle

    with pytest.raises(CommandError, match="did not end within") as error:
        said("jobs_enqueue", add.module_path, "--args", "[1]", "--wait", "0.02")

    assert error.value.returncode == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tests.support.sample_tasks.ad"], "did you mean tests.support.sample_tasks.add?"),
        (["tests.support.sample_tasks.remembered"], "must be a task"),
        ([add.module_path, "--args", "{}"], "must be a JSON list"),
        ([add.module_path, "--kwargs", "[]"], "must be a JSON object"),
        ([add.module_path, "--args", "[1"], "must be JSON"),
        ([add.module_path, "--priority", "900"], "was not enqueued"),
        ([add.module_path, "--run-after", "soon"], "must be like 2026-01-31"),
    ],
)
def test_mistakes_are_said(job_server, arguments, words):
    with pytest.raises(CommandError) as error:
        said("jobs_enqueue", *arguments)

    assert words in str(error.value)
    assert not job_server.submitted


def test_refused_call_fails_the_command(job_server):
    job_server.is_down = True

    with pytest.raises(CommandError, match=r"missing|argument"):
        said("jobs_enqueue", "tests.support.sample_tasks.careful")


def test_moments_are_compared_with_times_without_a_zone(settings):
    settings.USE_TZ = False
    make_job("waiting", task="shop.new")

    assert "new" in said("jobs_list", "--enqueued-after", "2020-01-31T14:00Z")
