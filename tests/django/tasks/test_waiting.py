"""Waiting for results: the value, the exceptions, the deadline, and where nobody can wait."""

from __future__ import annotations

import asyncio
import itertools
import threading
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, transaction
from django.test import override_settings
from django.utils import timezone

from gearjobs import (
    Attempt,
    DeadlineExceeded,
    JobCancelled,
    JobDead,
    JobExpired,
    JobFailed,
    JobLost,
    JobTimedOut,
    UsageError,
)
from gearjobs.models import Job
from gearjobs.tasks.django_tasks import TaskResultDoesNotExist
from gearjobs.tasks.waiting import pauses
from tests.support.event_loop import in_event_loop
from tests.support.job_rows import make_job
from tests.support.sample_tasks import add, fail
from tests.support.task_settings import DUMMY, IMMEDIATE

outside_a_transaction = pytest.mark.django_db(transaction=True)


def row_of(detail: str, **fields):
    return add.get_result(make_job(detail, function=add.function_name, task=add.module_path, **fields).handle)


@pytest.mark.django_db
def test_value_of_an_ended_job_comes_at_once():
    assert row_of("succeeded", result=b"3").wait(0) == 3


@pytest.mark.django_db
def test_result_is_read_again_where_its_job_has_ended_since():
    result = row_of("running")
    Job.objects.update(status="SUCCESSFUL", status_detail="succeeded", finished_at=timezone.now(), result=b"3")

    assert result.wait(0) == 3
    assert result.is_finished


@outside_a_transaction
def test_end_is_noticed_while_waiting():
    result = row_of("running")

    def end():
        Job.objects.update(status="SUCCESSFUL", status_detail="succeeded", finished_at=timezone.now(), result=b"3")
        connection.close()

    ending = threading.Timer(0.05, end)
    ending.start()

    assert result.wait(10) == 3
    ending.join()


@outside_a_transaction
@in_event_loop
async def test_coroutine_can_wait_too():
    result = await sync_to_async(row_of)("succeeded", result=b"3")

    assert await result.await_(1) == 3


@outside_a_transaction
def test_job_that_does_not_end_in_time_goes_on():
    result = row_of("running")

    with pytest.raises(DeadlineExceeded, match=r"add did not end within 0.02 s"):
        result.wait(0.02)

    assert Job.objects.get().status == "RUNNING"


@outside_a_transaction
@in_event_loop
async def test_coroutine_notices_the_end_while_waiting():
    result = await sync_to_async(row_of)("running")
    waiting = asyncio.create_task(result.await_(10))
    await asyncio.sleep(0)

    await sync_to_async(Job.objects.update)(
        status="SUCCESSFUL", status_detail="succeeded", finished_at=timezone.now(), result=b"3"
    )

    assert await waiting == 3


@outside_a_transaction
@in_event_loop
async def test_coroutine_does_not_wait_too_long():
    result = await sync_to_async(row_of)("running")

    with pytest.raises(DeadlineExceeded):
        await result.await_(0.02)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("detail", "error"),
    [
        ("cancelled", JobCancelled),
        ("expired", JobExpired),
        ("timed_out", JobTimedOut),
        ("lost", JobLost),
        ("dead", JobDead),
    ],
)
def test_end_without_a_value_is_raised_as_what_it_was(detail, error):
    result = row_of(detail, error_class="x.Y", error_message="killed by signal 9")

    with pytest.raises(error) as raised:
        result.wait()

    assert type(raised.value) is error
    assert str(raised.value) == "killed by signal 9"


@pytest.mark.django_db
def test_failure_is_raised_with_its_class_and_message():
    result = row_of("failed", error_class="builtins.ValueError", error_message="too bad", error_traceback="Traceback")

    with pytest.raises(JobFailed) as raised:
        result.wait()

    assert (raised.value.class_path, raised.value.message) == ("builtins.ValueError", "too bad")


@pytest.mark.django_db
def test_nobody_waits_in_a_transaction_that_would_not_see_the_end():
    result = row_of("running")

    with transaction.atomic(), pytest.raises(UsageError, match="wait after the commit"):
        result.wait(5)


@outside_a_transaction
def test_job_that_is_gone_is_not_waited_for():
    result = row_of("running")
    Job.objects.all().delete()

    with pytest.raises(TaskResultDoesNotExist):
        result.wait(5)


@override_settings(TASKS=IMMEDIATE)
def test_result_of_the_immediate_backend_needs_no_waiting():
    assert add.enqueue(1).wait() == 2
    with pytest.raises(JobFailed) as raised:
        fail.enqueue("too bad").wait()
    assert (raised.value.class_path, raised.value.message) == ("builtins.ValueError", "too bad")


@override_settings(TASKS=DUMMY)
def test_results_of_a_backend_that_keeps_none_cannot_be_waited_for():
    with pytest.raises(UsageError, match="DummyBackend"):
        add.enqueue(1).wait(1)


def test_pauses_grow_with_the_time_waited_and_end_with_it(monkeypatch):
    clock = itertools.accumulate(itertools.chain([100.0, 0.0, 1.0, 3.0], itertools.repeat(5.9)))
    monkeypatch.setattr("gearjobs.tasks.waiting.time.monotonic", lambda: next(clock))

    assert list(pauses(10.0)) == pytest.approx([0.002, 0.25, 1.0, 0.1])


def test_attempts_know_how_long_they_took():
    now = timezone.now()
    known = Attempt(number=1, worker_id="w", started_at=now - timedelta(seconds=3), ended_at=now, outcome="failed")

    assert known.duration == timedelta(seconds=3)
    assert Attempt(number=1, worker_id="w", started_at=None, ended_at=now, outcome="lost").duration is None
