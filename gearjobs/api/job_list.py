"""The endpoint `jobs/`: a page of the visible jobs, newest first, and the place to enqueue one; many states at once.

A page costs the same however far back it is (`records/job_pages`). Filters are `query_filters`'s, enqueuing is
`enqueue_views`'s.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar, Final

from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from gearjobs.api.described import described
from gearjobs.api.enqueue_views import CallSerializer, enqueue_call
from gearjobs.api.idempotency import HEADER
from gearjobs.api.job_actions import AcceptedSerializer, read_body_of
from gearjobs.api.job_serializers import AttemptSerializer, JobLineSerializer, JobStatusSerializer, told_attempt
from gearjobs.api.job_views import STATUS_FIELDS, WAITING, JobEndpoint
from gearjobs.api.pages import page_url
from gearjobs.api.query_filters import (
    HANDLES_LIMIT,
    LIST_QUERY,
    PAGE_QUERY,
    expanded,
    parameters_of,
    read_flag,
    read_size,
    refuse_unknown,
    shown_fields,
)
from gearjobs.errors import UsageError
from gearjobs.models import Job
from gearjobs.records.job_attempts import attempts_of_many
from gearjobs.records.job_filter import JobFilter
from gearjobs.records.job_pages import BoundedCount, JobPage, count_up_to, job_page
from gearjobs.records.job_queries import may_view_all
from gearjobs.records.joined_jobs import follow_joined

#: How far the clocks of whoever enqueues and of a job server may be apart.
_CLOCKS_APART: Final = timedelta(minutes=1)


class CountSerializer(serializers.Serializer[Any]):
    """A number of jobs, counted up to a bound."""

    count = serializers.IntegerField()
    is_more = serializers.BooleanField()


class ListedJobSerializer(JobLineSerializer):
    """A job in a list."""

    attempts = AttemptSerializer(
        many=True, required=False, help_text="With `expand=attempts`: the runs before the last."
    )

    class Meta(JobLineSerializer.Meta):
        fields: tuple[str, ...] = (*JobLineSerializer.Meta.fields, "attempts")
        read_only_fields = fields


class JobPageSerializer(serializers.Serializer[Any]):
    """A page of jobs."""

    next = serializers.URLField(allow_null=True, help_text="The page of older jobs.")
    is_cut = serializers.BooleanField(
        help_text="Whether the page ended because enough rows were looked at; `next` goes on with older ones."
    )
    count = CountSerializer(required=False)
    results = ListedJobSerializer(many=True)


class JobLists(JobEndpoint):
    """The base of what lists jobs."""

    def answer_page(self, request: Request, job_filter: JobFilter, *, is_empty: bool = False) -> Response:
        """Return the page that the parameters of the URL ask for, of the visible jobs that the filter means."""
        asked = parameters_of(request)
        fields = shown_fields(request, JobLineSerializer.Meta.fields)
        expand = expanded(request)
        size = read_size(asked)
        if not may_view_all(request.user):
            # They see no others anyway; said in the filter, it leads to the index of a user's jobs.
            job_filter = replace(job_filter, enqueued_by=str(request.user.pk))
        page = JobPage([]) if is_empty else self.page(job_filter, asked.get("cursor", ""), size)
        follow_joined(page.jobs)
        context = {"request": request, "fields": fields}
        told: dict[str, Any] = {
            "next": page_url(request, page.next_cursor),
            "is_cut": page.is_cut,
            "results": JobLineSerializer(page.jobs, many=True, context=context).data,
        }
        if "attempts" in expand:
            self.add_attempts(page.jobs, told["results"])
        if read_flag(asked.get("count", "false"), "count"):
            counted = CountSerializer(BoundedCount(0) if is_empty else count_up_to(self.visible(), job_filter)).data
            told["count"] = counted
        return Response(told)

    def page(self, job_filter: JobFilter, cursor: str, size: int) -> JobPage:
        """Return a page of the visible jobs."""
        try:
            return job_page(self.visible(), job_filter, cursor=cursor, size=size)
        except UsageError as error:
            raise ValidationError({"cursor": [str(error)]}) from error

    def add_attempts(self, jobs: list[Job], told: list[dict[str, Any]]) -> None:
        """Add the attempts before the last to each job that is told of; one query."""
        attempts = attempts_of_many(jobs)
        for job, line in zip(jobs, told, strict=True):
            line["attempts"] = [
                told_attempt(one, is_privileged=self.is_privileged) for one in attempts.get(job.handle, ())
            ]

    def of_parent(self, parent: str) -> JobFilter | None:
        """Return what the jobs are that were enqueued in a job's runs; None where there can be none for who asks."""
        times = self.one(parent).values_list("started_at", "finished_at").first()
        if times is None or times[0] is None:
            return None
        started_at, finished_at = times[0], times[1]
        before = None if finished_at is None else finished_at + _CLOCKS_APART
        return JobFilter(parent=parent, enqueued_after=started_at - _CLOCKS_APART, enqueued_before=before)


class JobList(JobLists):
    """The visible jobs, newest first; and enqueuing."""

    verbs: ClassVar = {"POST": ("add_job",)}

    @described("Jobs, the newest first", answers={200: JobPageSerializer}, query=LIST_QUERY, problems=(400,))
    def get(self, request: Request) -> Response:
        """Answer 200 with a page."""
        asked = parameters_of(request)
        job_filter = self.read_filter(asked)
        is_empty = "handle__in" in asked and not job_filter.handles
        if job_filter.parent:
            bounds = self.of_parent(job_filter.parent)
            is_empty = is_empty or bounds is None
            job_filter = job_filter if bounds is None else job_filter.within(bounds)
        return self.answer_page(request, job_filter, is_empty=is_empty)

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


class JobChildren(JobLists):
    """The jobs that a job enqueued while it ran."""

    @described("The jobs that were enqueued in a job's runs", answers={200: JobPageSerializer}, query=PAGE_QUERY,
               problems=(400, 404))  # fmt: skip
    def get(self, request: Request, handle: str) -> Response:
        """Answer 200 with a page of those that who asks may read, the newest first."""
        refuse_unknown(parameters_of(request), {})
        job = self.find(handle, "payload", "result", "error_traceback")
        job_filter = self.of_parent(job.joined_to or job.handle)
        return self.answer_page(request, job_filter or JobFilter(), is_empty=job_filter is None)


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
