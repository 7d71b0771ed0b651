"""The endpoints `GET jobs/` and `GET jobs/<handle>/`, the tiny `status/` beside it, and what others read jobs with.

A user reads the jobs enqueued on their behalf, or all with the permission `gearjobs.view_job`; any other job is not
found, so nobody learns that it exists. The rule stands in the query itself (`records.job_queries.visible_to`). Whether
a poll has anything new is answered from the row's version, without reading the rest of the row. A job whose work
another one does is shown as that one stands, whoever enqueued that; `status` filters by what its own row says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from django.db.models import QuerySet
from django.http import Http404
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.translation import gettext as _
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from gearjobs.api.described import described
from gearjobs.api.endpoint import CACHING, Endpoint, is_own
from gearjobs.api.job_serializers import JobSerializer, JobStatusSerializer, advise_poll
from gearjobs.api.long_poll import News, wait_of
from gearjobs.api.problems import Problem
from gearjobs.api.query_filters import filter_of
from gearjobs.models import Job
from gearjobs.records.job_filter import JobFilter
from gearjobs.records.job_queries import has_permission, may_view_all, visible_to
from gearjobs.records.joined_jobs import follow_joined, shown_end, shown_version
from gearjobs.tasks.masked_calls import may_be_secret

#: What the status of a job is made of.
STATUS_FIELDS: Final = (
    "handle", "status", "status_detail", "version", "joined_to", "run_at", "enqueued_at", "last_attempted_at",
    "finished_at", "progress_numerator", "progress_denominator", "progress_message",
)  # fmt: skip
#: Parameters of whatever waits for news.
WAITING: Final = {
    "wait": "Seconds to wait for news, with what `If-None-Match` names or with what there is now.",
    "Prefer": "`wait=20` is the same as the parameter.",
    "If-None-Match": "The `ETag` of an earlier answer: 304 where nothing has changed.",
}


class JobEndpoint(Endpoint):
    """The base of what shows, or acts on, one job or several."""

    def visible(self) -> QuerySet[Job]:
        """Return the jobs that who asks may read."""
        return visible_to(self.request.user)

    def one(self, handle: str) -> QuerySet[Job]:
        """Return the job with a handle, if who asks may read it."""
        # PostgreSQL cannot compare with a NUL, and no handle has one.
        return self.visible().none() if "\0" in handle else self.visible().filter(pk=handle)

    def find(self, handle: str, *deferred: str) -> Job:
        """Return a job as it is shown.

        Raises:
            Http404: there is none, or not for who asks.
            Problem: there was one.
        """
        job = self.one(handle).defer(*deferred).first()
        if job is None:
            raise missing(self.request, handle)
        follow_joined([job])
        return job

    def may_see_bodies(self, job: Job) -> bool:
        """Tell whether who asks may see what the job returned."""
        return is_own(self.request, job.enqueued_by) or self.is_privileged

    @property
    def is_privileged(self) -> bool:
        """Whether who asks may see tracebacks, workers, and what others' jobs returned."""
        return has_permission(self.request.user, "view_payload")

    def read_filter(self, asked: Mapping[str, str]) -> JobFilter:
        """Return the filter that parameters name.

        Raises:
            ValidationError: they cannot be read.
            PermissionDenied: it looks into what who asks may not see, and whether there is a match would tell it.
        """
        found = filter_of(asked, user=str(self.request.user.pk))
        is_inside = found.argument is not None or found.metadata is not None
        if self.is_privileged:
            return found
        may_view = may_view_all(self.request.user)
        if is_inside and may_view:
            raise PermissionDenied(_("a search in arguments or metadata takes the permission gearjobs.view_payload"))
        if found.argument is not None and _may_lead_to_a_secret(found.argument[0]):
            raise PermissionDenied(_("a search for what may be secret takes the permission gearjobs.view_payload"))
        if found.worker and not may_view:
            raise PermissionDenied(_("a list by worker takes the permission gearjobs.view_job or view_payload"))
        return found

    def context_of(self, job: Job) -> dict[str, Any]:
        """Return what a serializer of the job wants to know."""
        return {
            "request": self.request,
            "may_see_result": self.may_see_bodies(job),
            "may_see_traceback": self.is_privileged,
        }

    def told(self, job: Job, *, status: int = 200) -> Response:
        """Return the whole of a job as an answer."""
        body = JobSerializer(job, context=self.context_of(job)).data
        return Response(body, status=status, headers=job_headers(job, is_privileged=self.is_privileged))


