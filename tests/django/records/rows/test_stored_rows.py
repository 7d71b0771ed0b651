"""Rows that cannot be jobs of the wire: set aside, named in the log, and in nobody's way."""

from __future__ import annotations

import logging

import pytest
from django.db import connection

from gearjobs.models import Job
from gearjobs.records.rows.stored_rows import read_jobs
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        ({"handle": "H:gr\u00fcn:1"}, "63 visible ASCII characters"),
        ({"handle": "H:with space:1"}, "63 visible ASCII characters"),
        ({"worker_ids": {"no": "list"}}, "list of texts, got {'no': 'list'}"),
        ({"worker_ids": [7]}, "list of texts, got [7]"),
        ({"terms": ["no", "object"]}, "its terms must be an object, got ['no', 'object']"),
        ({"terms": {"max_lost": "many"}}, "max_lost must be an integer"),
    ],
)
def test_row_that_is_no_job_is_set_aside_and_says_why(caplog, spoilt, reason):
    # One such row kept the server from starting.
    spoilt_job = make_job(**spoilt)
    good = make_job(handle="H:good:1")

    with caplog.at_level(logging.ERROR, logger="gearjobs.records"):
        jobs = read_jobs(Job.objects.filter(finished_at=None))

    spoilt_job.refresh_from_db()
    assert [job.handle.decode() for job in jobs] == [good.handle]
    assert f"set aside job={spoilt_job.handle!r}" in caplog.text
    assert (spoilt_job.status, spoilt_job.status_detail, spoilt_job.version) == ("FAILED", "dead", 2)
    assert reason in spoilt_job.error_message
    assert read_jobs(Job.objects.filter(finished_at=None)) == jobs


@pytest.mark.skipif(connection.vendor != "sqlite", reason="only SQLite keeps values of any type in a column")
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("payload", "'text'"),
        ("priority", "'high'"),
        ("attempt", "1.5"),
        ("function", "CAST(x'ff' AS TEXT)"),
        ("enqueued_at", "'2026-13-40 00:00:00'"),
        ("worker_ids", "x'5b'"),
        ("terms", "'{'"),
        ("lost", "'few'"),
    ],
)
def test_row_of_a_decayed_file_is_set_aside_alone(column, value):
    before, spoilt, after = make_job(), make_job(), make_job()
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA ignore_check_constraints = ON")
        cursor.execute(f"UPDATE gearjobs_job SET {column} = {value} WHERE handle = %s", [spoilt.handle])
        cursor.execute("PRAGMA ignore_check_constraints = OFF")

    jobs = read_jobs(Job.objects.filter(finished_at=None))

    assert [job.handle.decode() for job in jobs] == [before.handle, after.handle]
    assert Job.objects.filter(pk=spoilt.handle, status_detail="dead", finished_at__isnull=False).exists()


def test_rows_come_in_the_order_of_their_acceptance():
    make_job(handle="H:b:1")
    make_job(handle="H:a:2")

    assert [job.handle for job in read_jobs(Job.objects.all())] == [b"H:b:1", b"H:a:2"]
