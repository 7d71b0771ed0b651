"""The job servers in the Django admin: which answer, who lives, who owns jobs, whose are being taken over.

Read-only: the rows are the servers' own. What the list shows is `server_page`'s. The workers' screen hangs off this
admin's addresses, for workers have no rows.
"""

from __future__ import annotations

import datetime
from functools import partial

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from gearjobs.admin.read_only_admin import ReadOnlyAdmin
from gearjobs.admin.screens import screen_context
from gearjobs.admin.server_page import ownership_words, renewed_at, server_context
from gearjobs.admin.worker_screen import act_on_worker, show_workers
from gearjobs.models import JobServer
from gearjobs.settings import gearjobs_settings


class JobServerAdmin(ReadOnlyAdmin):
    """Job servers in the Django admin."""

    change_form_template = "gearjobs/server_page.html"
    fields = ("incarnation", "host", "pid", "boot_id", "version", "started_at", "renewed", "ownership", "session")
    readonly_fields = fields

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(self.list_view), name="gearjobs_jobserver_changelist"),
            path("workers/", wrap(partial(show_workers, self)), name="gearjobs_workers"),
            path("workers/act/", wrap(partial(act_on_worker, self)), name="gearjobs_workers_act"),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[JobServer]:
        return JobServer.objects.using(gearjobs_settings().database)

    def list_view(self, request: HttpRequest) -> HttpResponse:
        """Show the servers that answer, and those that the database knows."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = screen_context(self, request, gettext("Servers"), **server_context())
        return TemplateResponse(request, "gearjobs/server_list.html", context)

    @admin.display(description=_("last sign of life"))
    def renewed(self, server: JobServer) -> datetime.datetime:
        """When it renewed its lease, by the database's clock."""
        return renewed_at(server)

    @admin.display(description=_("ownership"))
    def ownership(self, server: JobServer) -> str:
        """Whether its jobs are its own."""
        return ownership_words(server)
