"""`gearjobs_server` and `gearjobs_worker`: a real job server and a real worker for a test."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import transaction

from gearjobs import GearResult
from gearjobs.errors import DeadlineExceeded, StoreError, UsageError
from gearjobs.models import Job
from gearjobs.tasks import job_client
from gearjobs.tasks.django_tasks import TaskResultStatus
from gearjobs.testing import JobServerThread
from tests.support.sample_tasks import add, fail, wait_and_add


@pytest.mark.usefixtures("gearjobs_worker")
def test_job_runs_on_the_worker(gearjobs_server):
    results: list[GearResult[Any]] = [add.enqueue(1, 2), wait_and_add.enqueue(3, 4), fail.enqueue("too bad")]

    gearjobs_server.wait_until_idle()

    for result in results:
        result.refresh()
    assert [result.status for result in results] == ["SUCCESSFUL", "SUCCESSFUL", "FAILED"]
    assert (results[0].return_value, results[1].return_value) == (3, 7)
    assert results[0].worker_ids == ["gearjobs.testing-worker"]


@pytest.mark.usefixtures("gearjobs_worker")
def test_job_of_a_transaction_runs_once_it_is_committed(gearjobs_server):
    with transaction.atomic():
        result = add.enqueue(1, 2)

    gearjobs_server.wait_until_idle()

    result.refresh()
    assert result.status == TaskResultStatus.SUCCESSFUL


@pytest.mark.usefixtures("gearjobs_worker")
def test_foreground_call_is_answered():
    assert add.do(1, 2) == 3


def test_job_without_a_worker_waits(gearjobs_server):
    result = add.enqueue(1)

    with pytest.raises(DeadlineExceeded, match=f"job {result.id} was still waiting after 0.05 s"):
        gearjobs_server.wait_until_idle(timeout_s=0.05)
    assert Job.objects.get().owner


def test_nothing_is_left_of_the_server(transactional_db):
    before = threading.active_count()

    with JobServerThread() as server:
        assert job_client.stand_ins
        add.enqueue(1)

    assert not job_client.stand_ins
    assert threading.active_count() == before
    assert not server._thread.is_alive()


@pytest.mark.django_db
def test_server_inside_a_transaction_is_refused():
    with pytest.raises(UsageError, match="use TransactionTestCase"):
        JobServerThread().start()


@pytest.mark.django_db(transaction=True)
def test_server_on_a_database_in_memory_is_refused(settings, django_alias):
    alias = django_alias({"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"})
    settings.GEARJOBS = {"DATABASE": alias}

    with pytest.raises(UsageError, match="the path of a file"):
        JobServerThread().start()


@pytest.mark.django_db(transaction=True)
def test_why_a_server_does_not_start_is_told(settings, django_alias, tmp_path):
    settings.GEARJOBS = {
        "DATABASE": django_alias({"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "empty.sqlite3")})
    }

    with pytest.raises(StoreError, match="migrate"):
        JobServerThread().start()
