"""Enqueuing over HTTP: one call, or many at once, of tasks that were declared for it.

Closed by default twice: the task says `@gear_task(api=True)`, and the user has the permission `gearjobs.add_job`. A
task that is not declared so does not exist here. Arguments are checked against the function's signature. The job is the
user's; what it does with it is the task's business, which knows the user from the job.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Final

from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from gearjobs.api.accepted import accepted_job
from gearjobs.api.call_schemas import checked_call
from gearjobs.api.described import described
from gearjobs.api.endpoint import url_beside
from gearjobs.api.idempotency import HEADER, answered_once
from gearjobs.api.job_actions import RESERVED_METADATA, AcceptedSerializer, read_body_of
from gearjobs.api.job_views import JobEndpoint
from gearjobs.api.long_poll import News, wait_of
from gearjobs.errors import PartlyRefused, UsageError
from gearjobs.models import Job
from gearjobs.records.job_queries import has_ended
from gearjobs.records.rows.column_values import plain_json
from gearjobs.tasks.discovery import discover_tasks
from gearjobs.tasks.django_tasks import InvalidTask
from gearjobs.tasks.registry import task_at
from gearjobs.tasks.result import GearResult
from gearjobs.tasks.submitter import submitted_by
from gearjobs.tasks.task import GearTask

#: Calls of one request.
BULK_LIMIT: Final = 1000


class CallSerializer(serializers.Serializer[Any]):
    """A call of a task."""

    task = serializers.CharField(max_length=512, help_text="Dotted path; one of `tasks/`.")
    args = serializers.ListField(child=serializers.JSONField(allow_null=True), default=list)
    kwargs = serializers.DictField(child=serializers.JSONField(allow_null=True), default=dict)
    priority = serializers.IntegerField(default=None, allow_null=True, min_value=-100, max_value=100)
    run_after = serializers.DateTimeField(default=None, allow_null=True, help_text="The earliest start.")
    queue = serializers.CharField(default=None, allow_null=True, max_length=255)
    unique = serializers.CharField(
        default=None, allow_null=True, max_length=200, help_text="A user's calls with the same one are one job."
    )
    metadata = serializers.DictField(child=serializers.JSONField(allow_null=True), default=dict)


class BulkCallSerializer(serializers.Serializer[Any]):
    """Many calls of one task."""

    task = serializers.CharField(max_length=512)
    calls = serializers.ListField(child=serializers.DictField(), min_length=1, max_length=BULK_LIMIT,
                                  help_text='Each `{"args": [...], "kwargs": {...}}`.')  # fmt: skip
    priority = serializers.IntegerField(default=None, allow_null=True, min_value=-100, max_value=100)
    run_after = serializers.DateTimeField(default=None, allow_null=True)
    queue = serializers.CharField(default=None, allow_null=True, max_length=255)
    metadata = serializers.DictField(child=serializers.JSONField(allow_null=True), default=dict)


class BulkAnswerSerializer(serializers.Serializer[Any]):
    """What became of many calls."""

    results = AcceptedSerializer(many=True, help_text="In order; null for a call that was refused.")
    refused = serializers.IntegerField()


def enqueue_call(endpoint: JobEndpoint, request: Request) -> Response:
    """Answer 202 with the job, or 200 with the ended job where the client wants to wait and it ended in time."""
    response = answered_once(request, partial(_enqueue, request))
    wait_s = wait_of(request)
    if wait_s > 0 and "respond-async" not in request.headers.get("Prefer", ""):
        handle = response.data["id"]
        answer = partial(_answer_late, endpoint, response, handle)
        response.news = News(wait_s, partial(_is_over, handle), answer)  # type: ignore[attr-defined]  # for `long_poll`
    return response


class JobBulk(JobEndpoint):
    """Enqueues many calls at once."""

    verbs: ClassVar = {"POST": ("add_job",)}

    @described("Enqueue many calls of a task", takes=BulkCallSerializer, answers={202: BulkAnswerSerializer},
               query={HEADER: "Sent twice, the request is carried out once."},
               problems=(400, 404, 409, 413, 422, 502, 503))  # fmt: skip
    def post(self, request: Request) -> Response:
        """Answer 202 with a job for each call."""
        return answered_once(request, partial(_enqueue_many, request))


def _enqueue(request: Request) -> Response:
    asked = read_body_of(CallSerializer, request)
    # A user's own: else somebody could take the unique of another's job before it comes.
    unique = unique_of(str(request.user.pk), asked["unique"]) if asked["unique"] else None
    task = _task_for(asked, unique=unique)
    args, kwargs = checked_call(task, asked["args"], asked["kwargs"])
    (result,) = _keep(request, task, [(args, kwargs)])
    if result is None:
        raise AssertionError("a single call that is refused raises")
    return accepted_job(request, result.id)


def _enqueue_many(request: Request) -> Response:
    asked = read_body_of(BulkCallSerializer, request)
    task = _task_for(asked)
    calls = []
    for place, call in enumerate(asked["calls"]):
        if unknown := sorted(call.keys() - {"args", "kwargs"}):
            raise ValidationError(
                {f"calls[{place}]": [_("has the unknown member %(value)s") % {"value": repr(unknown[0])}]}
            )
        args, kwargs = call.get("args", []), call.get("kwargs", {})
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise ValidationError({f"calls[{place}]": [_("args must be a list and kwargs an object")]})
        try:
            calls.append(checked_call(task, args, kwargs))
        except ValidationError as error:
            raise ValidationError({f"calls[{place}]": error.detail}) from error
    results = _keep(request, task, calls)
    told = [None if one is None else _accepted_body(request, one.id) for one in results]
    return Response({"results": told, "refused": told.count(None)}, status=202)


def _keep(
    request: Request, task: GearTask[..., Any], calls: Sequence[tuple[list[Any], Any]]
) -> Sequence[GearResult[Any] | None]:
    with submitted_by(str(request.user.pk)):
        try:
            return task.enqueue_many(calls)
        except PartlyRefused as refusal:
            return refusal.results  # type: ignore[return-value]  # what `enqueue_many` would have returned
        except InvalidTask as error:
            raise ValidationError({"queue": [str(error)]}) from error


def _task_for(asked: dict[str, Any], *, unique: str | None = None) -> GearTask[..., Any]:
    task = api_task(asked["task"])
    if task is None:
        raise ValidationError({"task": [_("there is no such task, or none that may be enqueued here")]})
    if reserved := next((key for key in asked["metadata"] if key.startswith(RESERVED_METADATA)), None):
        refusal = _("%(reserved)s: keys that begin with %(reserved_metadata)s are gearjobs' own") % {
            "reserved": repr(reserved),
            "reserved_metadata": RESERVED_METADATA,
        }
        raise ValidationError({"metadata": [refusal]})
    # Braces would be a template.
    key = unique.replace("{", "{{").replace("}", "}}") if unique else None
    try:
        return task.using(
            priority=asked["priority"],
            queue_name=asked["queue"],
            run_after=asked["run_after"],
            metadata={str(plain_json(key)): plain_json(value) for key, value in asked["metadata"].items()} or None,
            unique=key,
        )
    except (InvalidTask, UsageError) as error:
        raise ValidationError({"task": [str(error)]}) from error


def unique_of(user: str, unique: str) -> str:
    """Return what a user's unique is among those of all users."""
    # With its length, for a key may be any text: "a" and "b:c" are not "a:b" and "c".
    return f"{len(user)}.{user}:{unique}"


def api_task(path: str) -> GearTask[..., Any] | None:
    """Return a task that may be enqueued over HTTP, by its dotted path."""
    discover_tasks()
    task = task_at(path)
    return task if isinstance(task, GearTask) and task.options.api else None


def _accepted_body(request: Request, handle: str) -> dict[str, str]:
    return {
        "id": handle,
        "url": url_beside(request, "job-detail", handle),
        "status_url": url_beside(request, "job-status", handle),
    }


def _is_over(handle: str) -> bool:
    try:
        return has_ended(handle)
    except Job.DoesNotExist:
        # Not committed yet, or a stock server's, which leaves no row.
        return False


def _answer_late(endpoint: JobEndpoint, response: Response, handle: str) -> Response:
    """Make the answer that the job's end deserves of the one that told of its beginning."""
    try:
        told = endpoint.told(endpoint.find(handle, "payload"))
    except Http404:
        # The call joined somebody else's job, by a unique that the task declares.
        return response
    response.status_code, response.data = 200, told.data
    del response.headers["Retry-After"]
    response.headers["ETag"] = told.headers["ETag"]
    return response
