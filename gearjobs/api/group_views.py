"""The endpoints below `groups/`: how far groups, chains and chords are, and their cancellation.

A user reads the groups enqueued on their behalf, or all with the permission `view_jobgroup`. Counters stand in the
rows, so nothing is counted here; the jobs of a group are `jobs/?group=<id>`.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.db.models import F, QuerySet
from django.http import Http404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gearjobs.actions.cancel_groups import cancel_group
from gearjobs.api.described import described, shown_as
from gearjobs.api.endpoint import Endpoint, url_beside
from gearjobs.api.pages import PAGE_QUERY, answer_page, page_of
from gearjobs.models import GroupKind, JobGroup, JobStatus
from gearjobs.records.job_queries import has_permission
from gearjobs.settings import gearjobs_settings

#: Rows of groups and stages, the newest, among which a list is.
LOOK_LIMIT: Final = 10_000


class GroupSerializer(serializers.Serializer[JobGroup]):
    """A group, a chain or a chord."""

    id = serializers.CharField()
    url = serializers.SerializerMethodField()
    jobs_url = serializers.SerializerMethodField()
    kind = serializers.ChoiceField(GroupKind.choices)
    status = serializers.ChoiceField(JobStatus.choices)
    total = serializers.IntegerField()
    succeeded = serializers.IntegerField()
    failed = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)

    @shown_as(serializers.URLField())
    def get_url(self, group: JobGroup) -> str:
        return url_beside(self.context["request"], "group-detail", group.id)

    @shown_as(serializers.URLField())
    def get_jobs_url(self, group: JobGroup) -> str:
        return f"{url_beside(self.context['request'], 'job-list')}?group={group.id}"


class CancelledCountSerializer(serializers.Serializer[Any]):
    """What a cancellation came to."""

    cancelled = serializers.IntegerField(help_text="Jobs that have ended by it, or were told to stop.")


class GroupEndpoint(Endpoint):
    """The base of what shows groups."""

    def visible(self) -> QuerySet[JobGroup]:
        """Return the wholes that who asks may read."""
        wholes = _groups().filter(pk=F("root"))
        if has_permission(self.request.user, "view_jobgroup"):
            return wholes
        return wholes.filter(enqueued_by=str(self.request.user.pk))

    def find(self, group_id: str) -> JobGroup:
        """Return a whole.

        Raises:
            Http404: there is none, or not for who asks.
        """
        group = None if "\0" in group_id else self.visible().filter(pk=group_id).first()
        if group is None:
            raise Http404
        return group


class GroupList(GroupEndpoint):
    """The visible groups."""

    @described("Groups, the newest first", answers={200: page_of(GroupSerializer)}, query=PAGE_QUERY, problems=(400,))
    def get(self, request: Request) -> Response:
        """Answer 200 with a page, of the newest groups alone where there are very many."""
        wholes = self.visible()
        # No index leads to one user's: a bounded part of the table is looked through.
        newest = _groups().order_by("-created_at").values_list("created_at", flat=True)
        for edge in newest[LOOK_LIMIT : LOOK_LIMIT + 1]:
            wholes = wholes.filter(created_at__gte=edge)
        return answer_page(self, wholes, GroupSerializer, ordering=("-created_at", "-id"))


class GroupDetail(GroupEndpoint):
    """One group."""

    @described("A group", answers={200: GroupSerializer}, problems=(404,))
    def get(self, request: Request, group_id: str) -> Response:
        """Answer 200 with the group."""
        return Response(GroupSerializer(self.find(group_id), context={"request": request}).data)


class GroupCancel(GroupEndpoint):
    """Ends all jobs of a group."""

    verbs: ClassVar = {"POST": ("cancel_job",)}

    @described("Cancel a group", answers={202: CancelledCountSerializer}, problems=(404, 503))
    def post(self, request: Request, group_id: str) -> Response:
        """Answer 202 with how many jobs it was for."""
        return Response({"cancelled": cancel_group(self.find(group_id).id, user=request.user)}, status=202)


def _groups() -> QuerySet[JobGroup]:
    return JobGroup.objects.using(gearjobs_settings().database)
