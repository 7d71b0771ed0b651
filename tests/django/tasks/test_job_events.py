"""Following what a job tells."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.test import override_settings
from django.utils import timezone

from gearjobs import UsageError
from gearjobs.models import Job, JobOutput
from tests.support.event_loop import in_event_loop
from tests.support.job_rows import make_job
from tests.support.sample_tasks import add
from tests.support.task_settings import DUMMY

outside_a_transaction = pytest.mark.django_db(transaction=True)


def job_with_output(detail: str, *bodies: bytes, **fields):
    row = make_job(detail, function=add.function_name, task=add.module_path, **fields)
    for number, body in enumerate(bodies, 1):
        JobOutput.objects.create(
            job=row, sequence=number, body=body, is_warning=body.startswith(b"!"), streamed_at=timezone.now()
        )
    return add.get_result(row.handle)


def told(events):
    return [
        (event.kind, event.sequence, event.value or (event.progress and event.progress.numerator)) for event in events
    ]


@outside_a_transaction
def test_all_that_an_ended_job_told_is_told_again():
    result = job_with_output("succeeded", b'{"page": 1}', b"!slow", progress_numerator=2.0, progress_denominator=4.0)

    assert told(result.events()) == [("data", 1, {"page": 1}), ("warning", 2, "!slow"), ("progress", 2, 2.0)]


@outside_a_transaction
def test_reader_goes_on_where_it_left_off():
    result = job_with_output("succeeded", b"a", b"b", b"c")

    assert told(result.events(since=2)) == [("data", 3, "c")]


@outside_a_transaction
def test_stream_longer_than_one_look_is_complete():
    result = job_with_output("succeeded", *(b"%d" % number for number in range(250)))

    assert [event.value for event in result.events()] == list(range(250))


@outside_a_transaction
def test_stream_goes_on_until_the_job_has_ended():
    result = job_with_output("running", b"a", progress_numerator=1.0)
    events = result.events()
    seen = [next(events), next(events)]

    JobOutput.objects.create(job_id=result.id, sequence=2, body=b"b", streamed_at=timezone.now())
    Job.objects.update(
        progress_numerator=2.0,
        status="SUCCESSFUL",
        status_detail="succeeded",
        finished_at=timezone.now() + timedelta(seconds=1),
    )

    assert told(seen + list(events)) == [("data", 1, "a"), ("progress", 1, 1.0), ("data", 2, "b"), ("progress", 2, 2.0)]


@outside_a_transaction
@in_event_loop
async def test_coroutine_can_follow_too():
    result = await sync_to_async(job_with_output)("succeeded", b"a", b"b")

    assert [event.value async for event in result.aevents()] == ["a", "b"]


@override_settings(TASKS=DUMMY)
def test_jobs_of_other_backends_cannot_be_followed():
    with pytest.raises(UsageError, match="DummyBackend cannot follow"):
        next(add.enqueue(1).events())
