"""`gearjobs.testing.JobCapture` and its fixture: what a test enqueues is seen, and run when the test says so."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import transaction
from django.test import TestCase

import gearjobs.testing
from gearjobs import JobFailed, ServerUnavailable, job_request
from gearjobs.models import Job
from gearjobs.tasks import job_client
from gearjobs.tasks.django_tasks import TaskResultStatus
from gearjobs.testing import JobCapture
from tests.support import sample_tasks
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.sample_tasks import add, echo, fail, remember, resize_picture
from tests.support.task_settings import IMMEDIATE

in_a_transaction = pytest.mark.django_db
outside_of_one = pytest.mark.django_db(transaction=True)


class Undone(Exception):
    """Rolls a transaction back."""


def gearjobs_client():
    return job_client.client_of(["127.0.0.1:4730"])


def names(results):
    return [result.task.name for result in results]


@pytest.mark.usefixtures("anywhere")
def test_enqueued_call_is_asserted_by_its_arguments(gearjobs):
    add.enqueue(1, b=2)

    found = gearjobs.assert_enqueued(add, args=(1,), kwargs={"b": 2}, count=1)

    assert (found.args, found.kwargs, found.status) == ([1], {"b": 2}, TaskResultStatus.READY)
    gearjobs.assert_enqueued(add)
    gearjobs.assert_not_enqueued(echo)
    gearjobs.assert_not_enqueued(add, args=(2,))


@pytest.mark.usefixtures("anywhere")
@pytest.mark.parametrize(
    "wrong",
    [{"args": (2,)}, {"kwargs": {"b": 3}}, {"count": 2}, {"priority": 1}, {"queue_name": "images"}],
)
def test_assertion_fails_and_says_what_is_enqueued(gearjobs, wrong):
    add.enqueue(1, b=2)

    with pytest.raises(AssertionError, match=r"add\(.*Enqueued: add\(1, b=2\)"):
        gearjobs.assert_enqueued(add, **wrong)


@pytest.mark.usefixtures("anywhere")
def test_assertion_that_nothing_is_enqueued(gearjobs):
    gearjobs.assert_not_enqueued()
    with pytest.raises(AssertionError, match=r"at least once, found 0\. Enqueued: nothing"):
        gearjobs.assert_enqueued(add)

    add.enqueue(1)

    with pytest.raises(AssertionError, match="expected nothing to be enqueued, found 1"):
        gearjobs.assert_not_enqueued()
    with pytest.raises(AssertionError, match=r"expected no add\(1, \*\*...\) to be enqueued"):
        gearjobs.assert_not_enqueued(add, args=[1])


@pytest.mark.usefixtures("anywhere")
def test_arguments_are_compared_as_json_has_them(gearjobs):
    echo.enqueue((1, 2), word=b"x")

    gearjobs.assert_enqueued(echo, args=([1, 2],), kwargs={"word": "x"})
    gearjobs.assert_enqueued(echo, args=((1, 2),), kwargs={"word": b"x"})


@pytest.mark.usefixtures("anywhere")
def test_options_of_the_call_can_be_asserted(gearjobs):
    resize_picture.using(queue_name="slow", priority=3).enqueue("a.jpg")

    gearjobs.assert_enqueued(resize_picture, queue_name="slow", priority=3)


@in_a_transaction
def test_enqueued_job_can_be_cancelled(gearjobs, remembered):
    result = remember.enqueue("a")

    assert result.cancel()

    gearjobs.assert_not_enqueued(remember)
    assert gearjobs.drain() == []
    assert remembered == []


@pytest.mark.usefixtures("anywhere")
def test_cleared_jobs_are_forgotten(gearjobs, remembered):
    remember.enqueue("a")

    gearjobs.clear()

    assert gearjobs.drain() == []
    assert remembered == []


@pytest.mark.usefixtures("anywhere")
def test_foreground_call_is_run_here(gearjobs):
    assert add.do(1, 2) == 3
    assert sample_tasks.count.do(2) == [1, 2]
    with pytest.raises(JobFailed, match="ValueError: too bad"):
        fail.do("too bad")
    assert gearjobs.enqueued == []


@outside_of_one
def test_job_that_a_coroutine_enqueues_without_a_thread_is_caught(gearjobs):
    async def enqueue():
        add.enqueue(1, 2)

    asyncio.run(enqueue())

    gearjobs.assert_enqueued(add, count=1)
    assert gearjobs.perform_enqueued()[0].return_value == 3


@outside_of_one
@pytest.mark.parametrize("block", ["outer", "inner"])
def test_job_that_is_rolled_back_is_not_enqueued(gearjobs, block):
    with suppress(Undone), transaction.atomic():
        with suppress(Undone), transaction.atomic():
            add.enqueue(1)
            gearjobs.assert_enqueued(add)
            if block == "inner":
                raise Undone
        if block == "outer":
            raise Undone

    gearjobs.assert_not_enqueued()


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_job_waits_for_the_commit_of_another_database(gearjobs):
    with transaction.atomic(using="other"):
        add.enqueue(1)
        gearjobs.assert_not_enqueued()

    gearjobs.assert_enqueued(add)


@outside_of_one
def test_immediate_job_has_ended_when_it_is_enqueued(gearjobs_immediate):
    result = add.enqueue(1, 2)

    assert (result.status, result.return_value, result.attempts) == (TaskResultStatus.SUCCESSFUL, 3, 1)
    assert names(gearjobs_immediate.performed) == ["add"]
    assert Job.objects.get().status_detail == "succeeded"


def test_immediate_job_needs_no_database(gearjobs_immediate):
    assert add.enqueue(1, 2).return_value == 3


@outside_of_one
def test_failure_of_an_immediate_job_is_its_own(gearjobs_immediate):
    result = fail.enqueue("too bad")

    assert (result.status, result.errors[0].exception_class) == (TaskResultStatus.FAILED, ValueError)


@outside_of_one
def test_immediate_job_of_a_transaction_runs_at_its_commit(gearjobs_immediate, remembered):
    with transaction.atomic():
        remember.enqueue("a")
        assert remembered == []
    with suppress(Undone), transaction.atomic():
        remember.enqueue("b")
        raise Undone

    assert remembered == ["a"]


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_immediate_job_of_another_databases_transaction_runs_at_its_commit(gearjobs, remembered):
    with gearjobs.immediate(on_commit=False):
        with transaction.atomic(using="other"):
            remember.enqueue("a")
            assert remembered == []

        assert remembered == ["a"]


@in_a_transaction
def test_immediate_jobs_need_not_wait_for_the_commit(gearjobs, remembered):
    with gearjobs.immediate(on_commit=False):
        remember.enqueue("a")
        assert remembered == ["a"]

    remember.enqueue("b")
    assert remembered == ["a"]


@in_a_transaction
def test_immediate_job_may_enqueue_another(gearjobs):
    with gearjobs.immediate(on_commit=False):
        result = sample_tasks.enqueue_a_chain.enqueue(2)

    assert result.status == TaskResultStatus.SUCCESSFUL
    assert [one.args for one in gearjobs.performed] == [[0], [1], [2]]


@in_a_transaction
def test_delayed_job_is_not_immediate(gearjobs):
    with gearjobs.immediate(on_commit=False):
        add.using(run_after=timedelta(hours=1)).enqueue(1)

    gearjobs.assert_enqueued(add)


class CapturedTests(TestCase):
    """In Django's TestCase, whose transaction never commits."""

    def test_immediate_job_runs_where_commits_are_played(self):
        with JobCapture() as capture, capture.immediate():
            with self.captureOnCommitCallbacks(execute=True):
                result = add.enqueue(1, 2)
                capture.assert_enqueued(add)

            assert result.return_value == 3


