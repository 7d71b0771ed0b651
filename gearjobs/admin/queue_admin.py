"""The screens of functions in the Django admin: the list, the page of one, its limits, and what may be done to them.

Hung off the admin of `QueueControl`, the rows of what operators said. Functions are named in the query, for their names
may be anything. Whatever changes something comes by POST; clearing asks once more and names how many jobs it is about.
What the screens show is `queue_rows`'s and `queue_page`'s, what is done `actions`'s.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from gearjobs.actions.change_queue_limits import change_queue_limits, limits_of
from gearjobs.actions.clear_queues import clear_queues
from gearjobs.actions.drop_queues import drop_queues
from gearjobs.actions.pause_queues import pause_queues, resume_queues
from gearjobs.admin.live_view import ask_now
from gearjobs.admin.queue_forms import QueueLimitsForm, form_values
from gearjobs.admin.queue_page import queue_context
from gearjobs.admin.queue_rows import ORDERS, queue_rows
from gearjobs.admin.screen_admin import ScreenAdmin
from gearjobs.admin.screen_links import FAILED_WORDS, queue_link, screen_url
from gearjobs.admin.screens import screen_context
from gearjobs.errors import UsageError
from gearjobs.models import QueueControl
from gearjobs.records.job_queries import has_permission, may_view_all

#: Functions that one request may name.
_AT_ONCE: Final = 1_000


class QueueAdmin(ScreenAdmin):
    """Functions in the Django admin."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(self.list_view), name="gearjobs_queuecontrol_changelist"),
            path("queue/", wrap(self.queue_view), name="gearjobs_queue"),
            path("queue/limits/", wrap(self.limits_view), name="gearjobs_queue_limits"),
            path("queue/act/", wrap(self.act_view), name="gearjobs_queue_act"),
        ]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may_view_all(request.user)

    def has_view_permission(self, request: HttpRequest, obj: QueueControl | None = None) -> bool:
        return may_view_all(request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: QueueControl | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: QueueControl | None = None) -> bool:
        return False

    def list_view(self, request: HttpRequest) -> HttpResponse:
        """Show all functions."""
        self._check_may_view(request)
        live = ask_now()
        search, order = request.GET.get("q", "").strip(), request.GET.get("o", "")
        rows, left_out = queue_rows(live, search=search, order=order)
        context = {
            "rows": rows,
            "rows_left_out": left_out,
            "search": search,
            "order": order if order in ORDERS else "",
            "problems": live.problems,
            "failed_words": FAILED_WORDS,
            "hour_ago": (timezone.now() - timedelta(hours=1)).isoformat(timespec="seconds"),
            "is_any_up": any(server.is_up for server in live.servers),
            **_what_may(request),
        }
        return TemplateResponse(
            request, "gearjobs/queue_list.html", screen_context(self, request, _("Queues"), **context)
        )

    def queue_view(self, request: HttpRequest) -> HttpResponse:
        """Show one function."""
        self._check_may_view(request)
        name = _named(request)
        if not name:
            return HttpResponseRedirect(_list_url())
        context = screen_context(self, request, name, **queue_context(name), **_what_may(request))
        return TemplateResponse(request, "gearjobs/queue_page.html", context)

    def limits_view(self, request: HttpRequest) -> HttpResponse:
        """Show the form of a function's limits, or set them."""
        self._check_may_view(request)
        name = _named(request)
        if not name:
            return HttpResponseRedirect(_list_url())
        if not has_permission(request.user, "change_queue"):
            raise PermissionDenied
        is_sent = request.method == "POST"
        form = QueueLimitsForm(request.POST) if is_sent else QueueLimitsForm(initial=form_values(limits_of(name)))
        if is_sent and form.is_valid() and _set_limits(request, name, form):
            return HttpResponseRedirect(queue_link(name))
        context = screen_context(self, request, _("Limits of %(name)s") % {"name": name}, name=name, form=form)
        # What is typed into must stand still.
        context["refresh_ms"] = 0
        context["back_url"] = queue_link(name)
        return TemplateResponse(request, "gearjobs/queue_limits.html", context)

    def act_view(self, request: HttpRequest) -> HttpResponse:
        """Pause, resume, clear or forget the functions that are named."""
        self._check_may_view(request)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        names = [name for name in dict.fromkeys(request.POST.getlist("function")) if name][:_AT_ONCE]
        back = queue_link(names[0]) if request.POST.get("from") == "queue" and names else _list_url()
        if not names:
            messages.warning(request, _("No queue is chosen: tick some first."))
            return HttpResponseRedirect(back)
        match request.POST.get("verb"):
            case "pause":
                _pause(request, names)
            case "resume":
                _resume(request, names)
            case "drop":
                back = _drop(request, names, back)
            case "clear" if request.POST.get("confirmed"):
                _clear(request, names)
            case "clear":
                return self._ask_clear(request, names, back)
            case _:
                messages.error(request, _("That cannot be done to a queue."))
        return HttpResponseRedirect(back)

    def _ask_clear(self, request: HttpRequest, names: list[str], back: str) -> HttpResponse:
        """Ask before jobs are cancelled, naming how many."""
        may = _what_may(request)
        if not may["may_clear"]:
            raise PermissionDenied
        wanted = set(names)
        waiting = sum(state.waiting for state in ask_now().functions if state.name in wanted)
        what = names[0] if len(names) == 1 else _("%(number)s queues") % {"number": len(names)}
        question = ngettext(
            "Cancel the %(number)s job of %(what)s that waits?",
            "Cancel the %(number)s jobs of %(what)s that wait?",
            waiting,
        ) % {"number": f"{waiting:,}", "what": what}
        context = screen_context(
            self,
            request,
            _("Clear"),
            question=question,
            consequence=_("They end as cancelled. What runs, and what is scheduled for later, stays."),
            action_url=screen_url("gearjobs_queue_act"),
            hidden=[
                ("verb", "clear"),
                ("confirmed", "1"),
                ("from", request.POST.get("from", "")),
                *(("function", name) for name in names),
            ],
            button=ngettext("Cancel %(number)s job", "Cancel %(number)s jobs", waiting) % {"number": f"{waiting:,}"},
            is_danger=True,
            back_url=back,
        )
        context["refresh_ms"] = 0
        return TemplateResponse(request, "gearjobs/confirm.html", context)

    def _check_may_view(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied


def _named(request: HttpRequest) -> str:
    # No name has a NUL; PostgreSQL cannot compare with one.
    return request.GET.get("name", "").replace("\0", "")


def _list_url() -> str:
    return screen_url("gearjobs_queuecontrol_changelist")


def _what_may(request: HttpRequest) -> dict[str, Any]:
    may_control = has_permission(request.user, "control_queue")
    return {
        "may_control": may_control,
        "may_clear": may_control and has_permission(request.user, "cancel_job"),
        "may_enqueue": has_permission(request.user, "add_job"),
        "may_limit": has_permission(request.user, "change_queue"),
        "act_url": screen_url("gearjobs_queue_act"),
    }


def _pause(request: HttpRequest, names: list[str]) -> None:
    number = pause_queues(names, user=request.user, note=request.POST.get("note", "").strip())
    text = ngettext("%(number)s queue was paused.", "%(number)s queues were paused.", number)
    messages.success(request, text % {"number": number})


def _resume(request: HttpRequest, names: list[str]) -> None:
    number = resume_queues(names, user=request.user)
    text = ngettext("%(number)s queue goes on.", "%(number)s queues go on.", number)
    messages.success(request, text % {"number": number})


def _clear(request: HttpRequest, names: list[str]) -> None:
    report = clear_queues(names, user=request.user)
    text = ngettext("%(number)s job was cancelled.", "%(number)s jobs were cancelled.", report.cleared)
    messages.success(request, text % {"number": f"{report.cleared:,}"})
    if report.left:
        text = ngettext("%(number)s job could not be reached.", "%(number)s jobs could not be reached.", report.left)
        messages.warning(request, text % {"number": f"{report.left:,}"})
    for problem in report.problems:
        messages.warning(request, problem)


def _drop(request: HttpRequest, names: list[str], back: str) -> str:
    report = drop_queues(names, user=request.user)
    number = len(report.dropped)
    if number:
        text = ngettext("%(number)s queue was forgotten.", "%(number)s queues were forgotten.", number)
        messages.success(request, text % {"number": number})
    for name, why in report.refusals.items():
        messages.warning(request, _("Not forgotten: %(name)s, for %(why)s") % {"name": name, "why": why})
    return back if report.refusals else _list_url()


def _set_limits(request: HttpRequest, name: str, form: QueueLimitsForm) -> bool:
    try:
        was_changed = change_queue_limits(name, form.limits(), user=request.user)
    except UsageError as error:
        form.add_error(None, str(error))
        return False
    messages.success(request, _("The limits were set.") if was_changed else _("These limits hold already."))
    return True
