"""What a worker process does with a job: signals, context, results, failures, hygiene."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.utils import timezone, translation

from gearjobs import GearContext, Progress
from gearjobs.tasks.backend import GearmanBackend
from gearjobs.tasks.django_tasks import TaskResultStatus, task_finished, task_started
from gearjobs.tasks.execution import run_job
from gearjobs.tasks.payload import PayloadError, encode_call
from gearjobs.tasks.submitter import current_submitter
from tests.support import sample_tasks
from tests.support.fake_client import FakeRunningJob

pytestmark = pytest.mark.django_db


@contextmanager
def heard(signal):
    """Collect what a signal says: the sender, the result, and the exception that was being handled."""
    calls = []

    def hear(sender, task_result, **_):
        calls.append((sender, task_result, task_result.status, sys.exc_info()[1]))

    signal.connect(hear)
    try:
        yield calls
    finally:
        signal.disconnect(hear)


def run(task, *args, **kwargs):
    job = FakeRunningJob(encode_call(args, kwargs))
    return run_job(job, task=task, worker_id="worker-1"), job


def test_result_is_the_json_of_the_value():
    assert run(sample_tasks.add, 2, b=3)[0] == b"5"
    assert run(sample_tasks.resize_picture, "ü")[0] == '{"path":"ü","width":100}'.encode()
    assert run(sample_tasks.remember, 1)[0] == b"null"


def test_coroutine_task_is_awaited():
    assert run(sample_tasks.wait_and_add, 2, 3)[0] == b"5"


def test_plain_task_runs_too():
    assert run(sample_tasks.double, 4)[0] == b"8"


def test_context_reports_to_the_server():
    body, job = run(sample_tasks.count, 2)

    assert body == b"[1,2]"
    assert job.reports == [
        ("progress", 1, 2, "number 1"),
        ("progress", 2, 2, "number 2"),
        ("data", b'{"seen":2}'),
        ("warning", b"nearly done"),
    ]


def test_signals_frame_the_call():
    with heard(task_started) as started, heard(task_finished) as finished:
        run(sample_tasks.add, 2)

    assert [call[0] for call in started + finished] == [GearmanBackend, GearmanBackend]
    assert [call[2] for call in started + finished] == [TaskResultStatus.RUNNING, TaskResultStatus.SUCCESSFUL]
    assert finished[0][1].return_value == 3


def test_result_says_what_the_server_told():
    job = FakeRunningJob(encode_call([2], {}), attempt=2, priority=7, worker_ids=["worker-1", "worker-2"])

    with heard(task_started) as started:
        run_job(job, task=sample_tasks.add, worker_id="worker-2")

    result = started[0][1]
    assert (result.id, result.args, result.attempts, result.worker_ids[-1]) == (job.handle, [2], 2, "worker-2")
    assert (result.task.priority, result.enqueued_at) == (7, datetime.fromtimestamp(job.accepted_at, UTC))
    assert result.started_at is not None
    assert result.last_attempted_at is not None


def test_attempts_are_counted_where_the_server_tells_no_workers():
    job = FakeRunningJob(encode_call([2], {}), attempt=3, worker_ids=[], accepted_at=0.0)

    with heard(task_started) as started:
        run_job(job, task=sample_tasks.add, worker_id="me")

    assert (started[0][1].worker_ids, started[0][1].enqueued_at) == (["me"] * 3, None)


def test_sender_is_our_backend_where_the_tasks_own_is_gone(settings):
    settings.TASKS = {}

    with heard(task_finished) as finished:
        run(sample_tasks.double, 2)

    assert finished[0][0] is GearmanBackend


def test_progress_shows_in_the_result_of_the_signals():
    with heard(task_finished) as finished:
        run(sample_tasks.count, 2)

    assert finished[0][1].progress == Progress(2, 2, "number 2")


def test_failure_is_signalled_while_it_is_handled_and_raised():
    with heard(task_finished) as finished, pytest.raises(ValueError, match="too bad"):
        run(sample_tasks.fail, "too bad")

    _, result, status, handled = finished[0]
    assert status == TaskResultStatus.FAILED
    assert isinstance(handled, ValueError)
    assert result.errors[0].exception_class is ValueError
    assert "too bad" in result.errors[0].traceback


def test_value_without_a_json_form_is_a_failure():
    with heard(task_finished) as finished, pytest.raises(TypeError):
        run(sample_tasks.return_a_date)

    assert finished[0][2] == TaskResultStatus.FAILED


def test_cancelled_coroutine_is_a_failure_of_the_job_only():
    with heard(task_finished) as finished, pytest.raises(asyncio.CancelledError, match="given up"):
        run(sample_tasks.cancel_itself)

    assert finished[0][1].errors[0].exception_class_path == "asyncio.exceptions.CancelledError"


@pytest.mark.parametrize(
    ("task", "leaving"), [(sample_tasks.leave, SystemExit), (sample_tasks.interrupt, KeyboardInterrupt)]
)
def test_leaving_stops_the_worker_and_is_no_failure(task, leaving):
    with heard(task_finished) as finished, pytest.raises(leaving):
        run(task)

    assert not finished


@pytest.mark.parametrize("payload", [b"hello", b'{"args": 3}', b'{"args": [NaN]}'])
def test_payload_that_is_no_call_fails_before_the_task_starts(payload):
    with heard(task_started) as started, pytest.raises(PayloadError, match="payload"):
        run_job(FakeRunningJob(payload), task=sample_tasks.add, worker_id="worker-1")

    assert not started


def test_arguments_that_do_not_fit_are_a_failure():
    with heard(task_finished) as finished, pytest.raises(TypeError, match="c"):
        run(sample_tasks.add, c=1)

    assert finished[0][2] == TaskResultStatus.FAILED


@pytest.mark.parametrize("signal", [task_started, task_finished], ids=["started", "finished"])
def test_receiver_that_raises_changes_nothing(signal, caplog):
    def raise_anyway(**_):
        raise RuntimeError("receiver is broken")

    signal.connect(raise_anyway)
    try:
        assert run(sample_tasks.add, 2)[0] == b"3"
    finally:
        signal.disconnect(raise_anyway)

    assert "receiver is broken" in caplog.text


def test_task_may_change_its_arguments_but_not_the_record_of_them():
    with heard(task_finished) as finished:
        run(sample_tasks.empty_its_argument, [1, 2])

    assert finished[0][1].args == [[1, 2]]


def test_each_job_is_logged_in_one_line(caplog):
    caplog.set_level(logging.INFO, logger="gearjobs.tasks")

    run(sample_tasks.add, 2)

    (line,) = [record.getMessage() for record in caplog.records if record.name == "gearjobs.tasks"]
    assert line.startswith(
        "ran job=H:fake:00000000000001 task=tests.support.sample_tasks.add attempt=1 status=SUCCESSFUL"
    )


def test_context_variables_of_a_job_do_not_reach_the_next(settings):
    settings.USE_I18N = True

    run(sample_tasks.leak_context)

    assert (translation.get_language(), timezone.get_current_timezone_name()) == ("en", "Europe/Berlin")
    assert current_submitter.get() == ""


@pytest.mark.django_db(transaction=True)
def test_connection_the_job_broke_is_not_found_by_the_next():
    run(sample_tasks.leave_a_transaction_open)

    assert connection.connection is None or connection.get_autocommit()


def test_context_of_a_worker_is_a_gear_context():
    assert run(sample_tasks.name_of_context)[0] == f'"{GearContext.__name__}"'.encode()
