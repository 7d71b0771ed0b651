"""Ended jobs go when their time is over, with all that belongs to them, and nothing else goes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from gearjobs.models import Job, JobAttempt, JobGroup, JobMember, JobOutput
from gearjobs.records import retention
from gearjobs.records.retention import KeptFor, Sweep, kept_for
from gearjobs.settings import ResultSettings
from tests.support.job_rows import make_attempt, make_job

pytestmark = pytest.mark.django_db

WEEK_AND_MONTH = KeptFor(timedelta(days=7), timedelta(days=30))


def ended(detail: str, days_ago: float, **fields: object) -> Job:
    return make_job(detail, finished_at=timezone.now() - timedelta(days=days_ago), **fields)


def sweep_all(kept: KeptFor = WEEK_AND_MONTH, **options: object) -> int:
    sweep = Sweep(kept, **options)  # type: ignore[arg-type]  # as given
    removed = 0
    for _ in range(1_000):
        if sweep.is_over:
            return removed
        removed += sweep.step()
    raise AssertionError("the sweep does not end")


def handles() -> set[str]:
    return set(Job.objects.values_list("pk", flat=True))


def test_jobs_go_when_their_kind_of_end_is_old_enough():
    kept = {ended("succeeded", 6.9), ended("failed", 29), ended("cancelled", 29), make_job("running"), make_job()}
    ended("succeeded", 7.1)
    ended("dead", 31)
    ended("expired", 31)

    assert sweep_all() == 3
    assert handles() == {job.pk for job in kept}


def test_unfinished_job_stays_however_old():
    job = make_job("running", enqueued_at=timezone.now() - timedelta(days=1_000))

    assert sweep_all() == 0
    assert handles() == {job.pk}


def test_output_and_attempts_go_with_their_job_and_those_of_others_stay():
    for job in (ended("failed", 31), ended("failed", 1)):
        make_attempt(job)
        JobOutput.objects.create(job=job, sequence=1, streamed_at=timezone.now())

    sweep_all()

    (left,) = handles()
    assert list(JobAttempt.objects.values_list("job", flat=True)) == [left]
    assert list(JobOutput.objects.values_list("job", flat=True)) == [left]


@pytest.mark.parametrize("days", [(0.0, 30.0), (7.0, 0.0), (0.0, 0.0)])
def test_kind_of_end_that_is_kept_for_ever_never_goes(days):
    ended("succeeded", 1_000)
    ended("failed", 1_000)

    sweep_all(kept_for(ResultSettings(successful_days=days[0], failed_days=days[1])))

    assert Job.objects.filter(status="SUCCESSFUL").exists() == (days[0] == 0.0)
    assert Job.objects.filter(status="FAILED").exists() == (days[1] == 0.0)


def test_other_queues_are_left_alone():
    ended("succeeded", 8, queue="photos")
    other = ended("succeeded", 8, queue="mail")

    assert Sweep(WEEK_AND_MONTH, queues=("photos",)).count() == 1
    assert sweep_all(queues=("photos",)) == 1
    assert handles() == {other.pk}


def test_sweep_passes_over_many_that_are_kept_page_by_page(monkeypatch):
    monkeypatch.setattr(retention, "FIRST_ROWS", 4)
    monkeypatch.setattr(retention, "MOST_ROWS", 4)
    for number in range(20):
        ended("failed", 20 - number / 10)
    ended("succeeded", 8)

    assert sweep_all() == 1


@pytest.mark.parametrize("detail", ["failed", "succeeded"])
def test_many_jobs_that_ended_at_one_moment_are_no_trap(monkeypatch, detail):
    monkeypatch.setattr(retention, "FIRST_ROWS", 4)
    monkeypatch.setattr(retention, "MOST_ROWS", 4)
    moment = timezone.now() - timedelta(days=8)
    for _ in range(30):
        make_job(detail, finished_at=moment)
    ended("succeeded", 7.5)

    assert sweep_all() == (1 if detail == "failed" else 31)


def test_page_that_takes_long_is_followed_by_a_shorter_one(monkeypatch):
    monkeypatch.setattr(retention, "_QUICK_S", -1.0)
    monkeypatch.setattr(retention, "_SLOW_S", 0.0)
    for _ in range(60):
        ended("succeeded", 8)
    sweep = Sweep(WEEK_AND_MONTH)

    assert [sweep.step() for _ in range(3)] == [32, 8, 8]


@pytest.mark.parametrize("is_unfinished", [True, False])
def test_jobs_of_a_group_stay_while_it_goes_on_and_then_go_with_it(is_unfinished):
    end = None if is_unfinished else timezone.now() - timedelta(days=31)
    JobGroup.objects.create(id="G:1", root="G:1", finished_at=end)
    stage = JobGroup.objects.create(id="G:1:1", root="G:1")
    JobMember.objects.create(job=ended("succeeded", 40), stage=stage)
    ended("succeeded", 40)

    assert sweep_all() == (1 if is_unfinished else 2)
    left = (Job.objects.count(), JobMember.objects.count(), JobGroup.objects.count())
    assert left == ((1, 1, 2) if is_unfinished else (0, 0, 0))


def test_group_that_ended_lately_stays():
    JobGroup.objects.create(id="G:1", root="G:1", finished_at=timezone.now() - timedelta(days=29))

    sweep_all()

    assert JobGroup.objects.exists()


def test_page_is_found_by_the_index_of_ends(django_assert_max_num_queries):
    ended("succeeded", 8)
    with django_assert_max_num_queries(16) as captured:
        sweep_all()

    assert "ORDER BY" in captured[0]["sql"]
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("EXPLAIN QUERY PLAN " + captured[0]["sql"])
            plan = " ".join(str(row) for row in cursor.fetchall())
            assert "gearjobs_job_finished" in plan
            assert "TEMP B-TREE" not in plan
    assert not any("payload" in query["sql"] or '"result"' in query["sql"] for query in captured)
