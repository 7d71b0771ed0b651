"""What is submitted of a task's options, over the wire and as a row."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from gearjobs import PartlyRefused, UniqueConflict, UsageError, gear_task
from gearjobs.models import Job
from tests.support.sample_tasks import add, careful

outside_a_transaction = pytest.mark.django_db(transaction=True)


@gear_task(unique=True, on_conflict="skip", unique_for="queued", on_worker_lost="fail", max_lost=2)
def rare(number: int) -> None: ...


@gear_task(expires=60)
def short_lived() -> None: ...


@outside_a_transaction
def test_job_of_a_task_without_options_has_no_terms(job_server):
    add.enqueue(1)

    (submitted,) = job_server.submitted
    assert (submitted.unique, submitted.attributes.terms, submitted.attributes.metadata) == ("", {}, {})


@outside_a_transaction
def test_options_travel_as_terms(job_server):
    before = time.time()

    result = careful.enqueue(7)

    (submitted,) = job_server.submitted
    expires_at = submitted.attributes.terms.pop("expires_at")
    assert before + 3600 <= expires_at <= time.time() + 3600
    assert submitted.unique == "user:7"
    assert submitted.attributes.terms == {
        "timeout_s": 30.0,
        "soft_timeout_s": 20.0,
        "max_attempts": 3,
        "on_conflict": "raise",
        "limits": [
            {"key": careful.function_name, "concurrency": 2},
            {"key": careful.function_name, "rate": 10, "per_s": 60.0},
        ],
    }
    assert submitted.attributes.metadata == result.metadata == {"team": "billing"}


@outside_a_transaction
def test_rarer_options_travel_too(job_server):
    rare.enqueue(1)

    assert job_server.submitted[0].attributes.terms == {
        "unique_for": "queued",
        "on_conflict": "skip",
        "on_lost": "fail",
        "max_lost": 2,
    }
    assert len(job_server.submitted[0].unique) == 40


@outside_a_transaction
def test_call_that_may_be_tried_again_says_so_to_a_server_that_cannot_count(job_server):
    careful.enqueue(7)
    add.enqueue(1)

    assert json.loads(job_server.submitted[0].payload)["attempt"] == 1
    assert "attempt" not in json.loads(job_server.submitted[1].payload)


@outside_a_transaction
def test_limits_of_a_task_count_its_calls_on_all_queues(job_server):
    careful.using(queue_name="slow").enqueue(7)

    (submitted,) = job_server.submitted
    assert submitted.function == f"{careful.function_name}@slow"
    assert submitted.attributes.terms["limits"][0]["key"] == careful.function_name


@outside_a_transaction
def test_time_to_start_counts_from_when_the_job_may(job_server):
    run_after = datetime(2030, 1, 1, tzinfo=UTC)

    short_lived.using(run_after=run_after).enqueue()
    short_lived.using(expires=run_after).enqueue()

    assert job_server.submitted[0].attributes.terms["expires_at"] == run_after.timestamp() + 60
    assert job_server.submitted[1].attributes.terms["expires_at"] == run_after.timestamp()


@outside_a_transaction
def test_joining_a_live_job_gives_its_id(job_server):
    job_server.joins = "H:test:live"

    assert careful.enqueue(7).id == "H:test:live"


@outside_a_transaction
def test_taken_unique_is_the_callers_to_know_where_the_task_wants_it(job_server):
    job_server.refusal = UniqueConflict("UNIQUE_TAKEN", "the unique is taken by H:test:live")

    with pytest.raises(UniqueConflict) as conflict:
        careful.enqueue(7)

    assert conflict.value.handle == "H:test:live"


@outside_a_transaction
def test_taken_uniques_among_many_calls_are_told_one_by_one(job_server):
    job_server.refusal, job_server.takes = UniqueConflict("UNIQUE_TAKEN", "taken by H:test:live"), 1

    with pytest.raises(PartlyRefused) as refused:
        careful.enqueue_many([((7,), {}), ((7,), {})])

    assert [type(refusal) for refusal in refused.value.refusals] == [UniqueConflict]
    assert [result is None for result in refused.value.results] == [False, True]


@outside_a_transaction
def test_call_without_a_key_is_refused_before_anything_is_submitted(job_server):
    keyed = add.using(unique=lambda a, b=1: a)

    with pytest.raises(UsageError, match="must be a string or None"):
        keyed.enqueue_many([((7,), {})])

    assert not job_server.submitted


@outside_a_transaction
def test_foreground_call_shares_a_run_by_its_unique(job_server):
    assert careful.do(7) == "dear 7"
    assert job_server.foreground_uniques == ["user:7"]


@outside_a_transaction
def test_row_of_a_transaction_has_unique_and_terms(job_server):
    with transaction.atomic():
        result = careful.enqueue(7)
        row = Job.objects.get(pk=result.id)

    assert (row.unique, row.metadata) == ("user:7", {"team": "billing"})
    assert row.terms["timeout_s"] == 30.0
    assert row.expires_at is not None
    assert timedelta(0) < row.expires_at - timezone.now() <= timedelta(hours=1)


@outside_a_transaction
def test_stock_server_is_said_once_to_pass_terms_over(job_server, caplog):
    job_server.has_extensions = False

    careful.enqueue(7)
    careful.enqueue(8)

    (record,) = [record for record in caplog.records if "passed over" in record.getMessage()]
    assert {"expires", "concurrency and rate", "on_conflict"} <= set(
        record.getMessage().partition(": ")[2].partition(" (")[0].split(", ")
    )


@outside_a_transaction
def test_stock_server_passes_nothing_over_of_a_plain_job(job_server, caplog):
    job_server.has_extensions = False

    add.enqueue(1)

    assert "passed over" not in caplog.text
