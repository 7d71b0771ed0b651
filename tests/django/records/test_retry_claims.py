"""Of several who run an ended job again at the same moment, one does."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, connections
from django.utils import timezone

from gearjobs.models import Job
from gearjobs.records.job_queries import NewJob
from gearjobs.records.retry_claims import GONE, insert_retries
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db(transaction=True)

#: Seconds that a thread may take on a busy machine.
PATIENCE_S = 60.0


def new_job(handle: str) -> NewJob:
    return NewJob(handle, b"resize", b"payload")


def test_job_is_run_again_by_the_first(transactional_db):
    old = make_job("failed")
    first: dict[str, str] = {}
    second: dict[str, str] = {}

    insert_retries({old.pk: new_job("H:new:1")}, first)
    insert_retries({old.pk: new_job("H:new:2")}, second)

    assert (first, second) == ({}, {old.pk: "H:new:1"})
    assert set(Job.objects.values_list("pk", flat=True)) == {old.pk, "H:new:1"}
    assert Job.objects.get(pk=old.pk).version == 2


def test_what_cannot_be_claimed_holds_nobody_else_up():
    ended, running = make_job("failed"), make_job("running")
    refused: dict[str, str] = {}

    jobs = {ended.pk: new_job("H:new:1"), running.pk: new_job("H:new:2"), "H:gone:1": new_job("H:new:3")}
    insert_retries(jobs, refused)

    assert refused == {running.pk: GONE, "H:gone:1": GONE}
    assert Job.objects.filter(pk__startswith="H:new").get().pk == "H:new:1"


def test_job_is_free_to_be_run_again_where_the_new_one_could_not_be_inserted():
    old, other = make_job("failed"), make_job("failed")
    unfit = NewJob("H:new:2", b"resize", object())  # type: ignore[arg-type]  # what no driver takes

    refused: dict[str, str] = {}

    with pytest.raises(TypeError):
        insert_retries({old.pk: new_job("H:new:1"), other.pk: unfit}, refused)

    assert refused == {}
    assert set(Job.objects.values_list("pk", "retried_as", "version")) == {(old.pk, "", 1), (other.pk, "", 1)}


def test_threads_that_press_at_once_make_one_job():
    olds = [make_job("failed").pk for _ in range(5)]
    barrier, refusals = threading.Barrier(4), []

    def press(number: int) -> None:
        refused: dict[str, str] = {}
        barrier.wait(PATIENCE_S)
        try:
            # Not in the same order: nobody is to wait for a row that another holds, crosswise.
            handles = olds if number % 2 else olds[::-1]
            insert_retries({old: new_job(f"{old}.{number}") for old in handles}, refused)
        finally:
            connection.close()
        refusals.append(refused)

    threads = [threading.Thread(target=press, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)

    assert sorted(map(len, refusals)) == [0, 5, 5, 5]
    assert Job.objects.count() == 10


def test_shared_databases_let_one_of_many_press_too(alias):
    old = Job.objects.using(alias).create(handle="H:old:1", status="FAILED", finished_at=timezone.now())
    barrier, refusals = threading.Barrier(3), []

    def press(number: int) -> None:
        refused: dict[str, str] = {}
        barrier.wait(PATIENCE_S)
        try:
            insert_retries({old.pk: new_job(f"H:new:{number}")}, refused, using=alias)
        finally:
            connections[alias].close()
        refusals.append(refused)

    threads = [threading.Thread(target=press, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)

    (made,) = Job.objects.using(alias).exclude(pk=old.pk)
    assert sorted(map(len, refusals)) == [0, 1, 1]
    assert {handle for refused in refusals for handle in refused.values()} == {made.pk}
