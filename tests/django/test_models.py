"""The models and their migration."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import call_command

from gearjobs.core.changes import Outcome
from gearjobs.models import DETAIL_STATUS, Job, JobStatus, StatusDetail

pytestmark = pytest.mark.django_db


def test_migrations_are_those_of_the_models():
    call_command("makemigrations", "gearjobs", "--check", "--dry-run", verbosity=0)


def test_every_outcome_is_a_detail_of_a_finished_status():
    statuses = {outcome: DETAIL_STATUS[StatusDetail(outcome.value)] for outcome in Outcome}

    assert statuses.pop(Outcome.SUCCEEDED) == JobStatus.SUCCESSFUL
    assert set(statuses.values()) == {JobStatus.FAILED}


def test_every_detail_has_a_status():
    assert set(DETAIL_STATUS) == set(StatusDetail)


@pytest.mark.parametrize(
    ("numerator", "denominator", "percent"),
    [(0, 0, None), (5, 0, None), (1, 4, 25.0), (9, 4, 100.0), (-1, 4, 0.0), (1, -4, None)],
)
def test_progress_is_a_percentage_where_there_is_a_whole(numerator, denominator, percent):
    job = Job(progress_numerator=numerator, progress_denominator=denominator)

    assert job.progress_percent == percent


def test_duration_is_of_the_latest_run():
    job = Job(status="SUCCESSFUL")
    job.last_attempted_at = job.enqueued_at + timedelta(seconds=5)
    job.finished_at = job.enqueued_at + timedelta(seconds=7)

    assert job.duration == timedelta(seconds=2)
    assert Job().duration is None