class JobDetail(JobEndpoint):
    """One job, with its result once it has one."""

    @described("A job", answers={200: JobSerializer, 304: "The client's copy is the newest."}, query=WAITING,
               problems=(400, 404, 410))  # fmt: skip
    def get(self, request: Request, handle: str) -> Any:
        """Answer 200 with the job, or 304 where the client's copy is the newest."""
        jobs, is_privileged = self.one(handle), self.is_privileged
        response = unchanged(request, jobs, handle=handle, is_privileged=is_privileged)
        if response is None:
            job = self.find(handle, "payload")
            response = self.told(job)
        return awaiting(response, jobs, request=request)


class JobStatusView(JobEndpoint):
    """How a job stands, in one narrow query: what clients poll."""

    @described("How a job stands", answers={200: JobStatusSerializer, 304: "The client's copy is the newest."},
               query=WAITING, problems=(400, 404, 410))  # fmt: skip
    def get(self, request: Request, handle: str) -> Any:
        """Answer 200 with the state, or 304."""
        jobs = self.one(handle)
        response = unchanged(request, jobs, handle=handle, is_privileged=False)
        if response is None:
            job = jobs.only(*STATUS_FIELDS).first()
            if job is None:
                raise missing(request, handle)
            follow_joined([job])
            response = Response(JobStatusSerializer(job).data, headers=job_headers(job, is_privileged=False))
        return awaiting(response, jobs, request=request)


def _may_lead_to_a_secret(path: tuple[str, ...]) -> bool:
    # What an argument by place is called, only its task knows; a match would tell what is masked.
    return path[0].isdecimal() or any(may_be_secret(key) for key in path)


def awaiting(response: HttpResponseBase, jobs: QuerySet[Job], *, request: Request) -> HttpResponseBase:
    """Let an answer about the one job of a query wait for the job's next version, unless it has ended.

    Args:
        response: with the tag of what is shown.
        jobs: the query.
        request: says how long, and what the client knows already: what is news to it does not wait.
    """
    wait_s = wait_of(request)
    if wait_s > 0 and (response.status_code == 304 or "If-None-Match" not in request.headers):
        end = shown_end(jobs)
        if end is not None and end[0] is None:
            has_changed = partial(_has_changed, jobs, response.headers["ETag"])
            response.news = News(wait_s, has_changed)  # type: ignore[attr-defined]  # for `long_poll`
    return response


def missing(request: Request, handle: str) -> Exception:
    """Return what a request for a job is told that is not there, or not for who asks.

    Whoever shows a tag of it has read it, and is told that it is gone; so is whoever makes one up, of any job alike.
    """
    shown = request.headers.get("If-None-Match", "") + request.headers.get("If-Match", "")
    return gone(handle) if f'"{handle}.' in shown else Http404()


def gone(handle: str) -> Problem:
    """Return what is said of a job that was there."""
    return Problem(410, _("the job is gone: jobs are kept for a time after their end"), name="job-gone", job=handle)


def unchanged(request: Request, jobs: QuerySet[Job], *, handle: str, is_privileged: bool) -> HttpResponseBase | None:
    """Return a 304 where the client has the newest version; one narrow query, mostly."""
    if "If-None-Match" not in request.headers:
        return None
    shown = shown_version(jobs)
    if shown is None:
        raise missing(request, handle)
    etag = etag_of(*shown, is_privileged=is_privileged)
    response = get_conditional_response(request, etag=etag)
    if response is not None:
        response.headers["ETag"] = etag
        response.headers["Cache-Control"] = CACHING
    return response


def job_headers(job: Job, *, is_privileged: bool) -> dict[str, str]:
    """Return the headers of an answer that is a job."""
    headers = {"ETag": etag_of(job.handle, job.version, is_privileged=is_privileged), "Cache-Control": CACHING}
    if (wait_s := advise_poll(job)) is not None:
        headers["Retry-After"] = str(math.ceil(wait_s))
    return headers


def etag_of(handle: str, version: int, *, is_privileged: bool) -> str:
    """Return the tag of what is shown: who sees more has a tag of their own."""
    return f'"{handle}.{version}{".p" if is_privileged else ""}"'


def _has_changed(jobs: QuerySet[Job], tag: str) -> bool:
    shown = shown_version(jobs)
    # A job that is gone is news, too.
    return shown is None or tag not in {etag_of(*shown, is_privileged=is_privileged) for is_privileged in (False, True)}
