"""Pages with a form that enqueues a job: a new one of a task or a function, and a copy of another with what is changed.

What the fields are is `call_form`'s, what is done `actions/enqueue_job`'s and `actions/enqueue_again`'s. A payload that
is neither a call of a known task nor a text can only be copied as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from gearjobs.actions.enqueue_again import copy_job
from gearjobs.actions.enqueue_job import AnyTask, called_by, enqueue_call, enqueue_payload
from gearjobs.admin.call_form import Call, CallForm
from gearjobs.admin.screen_links import job_link, queue_link, screen_url
from gearjobs.admin.screens import screen_context
from gearjobs.errors import ServerError, ServerUnavailable, UsageError
from gearjobs.models import Job
from gearjobs.records.job_queries import has_permission
from gearjobs.tasks.discovery import discover_tasks
from gearjobs.tasks.function_names import function_of
from gearjobs.tasks.payload import PayloadError, decode_call, encode_call
from gearjobs.tasks.registry import registered_tasks, task_at
from gearjobs.tasks.task import GearTask

#: What it takes to see a call in fields, and to send another one.
COPY_PERMISSIONS: Final = ("retry_job", "add_job", "view_payload")


def new_job(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """Let a task or a function be chosen, show the form of its calls, or enqueue one."""
    if not has_permission(request.user, "add_job"):
        raise PermissionDenied
    function = request.GET.get("function", "").replace("\0", "").strip()
    if not function:
        context = {"tasks": _declared_tasks(), "back_url": screen_url("gearjobs_job_changelist"), "refresh_ms": 0}
        shown = screen_context(model_admin, request, _("Enqueue a job"), **context)
        return TemplateResponse(request, "gearjobs/task_choice.html", shown)
    task = called_by(function)
    form = CallForm(task, data=request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            handle = _enqueue(request, function, task=task, form=form)
        except (UsageError, ServerError, ServerUnavailable) as error:
            form.add_error(None, capfirst(str(error)))
        else:
            messages.success(request, _("The job was enqueued."))
            return HttpResponseRedirect(job_link(handle))
    title = _("Enqueue a job of %(name)s") % {"name": function}
    return _page(model_admin, request, title, form=form, back_url=queue_link(function), about=_about(task))


def duplicate(model_admin: ModelAdmin[Any], request: HttpRequest, job: Job) -> HttpResponse:
    """Show the form of a copy of a job, or enqueue the copy."""
    if not all(has_permission(request.user, codename) for codename in COPY_PERMISSIONS):
        raise PermissionDenied
    task, call, text = _shown_call(job)
    data = request.POST if request.method == "POST" else None
    form = CallForm(task, call=call, text=text or "", data=data, priority=job.priority)
    if call is None and text is None:
        del form.fields["payload"]
    if form.is_bound and form.is_valid():
        try:
            handle = _copy(request, job, form, call=call)
        except (UsageError, ServerError, ServerUnavailable) as error:
            form.add_error(None, capfirst(str(error)))
        else:
            messages.success(request, _("The copy was enqueued, as this job."))
            return HttpResponseRedirect(job_link(handle))
    title = _("Copy of a job of %(name)s") % {"name": job.task or job.function}
    return _page(model_admin, request, title, form=form, back_url=job_link(job.handle), about=_about(task))


def _page(
    model_admin: ModelAdmin[Any], request: HttpRequest, title: str, *, form: CallForm, back_url: str, about: str
) -> HttpResponse:
    # What is typed into must stand still.
    context = {"form": form, "back_url": back_url, "about": about, "button": _("Enqueue"), "refresh_ms": 0}
    return TemplateResponse(request, "gearjobs/job_form.html", screen_context(model_admin, request, title, **context))


def _enqueue(request: HttpRequest, function: str, *, task: AnyTask | None, form: CallForm) -> str:
    said: Mapping[str, Any] = form.cleaned_data
    if task is None:
        payload = said["payload"].encode()
        priority = said["priority"] or 0
        return enqueue_payload(function, payload, user=request.user, priority=priority, run_at=said["at"])
    args, kwargs = form.call
    return enqueue_call(task, args, kwargs, user=request.user, priority=said["priority"], run_at=said["at"])


def _copy(request: HttpRequest, job: Job, form: CallForm, *, call: Call | None) -> str:
    said = form.cleaned_data
    payload: bytes | None = None
    if call is not None:
        args, kwargs = form.call
        if (args, kwargs) != (list(call[0]), dict(call[1])):
            payload = encode_call(args, kwargs)
    elif "payload" in form.fields:
        # Browsers send every end of a line as CR LF.
        sent, known = said["payload"].replace("\r\n", "\n"), bytes(job.payload).decode().replace("\r\n", "\n")
        payload = None if sent == known else sent.encode()
    return copy_job(job, user=request.user, payload=payload, priority=said["priority"], run_at=said["at"])


def _shown_call(job: Job) -> tuple[AnyTask | None, Call | None, str | None]:
    """Return the task of a job and the call in its payload; or the payload as a text; or neither."""
    discover_tasks()
    task = task_at(job.task) if job.task else called_by(job.function)
    payload = bytes(job.payload)
    if isinstance(task, GearTask) and (call := _showable_call(payload)) is not None:
        return task, call, None
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return None, None, None
    return None, None, None if "\0" in text else text


def _showable_call(payload: bytes) -> Call | None:
    try:
        call = decode_call(payload)
        # JSON may escape half a character, as in a file's name that is not UTF-8: no page can show that.
        json.dumps(call, ensure_ascii=False).encode()
    except (PayloadError, UnicodeEncodeError):
        return None
    return call


def _declared_tasks() -> list[dict[str, str]]:
    discover_tasks()
    tasks = sorted(
        (task for task in registered_tasks() if isinstance(task, GearTask)), key=lambda task: task.module_path
    )
    return [
        {
            "name": task.module_path,
            "queue": task.queue_name,
            "about": _about(task),
            "url": screen_url("gearjobs_job_new", function=function_of(task)),
        }
        for task in tasks
    ]


def _about(task: AnyTask | None) -> str:
    """Return the first line of what a task's docstring says."""
    return "" if task is None else (task.func.__doc__ or "").strip().partition("\n")[0]
