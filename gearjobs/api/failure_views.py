"""The endpoints below `failures/`: runs that failed in the same way, counted together, and what is done about them.

Reading takes `view_failuregroup`, muting and notes `manage_failures`. To retry or discard the jobs of a group takes the
verb's own permission, and happens in the background: the answer names the operation.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import Http404
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from gearjobs.actions.bulk_operation import start_bulk
from gearjobs.actions.mute_failures import mute_failures, note_failure
from gearjobs.api.described import described, shown_as
from gearjobs.api.endpoint import Endpoint, url_beside
from gearjobs.api.job_actions import read_body_of
from gearjobs.api.operation_views import OperationSerializer, accepted_operation
from gearjobs.api.pages import PAGE_QUERY, answer_page, page_of
from gearjobs.api.query_filters import parameters_of, read_flag, read_moment
from gearjobs.models import BulkVerb, FailureGroup
from gearjobs.records.failures.failure_queries import all_groups, group_trend, shown_groups
from gearjobs.records.job_filter import JobFilter

_QUERY = {
    "since": "Only groups that failed since then.",
    "muted": "`true`: muted groups, too.",
}


class FailureSerializer(serializers.ModelSerializer[FailureGroup]):
    """A group of failures."""

    url = serializers.SerializerMethodField()
    jobs_url = serializers.SerializerMethodField()
    is_muted = serializers.BooleanField(read_only=True)

    class Meta:
        model = FailureGroup
        fields: tuple[str, ...] = (
            "fingerprint", "url", "jobs_url", "function", "task", "error_class", "culprit", "sample_message", "count",
            "ended", "first_seen_at", "last_seen_at", "last_job", "is_muted", "muted_until", "note",
        )  # fmt: skip
        read_only_fields = fields

    @shown_as(serializers.URLField())
    def get_url(self, group: FailureGroup) -> str:
        return url_beside(self.context["request"], "failure-detail", group.fingerprint)

    @shown_as(serializers.URLField())
    def get_jobs_url(self, group: FailureGroup) -> str:
        return f"{url_beside(self.context['request'], 'job-list')}?fingerprint={group.fingerprint}"


class FailureDetailSerializer(FailureSerializer):
    """A group of failures, and how it went on."""

    trend = serializers.SerializerMethodField()

    class Meta(FailureSerializer.Meta):
        fields = (*FailureSerializer.Meta.fields, "trend")
        read_only_fields = fields

    @shown_as(serializers.ListField(child=serializers.IntegerField(), help_text="Jobs by hour, of the last 24."))
    def get_trend(self, group: FailureGroup) -> list[int]:
        return group_trend(group.fingerprint)


class NoteSerializer(serializers.Serializer[Any]):
    """What is known of a group."""

    note = serializers.CharField(allow_blank=True, max_length=10_000)


class MuteSerializer(serializers.Serializer[Any]):
    """Until when a group is not shown."""

    until = serializers.DateTimeField(allow_null=True, help_text="null to show it again.")


class FailureEndpoint(Endpoint):
    """The base of what shows, or acts on, a group."""

    def find(self, fingerprint: str) -> FailureGroup:
        """Return a group.

        Raises:
            Http404: there is none.
        """
        group = None if "\0" in fingerprint else all_groups().filter(pk=fingerprint).first()
        if group is None:
            raise Http404
        return group

    def told(self, fingerprint: str) -> Response:
        """Return a group as an answer."""
        return Response(FailureDetailSerializer(self.find(fingerprint), context={"request": self.request}).data)


class FailureList(Endpoint):
    """The groups of failures."""

    verbs: ClassVar = {"GET": ("view_failuregroup",)}

    @described("Failures in groups, the latest first", answers={200: page_of(FailureSerializer)},
               query={**_QUERY, **PAGE_QUERY}, problems=(400,))  # fmt: skip
    def get(self, request: Request) -> Response:
        """Answer 200 with a page."""
        asked = parameters_of(request)
        since = read_moment(asked["since"], "since") if "since" in asked else None
        with_muted = read_flag(asked.get("muted", "false"), "muted")
        groups = all_groups() if with_muted else shown_groups()
        if since is not None:
            groups = groups.filter(last_seen_at__gte=since)
        return answer_page(self, groups, FailureSerializer, ordering=("-last_seen_at", "fingerprint"), known=_QUERY)


class FailureDetail(FailureEndpoint):
    """One group."""

    verbs: ClassVar = {"GET": ("view_failuregroup",), "PATCH": ("view_failuregroup", "manage_failures")}

    @described("A group of failures", answers={200: FailureDetailSerializer}, problems=(404,))
    def get(self, request: Request, fingerprint: str) -> Response:
        """Answer 200 with the group."""
        return self.told(fingerprint)

    @described("Write down what is known of a group", takes=NoteSerializer, answers={200: FailureDetailSerializer},
               problems=(400, 404))  # fmt: skip
    def patch(self, request: Request, fingerprint: str) -> Response:
        """Answer 200 with the group."""
        group = self.find(fingerprint)
        note_failure(group.fingerprint, read_body_of(NoteSerializer, request)["note"], user=request.user)
        return self.told(fingerprint)


class FailureMute(FailureEndpoint):
    """Shows a group no more, for a time."""

    verbs: ClassVar = {"POST": ("view_failuregroup", "manage_failures")}

    @described("Mute a group", takes=MuteSerializer, answers={200: FailureDetailSerializer}, problems=(400, 404))
    def post(self, request: Request, fingerprint: str) -> Response:
        """Answer 200 with the group."""
        group = self.find(fingerprint)
        until = read_body_of(MuteSerializer, request)["until"]
        if until is not None and until <= timezone.now():
            raise ValidationError({"until": [_("must be a time to come, or null to show it again")]})
        mute_failures([group.fingerprint], until=until, user=request.user)
        return self.told(fingerprint)


class FailureRetry(FailureEndpoint):
    """Enqueues the jobs of a group again."""

    verbs: ClassVar = {"POST": ("view_failuregroup", "retry_job")}

    @described("Run all jobs of a group again", answers={202: OperationSerializer}, problems=(404,))
    def post(self, request: Request, fingerprint: str) -> Response:
        """Answer 202 with the operation."""
        chosen = JobFilter(fingerprint=self.find(fingerprint).fingerprint)
        return accepted_operation(request, start_bulk(BulkVerb.RETRY, chosen, user=request.user))


class FailureDiscard(FailureEndpoint):
    """Deletes the jobs of a group."""

    verbs: ClassVar = {"POST": ("view_failuregroup", "delete_job")}

    @described("Delete all ended jobs of a group", answers={202: OperationSerializer}, problems=(404,))
    def post(self, request: Request, fingerprint: str) -> Response:
        """Answer 202 with the operation."""
        chosen = JobFilter(fingerprint=self.find(fingerprint).fingerprint, finished_before=timezone.now())
        return accepted_operation(request, start_bulk(BulkVerb.DELETE, chosen, user=request.user))
