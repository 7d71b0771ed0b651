"""What the list of groups and the page of one show: how far each whole is, and its jobs step by step.

Counters stand in the rows, so that nothing is counted. A step is the stages that may run at the same time: those whose
longest way from a beginning is as long.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gearjobs.admin.actor_names import actor_names
from gearjobs.admin.job_cells import badge, duration_text
from gearjobs.admin.job_rows import JobRow, job_rows
from gearjobs.admin.json_tree import body_tree
from gearjobs.admin.older_pages import older_page
from gearjobs.admin.screen_links import group_link, jobs_link, screen_url
from gearjobs.models import JobGroup, JobMember, JobStatus
from gearjobs.records.groups.group_rows import whole_value
from gearjobs.records.groups.group_values import ValueUnfit
from gearjobs.records.job_pages import BODIES
from gearjobs.records.job_queries import all_jobs, has_permission
from gearjobs.settings import gearjobs_settings

User = AbstractBaseUser | AnonymousUser

#: Wholes of a page of the list, and rows of the table, the newest, among which the list is.
GROUPS_SHOWN: Final = 50
LOOK_LIMIT: Final = 10_000
#: Jobs named on the page of a whole, and stages that are looked at.
JOBS_SHOWN: Final = 200
_STAGES_LIMIT: Final = 2_000

#: Which wholes the list may show, by the word in its address.
KINDS: Final[Mapping[str, Promise]] = {
    "": gettext_lazy("all"),
    "open": gettext_lazy("going on"),
    "failed": gettext_lazy("with failures"),
}
_BADGES: Final[Mapping[JobStatus, str]] = {
    JobStatus.READY: "waiting",
    JobStatus.RUNNING: "running",
    JobStatus.SUCCESSFUL: "good",
    JobStatus.FAILED: "bad",
}


@dataclass(slots=True)
class GroupRow:
    """One whole of the list."""

    whole: JobGroup
    url: str
    state: SafeString
    progress: SafeString
    failed_url: str
    took: str


@dataclass(slots=True)
class Step:
    """Jobs that may run at the same time."""

    total: int = 0
    ended: int = 0
    failed: int = 0
    rows: list[JobRow] = field(default_factory=list)


def all_wholes() -> QuerySet[JobGroup]:
    """Return the roots."""
    return JobGroup.objects.using(gearjobs_settings().database).filter(pk=F("root"))


def group_list(asked: Mapping[str, str]) -> dict[str, Any]:
    """Return what the list shows.

    Args:
        asked: parameters of its address.
    """
    kind = asked.get("state", "") if asked.get("state") in KINDS else ""
    wholes = all_wholes()
    # Few of the table's rows may be like that: no index leads to them.
    newest = JobGroup.objects.using(gearjobs_settings().database).order_by("-created_at")
    for edge in newest.values_list("created_at", flat=True)[LOOK_LIMIT : LOOK_LIMIT + 1]:
        wholes = wholes.filter(created_at__gte=edge)
    if kind == "open":
        wholes = wholes.filter(finished_at=None)
    elif kind == "failed":
        wholes = wholes.filter(failed__gt=0)
    page, cursor = older_page(wholes, moment="created_at", cursor=asked.get("cursor", ""), size=GROUPS_SHOWN)
    name = "gearjobs_jobgroup_changelist"
    return {
        "rows": [_row(whole) for whole in page],
        "kinds": [(word, label, word == kind) for word, label in KINDS.items()],
        "is_filtered": bool(kind),
        "first_url": screen_url(name, state=kind) if asked.get("cursor") else "",
        "next_url": screen_url(name, state=kind, cursor=cursor) if cursor else "",
    }


def group_context(whole: JobGroup, user: User) -> dict[str, Any]:
    """Return what the page of a whole shows to a user."""
    may_see_jobs, may_see_bodies = has_permission(user, "view_job"), has_permission(user, "view_payload")
    stages = list(JobGroup.objects.using(gearjobs_settings().database).filter(root=whole.pk)[:_STAGES_LIMIT])
    steps, left_out = _steps(whole, stages, has_jobs=may_see_jobs, may_see_bodies=may_see_bodies)
    is_open = whole.finished_at is None
    return {
        "whole": whole,
        "row": _row(whole),
        "steps": steps,
        "jobs_left_out": left_out,
        "jobs_url": jobs_link(group=whole.pk) if may_see_jobs else "",
        "enqueued_by": actor_names({whole.enqueued_by}).get(whole.enqueued_by, whole.enqueued_by),
        "value": _value(whole) if may_see_jobs and may_see_bodies else "",
        "may_see_jobs": may_see_jobs,
        "may_cancel": is_open and has_permission(user, "cancel_job"),
        "may_retry": may_see_jobs and whole.failed > 0 and has_permission(user, "retry_job"),
        "may_delete": may_see_jobs and not is_open and has_permission(user, "delete_job"),
        "act_url": screen_url("gearjobs_jobgroup_act"),
        "jobs_act_url": screen_url("gearjobs_job_act_many"),
        "refreshes": is_open,
    }


def depths(stages: Sequence[JobGroup]) -> dict[str, int]:
    """Return on which step each stage is, from 0; rows that belong to no order are on the first."""
    comes_before: dict[str, set[str]] = defaultdict(set)
    for stage in stages:
        if stage.next_stage:
            comes_before[stage.next_stage].add(stage.pk)
        if stage.released_by:
            comes_before[stage.pk].add(stage.released_by)
    found: dict[str, int] = {}
    left = {stage.pk for stage in stages}
    depth = 0
    while left:
        ready = {pk for pk in left if not comes_before[pk] & left} or left
        found.update(dict.fromkeys(ready, depth))
        left -= ready
        depth += 1
    return found


def _steps(
    whole: JobGroup, stages: Sequence[JobGroup], *, has_jobs: bool, may_see_bodies: bool
) -> tuple[list[Step], int]:
    """Return the steps that have jobs, and how many jobs were left out."""
    with_jobs = [stage for stage in stages if stage.total and stage.pk != whole.pk]
    at = depths([stage for stage in stages if stage.pk != whole.pk])
    steps: dict[int, Step] = {depth: Step() for depth in sorted({at[stage.pk] for stage in with_jobs})}
    for stage in with_jobs:
        step = steps[at[stage.pk]]
        step.total += stage.total
        step.ended += stage.succeeded + stage.failed
        step.failed += stage.failed
    if not has_jobs:
        return list(steps.values()), 0
    # The members first: of a large group all jobs would be read to find the first ones.
    members = JobMember.objects.using(gearjobs_settings().database).filter(stage__root=whole.pk)
    stage_of = dict(members.order_by("stage_id", "position").values_list("job_id", "stage_id")[:JOBS_SHOWN])
    found = all_jobs().filter(pk__in=list(stage_of)).defer(*BODIES).in_bulk()
    jobs = [found[handle] for handle in stage_of if handle in found]
    for row in job_rows(jobs, may_see_bodies=may_see_bodies):
        steps.setdefault(at.get(stage_of[row.handle], 0), Step()).rows.append(row)
    return [steps[depth] for depth in sorted(steps)], max(0, whole.total - len(jobs))


def _row(whole: JobGroup) -> GroupRow:
    ended_at = whole.finished_at or timezone.now()
    return GroupRow(
        whole,
        group_link(whole.pk),
        badge(str(whole.status.label), _BADGES[whole.status]),
        _progress(whole),
        jobs_link(group=whole.pk, status=JobStatus.FAILED) if whole.failed else "",
        duration_text(ended_at - whole.created_at),
    )


def _progress(whole: JobGroup) -> SafeString:
    ended = whole.succeeded + whole.failed
    return format_html(
        '<span class="gearjobs-progress"><progress max="{}" value="{}" aria-label="{}"></progress>'
        " <span>{}</span></span>",
        max(1, whole.total),
        ended,
        _("Progress"),
        _("%(ended)s of %(total)s") % {"ended": ended, "total": whole.total},
    )


def _value(whole: JobGroup) -> SafeString | str:
    """Return what a whole that succeeded gave; empty where it has not, or its jobs' results are gone."""
    if whole.finished_at is None or whole.status is not JobStatus.SUCCESSFUL:
        return ""
    try:
        return body_tree(whole_value(whole), identity="value")
    except (ValueUnfit, JobGroup.DoesNotExist):
        return ""
