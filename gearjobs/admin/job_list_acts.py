"""What may be done to many jobs from the list: to those that are ticked at once, to all that match in the background.

Both ask first, and name how many. All that match are those of the address that the list had, as of the moment of the
answer; what is done to them is an operation with a page of its own (`operation_admin`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from gearjobs.actions.bulk_operation import count_matching, start_bulk
from gearjobs.actions.cancel_jobs import cancel_jobs
from gearjobs.actions.delete_jobs import delete_jobs
from gearjobs.actions.job_selection import JobSelection
from gearjobs.actions.retry_jobs import retry_jobs
from gearjobs.admin.bulk_question import bulk_question, count_words
from gearjobs.admin.job_change import change_many
from gearjobs.admin.job_list_page import readable_query
from gearjobs.admin.job_query import JobQuery, read_moment
from gearjobs.admin.screen_links import screen_url, target_link
from gearjobs.errors import ServerError, ServerUnavailable, UsageError
from gearjobs.models import BulkVerb
from gearjobs.records.job_filter import JobFilter
from gearjobs.records.job_queries import all_jobs
from gearjobs.tasks.bulk_runs import meant_by
from gearjobs.tasks.job_control import CancelOutcome

#: Jobs that can be ticked.
_TICKED_LIMIT: Final = 200


def act_on_many(request: HttpRequest, *, context: Mapping[str, Any]) -> HttpResponse:
    """Answer a POST of the list: do what it says, or ask first.

    Args:
        request: with `verb`, `scope` (`ticked` or `all`), handles or the words of an address as `said.…`, and
            `confirmed` once it was asked.
        context: of the page that asks.

    Raises:
        PermissionDenied: the user has not the permission.
    """
    said = {name[5:]: value for name, value in request.POST.dict().items() if name.startswith("said.")}
    query = readable_query(said, request.user)
    back = query.url()
    if request.POST.get("verb") == "change":
        handles = _handles(request) if request.POST.get("scope") != "all" else ()
        if not handles and request.POST.get("scope") != "all":
            return _none_ticked(request, query)
        return _told(request, back, lambda: change_many(request, handles, query=query, context=context))
    try:
        verb = BulkVerb(request.POST.get("verb", ""))
    except ValueError:
        messages.error(request, _("That cannot be done to jobs."))
        return HttpResponseRedirect(back)
    act = _all_that_match if request.POST.get("scope") == "all" else _ticked
    return _told(request, back, lambda: act(request, verb, query=query, context=context))


def _told(request: HttpRequest, back: str, act: Callable[[], HttpResponse]) -> HttpResponse:
    """Return what an act answers; where it cannot be, say why on the list."""
    try:
        return act()
    except (UsageError, ServerError, ServerUnavailable) as error:
        messages.error(request, str(error))
        return HttpResponseRedirect(back)


def _all_that_match(
    request: HttpRequest, verb: BulkVerb, *, query: JobQuery, context: Mapping[str, Any]
) -> HttpResponse:
    if query.complaints:
        raise UsageError(" ".join(query.complaints))
    if request.POST.get("confirmed"):
        return HttpResponseRedirect(target_link("operation", start_bulk(verb, query.job_filter, user=request.user).pk))
    count = count_matching(verb, query.job_filter, user=request.user)
    if not count.count and not count.is_more:
        return _nothing(request, query)
    return _ask(request, verb, number=count_words(count), query=query, context=context)


def _ticked(request: HttpRequest, verb: BulkVerb, *, query: JobQuery, context: Mapping[str, Any]) -> HttpResponse:
    handles = _handles(request)
    if not handles:
        return _none_ticked(request, query)
    if request.POST.get("confirmed"):
        # Of those that were asked about: a job that is named by its handle could be retried in any state.
        fit = all_jobs().filter(meant_by(verb, timezone.now()), pk__in=handles).values_list("handle", flat=True)
        _DO[verb](request, tuple(fit))
        return HttpResponseRedirect(query.url())
    count = count_matching(verb, JobFilter(handles=handles), user=request.user)
    if not count.count:
        return _nothing(request, query)
    return _ask(request, verb, number=count_words(count), query=query, context=context, handles=handles)


def _handles(request: HttpRequest) -> tuple[str, ...]:
    named = dict.fromkeys(request.POST.getlist("handle"))
    return tuple(handle for handle in named if handle and "\0" not in handle)[:_TICKED_LIMIT]


def _none_ticked(request: HttpRequest, query: JobQuery) -> HttpResponse:
    messages.warning(request, _("No job is chosen: tick some first."))
    return HttpResponseRedirect(query.url())


def _nothing(request: HttpRequest, query: JobQuery) -> HttpResponse:
    messages.warning(request, _("There is nothing to do: none of these jobs is at a state that this could be done to."))
    return HttpResponseRedirect(query.url())


def _ask(
    request: HttpRequest,
    verb: BulkVerb,
    *,
    number: str,
    query: JobQuery,
    context: Mapping[str, Any],
    handles: tuple[str, ...] = (),
) -> HttpResponse:
    hidden = [
        ("verb", str(verb)),
        ("scope", "ticked" if handles else "all"),
        ("confirmed", "1"),
        *((f"said.{name}", value) for name, value in query.said.items()),
        *(("handle", handle) for handle in handles),
    ]
    shown = {
        **context,
        **bulk_question(verb, number),
        "asks_time": verb is BulkVerb.RETRY and bool(handles),
        "is_time_optional": True,
        "hidden": hidden,
        "action_url": screen_url("gearjobs_job_act_many"),
        "back_url": query.url(),
        "refresh_ms": 0,
    }
    return TemplateResponse(request, "gearjobs/confirm.html", shown)


def _retry(request: HttpRequest, handles: tuple[str, ...]) -> None:
    at = read_moment(request.POST.get("at", ""))
    report = retry_jobs(JobSelection(handles=handles), user=request.user, at=at)
    _tell(request, ngettext("%(number)s job runs again.", "%(number)s jobs run again.", report.retried), report.retried)
    _refusals(request, report.refusals)


def _cancel(request: HttpRequest, handles: tuple[str, ...]) -> None:
    counts = cancel_jobs(JobSelection(handles=handles), user=request.user).counts
    done = counts[CancelOutcome.CANCELLED] + counts[CancelOutcome.ASKED]
    _tell(
        request,
        ngettext(
            "%(number)s job was cancelled or told to stop.", "%(number)s jobs were cancelled or told to stop.", done
        ),
        done,
    )
    if left := counts[CancelOutcome.UNREACHABLE]:
        words = ngettext("%(number)s job could not be reached.", "%(number)s jobs could not be reached.", left)
        messages.warning(request, words % {"number": left})


def _delete(request: HttpRequest, handles: tuple[str, ...]) -> None:
    report = delete_jobs(handles, user=request.user)
    _tell(
        request,
        ngettext("%(number)s job was deleted.", "%(number)s jobs were deleted.", report.deleted),
        report.deleted,
    )
    _refusals(request, report.refusals)


def _tell(request: HttpRequest, words: str, number: int) -> None:
    (messages.success if number else messages.warning)(request, words % {"number": number})


def _refusals(request: HttpRequest, refusals: Mapping[str, str]) -> None:
    for handle, why in list(refusals.items())[:5]:
        messages.warning(request, f"{handle}: {why}")


_DO: Final = {BulkVerb.RETRY: _retry, BulkVerb.CANCEL: _cancel, BulkVerb.DELETE: _delete}
