"""`manage.py jobs_prune`: what goes, what is only counted, and for which ages."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from gearjobs.models import Job
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db


def prune(*flags: str) -> str:
    out = StringIO()
    call_command("jobs_prune", *flags, stdout=out)
    return out.getvalue().strip()


@pytest.fixture
def jobs():
    for days_ago in (0, 2, 8, 31):
        for detail in ("succeeded", "failed"):
            queue = "mail" if days_ago == 8 else "photos"
            make_job(detail, queue=queue, finished_at=timezone.now() - timedelta(days=days_ago))


@pytest.mark.parametrize(
    ("flags", "removed"),
    [
        ((), 3),
        (("--min-age-days", "1"), 6),
        (("--min-age-days", "0"), 8),
        (("--min-age-days", "1", "--failed-min-age-days", "9"), 4),
        (("--failed-min-age-days", "1.5"), 5),
        (("--min-age-days", "1", "--queue-name", "mail,other"), 2),
    ],
)
def test_jobs_of_the_ages_are_counted_and_removed(jobs, flags, removed):
    assert prune(*flags, "--dry-run") == f"{removed} jobs would be removed"
    assert Job.objects.count() == 8

    assert prune(*flags) == f"{removed} jobs removed"
    assert Job.objects.count() == 8 - removed


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "1e300", "1e6"])
def test_age_that_is_none_is_refused(text):
    with pytest.raises(CommandError, match="must be a number of days from 0 to 36500"):
        prune(f"--min-age-days={text}")
