"""The endpoints `GET jobs/` and `GET jobs/<handle>/`: authenticated, read-only.

A user reads the jobs enqueued on their behalf, or all with the permission `gearjobs.view_job`; any other job is not
found, so nobody learns that it exists. The rule stands in the query itself (`records.job_queries.visible_to`). Whether
a poll has anything new is answered from the row's version, without reading the rest of the row. A job whose work
another one does is shown as that one stands, whoever enqueued that; `status` filters by what its own row says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from django.apps import apps
from django.db.models import QuerySet
from django.http import Http404
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from rest_framework import generics
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from gearjobs.api.job_serializers import JobLineSerializer, JobSerializer, advise_poll
from gearjobs.models import Job, JobStatus
from gearjobs.records.job_queries import has_permission, visible_to
from gearjobs.records.joined_jobs import follow_joined, shown_version

#: Handles that one request may ask for: an album's worth, and a URL of a few kilobytes.
HANDLES_LIMIT: Final = 100
#: A job is one person's business, and may have changed since it was asked for.
_CACHING: Final = "private, no-cache"
#: What a line of the list does not show, and need not be read.
_HEAVY_FIELDS: Final = ("payload", "result", "error_traceback", "metadata", "worker_ids", "terms")


class JobPagination(CursorPagination):
    """Pages by time of enqueuing, newest first: the hundredth page costs what the first does."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
    ordering = ("-enqueued_at", "-handle")


class _JobEndpoint(generics.GenericAPIView[Job]):
    permission_classes = (IsAuthenticated,)

    def get_queryset(self) -> QuerySet[Job]:
        return visible_to(self.request.user)

    def get_renderers(self) -> list[BaseRenderer]:
        # The browsable API needs the templates of an installed rest_framework; gearjobs does not.
        return super().get_renderers() if apps.is_installed("rest_framework") else [JSONRenderer()]


class JobList(_JobEndpoint, generics.ListAPIView[Job]):
    """The visible jobs, newest first; filters `status`, `function` and `handle__in` (comma-separated)."""

    serializer_class = JobLineSerializer
    pagination_class = JobPagination

    def get_queryset(self) -> QuerySet[Job]:
        asked = self.request.query_params
        jobs = super().get_queryset().defer(*_HEAVY_FIELDS)
        if "status" in asked:
            jobs = jobs.filter(status=_read_status(asked["status"]))
        if "function" in asked:
            jobs = jobs.filter(function=_read_text(asked["function"], "function"))
        if "handle__in" in asked:
            jobs = jobs.filter(handle__in=_read_handles(asked["handle__in"]))
        return jobs

    def paginate_queryset(self, queryset: Any) -> Any:
        page = super().paginate_queryset(queryset)
        follow_joined(page or [])
        return page


class JobDetail(_JobEndpoint):
    """One job, with its result once it has one."""

    serializer_class = JobSerializer

    def get(self, request: Request, handle: str) -> Any:
        """Answer 200 with the job, or 304 where the client's copy is the newest."""
        jobs = self.get_queryset().filter(pk=_read_text(handle, "handle"))
        is_privileged = has_permission(request.user, "view_payload")
        if "If-None-Match" in request.headers and (unchanged := _unchanged(request, jobs, is_privileged=is_privileged)):
            return unchanged
        job = jobs.defer("payload").first()
        if job is None:
            raise Http404
        follow_joined([job])
        is_own = job.enqueued_by == str(request.user.pk)
        serializer = self.get_serializer(
            job,
            context={
                **self.get_serializer_context(),
                "may_see_result": is_own or is_privileged,
                "may_see_traceback": is_privileged,
            },
        )
        return Response(serializer.data, headers=_headers(job, is_privileged=is_privileged))


def _unchanged(request: Request, jobs: QuerySet[Job], *, is_privileged: bool) -> HttpResponseBase | None:
    """Return a 304 where the client has the newest version; one narrow query, mostly."""
    shown = shown_version(jobs)
    if shown is None:
        raise Http404
    etag = _etag(*shown, is_privileged=is_privileged)
    response = get_conditional_response(request, etag=etag)
    if response is not None:
        response.headers["ETag"] = etag
        response.headers["Cache-Control"] = _CACHING
    return response


def _headers(job: Job, *, is_privileged: bool) -> dict[str, str]:
    headers = {
        "ETag": _etag(job.handle, job.version, is_privileged=is_privileged),
        "Cache-Control": _CACHING,
    }
    if (wait_s := advise_poll(job)) is not None:
        headers["Retry-After"] = str(math.ceil(wait_s))
    return headers


def _etag(handle: str, version: int, *, is_privileged: bool) -> str:
    """Return the tag of what is shown: who sees more has a tag of their own."""
    return f'"{handle}.{version}{".p" if is_privileged else ""}"'


def _read_status(text: str) -> str:
    if text not in JobStatus.values:
        raise ValidationError({"status": [f"must be one of {', '.join(JobStatus.values)}, got {text!r}"]})
    return text


def _read_handles(text: str) -> Sequence[str]:
    handles = [handle for handle in _read_text(text, "handle__in").split(",") if handle]
    if len(handles) > HANDLES_LIMIT:
        raise ValidationError({"handle__in": [f"must be at most {HANDLES_LIMIT} handles, got {len(handles)}"]})
    return handles


def _read_text(text: str, parameter: str) -> str:
    """Refuse what PostgreSQL cannot compare with."""
    if "\0" in text:
        raise ValidationError({parameter: ["must not contain a NUL character"]})
    return text
