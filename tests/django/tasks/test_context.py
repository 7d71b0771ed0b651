"""What a task learns from its context of its run."""

from __future__ import annotations

import json
import logging

import pytest

from gearjobs import GearContext
from gearjobs.errors import JobCancelled
from gearjobs.tasks.execution import run_job
from gearjobs.tasks.payload import encode_call
from tests.support import sample_tasks
from tests.support.fake_client import FakeRunningJob

pytestmark = pytest.mark.django_db


def run(task, **state):
    job = FakeRunningJob(encode_call([], {}))
    for name, value in state.items():
        setattr(job, name, value)
    return json.loads(run_job(job, task=task, worker_id="worker-1"))


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ({}, [False, 3, False, None]),
        ({"worker_ids": ["w"] * 3}, [False, 3, True, None]),
        ({"worker_ids": ["w"] * 3, "lost": 1}, [False, 3, False, None]),
        ({"is_cancel_asked": True, "ends_at": 1_900_000_000.0}, [True, 3, False, 1_900_000_000.0]),
    ],
)
def test_context_knows_the_run(state, told):
    assert run(sample_tasks.tell_context, **state) == told


def test_cancelled_task_is_told_when_it_asks():
    assert run(sample_tasks.check_cancelled) == "goes on"
    with pytest.raises(JobCancelled):
        run(sample_tasks.check_cancelled, is_cancel_asked=True)


def test_records_of_the_contexts_logger_say_which_job_they_are_of(caplog):
    caplog.set_level(logging.INFO)

    run(sample_tasks.tell_context)

    (record,) = [record for record in caplog.records if record.getMessage() == "from the task"]
    assert (record.name, record.job_id, record.attempt) == ("tests.support.sample_tasks", "H:fake:00000000000001", 1)
    assert record.task == "tests.support.sample_tasks.tell_context"


def test_logger_keeps_what_a_call_adds(caplog):
    result = sample_tasks.tell_context.call  # a task run here has a context, too
    context = sample_tasks.tell_context._with_context(())[0]

    assert callable(result)
    assert isinstance(context, GearContext)
    context.logger.warning("more", extra={"customer": 7})

    assert (caplog.records[-1].customer, caplog.records[-1].job_id) == (7, "local")


def test_task_that_is_called_here_is_cancelled_by_nobody():
    assert sample_tasks.check_cancelled.call() == "goes on"
    assert sample_tasks.tell_context.call() == [False, 3, False, None]
