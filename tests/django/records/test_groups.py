"""Groups in the table: what ends releases what waited for it, whatever the shape, and what fails ends it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gearjobs import GroupResult, JobCancelled, JobFailed, UsageError, chain, chord, group
from gearjobs.core.changes import Change, Finished, Forgotten, JobFailure, Outcome, Started
from gearjobs.core.jobs import JobHandle
from gearjobs.models import BLOCKED_OWNER, Job, JobGroup, JobMember, StatusDetail
from gearjobs.records.groups.advance import GroupAdvance
from gearjobs.records.record_store import RecordStore
from gearjobs.records.rows.column_values import BodyLimit
from gearjobs.records.unowned_jobs import cancel_unowned
from gearjobs.tasks.groups.signature import Chain, Part, Signature
from gearjobs.tasks.job_control import CancelOutcome, cancel_one, project_client
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.few_tasks import add
from tests.support.whole_values import answer, expected

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def job_server():
    with client_in_place(FakeClient()) as client:
        yield client


def free_jobs() -> list[Job]:
    return list(Job.objects.filter(finished_at=None, owner="").order_by("handle"))


def end(jobs: Sequence[Job], outcome: Outcome = Outcome.SUCCEEDED) -> None:
    """Let a job server's store commit that these jobs ended."""
    store = RecordStore("default", "server")
    failure = None if outcome is Outcome.SUCCEEDED else JobFailure("builtins.ValueError", "no luck")
    changes: list[Change] = []
    for job in jobs:
        handle = JobHandle(job.handle.encode())
        changes.append(Started(handle, 1, ["worker"], 1_800_000_000.0))
        result = json.dumps(answer(bytes(job.payload))).encode() if failure is None else b""
        changes.append(Finished(handle, outcome, result, 1_800_000_000.0, failure, True))
    Job.objects.filter(pk__in=[job.pk for job in jobs]).update(owner="server")
    with closing(store):
        store.commit(changes)


def run_all(pick: Callable[[list[Job]], list[Job]] = lambda jobs: jobs) -> None:
    while jobs := free_jobs():
        end(pick(jobs))


def parts() -> st.SearchStrategy[Part]:
    calls = st.builds(lambda number, takes: Signature(add, (number,), {}, takes), st.integers(0, 99), st.booleans())
    return st.recursive(
        calls,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(group), st.lists(inner, min_size=1, max_size=3).map(chain)
        ),
        max_leaves=8,
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(whole=parts().filter(lambda part: not isinstance(part, Signature)), at_once=st.booleans())
def test_whole_of_any_shape_gives_its_value(whole, at_once):
    with transaction.atomic():
        result = whole.enqueue()

        run_all((lambda jobs: jobs) if at_once else (lambda jobs: jobs[-1:]))

        result.refresh()
        assert (result.is_finished, result.succeeded, result.failed) == (True, result.total, 0)
        # `add.s(1)` alone has no value of its own in a chain of nothing.
        assert result.return_value == expected(whole)
        transaction.set_rollback(True)


def test_jobs_that_wait_are_blocked_and_nobody_adopts_them():
    chain(add.s(1), add.s(2)).enqueue()

    assert [job.status_detail for job in Job.objects.order_by("handle")] == ["waiting", "blocked"]
    with closing(RecordStore("default", "other")) as store:
        adopted = store.load()
    assert [json.loads(job.payload)["args"] for job in adopted] == [[1]]
    assert Job.objects.get(owner=BLOCKED_OWNER).status_detail == StatusDetail.BLOCKED


def test_failure_ends_what_waited_for_it_and_nothing_else():
    result = group(chain(add.s(1), add.s(2), add.s(3)), add.s(4)).enqueue()
    failing = next(job for job in free_jobs() if answer(bytes(job.payload)) == [1])

    end([failing], Outcome.FAILED)

    result.refresh()
    assert (result.failed, result.status, result.is_finished) == (3, "FAILED", False)
    run_all()
    result.refresh()
    assert (result.succeeded, result.failed, result.is_finished) == (1, 3, True)
    ended = Job.objects.filter(status_detail=StatusDetail.CANCELLED)
    assert {job.error_class for job in ended} == {"gearjobs.errors.JobCancelled"}
    assert ended.count() == 2


def test_body_of_a_chord_does_not_run_when_one_of_many_failed():
    result = chord([add.s(number) for number in range(5)], add.s(9)).enqueue()
    first, *rest = free_jobs()

    end([first], Outcome.FAILED)
    end(rest)

    result.refresh()
    assert (result.succeeded, result.failed, free_jobs()) == (4, 2, [])


def test_wait_raises_what_the_first_failed_job_raised():
    result = chain(add.s(1), add.s(2)).enqueue()
    end(free_jobs(), Outcome.FAILED)

    with pytest.raises(JobFailed, match="no luck"):
        result.wait(0)


@pytest.mark.parametrize("timeout", [None, 5.0])
def test_whole_is_not_waited_for_in_a_transaction_that_never_sees_its_end(timeout):
    with transaction.atomic():
        result = chain(add.s(1), add.s(2)).enqueue()

        with pytest.raises(UsageError, match="wait after the commit"):
            result.wait(timeout)


def test_cancel_ends_all_that_has_not_started():
    result = chord([add.s(1), add.s(2)], add.s(9)).enqueue()

    assert result.cancel() == 3

    result.refresh()
    assert (result.failed, result.is_finished) == (3, True)
    with pytest.raises(JobCancelled):
        result.wait(0)


