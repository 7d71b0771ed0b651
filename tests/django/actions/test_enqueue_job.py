"""Enqueuing jobs by hand: calls of tasks as their `enqueue` makes them, and payloads of any function."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from gearjobs.actions.enqueue_again import copy_job
from gearjobs.actions.enqueue_job import AnyTask, called_by, enqueue_call, enqueue_payload
from gearjobs.errors import ServerError, UsageError
from gearjobs.models import Job, OperatorAction
from gearjobs.tasks.payload import PAYLOAD_LIMIT_BYTES
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.few_tasks import add
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def client():
    with client_in_place(FakeClient()) as client:
        yield client


def on_slow() -> AnyTask:
    task = called_by(f"{add.function_name}@slow")
    assert task is not None
    return task


def test_function_names_the_task_and_its_queue():
    assert called_by(add.function_name) is add
    assert on_slow().queue_name == "slow"
    assert called_by("php-resize") is None
    assert called_by("php-resize@slow") is None


def test_call_is_enqueued_as_the_task_would():
    due = timezone.now() + timedelta(hours=1)

    handle = enqueue_call(on_slow(), [1], {"b": 2}, priority=7, run_at=due)

    job = Job.objects.get()
    assert (job.pk, job.function, job.queue) == (handle, f"{add.function_name}@slow", "slow")
    assert bytes(job.payload) == b'{"args":[1],"kwargs":{"b":2}}'
    assert (job.priority, job.run_at) == (7, due)
    assert OperatorAction.objects.get().target == handle


@pytest.mark.parametrize(("kwargs", "priority"), [({"c": 1}, None), ({"a": 1, "b": 2}, 101)])
def test_call_that_cannot_be_is_refused(kwargs, priority):
    with pytest.raises(UsageError):
        enqueue_call(add, [], kwargs, priority=priority)

    assert not Job.objects.exists()
    assert not OperatorAction.objects.exists()


def test_payload_is_enqueued_as_it_is():
    enqueue_payload("php-resize", b"\x00raw", priority=-3)

    job = Job.objects.get()
    assert (job.function, bytes(job.payload), job.priority) == ("php-resize", b"\x00raw", -3)


def test_payload_without_a_function_or_too_long_is_refused():
    with pytest.raises(UsageError):
        enqueue_payload("", b"")
    with pytest.raises(UsageError):
        enqueue_payload("f" * 513, b"")
    with pytest.raises(UsageError):
        enqueue_payload("php-resize", b"x" * (PAYLOAD_LIMIT_BYTES + 1))

    assert not Job.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_refusal_of_the_server_is_told(client):
    client.refusal = ServerError("QUEUE_FULL", "no more")

    with pytest.raises(ServerError):
        enqueue_payload("php-resize", b"")

    assert not OperatorAction.objects.exists()


def test_enqueuing_takes_the_permission():
    clerk = User.objects.create_user("clerk")

    with pytest.raises(PermissionDenied):
        enqueue_call(add, [1, 2], {}, user=clerk)
    with pytest.raises(PermissionDenied):
        enqueue_payload("php-resize", b"", user=clerk)


def test_copy_has_the_payload_priority_and_time_that_are_said():
    due = timezone.now() + timedelta(hours=1)
    job = make_job("failed", payload=b"old", priority=5)

    same = Job.objects.get(pk=copy_job(job))
    other = Job.objects.get(pk=copy_job(job, payload=b"new", priority=9, run_at=due))

    assert (bytes(same.payload), same.priority, same.run_at) == (b"old", 5, None)
    assert (bytes(other.payload), other.priority, other.run_at) == (b"new", 9, due)
    assert other.metadata["gearjobs.copy_of"] == job.handle


def test_copy_with_another_payload_takes_the_permission_to_enqueue():
    clerk = User.objects.create_user("clerk")
    clerk.user_permissions.add(Permission.objects.get(codename="retry_job"))
    clerk = User.objects.get(pk=clerk.pk)
    job = make_job("failed")

    copy_job(job, user=clerk)
    with pytest.raises(PermissionDenied):
        copy_job(job, user=clerk, payload=b"new")


def test_job_with_a_reducer_is_not_copied():
    with pytest.raises(UsageError):
        copy_job(make_job("failed", reducer="sum"))

    assert Job.objects.count() == 1
