"""The job list and the page of one job in the Django admin.

Read-only: a row has one writer, the job server. Lists never read payloads or results. What stands on a job's page is
`job_page`'s, the queue dashboard, which hangs off this admin's URLs, `queue_dashboard`'s, pieces of HTML `job_cells`'s,
and what bounds the list's cost `job_filters`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from gearjobs.admin.job_cells import EMPTY, age, duration_text, peer_text, progress_bar, status_badge
from gearjobs.admin.job_filters import BoundedPaginator, FunctionFilter, JobChangeList, QueueFilter, search_jobs
from gearjobs.admin.job_page import page_sections
from gearjobs.admin.queue_dashboard import dashboard_context
from gearjobs.models import Job
from gearjobs.records.job_queries import all_jobs, has_permission
from gearjobs.records.joined_jobs import follow_joined
from gearjobs.settings import gearjobs_settings

if TYPE_CHECKING:
    _JobModelAdmin = admin.ModelAdmin[Job]
else:
    # Django's own class takes no type argument.
    _JobModelAdmin = admin.ModelAdmin

#: Columns that no list shows, and the list therefore does not read.
_HEAVY_FIELDS = ("payload", "result", "error_message", "error_traceback", "metadata", "worker_ids", "terms")


class JobAdmin(_JobModelAdmin):
    """Jobs in the Django admin."""

    list_display = ("name", "state", "progress", "took", "enqueued")
    list_display_links = ("name",)
    list_filter = ("status", FunctionFilter, QueueFilter, "enqueued_at")
    list_per_page = 50
    ordering = ("-enqueued_at",)
    paginator = BoundedPaginator
    search_fields = ("handle",)
    search_help_text = _("A handle, or an exact function, task or unique id")
    # Counts beside the filters would read the whole table.
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    sortable_by = ("enqueued",)
    change_list_template = "gearjobs/job_list.html"
    change_form_template = "gearjobs/job_page.html"

    class Media:
        css = {"all": ["gearjobs/screens.css"]}

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.queues_view)
        return [path("queues/", view, name="gearjobs_job_queues"), *super().get_urls()]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        return all_jobs().defer(*_HEAVY_FIELDS)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Job | None:
        # PostgreSQL cannot compare with a NUL, and no handle has one.
        job = None if "\0" in object_id else all_jobs().filter(pk=object_id).first()
        if job is not None:
            follow_joined([job])
        return job

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return JobChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Job], search_term: str
    ) -> tuple[QuerySet[Job], bool]:
        return search_jobs(queryset, search_term), False

    def get_readonly_fields(self, request: HttpRequest, obj: Job | None = None) -> list[Any]:
        return [name for _, options in self.get_fieldsets(request, obj) for name in options["fields"]]

    def get_fieldsets(self, request: HttpRequest, obj: Job | None = None) -> list[Any]:
        if obj is None:
            return []
        sections = page_sections(obj, may_see_bodies=has_permission(request.user, "view_payload"))
        return [(heading, {"fields": fields}) for heading, fields in sections]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"title": _("Jobs"), "refresh_ms": _refresh_ms(), **(extra_context or {})}
        return super().changelist_view(request, context)

    def change_view(  # noqa: PLR0917 - Django's signature
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"title": _("Job"), "refresh_ms": _refresh_ms(), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def queues_view(self, request: HttpRequest) -> TemplateResponse:
        """Show the queues of the live job servers."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": _("Queues"),
            "opts": self.opts,
            "original": _("Queues"),
            "has_view_permission": True,
            "media": self.media,
            "refresh_ms": _refresh_ms(),
            **dashboard_context(),
        }
        return TemplateResponse(request, "gearjobs/queues.html", context)

    @admin.display(description=_("job"))
    def name(self, job: Job) -> SafeString | str:
        return peer_text(job.task or job.function)

    @admin.display(description=_("state"))
    def state(self, job: Job) -> SafeString:
        if job.attempt < 2:
            return status_badge(job)
        return format_html(
            '{} <span class="quiet" title="{}">×{}</span>', status_badge(job), _("attempts"), job.attempt
        )

    @admin.display(description=_("progress"))
    def progress(self, job: Job) -> SafeString | str:
        return EMPTY if job.is_finished else progress_bar(job)

    @admin.display(description=_("took"))
    def took(self, job: Job) -> SafeString:
        return format_html('<span class="gearjobs-age">{}</span>', duration_text(job.duration))

    @admin.display(description=_("enqueued"), ordering="enqueued_at")
    def enqueued(self, job: Job) -> SafeString:
        return age(job.enqueued_at)


def _refresh_ms() -> int:
    return int(gearjobs_settings().admin.refresh_s * 1000)
