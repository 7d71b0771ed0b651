"""The job servers of the database in the Django admin: who lives, who owns jobs, whose are being taken over.

Read-only: the rows are the servers' own. What a live server has to do stands on the queue dashboard.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext

from gearjobs.models import JobServer
from gearjobs.settings import gearjobs_settings

if TYPE_CHECKING:
    _ServerModelAdmin = admin.ModelAdmin[JobServer]
else:
    # Django's own class takes no type argument.
    _ServerModelAdmin = admin.ModelAdmin

_US_PER_S = 1_000_000


class JobServerAdmin(_ServerModelAdmin):
    """Job servers in the Django admin."""

    list_display = ("incarnation", "host", "pid", "version", "started_at", "renewed", "ownership")
    list_display_links = ("incarnation",)
    ordering = ("started_at",)
    sortable_by = ()
    fields = ("incarnation", "host", "pid", "boot_id", "version", "started_at", "renewed", "ownership", "session")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[JobServer]:
        return super().get_queryset(request).using(gearjobs_settings().database)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: JobServer | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: JobServer | None = None) -> bool:
        return False

    @admin.display(description=_("last sign of life"))
    def renewed(self, server: JobServer) -> datetime.datetime:
        """When it renewed its lease, by the database's clock."""
        return datetime.datetime.fromtimestamp(server.renewed_at_us / _US_PER_S, datetime.UTC)

    @admin.display(description=_("ownership"))
    def ownership(self, server: JobServer) -> str:
        """Whether its jobs are its own; nothing is said of a lease that has run out, for it may be renewed yet."""
        if server.fenced_at_us is not None:
            return pgettext("JobServer", "its jobs are being taken over")
        if server.lease_until_us is None:
            return pgettext("JobServer", "the only server")
        return pgettext("JobServer", "by lease")
