"""What may be done to one job from its page: run again, copy, change, run now, cancel, end by force, delete.

What cannot be taken back is asked once more. The verbs themselves, and who has them, are `actions`'s; a job that takes
another one's place is the page that one comes to next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.contrib import messages
from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gearjobs.actions.cancel_jobs import cancel_jobs
from gearjobs.actions.change_jobs import run_job_now
from gearjobs.actions.delete_jobs import delete_jobs
from gearjobs.actions.job_selection import JobSelection
from gearjobs.actions.retry_jobs import retry_jobs
from gearjobs.admin.job_cells import exact_time
from gearjobs.admin.job_change import CHANGEABLE
from gearjobs.admin.job_forms import COPY_PERMISSIONS
from gearjobs.admin.job_query import read_moment
from gearjobs.admin.screen_links import job_link, screen_url
from gearjobs.errors import ServerError, ServerUnavailable, UsageError
from gearjobs.models import Job, StatusDetail
from gearjobs.records.job_queries import all_jobs, has_permission
from gearjobs.tasks.job_control import CancelOutcome

#: Longest reason for cancelling.
_REASON_LIMIT: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class JobVerb:
    """One thing that can be done to a job."""

    name: str
    label: str | Promise
    #: All of them are needed.
    permissions: tuple[str, ...]
    #: To which jobs.
    fits: Callable[[Job], bool]
    #: Does it, and returns where to go; empty for the job's page.
    do: Callable[[HttpRequest, Job], str] | None = None
    #: Name of the URL of its own page, where it has one instead.
    page: str = ""
    #: What is asked first; empty for nothing.
    question: str | Promise = ""
    consequence: str | Promise = ""
    is_danger: bool = False
    takes_reason: bool = False
    #: True where the question is when.
    takes_time: bool = False

    @property
    def asks(self) -> bool:
        """Whether something comes before it is done."""
        return bool(self.question or self.page)


def verbs_for(request: HttpRequest, job: Job) -> list[JobVerb]:
    """Return what the request's user may do to a job as it stands."""
    return [
        verb
        for verb in _VERBS
        if verb.fits(job) and all(has_permission(request.user, codename) for codename in verb.permissions)
    ]


def act_on_job(request: HttpRequest, job: Job, *, context: dict[str, Any]) -> HttpResponse:
    """Answer a POST of a job's page: do what it says, or ask first.

    Args:
        request: with `verb`, and `confirmed` once it was asked.
        job: its row, whole.
        context: of the page that asks.

    Raises:
        PermissionDenied: the user has not the permission.
    """
    verb = next((one for one in _VERBS if one.name == request.POST.get("verb")), None)
    here = job_link(job.handle)
    if verb is None or verb.do is None:
        messages.error(request, _("That cannot be done to a job."))
        return HttpResponseRedirect(here)
    if not all(has_permission(request.user, codename) for codename in verb.permissions):
        raise PermissionDenied
    if verb.question and not request.POST.get("confirmed"):
        return _ask(request, job, verb=verb, context=context)
    try:
        return HttpResponseRedirect(verb.do(request, job) or here)
    except (UsageError, ServerError, ServerUnavailable) as error:
        messages.error(request, str(error))
        return HttpResponseRedirect(here)


def _ask(request: HttpRequest, job: Job, *, verb: JobVerb, context: dict[str, Any]) -> HttpResponse:
    name = job.task or job.function
    shown = {
        **context,
        "title": verb.label,
        "question": str(verb.question) % {"name": name},
        "consequence": verb.consequence,
        "action_url": screen_url("gearjobs_job_act", quote(job.handle)),
        "hidden": [("verb", verb.name), ("confirmed", "1")],
        "button": verb.label,
        "is_danger": verb.is_danger,
        "asks_reason": verb.takes_reason,
        "asks_time": verb.takes_time,
        "back_url": job_link(job.handle),
        "refresh_ms": 0,
    }
    return TemplateResponse(request, "gearjobs/confirm.html", shown)


def _retry(request: HttpRequest, job: Job) -> str:
    return _retried(request, job, _("It runs again, as this job."))


def _retry_at(request: HttpRequest, job: Job) -> str:
    at = read_moment(request.POST.get("at", ""))
    if at is None:
        raise UsageError(_("Say when, such as 2026-12-24 18:00."))
    return _retried(request, job, _("It runs again at %(time)s, as this job.") % {"time": exact_time(at)}, at=at)


