"""Database connections around jobs that leave them in disorder."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections, transaction

from gearjobs.tasks.connection_care import close_after_job, open_for_job
from gearjobs.tasks.execution import run_job
from gearjobs.tasks.payload import encode_call
from tests.support import sample_tasks
from tests.support.fake_client import FakeRunningJob


def run(task, *args, **state) -> None:
    job = FakeRunningJob(encode_call(args, {}))
    for name, value in state.items():
        setattr(job, name, value)
    run_job(job, task=task, worker_id="worker-1")


@pytest.mark.django_db(transaction=True)
def test_transaction_a_job_left_open_is_rolled_back(caplog):
    def insert() -> None:
        transaction.atomic().__enter__()
        User.objects.create(username="left open")

    sample_tasks.to_do[:] = [insert]
    run(sample_tasks.do_as_told)

    assert "left open" in caplog.text
    assert not connection.in_atomic_block
    assert User.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_what_follows_a_commit_in_a_job_is_done_in_it():
    steps = []

    def insert() -> None:
        with transaction.atomic():
            transaction.on_commit(lambda: steps.append("committed"))
            steps.append("inserting")
        transaction.on_commit(lambda: steps.append("at once"))

    sample_tasks.to_do[:] = [insert]
    run(sample_tasks.do_as_told)

    assert steps == ["inserting", "committed", "at once"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("state", [{"is_warned": True}, {"is_cancel_asked": True}])
def test_connection_of_an_interrupted_job_is_closed(monkeypatch, state):
    closed: list[str] = []
    connections["default"].close_at = None
    # SQLite in memory does not let go of its only connection.
    monkeypatch.setattr(connections["default"], "close", lambda: closed.append("default"))

    sample_tasks.to_do[:] = [lambda: None]
    run(sample_tasks.do_as_told)
    assert closed == []

    run(sample_tasks.do_as_told, **state)
    assert closed == ["default"]


@pytest.mark.django_db
def test_transaction_around_a_job_is_left_alone():
    User.objects.create(username="a test's")

    sample_tasks.to_do[:] = [lambda: None]
    run(sample_tasks.do_as_told, is_warned=True)

    assert connection.in_atomic_block
    assert User.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_queries_of_a_job_are_forgotten_before_the_next(settings):
    settings.DEBUG = True
    User.objects.count()

    open_for_job()

    assert len(connection.queries_log) == 0


@pytest.mark.django_db(transaction=True)
def test_thread_without_connections_has_nothing_to_close():
    connections.close_all()

    close_after_job("H:a:1", were_open=open_for_job(), is_interrupted=False)
