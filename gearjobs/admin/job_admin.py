"""The job list and the page of one job in the Django admin.

Nobody changes a row by a form: it has one writer, the job server. What the list shows is `job_list_page`'s, what stands
on a job's page `job_page`'s; what is done to jobs is `job_acts`'s for one, and `job_list_acts`'s for many.
"""

from __future__ import annotations

from typing import Any

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _

from gearjobs.admin.job_acts import act_on_job
from gearjobs.admin.job_change import change_one
from gearjobs.admin.job_export import export_jobs
from gearjobs.admin.job_forms import duplicate, new_job
from gearjobs.admin.job_list_acts import act_on_many
from gearjobs.admin.job_list_page import list_context, readable_query
from gearjobs.admin.job_page import page_sections
from gearjobs.admin.read_only_admin import ReadOnlyAdmin
from gearjobs.admin.screens import refresh_ms, screen_context
from gearjobs.models import Job
from gearjobs.records.job_queries import all_jobs, has_permission
from gearjobs.records.joined_jobs import follow_joined


class JobAdmin(ReadOnlyAdmin):
    """Jobs in the Django admin."""

    change_form_template = "gearjobs/job_page.html"

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(self.list_view), name="gearjobs_job_changelist"),
            path("act/", wrap(self.act_many_view), name="gearjobs_job_act_many"),
            path("new/", wrap(self.new_view), name="gearjobs_job_new"),
            path("<path:object_id>/duplicate/", wrap(self.duplicate_view), name="gearjobs_job_duplicate"),
            path("<path:object_id>/edit/", wrap(self.edit_view), name="gearjobs_job_edit"),
            path("<path:object_id>/act/", wrap(self.act_view), name="gearjobs_job_act"),
            *super().get_urls(),
        ]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Job | None:
        # PostgreSQL cannot compare with a NUL, and no handle has one.
        job = None if "\0" in object_id else all_jobs().filter(pk=object_id).first()
        if job is not None:
            follow_joined([job])
        return job

    def get_readonly_fields(self, request: HttpRequest, obj: Job | None = None) -> list[Any]:
        return [name for _, options in self.get_fieldsets(request, obj) for name in options["fields"]]

    def get_fieldsets(self, request: HttpRequest, obj: Job | None = None) -> list[Any]:
        if obj is None:
            return []
        sections = page_sections(obj, may_see_bodies=has_permission(request.user, "view_payload"))
        return [(heading, {"fields": fields}) for heading, fields in sections]

    def list_view(self, request: HttpRequest) -> HttpResponseBase:
        """Show jobs, the newest first, or export them."""
        self._check_may_view(request)
        asked = request.GET.dict()
        kind = asked.get("format", "")
        if kind in {"csv", "json"}:
            return export_jobs(request, readable_query(asked, request.user).job_filter, kind)
        context = screen_context(self, request, str(_("Jobs")), **list_context(asked, request.user))
        return TemplateResponse(request, "gearjobs/job_list.html", context)

    def act_many_view(self, request: HttpRequest) -> HttpResponse:
        """Do something to many jobs."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        self._check_may_view(request)
        return act_on_many(request, context=screen_context(self, request, ""))

    def new_view(self, request: HttpRequest) -> HttpResponse:
        """Enqueue a job by hand."""
        self._check_may_view(request)
        return new_job(self, request)

    def duplicate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Enqueue a copy of a job, with what is changed."""
        self._check_may_view(request)
        return duplicate(self, request, self._found(request, object_id))

    def edit_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Let a job wait otherwise."""
        self._check_may_view(request)
        return change_one(self, request, self._found(request, object_id))

    def act_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Do something to one job."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        self._check_may_view(request)
        job = self._found(request, object_id)
        return act_on_job(request, job, context=screen_context(self, request, ""))

    def change_view(  # noqa: PLR0917 - Django's signature
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"title": _("Job"), "refresh_ms": refresh_ms(), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def _found(self, request: HttpRequest, object_id: str) -> Job:
        job = self.get_object(request, unquote(object_id))
        if job is None:
            raise Http404
        return job

    def _check_may_view(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied
