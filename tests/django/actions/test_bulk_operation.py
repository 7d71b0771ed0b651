"""Something is done to all jobs that match: asked for, carried out in portions, stopped, gone on with."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.utils import timezone

from gearjobs.actions.bulk_operation import count_matching, start_bulk, stop_bulk
from gearjobs.errors import ServerUnavailable, UsageError
from gearjobs.models import BulkOperation, BulkState, BulkVerb, Job, OperatorAction
from gearjobs.records.job_filter import JobFilter
from gearjobs.tasks import bulk_runs, bulk_thread
from gearjobs.tasks.bulk_runs import claim_operation, fail_operation, run_portion
from gearjobs.tasks.bulk_thread import BulkThread, make_bulk_thread
from tests.support.eventually import eventually
from tests.support.job_rows import jobs_run_again, make_job

# Outside of a transaction, in which nothing would go over the wire.
pytestmark = pytest.mark.django_db(transaction=True)

IMAGES = JobFilter(queues=("images",))
RETRY, CANCEL, DELETE = BulkVerb.RETRY, BulkVerb.CANCEL, BulkVerb.DELETE


def make_user(*codenames: str):
    user = get_user_model().objects.create_user("anna")
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return get_user_model().objects.get(pk=user.pk)


def claimed(runner: str = "runner-1") -> BulkOperation:
    operation = claim_operation(runner)
    assert operation is not None
    return operation


def carry_out() -> BulkOperation:
    operation = claimed()
    while run_portion(operation):
        pass
    return BulkOperation.objects.get(pk=operation.pk)


def test_failed_jobs_that_match_are_retried(job_server):
    for detail in ("failed", "dead", "waiting", "succeeded"):
        make_job(detail, queue="images", function=f"f:{detail}")
    make_job("failed", queue="mail")

    start_bulk(RETRY, IMAGES)
    operation = carry_out()

    assert (operation.state, operation.expected, operation.done, operation.refused) == (BulkState.DONE, 2, 2, 0)
    assert sorted(job.function for job in jobs_run_again()) == ["f:dead", "f:failed"]
    assert operation.finished_at is not None


def test_many_jobs_are_dealt_with_in_portions(job_server):
    for _ in range(50):
        make_job("failed", queue="images")

    start_bulk(RETRY, IMAGES)
    operation = claimed("runner-1")
    assert run_portion(operation)
    operation.refresh_from_db()

    assert (operation.done, operation.state) == (20, BulkState.RUNNING)


def test_jobs_that_come_or_end_later_are_not_touched(job_server):
    early = make_job("failed", queue="images", finished_at=timezone.now() - timedelta(hours=1))
    start_bulk(RETRY, IMAGES)
    make_job("failed", queue="images", enqueued_at=timezone.now() + timedelta(seconds=1))

    assert carry_out().done == 1
    assert [job.metadata for job in jobs_run_again()] == [{"gearjobs.retry_of": early.handle}]


def test_unfinished_jobs_that_match_are_cancelled(job_server):
    jobs = [make_job("waiting", queue="images", owner="") for _ in range(3)]
    ended = make_job("succeeded", queue="images")

    start_bulk(CANCEL, JobFilter(queues=("images",), statuses=("waiting", "succeeded")))
    operation = carry_out()

    cancelled = Job.objects.filter(status_detail="cancelled")
    assert (operation.done, {job.pk for job in cancelled}) == (3, {job.pk for job in jobs})
    assert Job.objects.get(pk=ended.pk).status_detail == "succeeded"


def test_ended_jobs_that_match_are_deleted():
    make_job("failed", queue="images")
    kept = [make_job("waiting", queue="images"), make_job("failed", queue="mail")]

    start_bulk(DELETE, IMAGES)

    assert carry_out().done == 1
    assert set(Job.objects.all()) == set(kept)


def test_operation_that_was_stopped_does_no_more(job_server):
    for _ in range(50):
        make_job("failed", queue="images")
    start_bulk(RETRY, IMAGES)
    operation = claimed("runner-1")
    run_portion(operation)

    assert (stop_bulk(operation), stop_bulk(operation)) == (True, False)
    assert not run_portion(operation)

    operation.refresh_from_db()
    assert (operation.state, operation.done, len(jobs_run_again())) == (BulkState.STOPPED, 20, 20)


def test_portion_during_which_the_operation_was_stopped_is_counted(monkeypatch):
    make_job("failed", queue="images")
    start_bulk(DELETE, IMAGES)
    operation = claimed()
    delete = bulk_runs._VERBS[DELETE]
    monkeypatch.setitem(bulk_runs._VERBS, DELETE, lambda *jobs: (stop_bulk(operation), delete(*jobs))[1])

    assert not run_portion(operation)

    operation.refresh_from_db()
    assert (operation.state, operation.done) == (BulkState.STOPPED, 1)


def test_whoever_was_taken_for_lost_repeats_nothing(job_server):
    for _ in range(30):
        make_job("failed", queue="images")
    start_bulk(RETRY, IMAGES)
    slow = claimed("runner-1")
    BulkOperation.objects.update(beat_at=timezone.now() - 2 * bulk_runs.ABANDONED_AFTER)
    other = claimed("runner-2")
    run_portion(other)

    # It would have retried the first twenty once more.
    assert not run_portion(slow)

    assert len(jobs_run_again()) == 20


def test_portion_whose_end_was_not_told_runs_nothing_twice(job_server):
    # The process was killed between the portion and the line that says so.
    for _ in range(5):
        make_job("failed", queue="images")
    start_bulk(RETRY, IMAGES)
    operation = claimed("runner-1")
    run_portion(operation)
    BulkOperation.objects.update(state=BulkState.RUNNING, reached="", done=0)

    assert not run_portion(BulkOperation.objects.get())

    assert len(jobs_run_again()) == 5


def test_bug_in_a_portion_ends_the_operation(monkeypatch, caplog):
    # It was taken on again every minute, and did half of its portion each time.
    make_job("failed", queue="images")
    start_bulk(DELETE, IMAGES)
    monkeypatch.setattr(bulk_thread, "run_portion", lambda operation: 1 // 0)
    thread = BulkThread(look_s=0.01)

    thread.start()
    try:
        failed = BulkOperation.objects.filter(state=BulkState.FAILED)
        eventually(failed.exists, 10, "the operation to fail")
    finally:
        thread.stop()

    assert "ZeroDivisionError" in failed.get().error
    assert "stumble over operation" in caplog.text


def test_runners_of_twin_containers_have_different_names():
    assert BulkThread()._name != BulkThread()._name


def test_operation_is_taken_on_by_one_alone():
    make_job("failed", queue="images")
    start_bulk(DELETE, IMAGES)

    assert (claim_operation("runner-1") is None, claim_operation("runner-2")) == (False, None)


def test_operation_that_was_abandoned_goes_on_where_it_was(job_server):
    for _ in range(30):
        make_job("failed", queue="images")
    start_bulk(RETRY, IMAGES)
    lost = claimed("runner-1")
    run_portion(lost)
    BulkOperation.objects.update(beat_at=timezone.now() - bulk_runs.ABANDONED_AFTER * 2)

    operation = claimed("runner-2")
    assert operation.runner == "runner-2"
    assert not run_portion(operation)
    assert not run_portion(lost)
    operation.refresh_from_db()
    assert (operation.done, operation.state) == (30, BulkState.DONE)


def test_server_that_does_not_answer_leaves_the_portion_for_later(job_server):
    make_job("waiting", queue="images", owner="server-1")
    start_bulk(CANCEL, IMAGES)
    operation = claimed("runner-1")
    job_server.error = ServerUnavailable("no answer")

    with pytest.raises(ServerUnavailable):
        run_portion(operation)
    operation.refresh_from_db()
    assert (operation.done, operation.reached) == (0, "")


def test_operation_that_cannot_be_ends_with_its_error():
    BulkOperation.objects.create(id="B1", verb=DELETE, filter={"colour": "red"})
    thread = BulkThread(look_s=0.01)

    thread.start()
    try:
        failed = BulkOperation.objects.filter(state=BulkState.FAILED)
        eventually(failed.exists, 10, "the operation to fail")
    finally:
        thread.stop()

    assert "got 'colour'" in failed.get().error


def test_thread_beside_the_server_carries_operations_out():
    for _ in range(3):
        make_job("failed", queue="images")
    start_bulk(DELETE, IMAGES)
    thread = BulkThread(look_s=0.01)

    thread.start()
    try:
        eventually(lambda: not Job.objects.exists(), 10, "the jobs to go")
        eventually(lambda: BulkOperation.objects.filter(state=BulkState.DONE).exists(), 10, "the operation's end")
    finally:
        thread.stop()


@pytest.mark.parametrize(
    ("error", "words"), [(DatabaseError("gone"), "cannot look for operations"), (ZeroDivisionError(), "stumble over")]
)
def test_thread_goes_on_after_trouble(monkeypatch, caplog, error, words):
    make_job("failed", queue="images")
    start_bulk(DELETE, IMAGES)
    troubles = iter([error])

    def stumble_once(runner):
        for trouble in troubles:
            raise trouble
        return claim_operation(runner)

    monkeypatch.setattr(bulk_thread, "claim_operation", stumble_once)
    thread = BulkThread(look_s=0.01)

    thread.start()
    try:
        eventually(lambda: not Job.objects.exists(), 10, "the jobs to go")
    finally:
        thread.stop()
    assert words in caplog.text


def test_portion_that_could_not_be_done_is_tried_again(monkeypatch, caplog):
    make_job("failed", queue="images")
    start_bulk(DELETE, IMAGES)
    troubles = iter([ServerUnavailable("no answer")])

    def stumble_once(operation):
        for trouble in troubles:
            raise trouble
        return run_portion(operation)

    monkeypatch.setattr(bulk_thread, "run_portion", stumble_once)
    thread = BulkThread(look_s=0.01)

    thread.start()
    try:
        eventually(lambda: not Job.objects.exists(), 10, "the jobs to go")
    finally:
        thread.stop()
    assert "cannot go on with operation" in caplog.text


def test_stop_without_a_start_is_nothing():
    BulkThread().stop()


def test_failed_operation_is_not_taken_on_again():
    operation = start_bulk(DELETE, IMAGES)
    fail_operation(claimed(), UsageError("no"))

    operation.refresh_from_db()
    assert (operation.state, operation.error, claim_operation("runner-2")) == ("failed", "UsageError: no", None)


def test_server_without_the_job_table_carries_nothing_out():
    assert (make_bulk_thread("builtin"), make_bulk_thread("database") is None) == (None, False)


@pytest.mark.parametrize(("verb", "codename"), [(RETRY, "retry_job"), (CANCEL, "cancel_job"), (DELETE, "delete_job")])
def test_each_verb_takes_its_permission(verb, codename):
    user = make_user("view_job")

    for ask in (start_bulk, count_matching):
        with pytest.raises(PermissionDenied, match=codename):
            ask(verb, IMAGES, user=user)


def test_stopping_takes_the_permission_of_the_verb():
    operation = start_bulk(DELETE, IMAGES)

    with pytest.raises(PermissionDenied, match="delete_job"):
        stop_bulk(operation, user=make_user("retry_job"))


def test_who_may_not_see_everybodys_jobs_reaches_their_own():
    user = make_user("delete_job")
    own = make_job("failed", queue="images", enqueued_by=str(user.pk))
    other = make_job("failed", queue="images", enqueued_by="999999")

    operation = start_bulk(DELETE, IMAGES, user=user)
    carry_out()

    assert (operation.expected, operation.asked_by) == (1, str(user.pk))
    assert set(Job.objects.all()) == {other} != {own}
    with pytest.raises(PermissionDenied, match="view_job"):
        start_bulk(DELETE, JobFilter(enqueued_by="999999"), user=user)


def test_filter_that_says_nothing_is_refused():
    with pytest.raises(UsageError, match="say at least one thing"):
        start_bulk(DELETE, JobFilter())


def test_operation_is_written_down():
    make_job("failed", queue="images")

    operation = start_bulk(DELETE, IMAGES)

    action = OperatorAction.objects.get()
    assert (action.verb, action.count) == ("bulk_delete", 1)
    assert action.details == {"filter": {"queues": ["images"]}, "operation": operation.pk}
