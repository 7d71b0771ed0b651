"""Reading the job table, and inserting without a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError, transaction
from django.utils import timezone

from gearjobs.core.terms import TermsError
from gearjobs.models import Job
from gearjobs.protocol.attributes import SubmitAttributes
from gearjobs.records import job_queries
from gearjobs.records.job_queries import NewJob, count_jobs, get_job, insert_jobs, visible_to
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db


def test_inserted_job_waits_for_a_server():
    attributes = SubmitAttributes(5, 0.0, "album.tasks.resize", "photos", "main", "7", {"a": "b\0"})

    insert_jobs([NewJob("H:client:1", b"re\nsize", b"\0\xff", b"u", attributes)])

    job = get_job("H:client:1")
    assert (job.function, job.unique, bytes(job.payload), job.priority) == ("re\\x0asize", "u", b"\0\xff", 5)
    assert (job.task, job.queue, job.backend, job.enqueued_by) == ("album.tasks.resize", "photos", "main", "7")
    assert (job.owner, job.status, job.status_detail, job.metadata) == ("", "READY", "waiting", {"a": "b\\x00"})


def test_job_inserted_for_later_is_scheduled():
    due = timezone.now() + timedelta(hours=1)

    insert_jobs([NewJob("H:client:1", b"f", b"", attributes=SubmitAttributes(run_at=due.timestamp()))])

    job = get_job("H:client:1")
    assert job.status_detail == "scheduled"
    assert job.run_at == due


def test_inserting_what_a_server_has_accepted_changes_nothing():
    job = make_job("running")

    with transaction.atomic():
        insert_jobs([NewJob(job.handle, b"other", b"other")])

    assert get_job(job.handle).function == "resize"


def test_of_many_jobs_those_a_server_has_accepted_are_left_alone(django_assert_max_num_queries):
    accepted = make_job("running")
    jobs = [NewJob(f"H:client:{number:04}", b"f", b"") for number in range(300)]

    # SQLite takes some 29 rows a statement; the first try ends at its first one.
    with django_assert_max_num_queries(24):
        insert_jobs([NewJob(accepted.handle, b"other", b"other"), *jobs])

    assert Job.objects.filter(function="f", owner="").count() == 300
    assert get_job(accepted.handle).function == "resize"


def test_terms_of_an_inserted_job_stand_in_its_row():
    attributes = SubmitAttributes(terms={"expires_at": 1_760_000_000.25, "max_lost": 2})

    insert_jobs([NewJob("H:client:1", b"f", b"", unique=b"u", attributes=attributes), NewJob("H:client:2", b"f", b"")])

    job = get_job("H:client:1")
    assert (job.terms, job.unique) == (attributes.terms, "u")
    assert job.expires_at == datetime.fromtimestamp(1_760_000_000.25, UTC)
    assert (get_job("H:client:2").terms, get_job("H:client:2").expires_at) == ({}, None)


def test_terms_that_no_server_could_read_are_not_inserted():
    attributes = SubmitAttributes(terms={"max_lost": "many"})

    with pytest.raises(TermsError, match="max_lost"):
        insert_jobs([NewJob("H:client:2", b"f", b""), NewJob("H:client:1", b"f", b"", attributes=attributes)])

    assert not Job.objects.exists()


def test_of_many_jobs_all_are_inserted_or_none():
    twice = NewJob("H:client:1", b"f", b"")

    with pytest.raises(IntegrityError):
        insert_jobs([NewJob("H:client:2", b"f", b""), twice, twice])

    assert not Job.objects.exists()


def test_inserted_job_is_rolled_back_with_its_transaction():
    with transaction.atomic():
        insert_jobs([NewJob("H:client:1", b"f", b"")])
        transaction.set_rollback(True)

    assert not Job.objects.exists()


def test_unknown_handle_does_not_exist():
    with pytest.raises(Job.DoesNotExist):
        get_job("H:nobody:1")


def test_user_sees_the_jobs_enqueued_on_their_behalf(make_user):
    user = make_user("anna")
    own = make_job(enqueued_by=str(user.pk))
    make_job(enqueued_by="")
    make_job(enqueued_by=f"{user.pk}0")

    assert list(visible_to(user)) == [own]


def test_permission_shows_every_job(make_user):
    make_job()

    assert visible_to(make_user("anna", "view_job")).count() == 1


@pytest.mark.parametrize("fields", [{"is_active": False}, {"is_active": False, "is_superuser": True}])
def test_inactive_user_sees_nothing(make_user, fields):
    user = make_user("anna", **fields)
    make_job(enqueued_by=str(user.pk))

    assert not visible_to(user).exists()


def test_nobody_sees_nothing():
    make_job()

    assert not visible_to(AnonymousUser()).exists()


def test_counts_of_an_empty_table():
    counts = count_jobs()

    assert (counts.ended, counts.failed, counts.oldest_waiting_at, counts.unowned) == (0, 0, None, 0)


def test_counts_are_of_the_last_hour():
    make_job("succeeded")
    make_job("failed")
    make_job("lost")
    make_job("failed", finished_at=timezone.now() - timedelta(hours=2))

    counts = count_jobs()

    assert (counts.ended, counts.failed) == (3, 2)


def test_oldest_waiting_job_is_found_whoever_owns_it():
    now = timezone.now()
    make_job("waiting", enqueued_at=now - timedelta(minutes=3))
    make_job("waiting", enqueued_at=now - timedelta(minutes=5), owner="")
    make_job("running", enqueued_at=now - timedelta(minutes=9))
    make_job("succeeded", enqueued_at=now - timedelta(minutes=9))

    counts = count_jobs()

    assert counts.oldest_waiting_at == now - timedelta(minutes=5)
    assert counts.unowned == 1


def test_scheduled_job_waits_from_when_it_is_due():
    now = timezone.now()
    make_job("scheduled", enqueued_at=now - timedelta(hours=5), run_at=now - timedelta(minutes=2))
    make_job("scheduled", enqueued_at=now - timedelta(hours=9), run_at=now + timedelta(minutes=2))

    assert count_jobs().oldest_waiting_at == now - timedelta(minutes=2)


def test_counting_is_bounded(monkeypatch):
    monkeypatch.setattr(job_queries, "ENDED_LIMIT", 3)
    monkeypatch.setattr(job_queries, "UNOWNED_LIMIT", 2)
    for _ in range(5):
        make_job("succeeded")
        make_job("waiting", owner="")

    counts = count_jobs()

    assert (counts.ended, counts.unowned) == (3, 2)