def test_function_that_nobody_answers_to_is_told(gearjobs):
    with pytest.raises(JobFailed, match="no task of this process answers to the function 'nobody'"):
        gearjobs_client().do("nobody", b"")


def test_servers_are_not_asked_what_only_they_know(gearjobs):
    with pytest.raises(ServerUnavailable, match="this test catches its jobs"):
        gearjobs_client().get_status("H:1")
    with pytest.raises(ServerUnavailable, match="this test catches its jobs"):
        gearjobs_client().start("f", b"")
    with pytest.raises(ServerUnavailable, match="this test catches its jobs"):
        gearjobs_client().do_all([job_request("f", b"")])


def test_package_names_what_it_has():
    assert "JobCapture" in dir(gearjobs.testing)
    with pytest.raises(AttributeError, match=r"'gearjobs\.testing' has no attribute 'JobSpy'"):
        _ = gearjobs.testing.JobSpy


def test_other_backends_jobs_are_not_caught(gearjobs, settings):
    settings.TASKS = IMMEDIATE

    add.enqueue(1)

    assert gearjobs.enqueued == []


@outside_of_one
def test_job_servers_are_asked_again_after_the_test():
    with client_in_place(FakeClient()) as client:
        with JobCapture():
            add.enqueue(1)
        assert client.submitted == []

        add.enqueue(2)

    assert len(client.submitted) == 1
