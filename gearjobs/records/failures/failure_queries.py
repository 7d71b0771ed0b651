"""Reading groups of failures: which there are, how one went on lately, and what of it stands in the job table.

Every query goes along an index and ends at a limit: a group may have any number of jobs.
"""

from __future__ import annotations

import datetime
from typing import Final

from django.db.models import QuerySet
from django.utils import timezone

from gearjobs.models import FailureGroup, Job
from gearjobs.records.job_queries import all_jobs
from gearjobs.settings import gearjobs_settings

#: Jobs that a trend is made of at most: the latest.
TREND_JOBS: Final = 5_000


def all_groups(*, using: str | None = None) -> QuerySet[FailureGroup]:
    """Return every group, the latest first."""
    groups = FailureGroup.objects.using(using or gearjobs_settings().database)
    return groups.order_by("-last_seen_at", "fingerprint")


def shown_groups(*, since: datetime.datetime | None = None, using: str | None = None) -> QuerySet[FailureGroup]:
    """Return the groups that are not muted, the latest first.

    Args:
        since: those alone that failed since.
        using: alias of the database, where it is not that of the settings.
    """
    groups = all_groups(using=using).exclude(muted_until__gt=timezone.now())
    return groups if since is None else groups.filter(last_seen_at__gte=since)


def jobs_of(fingerprint: str, *, using: str | None = None) -> QuerySet[Job]:
    """Return the jobs whose latest run failed so, newest first, also those that are to run again."""
    return all_jobs(using=using).filter(fingerprint=fingerprint).order_by("-enqueued_at", "-handle")


def group_trend(
    fingerprint: str,
    *,
    span: datetime.timedelta = datetime.timedelta(hours=24),
    steps: int = 24,
    most: int = TREND_JOBS,
) -> list[int]:
    """Return how many jobs of a group were enqueued in each step up to now: of the latest `most` alone."""
    now = timezone.now()
    width = span / steps
    counts = [0] * steps
    jobs = jobs_of(fingerprint).filter(enqueued_at__gt=now - span)
    for enqueued_at in jobs.values_list("enqueued_at", flat=True)[:most]:
        counts[max(0, steps - 1 - (now - enqueued_at) // width)] += 1
    return counts
