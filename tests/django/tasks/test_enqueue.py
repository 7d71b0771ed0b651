"""Enqueuing: over the wire outside of a transaction, as a row inside of one or when no server answers."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, transaction
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from gearjobs import GearResult, PartlyRefused, ServerError, ServerUnavailable, submitted_by
from gearjobs.models import Job
from gearjobs.tasks.backend import GearmanBackend
from gearjobs.tasks.django_tasks import InvalidTask, TaskResultStatus, task_enqueued
from gearjobs.tasks.payload import PayloadError
from tests.support.event_loop import in_event_loop
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.sample_tasks import add, double, echo, resize_picture
from tests.support.task_settings import DUMMY, GEARMAN

#: Without the test's own transaction around everything, in which nothing would go over the wire.
outside_a_transaction = pytest.mark.django_db(transaction=True)

two_databases = pytest.mark.django_db(transaction=True, databases=["default", "other"])


class Undone(Exception):
    """Rolls a transaction back."""


@contextmanager
def rolled_back():
    """Run the block in a transaction that does not commit."""
    with suppress(Undone), transaction.atomic():
        yield
        raise Undone


def add_within_a_transaction():
    with transaction.atomic():
        add.enqueue(1)


@outside_a_transaction
def test_job_goes_over_the_wire_outside_of_a_transaction(job_server):
    result = add.enqueue(1, b=2)

    (submitted,) = job_server.submitted
    assert submitted.function == "tests.support.sample_tasks.add"
    assert json.loads(submitted.payload) == {"args": [1], "kwargs": {"b": 2}}
    assert submitted.handle == result.id
    assert not Job.objects.exists()


@outside_a_transaction
def test_jobs_are_shared_out_as_the_backend_says(settings):
    options = {"SERVERS": ["a.test", "b.test"], "BALANCE": "unique"}
    settings.TASKS = {"default": GEARMAN["default"] | {"OPTIONS": options}}

    with client_in_place(FakeClient(), servers=("a.test", "b.test"), balance="unique") as client:
        add.enqueue(1)

    assert len(client.submitted) == 1


@outside_a_transaction
def test_server_is_told_what_the_row_shall_say(job_server):
    run_after = datetime(2030, 1, 1, tzinfo=UTC)

    with submitted_by("7"):
        resize_picture.using(priority=-3, run_after=run_after).enqueue("a.jpg")

    attributes = job_server.submitted[0].attributes
    assert (attributes.priority, attributes.run_at) == (-3, run_after.timestamp())
    assert attributes.task == "tests.support.sample_tasks.resize_picture"
    assert (attributes.queue, attributes.backend, attributes.enqueued_by) == ("images", "default", "7")


@outside_a_transaction
def test_call_on_another_queue_goes_to_another_function(job_server):
    resize_picture.enqueue("a.jpg")
    resize_picture.using(queue_name="slow").enqueue("a.jpg")

    assert [submitted.function for submitted in job_server.submitted] == ["resize", "resize@slow"]


@outside_a_transaction
def test_result_says_what_was_enqueued(job_server):
    before = timezone.now()

    result = echo.using(priority=4).enqueue((1, 2), b=b"x")

    assert isinstance(result, GearResult)
    assert (result.task.func, result.task.priority) == (echo.func, 4)
    assert (result.status, result.status_detail) == (TaskResultStatus.READY, "waiting")
    assert (result.args, result.kwargs, result.backend) == ([[1, 2]], {"b": "x"}, "default")
    assert result.enqueued_at is not None
    assert before <= result.enqueued_at <= timezone.now()
    assert len(result.id) < 64


@outside_a_transaction
def test_arguments_are_copied(job_server):
    values = [1]

    result = echo.enqueue(values)
    values.append(2)

    assert result.args == [[1]]


@outside_a_transaction
def test_delayed_job_is_scheduled(job_server):
    assert add.using(run_after=timedelta(hours=1)).enqueue(1).status_detail == "scheduled"
    assert add.using(run_after=timedelta(hours=-1)).enqueue(1).status_detail == "waiting"


@outside_a_transaction
def test_every_job_has_a_handle_of_its_own(job_server):
    assert len({add.enqueue(number).id for number in range(50)}) == 50


@outside_a_transaction
def test_forked_process_makes_handles_of_its_own(job_server):
    mine = add.enqueue(1).id
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, add.enqueue(1).id.encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)

    theirs = os.read(reader, 100).decode()
    os.close(reader)

    assert theirs.rpartition(":")[0] == mine.rpartition(":")[0]
    assert theirs[:-10] != mine[:-10]


@outside_a_transaction
def test_stock_server_names_the_job(job_server):
    job_server.has_extensions = False

    assert add.enqueue(1).id == "H:stock:1"


@outside_a_transaction
def test_row_is_part_of_the_callers_transaction(job_server):
    with transaction.atomic():
        result = add.enqueue(1)
        row = Job.objects.get(pk=result.id)

    assert not job_server.submitted
    assert (row.function, row.task, row.owner) == (add.function_name, add.module_path, "")
    assert (row.status, row.backend, bytes(row.payload)) == ("READY", "default", b'{"args":[1],"kwargs":{}}')


@outside_a_transaction
def test_server_is_nudged_when_the_transaction_commits(job_server):
    with transaction.atomic():
        add.enqueue(1)
        assert job_server.nudges == 0

    assert job_server.nudges == 1


@outside_a_transaction
def test_many_jobs_of_a_transaction_need_one_nudge(job_server):
    with transaction.atomic():
        for number in range(5):
            add.enqueue(number)

    assert job_server.nudges == 1


@outside_a_transaction
def test_rollback_leaves_no_job_and_no_nudge(job_server):
    with rolled_back():
        add.enqueue(1)

    assert not Job.objects.exists()
    assert job_server.nudges == 0


@outside_a_transaction
def test_rollback_of_an_inner_block_takes_its_jobs_only(job_server):
    with transaction.atomic():
        with rolled_back():
            add.enqueue(1)
        kept = add.enqueue(2)

    assert [job.pk for job in Job.objects.all()] == [kept.id]
    assert job_server.nudges == 1


@outside_a_transaction
def test_transaction_managed_by_hand_gets_the_row(job_server):
    transaction.set_autocommit(False)
    try:
        result = add.enqueue(1)
        transaction.commit()
    finally:
        transaction.set_autocommit(True)

    assert not job_server.submitted
    assert Job.objects.get().pk == result.id


@outside_a_transaction
def test_row_is_inserted_when_no_server_answers(job_server, caplog):
    job_server.is_down = True

    result = add.enqueue(1)

    assert Job.objects.get().pk == result.id
    assert "inserted jobs=1" in caplog.text


@outside_a_transaction
def test_transaction_commits_though_no_server_hears_the_nudge(job_server):
    job_server.is_down = True

    with transaction.atomic():
        add.enqueue(1)

    assert Job.objects.count() == 1


@outside_a_transaction
def test_many_calls_travel_together(job_server):
    results = add.enqueue_many([((1,), {}), ((2,), {"b": 3})])

    assert [result.id for result in results] == [one.handle for one in job_server.submitted]
    assert [json.loads(one.payload)["args"] for one in job_server.submitted] == [[1], [2]]
    assert not Job.objects.exists()


@outside_a_transaction
def test_many_calls_in_a_transaction_are_one_statement(job_server, django_assert_num_queries):
    with transaction.atomic(), django_assert_num_queries(3):  # the savepoint around the insert, and the insert
        results = add.enqueue_many([((number,), {}) for number in range(20)])

    assert {job.pk for job in Job.objects.all()} == {result.id for result in results}
    assert job_server.nudges == 1


@outside_a_transaction
def test_many_calls_are_inserted_when_no_server_answers(job_server):
    job_server.is_down = True

    results = add.enqueue_many([((number,), {}) for number in range(3)])

    assert Job.objects.filter(pk__in=[result.id for result in results]).count() == 3


@outside_a_transaction
def test_of_many_calls_the_refused_are_named_and_the_others_kept(job_server):
    job_server.refusal, job_server.takes = ServerError("QUEUE_ERROR", "Job queue is full"), 2

    with pytest.raises(PartlyRefused, match=r"1 of 3 jobs were refused.*Job queue is full") as caught:
        add.enqueue_many([((number,), {}) for number in range(3)])

    handles = [result.id if isinstance(result, GearResult) else None for result in caught.value.results]
    assert handles == [*(one.handle for one in job_server.submitted), None]


@outside_a_transaction
def test_one_bad_call_of_many_keeps_all_from_being_submitted(job_server):
    with pytest.raises(TypeError):
        echo.enqueue_many([((1,), {}), ((object(),), {})])

    assert not job_server.submitted


def test_many_calls_of_a_foreign_backend_are_enqueued_one_by_one(settings):
    settings.TASKS = DUMMY

    assert [result.args for result in add.enqueue_many([((1,), {}), ((2,), {})])] == [[1], [2]]


@in_event_loop
@outside_a_transaction
async def test_many_calls_can_be_enqueued_by_a_coroutine(job_server):
    results = await add.aenqueue_many([((1,), {}), ((2,), {})])

    assert [result.id for result in results] == [one.handle for one in job_server.submitted]


@two_databases
def test_transaction_on_another_database_is_waited_for(job_server):
    with transaction.atomic(using="other"):
        result = add.enqueue(1)
        assert not job_server.submitted

    assert [one.handle for one in job_server.submitted] == [result.id]


@two_databases
def test_rollback_on_another_database_takes_its_jobs(job_server):
    with suppress(Undone), transaction.atomic(using="other"):
        add.enqueue(1)
        raise Undone

    assert not job_server.submitted
    assert not Job.objects.exists()


@two_databases
def test_transaction_on_the_tables_database_goes_before_another(job_server):
    with transaction.atomic(), transaction.atomic(using="other"):
        add.enqueue(1)

    assert not job_server.submitted
    assert Job.objects.count() == 1
    assert job_server.nudges == 1


@two_databases
def test_job_that_waited_for_another_database_may_become_part_of_a_transaction(job_server):
    with transaction.atomic(using="other"):
        transaction.on_commit(add_within_a_transaction, using="other")

    assert Job.objects.count() == 1


@two_databases
def test_refusal_after_another_databases_commit_is_raised(job_server, caplog):
    job_server.refusal = ServerError("QUEUE_ERROR", "Job queue is full")

    with pytest.raises(ServerError, match="full"), transaction.atomic(using="other"):
        add.enqueue(1)

    assert "after the commit" in caplog.text


@outside_a_transaction
def test_neither_server_nor_table_is_one_error_that_names_both(job_server):
    job_server.is_down = True
    with connection.schema_editor() as editor:
        editor.alter_db_table(Job, "gearjobs_job", "hidden")
    try:
        with pytest.raises(ServerUnavailable, match=r"127\.0\.0\.1:4730.*database 'default'.*gearjobs_job"):
            add.enqueue(1)
    finally:
        with connection.schema_editor() as editor:
            editor.alter_db_table(Job, "hidden", "gearjobs_job")


@outside_a_transaction
def test_broken_transaction_raises_as_djangos_own(job_server):
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(TransactionManagementError):
            add.enqueue(1)

    assert job_server.nudges == 0


@outside_a_transaction
def test_refusal_of_the_server_reaches_the_caller(job_server):
    job_server.refusal = ServerError("JOB_QUEUE_FULL", "the queue is full")

    with pytest.raises(ServerError, match="JOB_QUEUE_FULL"):
        add.enqueue(1)

    assert not Job.objects.exists()


@outside_a_transaction
@pytest.mark.parametrize(("argument", "error"), [(object(), TypeError), (float("nan"), PayloadError)])
def test_argument_without_a_json_form_is_refused(job_server, argument, error):
    with pytest.raises(error):
        echo.enqueue(argument)

    assert not job_server.submitted


@outside_a_transaction
def test_task_enqueued_is_sent_once_the_job_is_kept(job_server):
    heard = []

    def hear(sender, task_result, **_):
        heard.append((sender, task_result.id, len(job_server.submitted)))

    task_enqueued.connect(hear)
    try:
        result = add.enqueue(1)
    finally:
        task_enqueued.disconnect(hear)

    assert heard == [(GearmanBackend, result.id, 1)]


@outside_a_transaction
def test_settings_choose_the_servers(settings):
    settings.TASKS = GEARMAN

    with client_in_place(FakeClient(), servers=("jobs.test:4730",)) as client:
        add.enqueue(1)

    assert len(client.submitted) == 1


def test_queues_of_the_settings_are_an_allow_list(settings):
    settings.TASKS = GEARMAN

    with pytest.raises(InvalidTask, match="slow"):
        add.using(queue_name="slow")


@pytest.mark.parametrize("queue_name", ["", "two words", "x" * 256])
def test_queue_name_that_cannot_go_over_the_wire_is_refused(queue_name):
    with pytest.raises(InvalidTask, match=r"(queue_name|function name) must"):
        add.using(queue_name=queue_name)


@outside_a_transaction
def test_plain_task_of_another_backend_is_accepted(settings):
    settings.TASKS = GEARMAN

    with client_in_place(FakeClient(), servers=("jobs.test:4730",)) as client:
        double.enqueue(1)
        double.using(queue_name="images").enqueue(2)

    path = "tests.support.sample_tasks.double"
    assert [submitted.function for submitted in client.submitted] == [path, f"{path}@images"]


@outside_a_transaction
@in_event_loop
async def test_aenqueue_goes_over_the_wire_outside_of_a_transaction(job_server):
    result = await add.aenqueue(1)

    assert job_server.submitted[0].handle == result.id


@outside_a_transaction
@in_event_loop
async def test_aenqueue_is_part_of_the_transaction_of_its_thread(job_server):
    block = transaction.atomic()
    await sync_to_async(block.__enter__)()

    await add.aenqueue(1)
    await sync_to_async(block.__exit__)(Undone, Undone(), None)

    assert not job_server.submitted
    assert not await Job.objects.aexists()


@outside_a_transaction
@in_event_loop
async def test_submitter_follows_into_aenqueue(job_server):
    with submitted_by("9"):
        await add.aenqueue(1)

    assert job_server.submitted[0].attributes.enqueued_by == "9"


@outside_a_transaction
def test_foreground_call_runs_on_a_worker(job_server):
    assert add.do(2, b=3) == 5
    assert resize_picture.using(queue_name="slow").do("a") == {"path": "a", "width": 100}


@outside_a_transaction
@in_event_loop
async def test_foreground_call_can_be_awaited(job_server):
    assert await add.ado(2, b=3) == 5
