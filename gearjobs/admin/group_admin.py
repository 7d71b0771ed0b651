"""Groups, chains and chords in the Django admin: how far each whole is, and its jobs with how they stand.

Read-only. The list is of wholes, newest first; stages are shown by the jobs in them. Their counters stand in the rows,
so neither page counts jobs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gearjobs.admin.bounded_paginator import BoundedPaginator
from gearjobs.admin.job_cells import EMPTY, badge, code, status_badge
from gearjobs.admin.schedule_cells import job_link
from gearjobs.models import JobGroup, JobStatus
from gearjobs.records.groups.group_rows import jobs_of
from gearjobs.records.job_queries import has_permission
from gearjobs.settings import gearjobs_settings

if TYPE_CHECKING:
    _GroupModelAdmin = admin.ModelAdmin[JobGroup]
else:
    # Django's own class takes no type argument.
    _GroupModelAdmin = admin.ModelAdmin

#: Jobs named on the page of a whole.
JOBS_SHOWN: Final = 200

_BADGES: Final[dict[JobStatus, str]] = {
    JobStatus.READY: "waiting",
    JobStatus.RUNNING: "running",
    JobStatus.SUCCESSFUL: "good",
    JobStatus.FAILED: "bad",
}


class JobGroupAdmin(_GroupModelAdmin):
    """Wholes in the Django admin."""

    list_display = ("id", "kind", "state", "progress", "failed", "created_at", "finished_at")
    list_display_links = ("id",)
    ordering = ("-created_at",)
    sortable_by = ()
    show_full_result_count = False
    paginator = BoundedPaginator
    fields = ("id", "kind", "state", "progress", "failed", "created_at", "finished_at", "enqueued_by", "jobs")
    readonly_fields = fields

    class Media:
        css = {"all": ["gearjobs/screens.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[JobGroup]:
        return super().get_queryset(request).using(gearjobs_settings().database).filter(pk=F("root"))

    def get_fields(self, request: HttpRequest, obj: JobGroup | None = None) -> tuple[str, ...]:
        return self.fields if has_permission(request.user, "view_job") else self.fields[:-1]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: JobGroup | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: JobGroup | None = None) -> bool:
        return False

    @admin.display(description=gettext_lazy("status"))
    def state(self, whole: JobGroup) -> SafeString:
        """What has become of it."""
        return badge(str(whole.status.label), _BADGES[whole.status])

    @admin.display(description=gettext_lazy("progress"))
    def progress(self, whole: JobGroup) -> SafeString:
        """How many of its jobs have ended."""
        ended = whole.succeeded + whole.failed
        return format_html(
            '<span class="gearjobs-progress"><progress max="{}" value="{}" aria-label="{}"></progress>'
            " <span>{}</span></span>",
            max(1, whole.total),
            ended,
            _("Progress"),
            _("%(ended)s of %(total)s") % {"ended": ended, "total": whole.total},
        )

    @admin.display(description=gettext_lazy("jobs"))
    def jobs(self, whole: JobGroup) -> SafeString | str:
        """Its jobs, stage by stage."""
        found = list(jobs_of(whole.pk).defer("payload", "result", "error_traceback")[: JOBS_SHOWN + 1])
        if not found:
            return EMPTY
        shown = found[:JOBS_SHOWN]
        lines = ((job_link(job.pk, code(job.pk)), job.task or job.function, status_badge(job)) for job in shown)
        rest = format_html("<li>{}</li>", _("and more")) if len(found) > JOBS_SHOWN else ""
        listed = format_html_join("", "<li>{} <bdi>{}</bdi> {}</li>", lines)
        return format_html('<ol class="gearjobs-attempts">{}{}</ol>', listed, rest)
