"""Groups, chains and chords in the Django admin: how far each whole is, its jobs step by step, and cancelling it.

The rows are the program's own. To retry or delete jobs of a whole is what the job list does, of which the page here
has the buttons. What the screens show is `group_page`'s.
"""

from __future__ import annotations

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from gearjobs.actions.cancel_groups import cancel_group
from gearjobs.admin.group_page import all_wholes, group_context, group_list
from gearjobs.admin.read_only_admin import ReadOnlyAdmin
from gearjobs.admin.screen_links import group_link, screen_url
from gearjobs.admin.screens import screen_context
from gearjobs.models import JobGroup
from gearjobs.records.job_queries import has_permission


class JobGroupAdmin(ReadOnlyAdmin):
    """Wholes in the Django admin."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(self.list_view), name="gearjobs_jobgroup_changelist"),
            path("act/", wrap(self.act_view), name="gearjobs_jobgroup_act"),
            path("<path:object_id>/change/", wrap(self.page_view), name="gearjobs_jobgroup_change"),
        ]

    def list_view(self, request: HttpRequest) -> HttpResponse:
        """Show the wholes, the newest first."""
        self._check_may_view(request)
        context = screen_context(self, request, _("Groups"), **group_list(request.GET.dict()))
        return TemplateResponse(request, "gearjobs/group_list.html", context)

    def page_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show one whole."""
        self._check_may_view(request)
        whole = _found(unquote(object_id))
        shown = group_context(whole, request.user)
        title = _("%(kind)s of %(number)s jobs") % {
            "kind": whole.get_kind_display().capitalize(),
            "number": whole.total,
        }
        context = screen_context(self, request, title, **shown)
        if not shown["refreshes"]:
            context["refresh_ms"] = 0
        return TemplateResponse(request, "gearjobs/group_page.html", context)

    def act_view(self, request: HttpRequest) -> HttpResponse:
        """Cancel a whole; what has not ended is asked about first."""
        self._check_may_view(request)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not has_permission(request.user, "cancel_job"):
            raise PermissionDenied
        whole = _found(request.POST.get("group", ""))
        if request.POST.get("confirmed"):
            count = cancel_group(whole.pk, user=request.user)
            words = ngettext(
                "%(number)s job was cancelled or told to stop.",
                "%(number)s jobs were cancelled or told to stop.",
                count,
            )
            (messages.success if count else messages.warning)(request, words % {"number": count})
            return HttpResponseRedirect(group_link(whole.pk))
        left = max(0, whole.total - whole.succeeded - whole.failed)
        words = ngettext(
            "Cancel the %(number)s job of this group that has not ended?",
            "Cancel the %(number)s jobs of this group that have not ended?",
            left,
        )
        context = screen_context(
            self,
            request,
            _("Cancel a group"),
            question=words % {"number": left},
            consequence=_("What waits never starts; what runs is told to stop. The group ends as failed."),
            action_url=screen_url("gearjobs_jobgroup_act"),
            hidden=[("group", whole.pk), ("confirmed", "1")],
            button=_("Cancel %(number)s") % {"number": left},
            is_danger=True,
            back_url=group_link(whole.pk),
        )
        return TemplateResponse(request, "gearjobs/confirm.html", {**context, "refresh_ms": 0})

    def _check_may_view(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied


def _found(group_id: str) -> JobGroup:
    whole = None if "\0" in group_id else all_wholes().filter(pk=group_id).first()
    if whole is None:
        raise Http404
    return whole
