"""What the list of failures and the page of one group of them show: what fails, since when, why, and which jobs.

A group counts its own runs; of its jobs no more are read than are shown, and counted than the limit says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Q
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from gearjobs.admin.charts import sparkline
from gearjobs.admin.job_rows import job_rows
from gearjobs.admin.older_pages import older_page
from gearjobs.admin.screen_links import failure_link, job_link, jobs_link, queue_link, screen_url
from gearjobs.admin.traceback_block import traceback_block
from gearjobs.models import FailureGroup, Job, JobAttempt
from gearjobs.records.failures.failure_queries import TREND_JOBS, all_groups, group_trend, jobs_of, shown_groups
from gearjobs.records.job_filter import JobFilter
from gearjobs.records.job_pages import BODIES, BoundedCount, count_up_to
from gearjobs.records.job_queries import all_jobs, has_permission
from gearjobs.settings import gearjobs_settings

User = AbstractBaseUser | AnonymousUser

#: Groups of a page of the list; each has a trend of its own.
GROUPS_SHOWN: Final = 25
#: Jobs that the trend of each of them is made of.
_TREND_JOBS: Final = 1_000
#: Jobs on the page of a group.
JOBS_SHOWN: Final = 20

#: Which groups the list may show, by the word in its address.
KINDS: Final[Mapping[str, Promise]] = {
    "": gettext_lazy("not muted"),
    "muted": gettext_lazy("muted"),
    "all": gettext_lazy("all"),
}
#: How far back, by the word in its address.
SPANS: Final[Mapping[str, tuple[timedelta | None, Promise]]] = {
    "": (None, gettext_lazy("any time")),
    "1h": (timedelta(hours=1), gettext_lazy("last hour")),
    "24h": (timedelta(hours=24), gettext_lazy("last 24 hours")),
    "7d": (timedelta(days=7), gettext_lazy("last 7 days")),
}


@dataclass(slots=True)
class GroupRow:
    """One group of the list."""

    group: FailureGroup
    url: str
    jobs_url: str
    queue_url: str
    trend: SafeString

    @property
    def title(self) -> str:
        """What was raised, in short."""
        return group_title(self.group)


def group_title(group: FailureGroup) -> str:
    """Return what a group is called: the class of its errors, or the beginning of what they say."""
    return group.error_class.rpartition(".")[2] or group.sample_message.partition("\n")[0][:80] or _("no message")


def failure_list(asked: Mapping[str, str], user: User) -> dict[str, Any]:
    """Return what the list shows.

    Args:
        asked: parameters of its address.
        user: for whom.
    """
    kind, span, search = asked.get("muted", ""), asked.get("since", ""), asked.get("q", "").replace("\0", "").strip()
    groups = shown_groups() if kind not in {"muted", "all"} else all_groups()
    if kind == "muted":
        groups = groups.filter(muted_until__gt=timezone.now())
    within = SPANS.get(span, SPANS[""])[0]
    if within is not None:
        groups = groups.filter(last_seen_at__gte=timezone.now() - within)
    if search:
        words = ("error_class__icontains", "sample_message__icontains", "function__icontains", "note__icontains")
        said = Q()
        for word in words:
            said |= Q(**{word: search})
        groups = groups.filter(said)
    page, cursor = older_page(groups, moment="last_seen_at", cursor=asked.get("cursor", ""), size=GROUPS_SHOWN)
    kept = {"muted": kind, "since": span, "q": search}
    list_name = "gearjobs_failuregroup_changelist"
    return {
        "rows": [_row(group) for group in page],
        "search": search,
        "kinds": [(word, label, word == kind) for word, label in KINDS.items()],
        "spans": [(word, label, word == span) for word, (_span, label) in SPANS.items()],
        "is_filtered": bool(kind or span or search),
        "first_url": screen_url(list_name, **kept) if asked.get("cursor") else "",
        "next_url": screen_url(list_name, **kept, cursor=cursor) if cursor else "",
        **what_may(user),
    }


def failure_context(group: FailureGroup, user: User) -> dict[str, Any]:
    """Return what the page of a group shows to a user."""
    may_see_bodies, may_see_jobs = has_permission(user, "view_payload"), has_permission(user, "view_job")
    jobs = list(jobs_of(group.pk).defer(*BODIES)[:JOBS_SHOWN]) if may_see_jobs else []
    count = count_up_to(all_jobs(), JobFilter(fingerprint=group.pk))
    sample = _sample(group, jobs) if may_see_bodies else None
    return {
        "group": group,
        "count": count,
        "jobs_url": jobs_link(fingerprint=group.pk),
        "queue_url": queue_link(group.function),
        "trend": _trend(group),
        "sample": sample[0] if sample is not None else "",
        "sample_url": job_link(sample[1]) if sample is not None else "",
        "rows": job_rows(jobs, may_see_bodies=may_see_bodies),
        "may_see_jobs": may_see_jobs,
        "may_see_bodies": may_see_bodies,
        **what_may(user),
    }


def what_may(user: User) -> dict[str, Any]:
    """Return which verbs a user has."""
    return {
        "may_retry": has_permission(user, "retry_job"),
        "may_delete": has_permission(user, "delete_job"),
        "may_manage": has_permission(user, "manage_failures"),
        "act_url": screen_url("gearjobs_failuregroup_act"),
    }


def _row(group: FailureGroup) -> GroupRow:
    return GroupRow(
        group,
        failure_link(group.pk),
        jobs_link(fingerprint=group.pk),
        queue_link(group.function),
        _trend(group, _TREND_JOBS),
    )


def _trend(group: FailureGroup, most: int = TREND_JOBS) -> SafeString:
    counts = group_trend(group.pk, most=most)
    total = sum(counts)
    shown = str(BoundedCount(total, is_more=total >= most))
    words = ngettext("%(number)s job in 24 hours", "%(number)s jobs in 24 hours", total) % {"number": shown}
    return sparkline(counts, words)


def _sample(group: FailureGroup, jobs: list[Job]) -> tuple[SafeString | str, str] | None:
    """Return the traceback of the job that failed so last, or else of the newest, and its handle."""
    handles = [group.last_job, *(job.handle for job in jobs[:1] if job.handle != group.last_job)]
    rows = all_jobs().filter(pk__in=handles, fingerprint=group.pk).values_list("handle", "error_traceback")
    texts = {handle: text for handle, text in rows if text}
    if not texts:
        # Those that run again have it in their attempts.
        attempts = JobAttempt.objects.using(gearjobs_settings().database).filter(job__in=handles)
        found = attempts.exclude(error_traceback="").order_by("number").values_list("job_id", "error_traceback")
        texts = dict(found)
    for handle in handles:
        if handle in texts:
            return traceback_block(texts[handle], identity="sample"), handle
    return None
