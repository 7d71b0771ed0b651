"""The endpoint `jobs/`: a page of the visible jobs, newest first, and the place to enqueue one; many states at once.

A page costs the same however far back it is (`records/job_pages`). Filters are `query_filters`'s, enqueuing is
`enqueue_views`'s.
"""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from gearjobs.api.described import described
from gearjobs.api.enqueue_views import CallSerializer, enqueue_call
from gearjobs.api.idempotency import HEADER
from gearjobs.api.job_actions import AcceptedSerializer, read_body_of
from gearjobs.api.job_serializers import JobLineSerializer, JobStatusSerializer
from gearjobs.api.job_views import STATUS_FIELDS, WAITING, JobEndpoint
from gearjobs.api.query_filters import HANDLES_LIMIT, LIST_QUERY, parameters_of, read_flag, read_size, shown_fields
from gearjobs.errors import UsageError
from gearjobs.records.job_filter import JobFilter
from gearjobs.records.job_pages import JobPage, count_up_to, job_page
from gearjobs.records.joined_jobs import follow_joined


class CountSerializer(serializers.Serializer[Any]):
    """A number of jobs, counted up to a bound."""

    count = serializers.IntegerField()
    is_more = serializers.BooleanField()


class JobPageSerializer(serializers.Serializer[Any]):
    """A page of jobs."""

    next = serializers.URLField(allow_null=True, help_text="The page of older jobs.")
    is_cut = serializers.BooleanField(
        help_text="Whether the page ended because enough rows were looked at; `next` goes on with older ones."
    )
    count = CountSerializer(required=False)
    results = JobLineSerializer(many=True)


class JobList(JobEndpoint):
    """The visible jobs, newest first; and enqueuing."""

    verbs: ClassVar = {"POST": ("add_job",)}

    @described("Jobs, the newest first", answers={200: JobPageSerializer}, query=LIST_QUERY, problems=(400,))
    def get(self, request: Request) -> Response:
        """Answer 200 with a page."""
        asked = parameters_of(request)
        fields = shown_fields(request, JobLineSerializer.Meta.fields)
        job_filter = self.read_filter(asked)
        size = read_size(asked)
        if "handle__in" in asked and not job_filter.handles:
            page = JobPage([])
        else:
            page = self.page(job_filter, asked.get("cursor", ""), size)
        follow_joined(page.jobs)
        context = {"request": request, "fields": fields}
        told: dict[str, Any] = {
            "next": next_page(request, page.next_cursor) if page.next_cursor else None,
            "is_cut": page.is_cut,
            "results": JobLineSerializer(page.jobs, many=True, context=context).data,
        }
        if read_flag(asked.get("count", "false"), "count"):
            counted = count_up_to(self.visible(), job_filter)
            told["count"] = {"count": counted.count, "is_more": counted.is_more}
        return Response(told)

    def page(self, job_filter: JobFilter, cursor: str, size: int) -> JobPage:
        """Return a page of the visible jobs."""
        try:
            return job_page(self.visible(), job_filter, cursor=cursor, size=size)
        except UsageError as error:
            raise ValidationError({"cursor": [str(error)]}) from error

    @described(
        "Enqueue a call of a task",
        takes=CallSerializer,
        answers={202: AcceptedSerializer, 200: JobLineSerializer},
        query={
            HEADER: "Sent twice, the request is carried out once.",
            "wait": "Seconds to wait for the job's end; 200 with the job if it ended in time.",
            "Prefer": WAITING["Prefer"] + " `respond-async` does not wait.",
        },
        problems=(400, 409, 415, 422, 502, 503),
    )
    def post(self, request: Request) -> Response:
        """Answer 202 with the job, or 200 with the ended job."""
        return enqueue_call(self, request)


class StatusRequestSerializer(serializers.Serializer[Any]):
    """Which jobs' states are wanted."""

    ids = serializers.ListField(child=serializers.CharField(max_length=64), max_length=HANDLES_LIMIT * 5)


class StatusMapSerializer(serializers.Serializer[Any]):
    """States by id."""

    results = serializers.DictField(child=JobStatusSerializer())
    unknown = serializers.ListField(child=serializers.CharField())


class JobStatuses(JobEndpoint):
    """How many jobs stand, in one query."""

    @described("How many jobs stand", takes=StatusRequestSerializer, answers={200: StatusMapSerializer},
               problems=(400,))  # fmt: skip
    def post(self, request: Request) -> Response:
        """Answer 200 with the states of those that exist for who asks; POST only because a URL is short."""
        handles = read_body_of(StatusRequestSerializer, request)["ids"]
        jobs = list(self.visible().filter(pk__in=handles).only(*STATUS_FIELDS))
        follow_joined(jobs)
        told = {job.handle: JobStatusSerializer(job).data for job in jobs}
        return Response({"results": told, "unknown": [handle for handle in handles if handle not in told]})


def next_page(request: Request, cursor: str) -> str:
    """Return the URL of the page that begins at a cursor."""
    asked = request.query_params.copy()
    asked["cursor"] = cursor
    return f"{request.build_absolute_uri(request.path)}?{asked.urlencode()}"
