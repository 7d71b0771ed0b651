"""Pages with a form that lets jobs wait otherwise: one from its page, several that were ticked, or all that match.

What is left as it is shown stays. Jobs keep their handles; which can be changed, and how, is `actions/change_jobs`'s.
All that match are the newest of them that have not ended, as many as a request can change one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from gearjobs.actions.change_jobs import Change, change_job, change_jobs, check_may_change, check_start
from gearjobs.actions.job_selection import JobSelection
from gearjobs.admin.job_query import JobQuery
from gearjobs.admin.screen_links import job_link, screen_url
from gearjobs.admin.screens import screen_context
from gearjobs.errors import ServerError, ServerUnavailable, UsageError
from gearjobs.models import Job, StatusDetail
from gearjobs.records.job_pages import job_page
from gearjobs.records.job_queries import all_jobs, has_permission

#: Jobs that one request changes: each is a round trip.
CHANGED_LIMIT: Final = 200
#: States of jobs that can be changed.
CHANGEABLE: Final = (StatusDetail.WAITING, StatusDetail.SCHEDULED, StatusDetail.RETRYING)
_REFUSALS_SHOWN: Final = 5


class JobChangeForm(forms.Form):
    """What is to be another."""

    queue = forms.CharField(
        label=gettext_lazy("Queue"),
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text=gettext_lazy("Of a task's job: its workers must serve that queue."),
    )
    priority = forms.IntegerField(
        label=gettext_lazy("Priority"),
        required=False,
        min_value=-100,
        max_value=100,
        help_text=gettext_lazy("-100 to 100, higher first."),
    )
    at = forms.DateTimeField(
        label=gettext_lazy("Not before"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text=gettext_lazy("The earliest start."),
    )
    at_once = forms.BooleanField(label=gettext_lazy("Due at once"), required=False)

    def clean_at(self) -> Any:
        try:
            check_start(self.cleaned_data["at"])
        except UsageError as error:
            raise forms.ValidationError(capfirst(str(error))) from error
        return self.cleaned_data["at"]

    def clean(self) -> dict[str, Any]:
        if not self.change.said() and not self.errors:
            raise forms.ValidationError(_("Nothing is changed: say a queue, a priority or a time."))
        return self.cleaned_data

    @property
    def change(self) -> Change:
        """What the form says that it did not show."""
        said = {name: self.cleaned_data.get(name) for name in self.changed_data}
        return Change(
            priority=said.get("priority"),
            run_at=said.get("at"),
            is_at_once=bool(said.get("at_once")),
            queue=said.get("queue") or None,
        )


def change_one(model_admin: ModelAdmin[Any], request: HttpRequest, job: Job) -> HttpResponse:
    """Show the form for one job, or change it."""
    if not has_permission(request.user, "change_job"):
        raise PermissionDenied
    at = job.run_at.replace(second=0, microsecond=0) if job.run_at is not None else None
    shown = {"priority": job.priority, "queue": job.queue, "at": at}
    form = JobChangeForm(request.POST if request.method == "POST" else None, initial=shown)
    if form.is_bound and form.is_valid():
        said = form.change
        try:
            change_job(
                job,
                user=request.user,
                priority=said.priority,
                run_at=said.run_at,
                is_at_once=said.is_at_once,
                queue=said.queue,
            )
        except (UsageError, ServerError, ServerUnavailable) as error:
            form.add_error(None, capfirst(str(error)))
        else:
            messages.success(request, _("The job was changed."))
            return HttpResponseRedirect(job_link(job.handle))
    context = {"form": form, "back_url": job_link(job.handle), "button": _("Change"), "refresh_ms": 0}
    title = _("Change a job of %(name)s") % {"name": job.task or job.function}
    return TemplateResponse(request, "gearjobs/job_form.html", screen_context(model_admin, request, title, **context))


def change_many(
    request: HttpRequest, handles: Sequence[str], *, query: JobQuery, context: Mapping[str, Any]
) -> HttpResponse:
    """Show the form for many jobs, or change them.

    Args:
        request: a POST of the job list, or of this form, which says `confirmed`.
        handles: those that were ticked; none for all that the list had.
        query: what the list showed.
        context: of the page that asks.

    Raises:
        PermissionDenied: the user has not the permission `change_job`.
        UsageError: neither jobs are named nor is the list narrowed down.
    """
    check_may_change(request.user)
    if not handles and (query.complaints or query.job_filter.is_empty):
        raise UsageError(" ".join(query.complaints) or _("Say at least one thing about the jobs that are meant."))
    waiting = all_jobs().filter(finished_at=None, status_detail__in=CHANGEABLE)
    if handles:
        wanted = list(waiting.filter(pk__in=handles).values_list("handle", flat=True))
    else:
        wanted = [job.handle for job in job_page(waiting, query.job_filter, size=CHANGED_LIMIT).jobs]
    if not wanted:
        messages.warning(request, _("There is nothing to do: none of these jobs waits."))
        return HttpResponseRedirect(query.url())
    form = JobChangeForm(request.POST if request.POST.get("confirmed") else None)
    if form.is_bound and form.is_valid():
        report = change_jobs(JobSelection(handles=tuple(wanted)), form.change, user=request.user)
        words = ngettext("%(number)s job was changed.", "%(number)s jobs were changed.", report.changed)
        (messages.success if report.changed else messages.warning)(request, words % {"number": report.changed})
        for why in list(report.refusals.values())[:_REFUSALS_SHOWN]:
            messages.warning(request, capfirst(why))
        return HttpResponseRedirect(query.url())
    # Those that were shown are those that are changed, whatever comes meanwhile.
    hidden = [
        ("verb", "change"),
        ("scope", "ticked"),
        ("confirmed", "1"),
        *((f"said.{name}", value) for name, value in query.said.items()),
        *(("handle", handle) for handle in wanted),
    ]
    words = ngettext("Change %(number)s job that waits", "Change %(number)s jobs that wait", len(wanted))
    is_cut = not handles and len(wanted) == CHANGED_LIMIT
    shown = {
        "title": words % {"number": len(wanted)},
        "about": _("These are the newest; there may be more, to be changed after these.") if is_cut else "",
        "form": form,
        "hidden": hidden,
        "action_url": screen_url("gearjobs_job_act_many"),
        "back_url": query.url(),
        "button": _("Change %(number)s") % {"number": len(wanted)},
        "refresh_ms": 0,
    }
    return TemplateResponse(request, "gearjobs/job_form.html", {**context, **shown})