def test_member_cancelled_before_a_server_had_it_counts():
    result = chain(add.s(1), add.s(2)).enqueue()

    assert cancel_unowned([job.pk for job in free_jobs()]) == 1

    result.refresh()
    assert (result.failed, result.is_finished) == (2, True)


def test_blocked_member_can_be_cancelled_alone():
    result = chain(add.s(1), add.s(2), add.s(3)).enqueue()
    blocked = Job.objects.filter(owner=BLOCKED_OWNER).earliest("handle")

    assert cancel_one(blocked.handle, client=project_client()) is CancelOutcome.CANCELLED

    run_all()
    result.refresh()
    assert (result.succeeded, result.failed, result.is_finished) == (1, 2, True)


def test_member_that_is_dropped_with_its_function_counts_as_failed():
    result = chain(add.s(1), add.s(2)).enqueue()
    (dropped,) = free_jobs()
    Job.objects.filter(pk=dropped.pk).update(owner="server")

    with closing(RecordStore("default", "server")) as store:
        store.commit([Forgotten(JobHandle(dropped.handle.encode()))])

    result.refresh()
    assert (result.failed, result.is_finished) == (2, True)
    assert not JobMember.objects.filter(job=dropped.pk).exists()


def test_member_whose_result_the_database_cannot_take_ends_its_group():
    # The end that says so was not that of a member, and the group waited for ever.
    result = chain(add.s(1), add.s(2)).enqueue()
    (job,) = free_jobs()
    Job.objects.filter(pk=job.pk).update(owner="server")
    with closing(RecordStore("default", "server")) as store:
        store._body_limit = BodyLimit(2 * 600_000)
        long = Finished(JobHandle(job.handle.encode()), Outcome.SUCCEEDED, b"1" * 100_000, 1_800_000_000.0, None, True)

        store._session = connection.connection
        store.commit([long])

    result.refresh()
    assert (result.failed, result.is_finished) == (2, True)


def test_long_values_are_given_to_many_jobs_in_statements_of_few():
    result = chain(add.s("x" * 100_000), group(add.s(number) for number in range(7))).enqueue()

    with CaptureQueriesContext(connection) as queries:
        end(free_jobs())

    assert max(len(query["sql"]) for query in queries) < 1_500_000
    run_all()
    assert len(result.wait(0)) == 7


def test_value_that_the_database_cannot_take_ends_the_job_that_was_to_have_it(monkeypatch):
    monkeypatch.setattr("gearjobs.records.groups.advance.statement_limit_bytes", lambda connection: 2 * 600_000)
    result = chain(add.s("x" * 90_000), add.s(1)).enqueue()

    run_all()

    result.refresh()
    assert (result.succeeded, result.failed, result.is_finished) == (1, 1, True)
    assert "is too long for the database" in Job.objects.get(status="FAILED").error_message


def test_job_cancelled_while_its_stage_is_released_stays_cancelled():
    chain(add.s(1), group(add.s(2), add.s(3))).enqueue()
    advance = GroupAdvance("default")
    handles = [job.pk for job in Job.objects.filter(owner=BLOCKED_OWNER).order_by("handle")]
    Job.objects.filter(pk=handles[0]).update(owner="", finished_at=timezone.now(), status_detail="cancelled")

    advance._release_some(handles, b"1", limit=BodyLimit(None))

    assert Job.objects.get(pk=handles[0]).status_detail == StatusDetail.CANCELLED
    assert Job.objects.get(pk=handles[1]).status_detail == StatusDetail.WAITING


def test_result_that_is_no_json_is_given_as_text_and_bytes_end_the_next_job():
    for result_bytes, args in ((b"plain words", ["plain words", 2]), (b"\xff\xfe", None)):
        chain(add.s(1), add.s(2)).enqueue()
        (job,) = free_jobs()
        Job.objects.filter(pk=job.pk).update(status="SUCCESSFUL", result=result_bytes, finished_at=job.enqueued_at)
        GroupAdvance("default").jobs_ended([job.pk])

        freed = free_jobs()

        assert [answer(bytes(one.payload)) for one in freed] == ([args] if args else [])
        end(freed)
    assert "neither JSON nor text" in Job.objects.get(status="FAILED").error_message


def test_jobs_are_listed_stage_by_stage_and_found_again_by_id():
    result = chain(add.s(1), add.s(2)).enqueue()
    run_all()

    found = GroupResult.get(result.id)

    assert [one.args for one in found.results] == [[1], [[1], 2]]
    assert found.progress.percent == 100.0


def test_unique_of_a_task_is_not_asked_for_in_a_group():
    group(add.using(unique=True).s(1), add.using(unique=True).s(1)).enqueue()

    assert Job.objects.filter(unique="").count() == 2


def test_whole_of_a_transaction_that_is_rolled_back_never_was():
    with transaction.atomic():
        chain(add.s(1), add.s(2)).enqueue()
        transaction.set_rollback(True)

    assert (Job.objects.count(), JobGroup.objects.count(), JobMember.objects.count()) == (0, 0, 0)


def test_chain_is_written_with_bars_as_well():
    assert (add.s(1) | group(add.s(2), add.s(3)) | add.s(4)) == Chain((add.s(1), group(add.s(2), add.s(3)), add.s(4)))


def test_large_chord_is_released_once():
    result = chord([add.s(number) for number in range(450)], add.s("end")).enqueue()
    jobs = free_jobs()

    end(jobs[:200])
    end(jobs[200:])

    (body,) = free_jobs()
    (value, last) = answer(bytes(body.payload))
    assert isinstance(value, list)
    assert (len(value), last) == (450, "end")
    end([body])
    assert result.wait(0) == [value, "end"]
