"""The workers' screen in the Django admin: who works, and telling workers to rest, to go on, or to end.

Hung off the job servers' admin, for workers have no rows. What it shows is `worker_page`'s; who may tell a worker
something is asked by `actions/control_workers`, and once more by the job servers.
"""

from __future__ import annotations

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from gearjobs.actions.control_workers import WORKER_VERBS, control_workers
from gearjobs.admin.screen_links import screen_url
from gearjobs.admin.screens import screen_context
from gearjobs.admin.worker_page import worker_context
from gearjobs.errors import ServerError, ServerUnavailable, UsageError
from gearjobs.models import JobServer
from gearjobs.records.job_queries import has_permission, may_view_all


def show_workers(model_admin: ModelAdmin[JobServer], request: HttpRequest) -> HttpResponse:
    """Show all workers."""
    if not may_view_all(request.user):
        raise PermissionDenied
    context = worker_context(request.GET.dict(), request.user)
    shown = screen_context(model_admin, request, _("Workers"), **context)
    return TemplateResponse(request, "gearjobs/worker_list.html", shown)


def act_on_worker(model_admin: ModelAdmin[JobServer], request: HttpRequest) -> HttpResponse:
    """Tell one worker something; to end is asked about first."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not (may_view_all(request.user) and has_permission(request.user, "control_worker")):
        raise PermissionDenied
    back = screen_url("gearjobs_workers")
    verb, worker = request.POST.get("verb", ""), request.POST.get("worker", "")
    # Many at once are for the command line: here the page named one.
    if verb not in WORKER_VERBS or not worker or "*" in worker:
        messages.error(request, _("That cannot be done to a worker."))
        return HttpResponseRedirect(back)
    if verb == "stop" and not request.POST.get("confirmed"):
        return _ask_stop(model_admin, request, worker=worker, back=back)
    try:
        told = control_workers(worker, verb, user=request.user)
    except (UsageError, ServerError, ServerUnavailable) as error:
        messages.error(request, str(error))
        return HttpResponseRedirect(back)
    if told:
        words = ngettext(
            "%(number)s worker was told: it does it once its job has ended.",
            "%(number)s workers were told: they do it once their jobs have ended.",
            told,
        )
        messages.success(request, words % {"number": told})
    else:
        messages.warning(request, _("There is no such worker any more."))
    return HttpResponseRedirect(back)


def _ask_stop(model_admin: ModelAdmin[JobServer], request: HttpRequest, *, worker: str, back: str) -> HttpResponse:
    shown = screen_context(
        model_admin,
        request,
        _("Stop a worker"),
        question=_("Let the worker %(name)s end?") % {"name": worker},
        consequence=_("Its job is run to the end. Whatever started it may start another one in its place."),
        action_url=screen_url("gearjobs_workers_act"),
        hidden=[("verb", "stop"), ("worker", worker), ("confirmed", "1")],
        button=_("Stop it"),
        is_danger=True,
        back_url=back,
    )
    return TemplateResponse(request, "gearjobs/confirm.html", {**shown, "refresh_ms": 0})
