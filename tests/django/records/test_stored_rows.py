"""Rows that cannot be jobs of the wire: passed over, named in the log, and in nobody's way."""

from __future__ import annotations

import logging

import pytest

from gearjobs.models import Job
from gearjobs.records.stored_rows import read_jobs
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "spoilt",
    [
        {"handle": "H:gr\u00fcn:1"},
        {"handle": "H:with space:1"},
        {"worker_ids": {"no": "list"}},
        {"worker_ids": [7]},
    ],
)
def test_row_that_is_no_job_is_passed_over_and_named(caplog, spoilt):
    # One such row kept the server from starting.
    make_job(**spoilt)
    good = make_job(handle="H:good:1")

    with caplog.at_level(logging.ERROR, logger="gearjobs.records"):
        jobs = read_jobs(Job.objects.all())

    assert [job.handle.decode() for job in jobs] == [good.handle]
    assert "pass over job=" in caplog.text


def test_rows_come_in_the_order_of_their_acceptance():
    make_job(handle="H:b:1")
    make_job(handle="H:a:2")

    assert [job.handle for job in read_jobs(Job.objects.all())] == [b"H:b:1", b"H:a:2"]