def _retried(request: HttpRequest, job: Job, words: str, *, at: datetime | None = None) -> str:
    made: list[str] = []
    report = retry_jobs(
        JobSelection(handles=(job.handle,)), user=request.user, at=at, on_retried=lambda _, new: made.append(new)
    )
    if made:
        messages.success(request, words)
        return job_link(made[0])
    again = all_jobs().filter(pk=job.handle).exclude(retried_as="").values_list("retried_as", flat=True).first()
    if again is None:
        raise UsageError(next(iter(report.refusals.values()), "the job is gone"))
    messages.warning(request, _("It was run again already, as this job."))
    return job_link(again)


def _run_now(request: HttpRequest, job: Job) -> str:
    run_job_now(job, user=request.user)
    messages.success(request, _("It is due at once."))
    return job_link(job.handle)


def _cancel(request: HttpRequest, job: Job) -> str:
    return _end(request, job, is_forced=False)


def _force(request: HttpRequest, job: Job) -> str:
    return _end(request, job, is_forced=True)


def _end(request: HttpRequest, job: Job, *, is_forced: bool) -> str:
    outcomes: list[CancelOutcome] = []
    cancel_jobs(
        JobSelection(handles=(job.joined_to or job.handle,)),
        user=request.user,
        force=is_forced,
        reason=request.POST.get("reason", "").replace("\0", "").strip()[:_REASON_LIMIT],
        on_outcome=lambda _, outcome: outcomes.append(outcome),
    )
    outcome = outcomes[0] if outcomes else CancelOutcome.UNKNOWN
    if outcome is CancelOutcome.UNREACHABLE:
        raise ServerUnavailable(_("The job is at a job server that did not answer. It stays as it is."))
    words = {
        CancelOutcome.CANCELLED: _("The job was cancelled."),
        CancelOutcome.ASKED: _("The job runs, and was told to stop."),
    }
    if outcome in words:
        messages.success(request, words[outcome])
    else:
        messages.warning(request, _("The job had ended."))
    return ""


def _delete(request: HttpRequest, job: Job) -> str:
    report = delete_jobs([job.handle], user=request.user)
    if not report.deleted:
        raise UsageError(report.refusals.get(job.handle, "the job is gone"))
    messages.success(request, _("The job was deleted."))
    return screen_url("gearjobs_job_changelist")


_TIMED: Final = (StatusDetail.SCHEDULED, StatusDetail.RETRYING)

_VERBS: Final = (
    JobVerb(
        name="retry",
        label=gettext_lazy("Run again"),
        permissions=("retry_job",),
        fits=lambda job: job.is_finished and not job.retried_as,
        do=_retry,
    ),
    JobVerb(
        name="retry_at",
        label=gettext_lazy("Run again at"),
        permissions=("retry_job",),
        fits=lambda job: job.is_finished and not job.retried_as,
        do=_retry_at,
        question=gettext_lazy("When shall this job of %(name)s run again?"),
        takes_time=True,
    ),
    JobVerb(
        name="duplicate",
        label=gettext_lazy("Copy with changes"),
        permissions=COPY_PERMISSIONS,
        fits=lambda job: not job.reducer,
        page="gearjobs_job_duplicate",
    ),
    JobVerb(
        name="edit",
        label=gettext_lazy("Move or change"),
        permissions=("change_job",),
        fits=lambda job: job.status_detail in CHANGEABLE and not job.joined_to,
        page="gearjobs_job_edit",
    ),
    JobVerb(
        name="run_now",
        label=gettext_lazy("Run now"),
        permissions=("retry_job", "cancel_job"),
        fits=lambda job: job.status_detail in _TIMED,
        do=_run_now,
    ),
    JobVerb(
        name="cancel",
        label=gettext_lazy("Cancel"),
        permissions=("cancel_job",),
        fits=lambda job: not job.is_finished and job.cancel_asked_at is None,
        do=_cancel,
        question=gettext_lazy("Cancel this job of %(name)s?"),
        consequence=gettext_lazy("One that waits ends at once; one that runs is told to stop."),
        is_danger=True,
        takes_reason=True,
    ),
    JobVerb(
        name="force",
        label=gettext_lazy("End by force"),
        permissions=("cancel_job",),
        fits=lambda job: job.status_detail == StatusDetail.RUNNING,
        do=_force,
        question=gettext_lazy("End this run of %(name)s by force?"),
        consequence=gettext_lazy("Where it does not stop, its worker process is ended with it."),
        is_danger=True,
        takes_reason=True,
    ),
    JobVerb(
        name="delete",
        label=gettext_lazy("Delete"),
        permissions=("delete_job",),
        fits=lambda job: job.is_finished,
        do=_delete,
        question=gettext_lazy("Delete this job of %(name)s?"),
        consequence=gettext_lazy("It is gone for good, with its result, tracebacks and output."),
        is_danger=True,
    ),
)
