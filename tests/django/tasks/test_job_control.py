"""Cancelling, retrying and purging jobs of a task."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db import transaction
from django.test import override_settings
from django.utils import timezone

from gearjobs import JobCancelled, ServerUnavailable, UsageError, submitted_by
from gearjobs.core.submission import CancelVerdict
from gearjobs.errors import RetriedAlready
from gearjobs.models import Job, StatusDetail
from gearjobs.records.unowned_jobs import cancel_unowned
from gearjobs.tasks.django_tasks import TaskResultDoesNotExist, TaskResultStatus
from tests.support.event_loop import in_event_loop
from tests.support.job_rows import jobs_run_again, make_job
from tests.support.sample_tasks import add, careful
from tests.support.task_settings import DUMMY

outside_a_transaction = pytest.mark.django_db(transaction=True)


def job_of(task, detail="waiting", **fields) -> Job:
    return make_job(detail, function=task.function_name, task=task.module_path, queue="default", **fields)


@outside_a_transaction
@pytest.mark.parametrize(("force", "verdict"), [(False, CancelVerdict.ASKED), (True, CancelVerdict.CANCELLED)])
def test_job_that_a_server_has_is_cancelled_there(job_server, force, verdict):
    row = job_of(add, "running")
    job_server.verdicts[row.handle] = verdict

    assert add.get_result(row.handle).cancel(force=force) is True
    assert job_server.cancelled == [(row.handle, force)]


@outside_a_transaction
@in_event_loop
async def test_coroutine_can_cancel_too(job_server):
    row = await sync_to_async(job_of)(add, "running")
    job_server.verdicts[row.handle] = CancelVerdict.ASKED

    assert await (await add.aget_result(row.handle)).acancel() is True


@outside_a_transaction
def test_job_that_no_server_has_is_ended_in_the_table(job_server):
    job_server.is_down = True
    result = add.enqueue(1)

    assert result.cancel() is True

    with pytest.raises(JobCancelled):
        result.wait(1)
    row = Job.objects.get()
    assert (row.status_detail, row.error_class, row.version) == ("cancelled", "gearjobs.errors.JobCancelled", 2)
    assert not job_server.cancelled


@outside_a_transaction
def test_job_of_an_open_transaction_is_cancelled_with_it(job_server):
    with transaction.atomic():
        result = add.enqueue(1)
        assert result.cancel() is True

    assert Job.objects.get().status_detail == StatusDetail.CANCELLED


@outside_a_transaction
def test_ended_job_is_not_cancelled(job_server):
    row = job_of(add, "succeeded")

    assert add.get_result(row.handle).cancel() is False
    assert not job_server.cancelled


@outside_a_transaction
def test_job_without_a_row_is_asked_for_at_the_servers(job_server):
    result = add.enqueue(1)

    assert result.cancel() is False
    job_server.verdicts[result.id] = CancelVerdict.CANCELLED
    assert result.cancel() is True


@outside_a_transaction
@pytest.mark.parametrize("is_down", [False, True])
def test_job_of_a_server_that_does_not_answer_cannot_be_cancelled(job_server, is_down):
    row = job_of(add, "running")
    job_server.is_down = is_down

    with pytest.raises(ServerUnavailable, match=row.handle):
        add.get_result(row.handle).cancel()


@outside_a_transaction
def test_failed_job_runs_again_as_a_new_one(job_server):
    row = job_of(
        careful,
        "failed",
        payload=b'{"args":[7],"kwargs":{}}',
        unique="user:7",
        priority=5,
        metadata={"team": "billing"},
        terms={"timeout_s": 30.0, "max_attempts": 3},
        enqueued_by="4",
        error_class="builtins.ValueError",
        error_message="too bad",
    )

    again = careful.get_result(row.handle).retry()

    (new,) = jobs_run_again()
    assert (new.function, bytes(new.payload)) == (careful.function_name, b'{"args":[7],"kwargs":{}}')
    assert (new.unique, new.priority, new.task) == ("user:7", 5, careful.module_path)
    assert new.terms == {"timeout_s": 30.0, "max_attempts": 3}
    assert new.metadata == {"team": "billing", "gearjobs.retry_of": row.handle}
    assert new.enqueued_by == "4"
    assert (again.id, again.status, again.errors) == (new.handle, TaskResultStatus.READY, [])
    assert (again.args, again.metadata, again.is_finished) == ([7], new.metadata, False)
    row.refresh_from_db()
    assert (row.status_detail, row.retried_as, row.version) == (StatusDetail.FAILED, new.handle, 2)


@outside_a_transaction
def test_job_is_run_again_once(job_server):
    result = add.get_result(job_of(add, "failed").handle)
    again = result.retry()

    with pytest.raises(RetriedAlready, match=f"was run again already, as {again.id}") as refusal:
        result.retry()

    assert (refusal.value.handle, [job.handle for job in jobs_run_again()]) == (again.id, [again.id])


@outside_a_transaction
def test_retry_that_is_rolled_back_never_was(job_server):
    result = add.get_result(job_of(add, "failed").handle)
    with transaction.atomic():
        result.retry()
        transaction.set_rollback(True)

    assert result.retry().id == jobs_run_again()[0].handle


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_retry_in_another_databases_transaction_waits_for_its_commit(job_server):
    job = job_of(add, "failed")
    with transaction.atomic(using="other"):
        add.get_result(job.handle).retry()
        assert not jobs_run_again()

    assert len(jobs_run_again()) == 1


@outside_a_transaction
def test_retry_may_be_for_later_and_somebody_elses(job_server):
    row = job_of(add, "succeeded", enqueued_by="4")

    with submitted_by("9"):
        again = add.get_result(row.handle).retry(at=timedelta(hours=1))

    (new,) = jobs_run_again()
    assert new.run_at is not None
    assert new.run_at.timestamp() == pytest.approx(timezone.now().timestamp() + 3600, abs=60)
    assert (again.status_detail, new.enqueued_by) == ("scheduled", "9")


@outside_a_transaction
def test_retried_job_has_as_long_to_start_as_before(job_server):
    enqueued_at = timezone.now() - timedelta(days=1)
    row = job_of(
        add, "expired", enqueued_at=enqueued_at, terms={"expires_at": (enqueued_at + timedelta(hours=2)).timestamp()}
    )

    add.get_result(row.handle).retry()

    expires_at = jobs_run_again()[0].terms["expires_at"]
    assert expires_at == pytest.approx(timezone.now().timestamp() + 7200, abs=60)


@outside_a_transaction
@pytest.mark.parametrize(
    ("detail", "fields", "words"), [("running", {}, "is running"), ("failed", {"reducer": "sum"}, "has a reducer")]
)
def test_job_that_cannot_run_again_is_refused(job_server, detail, fields, words):
    row = job_of(add, detail, **fields)

    with pytest.raises(UsageError, match=words):
        add.get_result(row.handle).retry()

    assert not jobs_run_again()


@outside_a_transaction
def test_job_that_is_gone_cannot_run_again(job_server):
    result = add.get_result(job_of(add, "failed").handle)
    Job.objects.all().delete()

    with pytest.raises(TaskResultDoesNotExist):
        result.retry()


@outside_a_transaction
def test_purge_cancels_what_waits_of_a_task(job_server):
    waiting = [job_of(add, detail) for detail in ("waiting", "scheduled", "retrying")]
    others = [job_of(add, "running"), job_of(add, "failed"), job_of(careful)]
    for row in [*waiting, *others]:
        job_server.verdicts[row.handle] = CancelVerdict.CANCELLED

    assert add.purge() == 3
    assert [handle for handle, _ in job_server.cancelled] == [row.handle for row in waiting]


@override_settings(TASKS=DUMMY)
@pytest.mark.parametrize("verb", ["cancel", "retry"])
def test_jobs_of_other_backends_are_left_alone(verb):
    result = add.enqueue(1)

    with pytest.raises(UsageError, match=f"DummyBackend cannot {verb}"):
        getattr(result, verb)()
    with pytest.raises(UsageError, match="DummyBackend cannot purge"):
        add.purge()


@outside_a_transaction
def test_naive_moment_of_a_retry_enqueues_once(job_server):
    # It was compared with an aware one after the new job had been submitted.
    row = job_of(add, "failed")

    result = add.get_result(row.handle).retry(
        at=timezone.localtime(timezone.now() + timedelta(hours=1)).replace(tzinfo=None)
    )

    assert result.status_detail == "scheduled"
    assert len(jobs_run_again()) == 1


@outside_a_transaction
def test_job_that_ends_in_the_table_leaves_its_unique_to_others():
    # A server that took it back has given it a key, which another job could never have had again.
    row = job_of(add, owner="", unique="u", unique_key="key of u")

    assert cancel_unowned([row.handle]) == 1

    assert Job.objects.get(pk=row.handle).unique_key is None


@outside_a_transaction
def test_retried_job_has_as_long_to_start_whenever_its_last_attempt_was(job_server):
    # The time of the last attempt was taken for the time it could first have started.
    now = timezone.now()
    terms = {"expires_at": now.timestamp() + 60}
    row = job_of(
        add, "failed", enqueued_at=now, started_at=now, run_at=now + timedelta(seconds=59), attempt=2, terms=terms
    )

    add.get_result(row.handle).retry()

    (new,) = jobs_run_again()
    assert new.terms["expires_at"] - timezone.now().timestamp() > 50


@outside_a_transaction
def test_reason_is_told_to_the_server_that_has_the_job(job_server):
    row = job_of(add, "running")
    job_server.verdicts[row.handle] = CancelVerdict.ASKED

    assert add.get_result(row.handle).cancel(reason="wrong customer") is True
    assert job_server.reasons == ["wrong customer"]


@outside_a_transaction
def test_reason_is_written_where_no_server_has_the_job(job_server):
    job_server.is_down = True

    assert add.enqueue(1).cancel(reason="wrong customer") is True
    assert Job.objects.get().cancel_reason == "wrong customer"
