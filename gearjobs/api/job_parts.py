"""What there is to a job beyond its own answer: arguments, result, attempts, timeline.

A result is given as its worker returned it, byte by byte, for those who may see it; a browser is told to take it for
nothing but what the header says. Who may read a job at all is `job_views`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from django.http import HttpResponse
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from gearjobs.api.described import described
from gearjobs.api.job_serializers import AttemptSerializer, JobStatusSerializer, told_attempt
from gearjobs.api.job_views import JobEndpoint, job_headers
from gearjobs.api.problems import Problem
from gearjobs.models import Job, JobStatus
from gearjobs.records.job_attempts import attempts_of
from gearjobs.records.readable_body import DEPTH_LIMIT, BodyEncoding, read_body
from gearjobs.records.rows.column_values import plain_json
from gearjobs.tasks.masked_calls import masked_call

_MEDIA_TYPES: Final[dict[BodyEncoding, str]] = {
    "json": "application/json",
    "utf-8": "text/plain; charset=utf-8",
    "base64": "application/octet-stream",
}


class JobResult(JobEndpoint):
    """What a job returned, and nothing else."""

    @described(
        "The result of a job",
        answers={
            200: "The result as its worker returned it: JSON, text or bytes, as Content-Type says.",
            202: JobStatusSerializer,
            204: "The job succeeded and returned nothing.",
        },
        problems=(404, 409),
    )
    def get(self, request: Request, handle: str) -> Any:
        """Answer 200 with the result, 202 before there is one, 409 where there will be none."""
        job = self.find(handle, "payload", "error_traceback", "terms")
        headers = job_headers(job, is_privileged=self.is_privileged)
        if not job.is_finished:
            return Response(JobStatusSerializer(job).data, status=202, headers=headers)
        if job.status != JobStatus.SUCCESSFUL:
            said = f": {job.error_message}" if job.error_message else ""
            name = f"job-{job.status_detail.replace('_', '-')}"
            raise Problem(
                409,
                _("the job ended as %(status_detail)s%(said)s") % {"status_detail": job.status_detail, "said": said},
                name=name,
                job=job.handle,
            )
        if job.result is None:
            return Response(status=204, headers=headers)
        if not self.may_see_bodies(job):
            raise PermissionDenied(_("the result of others' jobs takes the permission gearjobs.view_payload"))
        body = bytes(job.result)
        answer = HttpResponse(body, content_type=_MEDIA_TYPES[read_body(body).encoding], headers=headers)
        # It is whatever a worker said: no browser shall read it as a page.
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
        return answer


class CallShownSerializer(serializers.Serializer[Any]):
    """What a job was called with, without what is secret."""

    args = serializers.ListField(child=serializers.JSONField(allow_null=True))
    kwargs = serializers.DictField(child=serializers.JSONField(allow_null=True))
    value = serializers.JSONField(allow_null=True, help_text="Where the payload is JSON, and no call of a task.")
    is_opaque = serializers.BooleanField(help_text="Whether it is no JSON, and not shown.")


class JobCall(JobEndpoint):
    """What a job was called with."""

    @described("The arguments of a job, secrets masked", answers={200: CallShownSerializer}, problems=(404,))
    def get(self, request: Request, handle: str) -> Response:
        """Answer 200 with the arguments, for whoever enqueued the job or may see payloads."""
        job = self.find(handle, "result", "error_traceback")
        if not self.may_see_bodies(job):
            raise PermissionDenied(_("the arguments of others' jobs take the permission gearjobs.view_payload"))
        shown = masked_call(bytes(job.payload), task=job.task, function=job.function)
        told = {"args": shown.args, "kwargs": shown.kwargs, "value": shown.value, "is_opaque": shown.is_opaque}
        # A payload may escape half a character, which no answer can say.
        return Response(plain_json(told, DEPTH_LIMIT + 1))


class AttemptListSerializer(serializers.Serializer[Any]):
    """The runs that did not end a job."""

    results = AttemptSerializer(many=True)


class JobAttempts(JobEndpoint):
    """The runs that others followed."""

    @described("The attempts before the last", answers={200: AttemptListSerializer}, problems=(404,))
    def get(self, request: Request, handle: str) -> Response:
        """Answer 200 with the attempts, in order."""
        job = self.find(handle, "payload", "result")
        told = [told_attempt(one, is_privileged=self.is_privileged) for one in attempts_of(job)]
        return Response({"results": told})


class MomentSerializer(serializers.Serializer[Any]):
    """Something that happened to a job."""

    at = serializers.DateTimeField()
    what = serializers.CharField(
        help_text="enqueued, due, started, attempt_ended, restarted, told_to_stop or how it ended."
    )
    attempt = serializers.IntegerField(allow_null=True)
    detail = serializers.CharField()


class TimelineSerializer(serializers.Serializer[Any]):
    """What happened to a job, the oldest first."""

    results = MomentSerializer(many=True)


class JobTimeline(JobEndpoint):
    """What happened when."""

    @described("What happened to a job, and when", answers={200: TimelineSerializer}, problems=(404,))
    def get(self, request: Request, handle: str) -> Response:
        """Answer 200 with the moments, in order."""
        job = self.find(handle, "payload", "result")
        moments = sorted(moments_of(job), key=lambda moment: moment["at"])
        return Response(TimelineSerializer({"results": moments}).data)


def moments_of(job: Job) -> Iterator[dict[str, Any]]:
    """Yield what is known to have happened to a job, of one moment in the order of cause and effect."""

    def moment(at: datetime, what: str, attempt: int | None = None, *, detail: str = "") -> dict[str, Any]:
        return {"at": at, "what": what, "attempt": attempt, "detail": detail}

    yield moment(job.enqueued_at, "enqueued")
    if job.run_at is not None:
        yield moment(job.run_at, "due")
    attempts = attempts_of(job)
    starts = {one.number: one.started_at for one in attempts if one.started_at is not None}
    starts |= {1: job.started_at} if job.started_at is not None else {}
    if job.attempt and job.last_attempted_at is not None:
        starts.setdefault(job.attempt, job.last_attempted_at)
    for number, started_at in starts.items():
        yield moment(started_at, "started" if number == 1 else "restarted", number)
    for one in attempts:
        yield moment(
            one.ended_at, "attempt_ended", one.number, detail=f"{one.outcome}: {one.error_message}".rstrip(": ")
        )
    if job.cancel_asked_at is not None:
        yield moment(job.cancel_asked_at, "told_to_stop")
    if job.finished_at is not None:
        yield moment(job.finished_at, job.status_detail, job.attempt or None, detail=job.error_message)
