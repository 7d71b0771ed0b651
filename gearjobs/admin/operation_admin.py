"""What is done to many jobs at once, in the Django admin: how far it is, what it is for, and a button that stops it.

Whoever asked for an operation may watch it; all of them are for those with `view_bulkoperation`.
"""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from gearjobs.actions.bulk_operation import stop_bulk
from gearjobs.admin.actor_names import actor_names
from gearjobs.admin.job_cells import badge
from gearjobs.admin.job_query import filter_words, link_of
from gearjobs.admin.older_pages import older_page
from gearjobs.admin.read_only_admin import ReadOnlyAdmin
from gearjobs.admin.screen_links import screen_url, target_link
from gearjobs.admin.screens import screen_context
from gearjobs.errors import UsageError
from gearjobs.models import BulkOperation, BulkState, BulkVerb
from gearjobs.records.job_filter import JobFilter
from gearjobs.records.job_queries import has_permission
from gearjobs.settings import gearjobs_settings

_SHOWN: Final = 50
_BADGES: Final = {
    BulkState.WAITING: "waiting",
    BulkState.RUNNING: "running",
    BulkState.DONE: "good",
    BulkState.STOPPED: "warning",
    BulkState.FAILED: "bad",
}
_PERMISSIONS: Final = {
    BulkVerb.RETRY: "retry_job",
    BulkVerb.CANCEL: "cancel_job",
    BulkVerb.DELETE: "delete_job",
}


class BulkOperationAdmin(ReadOnlyAdmin):
    """Operations on many jobs in the Django admin."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(self.list_view), name="gearjobs_bulkoperation_changelist"),
            path("<str:operation_id>/", wrap(self.page_view), name="gearjobs_bulkoperation_change"),
            path("<str:operation_id>/stop/", wrap(self.stop_view), name="gearjobs_bulkoperation_stop"),
        ]

    def has_view_permission(self, request: HttpRequest, obj: BulkOperation | None = None) -> bool:
        codenames = ("view_bulkoperation", *_PERMISSIONS.values())
        return any(has_permission(request.user, codename) for codename in codenames)

    def list_view(self, request: HttpRequest) -> HttpResponse:
        """Show the operations, the latest first."""
        operations = self._visible(request)
        page, cursor = older_page(operations, moment="asked_at", cursor=request.GET.get("cursor", ""), size=_SHOWN)
        names = actor_names({operation.asked_by for operation in page})
        rows = [_shown(operation, names) for operation in page]
        next_url = screen_url("gearjobs_bulkoperation_changelist", cursor=cursor) if cursor else ""
        context = screen_context(self, request, _("Operations on many jobs"), rows=rows, next_url=next_url)
        return TemplateResponse(request, "gearjobs/operation_list.html", context)

    def page_view(self, request: HttpRequest, operation_id: str) -> HttpResponse:
        """Show one operation."""
        operation = self._find(request, operation_id)
        shown = _shown(operation, actor_names({operation.asked_by}))
        context = {**screen_context(self, request, shown["title"]), **shown}
        if shown["has_ended"]:
            context["refresh_ms"] = 0
        elif has_permission(request.user, _PERMISSIONS[BulkVerb(operation.verb)]):
            context["stop_url"] = screen_url("gearjobs_bulkoperation_stop", operation.pk)
        return TemplateResponse(request, "gearjobs/operation_page.html", context)

    def stop_view(self, request: HttpRequest, operation_id: str) -> HttpResponse:
        """Let an operation do no more."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        operation = self._find(request, operation_id)
        if stop_bulk(operation, user=request.user):
            messages.success(request, _("It was stopped. What it did stays done."))
        else:
            messages.warning(request, _("It had ended."))
        return HttpResponseRedirect(target_link("operation", operation.pk))

    def _visible(self, request: HttpRequest) -> QuerySet[BulkOperation]:
        if not self.has_view_permission(request):
            raise PermissionDenied
        operations = BulkOperation.objects.using(gearjobs_settings().database)
        if has_permission(request.user, "view_bulkoperation"):
            return operations.all()
        return operations.filter(asked_by=str(request.user.pk))

    def _find(self, request: HttpRequest, operation_id: str) -> BulkOperation:
        operation = None if "\0" in operation_id else self._visible(request).filter(pk=operation_id).first()
        if operation is None:
            raise Http404
        return operation


def _shown(operation: BulkOperation, names: dict[str, str]) -> dict[str, Any]:
    """Return what is shown of an operation, in the list and on its page."""
    state = BulkState(operation.state)
    try:
        job_filter = JobFilter.from_json(operation.filter)
    except UsageError:
        job_filter = JobFilter()
    dealt_with = operation.done + operation.refused
    has_ended = state not in {BulkState.WAITING, BulkState.RUNNING}
    return {
        "operation": operation,
        "title": _TITLES[BulkVerb(operation.verb)](),
        "url": target_link("operation", operation.pk),
        "state_badge": badge(str(state.label), _BADGES[state]),
        "state_label": state.label,
        "words": filter_words(job_filter),
        "jobs_url": link_of(job_filter),
        "asked_by": names.get(operation.asked_by, operation.asked_by) or _("a command"),
        "dealt_with": dealt_with,
        "progress": _progress(operation, dealt_with, has_ended=has_ended),
        "has_ended": has_ended,
    }


def _progress(operation: BulkOperation, dealt_with: int, *, has_ended: bool) -> SafeString | str:
    if has_ended or operation.is_more_expected or not operation.expected:
        # How many there are is not known, or matters no more.
        return ""
    share = min(1.0, dealt_with / operation.expected)
    return format_html(
        '<span class="gearjobs-progress"><progress max="1" value="{}" aria-label="{}"></progress>'
        " <span>{} %</span></span>",
        f"{share:.3f}",
        _("Progress"),
        f"{share * 100:.0f}",
    )


_TITLES: Final = {
    BulkVerb.RETRY: lambda: _("Retry of many jobs"),
    BulkVerb.CANCEL: lambda: _("Cancelling of many jobs"),
    BulkVerb.DELETE: lambda: _("Deletion of many jobs"),
}
