"""Reading groups of failures."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from gearjobs.models import FailureGroup, Job
from gearjobs.records.failures.failure_queries import all_groups, group_trend, jobs_of, shown_groups

pytestmark = pytest.mark.django_db


@pytest.fixture
def now():
    return timezone.now()


def make_group(fingerprint: str, at, **values) -> None:
    FailureGroup.objects.create(fingerprint=fingerprint, function="resize", last_seen_at=at, **values)


def names(groups) -> list[str]:
    return [group.fingerprint for group in groups]


def test_latest_group_comes_first(now):
    make_group("old", now - timedelta(days=1))
    make_group("new", now)

    assert names(all_groups()) == ["new", "old"]


def test_muted_groups_are_not_shown_until_their_time_is_over(now):
    make_group("muted", now, muted_until=now + timedelta(hours=1))
    make_group("was-muted", now - timedelta(seconds=1), muted_until=now - timedelta(hours=1))
    make_group("plain", now - timedelta(days=3))

    assert (names(shown_groups()), names(shown_groups(since=now - timedelta(days=1)))) == (
        ["was-muted", "plain"],
        ["was-muted"],
    )
    assert [group.is_muted for group in all_groups()] == [True, False, False]


def test_trend_counts_the_jobs_of_each_step(now):
    for number, hours_ago in enumerate([0.2, 0.3, 1.5, 30]):
        at = now - timedelta(hours=hours_ago)
        Job.objects.create(handle=f"H:{number}", function="resize", fingerprint="f1", enqueued_at=at)

    trend = group_trend("f1")
    assert (trend[-2:], sum(trend), len(trend)) == ([1, 2], 3, 24)
    assert [job.handle for job in jobs_of("f1")][:2] == ["H:0", "H:1"]
