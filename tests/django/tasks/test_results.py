"""Results read from job rows: any task's, any peer's, whatever became of the task since."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import SuspiciousOperation
from django.utils import timezone

from gearjobs import GearResult, Progress
from gearjobs.models import Job, JobStatus, StatusDetail
from gearjobs.tasks.backend_lookup import backend_for
from gearjobs.tasks.django_tasks import TaskResultDoesNotExist, TaskResultMismatch, TaskResultStatus
from tests.support.event_loop import in_event_loop
from tests.support.sample_tasks import add, double, resize_picture

pytestmark = pytest.mark.django_db

HANDLE = "H:test:00000000000001"


def make_row(**values) -> Job:
    row = {
        "handle": HANDLE,
        "function": add.function_name,
        "task": add.module_path,
        "queue": "default",
        "backend": "default",
        "payload": b'{"args":[1],"kwargs":{"b":2}}',
    }
    return Job.objects.create(**row | values)


def succeeded(result: bytes) -> dict[str, object]:
    return {
        "status": JobStatus.SUCCESSFUL,
        "status_detail": StatusDetail.SUCCEEDED,
        "result": result,
        "started_at": timezone.now(),
        "last_attempted_at": timezone.now(),
        "finished_at": timezone.now(),
        "attempt": 1,
        "worker_ids": ["worker-1"],
    }


def test_waiting_job_is_read_back():
    row = make_row(priority=7)

    result = add.get_result(HANDLE)

    assert isinstance(result, GearResult)
    assert (result.id, result.status, result.status_detail) == (HANDLE, TaskResultStatus.READY, "waiting")
    assert (result.args, result.kwargs, result.enqueued_at) == ([1], {"b": 2}, row.enqueued_at)
    assert (result.attempts, result.errors, result.progress, result.is_finished) == (0, [], None, False)
    assert result.task == add.using(priority=7)


def test_value_of_a_successful_job_is_read_back():
    make_row(**succeeded(b"3"))

    result = add.get_result(HANDLE)

    assert (result.status, result.is_finished, result.return_value) == (TaskResultStatus.SUCCESSFUL, True, 3)
    assert (result.attempts, result.worker_ids) == (1, ["worker-1"])


def test_unfinished_and_failed_jobs_have_no_value():
    make_row()
    result = add.get_result(HANDLE)

    with pytest.raises(ValueError, match="not finished"):
        _ = result.return_value
    Job.objects.update(status=JobStatus.FAILED)
    result.refresh()
    with pytest.raises(ValueError, match="failed"):
        _ = result.return_value


@pytest.mark.parametrize(
    ("detail", "class_path"),
    [
        (StatusDetail.FAILED, "builtins.ValueError"),
        (StatusDetail.CANCELLED, "gearjobs.errors.JobCancelled"),
        (StatusDetail.LOST, "gearjobs.errors.JobLost"),
    ],
)
def test_failed_job_says_why(detail, class_path):
    make_row(status=JobStatus.FAILED, status_detail=detail, error_class=class_path, error_message="too bad")

    result = add.get_result(HANDLE)

    (error,) = result.errors
    assert (result.status, result.status_detail) == (TaskResultStatus.FAILED, detail.value)
    assert error.exception_class.__name__ == class_path.rpartition(".")[2]
    assert "too bad" in error.traceback


def test_refresh_brings_progress_and_outcome():
    make_row()
    result = add.get_result(HANDLE)

    Job.objects.update(
        status=JobStatus.RUNNING,
        status_detail=StatusDetail.RUNNING,
        progress_numerator=1,
        progress_denominator=4,
        progress_message="one",
    )
    result.refresh()

    assert (result.status, result.status_detail) == (TaskResultStatus.RUNNING, "running")
    assert result.progress == Progress(1.0, 4.0, "one")
    assert result.progress.percent == 25.0


def test_progress_without_a_total_has_no_percentage():
    assert Progress(3.0, 0.0, "three so far").percent is None


@pytest.mark.django_db(transaction=True)
@in_event_loop
async def test_async_twins_read_the_row():
    await Job.objects.acreate(handle=HANDLE, function=add.function_name, task=add.module_path)
    result = await add.aget_result(HANDLE)

    await Job.objects.aupdate(status=JobStatus.RUNNING)
    await result.arefresh()

    assert result.status == TaskResultStatus.RUNNING


def test_job_that_is_not_there_is_named():
    with pytest.raises(TaskResultDoesNotExist, match="H:test:gone"):
        add.get_result("H:test:gone")


def test_result_of_another_task_is_refused():
    make_row()

    with pytest.raises(TaskResultMismatch):
        resize_picture.get_result(HANDLE)


def test_backend_reads_the_result_of_any_task():
    make_row(task="tests.support.sample_tasks.resize_picture", function="resize@slow", queue="slow", priority=10)

    result = backend_for("default").get_result(HANDLE)

    assert result.task == resize_picture.using(queue_name="slow")


def test_scheduled_job_knows_its_time():
    run_at = timezone.now() + timedelta(hours=1)
    make_row(run_at=run_at, status_detail=StatusDetail.SCHEDULED)

    result = add.get_result(HANDLE)

    assert (result.task.run_after, result.status_detail) == (run_at, "scheduled")


def test_job_whose_task_is_gone_is_still_read():
    make_row(task="album.tasks.removed_last_year", function="album.tasks.removed_last_year", **succeeded(b"5"))

    result = backend_for("default").get_result(HANDLE)

    assert (result.return_value, result.task.name) == (5, "removed_last_year")
    assert result.task.module_path == "album.tasks.removed_last_year"
    with pytest.raises(Exception, match="not known to this process"):
        result.task.call()


@pytest.mark.parametrize("path", ["os.system", "gearjobs.models.Job", "tests.support.sample_tasks.remembered"])
def test_path_of_something_that_is_no_task_is_refused(path):
    make_row(task=path)

    with pytest.raises(SuspiciousOperation, match="must be a task"):
        backend_for("default").get_result(HANDLE)


def test_task_of_another_backend_is_found_in_its_module():
    make_row(task=double.module_path, function=double.module_path)

    result = backend_for("default").get_result(HANDLE)

    assert result.task.func is double.func


@pytest.mark.parametrize(
    ("body", "value"), [(b"17 words", "17 words"), (b"\xff", b"\xff"), (b"", ""), (b"[1, 2]", [1, 2])]
)
def test_result_of_a_foreign_worker_is_shown(body, value):
    make_row(task="", function="wc", payload=b"some text", **succeeded(body))

    result = backend_for("default").get_result(HANDLE)

    assert (result.return_value, result.args, result.kwargs) == (value, [], {})


@pytest.mark.parametrize("function", ["resize", "shrink", "resize@slow"])
def test_function_of_a_foreign_client_means_its_task(function):
    make_row(task="", queue="", backend="", function=function)

    result = backend_for("default").get_result(HANDLE)

    assert result.task.func is resize_picture.func
    assert result.backend == "default"
