"""Running what was caught: by the real queue, in order, through retries, limits and delays."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from gearjobs import Progress, chain, gear_task
from gearjobs.models import JobOutput
from gearjobs.tasks.django_tasks import TaskResultStatus, task_finished, task_started
from tests.support import sample_tasks
from tests.support.sample_tasks import add, count, double, fail, remember, wait_and_add
from tests.support.task_settings import GEARMAN

in_a_transaction = pytest.mark.django_db


def names(results):
    return [result.task.name for result in results]


@gear_task(rate="1/m")
def once_a_minute(value: int) -> None:
    sample_tasks.remembered.append(value)


@pytest.mark.usefixtures("anywhere")
def test_performed_job_ends_and_is_enqueued_no_more(gearjobs, remembered):
    remember.enqueue("a")
    assert remembered == []

    (ended,) = gearjobs.perform_enqueued()

    assert remembered == ["a"]
    assert (ended.status, ended.return_value) == (TaskResultStatus.SUCCESSFUL, None)
    assert gearjobs.enqueued == []
    assert names(gearjobs.performed) == ["remember"]


@pytest.mark.usefixtures("anywhere")
def test_tasks_of_every_kind_are_performed(gearjobs):
    for result in (add.enqueue(1, 2), wait_and_add.enqueue(3, 4), count.enqueue(2)):
        assert result.status == TaskResultStatus.READY

    ended = {result.task.func.__name__: result.return_value for result in gearjobs.perform_enqueued()}

    assert ended == {"add": 3, "wait_and_add": 7, "count": [1, 2]}


@in_a_transaction
def test_task_of_djangos_own_decorator_is_performed(gearjobs, settings):
    settings.TASKS = GEARMAN
    double.enqueue(4)

    gearjobs.assert_enqueued(double, args=[4])
    assert gearjobs.perform_enqueued()[0].return_value == 8


@in_a_transaction
def test_performed_job_has_the_row_a_worker_would_leave(gearjobs):
    result = count.enqueue(2)

    gearjobs.perform_enqueued()

    result.refresh()
    assert (result.return_value, result.attempts, result.worker_ids) == ([1, 2], 1, ["gearjobs.testing"])
    assert result.progress == Progress(2, 2, "number 2")
    assert [bytes(piece.body) for piece in JobOutput.objects.filter(job=result.id)] == [b'{"seen":2}', b"nearly done"]


@in_a_transaction
def test_most_urgent_job_is_performed_first(gearjobs, remembered):
    for priority in (1, 100, -5, 50):
        remember.using(priority=priority).enqueue(priority)

    gearjobs.perform_enqueued()

    assert remembered == [100, 50, 1, -5]


@pytest.mark.usefixtures("anywhere")
def test_one_task_is_performed_alone(gearjobs, remembered):
    remember.enqueue("a")
    add.enqueue(1)

    assert names(gearjobs.perform_enqueued(remember)) == ["remember"]
    gearjobs.assert_enqueued(add, count=1)


@pytest.mark.usefixtures("anywhere")
def test_failure_of_a_performed_job_is_raised_after_all_have_run(gearjobs, remembered):
    fail.enqueue("too bad")
    remember.enqueue("after")

    with pytest.raises(ValueError, match="too bad") as raised:
        gearjobs.perform_enqueued()

    assert remembered == ["after"]
    assert "of fail" in raised.value.__notes__[0]


@pytest.mark.usefixtures("anywhere")
def test_failures_can_be_looked_at_instead(gearjobs):
    fail.enqueue("too bad")
    fail.enqueue("worse")

    ended = gearjobs.perform_enqueued(raise_errors=False)

    assert [result.status for result in ended] == [TaskResultStatus.FAILED] * 2
    assert ended[0].errors[0].exception_class is ValueError


@in_a_transaction
def test_several_failures_are_named(gearjobs):
    fail.enqueue("too bad")
    fail.enqueue("worse")

    with pytest.raises(ValueError, match="too bad") as raised:
        gearjobs.drain()

    assert raised.value.__notes__[1] == "1 more failed: fail"


@pytest.mark.usefixtures("anywhere")
def test_failed_job_that_is_tried_again_waits_for_its_time(gearjobs, remembered):
    sample_tasks.succeed_at_the_third.enqueue("a")

    assert gearjobs.perform_enqueued() == []
    assert gearjobs.perform_enqueued() == []
    assert remembered == [("a", 1)]
    (waiting,) = gearjobs.enqueued
    assert waiting.status == TaskResultStatus.READY

    gearjobs.perform_enqueued(at=timezone.now() + timedelta(seconds=90))
    assert remembered == [("a", 1), ("a", 2)]


@pytest.mark.usefixtures("anywhere")
def test_draining_tries_again_without_waiting(gearjobs, remembered):
    sample_tasks.succeed_at_the_third.enqueue("a")

    (ended,) = gearjobs.drain()

    assert ended.return_value == 3
    assert remembered == [("a", 1), ("a", 2), ("a", 3)]


@in_a_transaction
def test_every_attempt_is_on_record(gearjobs):
    result = sample_tasks.fail_twice.enqueue()

    with pytest.raises(ConnectionError, match="not at all"):
        gearjobs.drain()

    result.refresh()
    assert (result.status, result.attempts, len(result.errors)) == (TaskResultStatus.FAILED, 2, 2)


@in_a_transaction
def test_jobs_of_one_unique_are_run_once(gearjobs, remembered):
    results = [remember.using(unique="once").enqueue(value) for value in ("a", "b")]

    gearjobs.drain()

    for result in results:
        result.refresh()
    assert remembered == ["a"]
    assert results[0].status_detail == "succeeded"


@in_a_transaction
def test_draining_brings_the_time_that_limits_want(gearjobs, remembered):
    for value in range(3):
        once_a_minute.enqueue(value)

    assert len(gearjobs.perform_enqueued()) == 1
    gearjobs.drain()

    assert remembered == [0, 1, 2]


@in_a_transaction
def test_job_that_expires_before_it_is_run_never_runs(gearjobs, remembered):
    result = remember.using(expires=60).enqueue("a")

    gearjobs.perform_enqueued(at=timezone.now() + timedelta(minutes=2))

    result.refresh()
    assert (result.status_detail, remembered) == ("expired", [])


@in_a_transaction
def test_chain_is_drained_in_its_order(gearjobs, remembered):
    whole = chain(add.s(1), add.s(2), remember.s()).enqueue()

    gearjobs.drain()

    assert remembered == [4]
    assert [result.status for result in whole.results] == ["SUCCESSFUL"] * 3


@pytest.mark.usefixtures("anywhere")
def test_leaving_a_job_leaves_the_test(gearjobs):
    sample_tasks.interrupt.enqueue()

    with pytest.raises(KeyboardInterrupt):
        gearjobs.perform_enqueued()


@pytest.mark.usefixtures("anywhere")
def test_delayed_job_waits_for_its_time(gearjobs, remembered):
    remember.using(run_after=timedelta(hours=1)).enqueue("later")

    assert gearjobs.perform_enqueued() == []
    assert remembered == []
    gearjobs.perform_enqueued(at=timezone.now() + timedelta(hours=2))
    assert remembered == ["later"]


@pytest.mark.usefixtures("anywhere")
def test_draining_brings_the_time_of_delayed_jobs(gearjobs, remembered):
    remember.using(run_after=timedelta(days=2)).enqueue("last")
    remember.using(run_after=timedelta(days=1)).enqueue("middle")
    remember.enqueue("first")

    assert len(gearjobs.drain()) == 3
    assert remembered == ["first", "middle", "last"]
    assert gearjobs.enqueued == []


@pytest.mark.usefixtures("anywhere")
def test_performing_leaves_what_jobs_enqueue_and_draining_does_not(gearjobs, remembered):
    sample_tasks.enqueue_a_chain.enqueue(2)

    assert len(gearjobs.perform_enqueued()) == 1
    gearjobs.assert_enqueued(sample_tasks.enqueue_a_chain, args=[1])
    assert len(gearjobs.drain()) == 2


@pytest.mark.usefixtures("anywhere")
def test_draining_ends_where_jobs_enqueue_each_other_without_end(gearjobs):
    sample_tasks.enqueue_a_chain.enqueue(1_000)

    with pytest.raises(AssertionError, match=r"still enqueued after 20 runs\. Enqueued: enqueue_a_chain"):
        gearjobs.drain(limit=20)


@in_a_transaction
def test_signals_frame_a_performed_job(gearjobs):
    heard = []

    def hear(task_result, signal, **_):
        heard.append((signal, task_result.status))

    task_started.connect(hear)
    task_finished.connect(hear)
    add.enqueue(1)

    gearjobs.perform_enqueued()

    assert heard == [(task_started, TaskResultStatus.RUNNING), (task_finished, TaskResultStatus.SUCCESSFUL)]


@in_a_transaction
def test_what_a_job_puts_off_to_its_commit_is_done_once(gearjobs, remembered, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        transaction.on_commit(lambda: remembered.append("the test's"))
        sample_tasks.remember_on_commit.enqueue("the job's")
        gearjobs.perform_enqueued()
        assert remembered == ["the job's"]

    assert remembered == ["the job's", "the test's"]


@in_a_transaction
def test_queries_of_a_performed_job_can_be_counted(gearjobs, django_assert_max_num_queries):
    add.enqueue(1)

    with django_assert_max_num_queries(100) as queries:
        gearjobs.perform_enqueued()

    assert any("UPDATE" in query["sql"] for query in queries)
