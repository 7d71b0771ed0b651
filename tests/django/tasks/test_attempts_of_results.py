"""A result tells of every attempt: those that failed, those whose worker was lost, and the one that ended the job."""

from __future__ import annotations

import pytest

from gearjobs.models import Job
from gearjobs.tasks.django_tasks import TaskResultStatus
from tests.support.job_rows import make_attempt, make_job
from tests.support.sample_tasks import add

pytestmark = pytest.mark.django_db


def result_of(job: Job):
    Job.objects.filter(pk=job.pk).update(function=add.function_name, task=add.module_path)
    return add.get_result(job.handle)


def test_errors_of_all_attempts_are_told_in_order():
    job = make_job("failed", attempt=3, error_class="builtins.ValueError", error_message="last")
    make_attempt(job, 2, outcome="lost", error_class="gearjobs.errors.JobLost", error_traceback="")
    make_attempt(job, 1)

    result = result_of(job)

    assert [(error.exception_class_path, error.traceback) for error in result.errors] == [
        ("album.errors.Broken", "Traceback 1"),
        ("gearjobs.errors.JobLost", "gearjobs.errors.JobLost: broken 2"),
        ("builtins.ValueError", "builtins.ValueError: last"),
    ]
    assert result.error_message == "last"


@pytest.mark.parametrize(("detail", "message"), [("retrying", "broken 1"), ("succeeded", "")])
def test_error_of_an_earlier_attempt_is_the_message_only_while_the_job_is_tried_again(detail, message):
    job = make_job(detail, attempt=2)
    make_attempt(job, 1)

    assert result_of(job).error_message == message


def test_attempts_are_told_with_worker_and_times():
    job = make_job("succeeded", attempt=2)
    row = make_attempt(job)

    (attempt,) = result_of(job).attempts_log

    assert (attempt.number, attempt.worker_id, attempt.outcome) == (1, "worker-1", "failed")
    assert (attempt.started_at, attempt.ended_at) == (row.started_at, row.ended_at)
    assert (attempt.error_class, attempt.error_message, attempt.traceback) == (
        "album.errors.Broken",
        "broken 1",
        "Traceback 1",
    )


def test_job_that_waits_for_its_second_attempt_tells_of_the_first():
    job = make_job("retrying", attempt=1)
    make_attempt(job)

    result = result_of(job)

    assert (result.status, result.status_detail, len(result.errors)) == (TaskResultStatus.READY, "retrying", 1)
    assert result.error_message == "broken 1"


@pytest.mark.parametrize("detail", ["waiting", "running", "succeeded", "failed"])
def test_job_of_one_attempt_costs_no_further_query(django_assert_num_queries, detail):
    job = make_job(detail, function=add.function_name, task=add.module_path)

    with django_assert_num_queries(1):
        assert add.get_result(job.handle).attempts_log == []


def test_joined_job_has_the_attempts_value_and_end_of_the_other():
    holder = make_job("succeeded", attempt=2, result=b"3")
    make_attempt(holder)
    joined = make_job("cancelled", joined_to=holder.handle, error_class="gearjobs.errors.JobCoalesced")

    result = result_of(joined)

    assert (result.id, result.return_value, len(result.errors)) == (joined.handle, 3, 1)
    assert result.status_detail == "succeeded"


def test_joined_job_is_waited_for_until_the_other_has_ended():
    holder = make_job("running")
    joined = make_job("cancelled", joined_to=holder.handle)

    result = result_of(joined)

    assert not result.is_finished
    assert result.status is TaskResultStatus.RUNNING
