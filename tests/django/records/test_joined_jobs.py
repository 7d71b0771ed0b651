"""A row whose work another job does: shown as that one stands, under its own handle."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from gearjobs.models import Job
from gearjobs.records.job_queries import all_jobs, get_job, has_ended
from gearjobs.records.joined_jobs import follow_joined, shown_version
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def holder():
    return make_job("running", version=5, progress_numerator=1, progress_denominator=4)


@pytest.fixture
def joined(holder):
    return make_job(
        "cancelled", joined_to=holder.handle, version=2, payload=b"own", error_class="gearjobs.errors.JobCoalesced"
    )


def end(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(
        status="SUCCESSFUL", status_detail="succeeded", result=b"42", finished_at=timezone.now()
    )


def test_joined_job_is_shown_as_the_other_stands(holder, joined):
    job = get_job(joined.handle)

    assert (job.handle, bytes(job.payload)) == (joined.handle, b"own")
    assert (job.status, job.status_detail, job.progress_percent) == ("RUNNING", "running", 25.0)
    assert (job.finished_at, job.error_class, job.version) == (None, "", 7)


def test_result_of_the_other_is_the_joined_jobs(holder, joined):
    end(holder)

    assert bytes(get_job(joined.handle).result or b"") == b"42"


def test_joined_job_has_ended_when_the_other_has(holder, joined):
    assert not has_ended(joined.handle)

    end(holder)

    assert has_ended(joined.handle)


def test_joined_job_whose_other_is_gone_tells_its_own_end(holder, joined):
    holder.delete()

    assert get_job(joined.handle).status_detail == "cancelled"
    assert has_ended(joined.handle)


def test_end_of_a_job_that_is_not_there_is_not_told():
    with pytest.raises(Job.DoesNotExist, match="H:no:1"):
        has_ended("H:no:1")


def test_job_of_its_own_costs_no_further_query(holder, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert get_job(holder.handle).version == 5
    with django_assert_num_queries(1):
        assert not has_ended(holder.handle)


def test_list_is_followed_by_one_query_and_reads_no_more_columns(holder, joined, django_assert_num_queries):
    make_job("cancelled", joined_to=holder.handle)
    jobs = list(all_jobs().defer("payload", "result").order_by("pk"))

    with django_assert_num_queries(1):
        follow_joined(jobs)
        assert [job.status_detail for job in jobs] == ["running"] * 3
    assert all("result" in job.get_deferred_fields() for job in jobs)


def test_version_grows_with_the_others(holder, joined):
    before = shown_version(all_jobs().filter(pk=joined.pk))

    Job.objects.filter(pk=holder.pk).update(version=6)

    assert (before, shown_version(all_jobs().filter(pk=joined.pk))) == ((joined.handle, 7), (joined.handle, 8))
    assert shown_version(all_jobs().filter(pk="H:no:1")) is None


def test_command_that_lists_jobs_shows_them_as_the_others_stand(holder, joined):
    out = StringIO()

    call_command("jobs_list", joined.handle, stdout=out)

    assert "running" in out.getvalue()
    assert "JobCoalesced" not in out.getvalue()
