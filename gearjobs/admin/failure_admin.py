"""The screens of failures in the Django admin: the groups, the page of one, and what is done about them.

To retry or delete the jobs of groups is an operation in the background (`operation_admin`), after a question that names
how many they are; muting and notes are done at once. What the screens show is `failure_page`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from gearjobs.actions.bulk_operation import count_matching, start_bulk
from gearjobs.actions.mute_failures import mute_failures, note_failure
from gearjobs.admin.bulk_question import bulk_question, count_words
from gearjobs.admin.failure_page import failure_context, failure_list, group_title
from gearjobs.admin.read_only_admin import ReadOnlyAdmin
from gearjobs.admin.screen_links import failure_link, screen_url, target_link
from gearjobs.admin.screens import screen_context
from gearjobs.models import BulkVerb, FailureGroup
from gearjobs.records.failures.failure_queries import all_groups
from gearjobs.records.job_filter import JobFilter
from gearjobs.records.job_pages import BoundedCount

#: Groups that one request may name.
_AT_ONCE: Final = 100
#: Hours that a group may be muted for.
_MUTE_HOURS: Final = {"1": 1, "24": 24, "168": 168}
_NOTE_LIMIT: Final = 10_000


class FailureGroupAdmin(ReadOnlyAdmin):
    """Groups of failures in the Django admin."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(self.list_view), name="gearjobs_failuregroup_changelist"),
            path("act/", wrap(self.act_view), name="gearjobs_failuregroup_act"),
            path("<str:fingerprint>/", wrap(self.page_view), name="gearjobs_failuregroup_change"),
        ]

    def list_view(self, request: HttpRequest) -> HttpResponse:
        """Show the groups, the latest first."""
        self._check_may_view(request)
        context = failure_list(request.GET.dict(), request.user)
        return TemplateResponse(
            request, "gearjobs/failure_list.html", screen_context(self, request, _("Failures"), **context)
        )

    def page_view(self, request: HttpRequest, fingerprint: str) -> HttpResponse:
        """Show one group."""
        self._check_may_view(request)
        group = None if "\0" in fingerprint else all_groups().filter(pk=fingerprint).first()
        if group is None:
            raise Http404
        context = screen_context(self, request, group_title(group), **failure_context(group, request.user))
        return TemplateResponse(request, "gearjobs/failure_page.html", context)

    def act_view(self, request: HttpRequest) -> HttpResponse:
        """Retry or delete the jobs of the groups that are named, mute them, or write a note."""
        self._check_may_view(request)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        named = [name for name in dict.fromkeys(request.POST.getlist("fingerprint")) if name and "\0" not in name]
        groups = list(all_groups().filter(pk__in=named[:_AT_ONCE]))
        if not groups:
            messages.warning(request, _("No group is chosen: tick some first."))
            return HttpResponseRedirect(screen_url("gearjobs_failuregroup_changelist"))
        is_page = request.POST.get("from") == "page"
        back = failure_link(groups[0].pk) if is_page else screen_url("gearjobs_failuregroup_changelist")
        verb = request.POST.get("verb", "")
        if verb in {BulkVerb.RETRY, BulkVerb.DELETE}:
            return self._bulk(request, groups, BulkVerb(verb), back=back)
        act = _ACTS.get(verb)
        if act is None:
            messages.error(request, _("That cannot be done to a group of failures."))
        else:
            act(request, groups)
        return HttpResponseRedirect(back)

    def _bulk(self, request: HttpRequest, groups: Sequence[FailureGroup], verb: BulkVerb, *, back: str) -> HttpResponse:
        """Ask, naming the number of jobs; or start an operation for each group."""
        filters = [JobFilter(fingerprint=group.pk) for group in groups]
        if request.POST.get("confirmed"):
            operations = [start_bulk(verb, one, user=request.user) for one in filters]
            if len(operations) == 1:
                return HttpResponseRedirect(target_link("operation", operations[0].pk))
            messages.success(request, _("%(number)s operations were started.") % {"number": len(operations)})
            return HttpResponseRedirect(screen_url("gearjobs_bulkoperation_changelist"))
        found = [count_matching(verb, one, user=request.user) for one in filters]
        count = BoundedCount(sum(one.count for one in found), any(one.is_more for one in found))
        if not count.count and not count.is_more:
            messages.warning(request, _("There is nothing to do: no job of it is left that this could be done to."))
            return HttpResponseRedirect(back)
        context = bulk_question(verb, count_words(count), what=_what(groups))
        hidden = [
            ("verb", str(verb)),
            ("confirmed", "1"),
            ("from", request.POST.get("from", "")),
            *(("fingerprint", group.pk) for group in groups),
        ]
        shown = screen_context(
            self, request, **context, hidden=hidden, action_url=screen_url("gearjobs_failuregroup_act"), back_url=back
        )
        return TemplateResponse(request, "gearjobs/confirm.html", {**shown, "refresh_ms": 0})

    def _check_may_view(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied


def _what(groups: Sequence[FailureGroup]) -> str:
    if len(groups) == 1:
        return f"{group_title(groups[0])} ({groups[0].function})"
    return _("%(number)s groups of failures") % {"number": len(groups)}


def _mute(request: HttpRequest, groups: Sequence[FailureGroup]) -> None:
    hours = _MUTE_HOURS.get(request.POST.get("hours", ""), 24)
    until = timezone.now() + timedelta(hours=hours)
    count = mute_failures([group.pk for group in groups], until=until, user=request.user)
    words = ngettext("%(number)s group was muted.", "%(number)s groups were muted.", count)
    messages.success(request, words % {"number": count})


def _unmute(request: HttpRequest, groups: Sequence[FailureGroup]) -> None:
    count = mute_failures([group.pk for group in groups], until=None, user=request.user)
    words = ngettext("%(number)s group is shown again.", "%(number)s groups are shown again.", count)
    messages.success(request, words % {"number": count})


def _note(request: HttpRequest, groups: Sequence[FailureGroup]) -> None:
    note = request.POST.get("note", "").replace("\0", "").strip()[:_NOTE_LIMIT]
    for group in groups[:1]:
        note_failure(group.pk, note, user=request.user)
    messages.success(request, _("The note was written down.") if note else _("The note was removed."))


_ACTS: Final[dict[str, Callable[[HttpRequest, Sequence[FailureGroup]], Any]]] = {
    "mute": _mute,
    "unmute": _unmute,
    "note": _note,
}
