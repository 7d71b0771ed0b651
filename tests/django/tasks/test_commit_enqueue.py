"""`enqueue_on_commit`, under our backend and under others."""

from __future__ import annotations

from contextlib import suppress

import pytest
from django.db import transaction
from django.test import override_settings

from gearjobs.models import Job
from gearjobs.tasks.django_tasks import TaskResultStatus
from tests.support.sample_tasks import add, remember
from tests.support.task_settings import IMMEDIATE

outside_a_transaction = pytest.mark.django_db(transaction=True)


class Undone(Exception):
    """Rolls a transaction back."""


@outside_a_transaction
def test_job_is_part_of_the_transaction_and_has_its_id_at_once(job_server):
    with transaction.atomic():
        result = add.enqueue_on_commit(1)
        assert Job.objects.get().handle == result.id

    assert job_server.nudges == 1


@outside_a_transaction
def test_without_a_transaction_it_is_enqueued_at_once(job_server):
    assert add.enqueue_on_commit(1).id == job_server.submitted[0].handle


@outside_a_transaction
@override_settings(TASKS=IMMEDIATE)
def test_other_backends_get_the_call_after_the_commit(remembered):
    with transaction.atomic():
        result = remember.enqueue_on_commit("said")
        assert (remembered, result.status) == ([], TaskResultStatus.READY)
        given = result.id

    assert remembered == ["said"]
    assert (result.status, result.id == given) == (TaskResultStatus.SUCCESSFUL, False)


@outside_a_transaction
@override_settings(TASKS=IMMEDIATE)
def test_other_backends_never_hear_of_what_was_rolled_back(remembered):
    with suppress(Undone), transaction.atomic():
        remember.enqueue_on_commit("said")
        raise Undone

    assert remembered == []


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
@override_settings(TASKS=IMMEDIATE)
def test_transaction_of_another_database_counts_too(remembered):
    with transaction.atomic(using="other"):
        remember.enqueue_on_commit("said")
        assert remembered == []

    assert remembered == ["said"]


@outside_a_transaction
@override_settings(TASKS=IMMEDIATE)
def test_other_backends_get_the_call_at_once_without_a_transaction(remembered):
    assert remember.enqueue_on_commit("said").is_finished
    assert remembered == ["said"]
