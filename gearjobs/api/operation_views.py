"""Something done to all jobs that match: `jobs/actions/`, how far it is: `operations/`, and who did what: `audit/`.

An operation is asked for here and carried out in the background. Who may not see everybody's jobs reaches their own,
and sees their own operations; all are for `view_bulkoperation`. The book of operators' actions takes
`view_operatoraction`.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.db.models import QuerySet
from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from gearjobs.actions.bulk_operation import count_matching, start_bulk, stop_bulk
from gearjobs.api.accepted import accepted_headers
from gearjobs.api.described import described, shown_as
from gearjobs.api.endpoint import Endpoint, url_beside
from gearjobs.api.idempotency import HEADER, answered_once
from gearjobs.api.job_actions import read_body_of
from gearjobs.api.job_list import CountSerializer
from gearjobs.api.job_views import JobEndpoint
from gearjobs.api.pages import PAGE_QUERY, answer_page, page_of
from gearjobs.api.problems import Problem
from gearjobs.api.query_filters import JOB_FILTERS, parameters_of, read_moment, read_text
from gearjobs.errors import UsageError
from gearjobs.models import BulkOperation, BulkVerb, OperatorAction
from gearjobs.records.audit import all_actions
from gearjobs.records.job_queries import has_permission
from gearjobs.settings import gearjobs_settings

_AUDIT_QUERY: Final = {
    "actor": "Primary key of a user.",
    "verb": "What was done.",
    "target_kind": "To what kind of thing.",
    "target": "To which.",
    "after": "At this time or later.",
    "before": "Before this time.",
}


class OperationSerializer(serializers.ModelSerializer[BulkOperation]):
    """Something that is done to many jobs."""

    url = serializers.SerializerMethodField()

    class Meta:
        model = BulkOperation
        fields = (
            "id", "url", "verb", "filter", "cut_off_at", "state", "expected", "is_more_expected", "done", "refused",
            "error", "asked_by", "asked_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields

    @shown_as(serializers.URLField())
    def get_url(self, operation: BulkOperation) -> str:
        return url_beside(self.context["request"], "operation-detail", operation.id)


class BulkRequestSerializer(serializers.Serializer[Any]):
    """What is to be done to which jobs."""

    action = serializers.ChoiceField(BulkVerb.choices)
    filter = serializers.DictField(
        child=serializers.CharField(), help_text=f"As the parameters of the list: {', '.join(JOB_FILTERS)}."
    )
    dry_run = serializers.BooleanField(default=False, help_text="Only tell how many there are.")


class ActionSerializer(serializers.ModelSerializer[OperatorAction]):
    """Something an operator did."""

    class Meta:
        model = OperatorAction
        fields = (
            "at", "actor", "actor_name", "verb", "target_kind", "target", "details", "count", "address", "outcome",
        )  # fmt: skip
        read_only_fields = fields


def accepted_operation(request: Request, operation: BulkOperation) -> Response:
    """Return 202 with an operation."""
    body = OperationSerializer(operation, context={"request": request}).data
    return Response(body, status=202, headers=accepted_headers(body["url"]))


class JobBulkActions(JobEndpoint):
    """Does something to all jobs that match a filter."""

    @described("Do something to all jobs that match", takes=BulkRequestSerializer,
               answers={200: CountSerializer, 202: OperationSerializer},
               query={HEADER: "Sent twice, the request is carried out once."}, problems=(400, 409, 422))  # fmt: skip
    def post(self, request: Request) -> Response:
        """Answer 202 with the operation, or 200 with a count where it is a dry run."""
        return answered_once(request, lambda: self._start(request))

    def _start(self, request: Request) -> Response:
        asked = read_body_of(BulkRequestSerializer, request)
        job_filter = self.read_filter(asked["filter"])
        verb = BulkVerb(asked["action"])
        try:
            if asked["dry_run"]:
                found = count_matching(verb, job_filter, user=request.user)
                return Response({"count": found.count, "is_more": found.is_more})
            return accepted_operation(request, start_bulk(verb, job_filter, user=request.user))
        except UsageError as error:
            raise ValidationError({"filter": [str(error)]}) from error


class OperationEndpoint(Endpoint):
    """The base of what shows operations."""

    def visible(self) -> QuerySet[BulkOperation]:
        """Return the operations that who asks may see."""
        operations = BulkOperation.objects.using(gearjobs_settings().database)
        if has_permission(self.request.user, "view_bulkoperation"):
            return operations
        return operations.filter(asked_by=str(self.request.user.pk))

    def find(self, operation_id: str) -> BulkOperation:
        """Return an operation.

        Raises:
            Http404: there is none, or not for who asks.
        """
        operation = None if "\0" in operation_id else self.visible().filter(pk=operation_id).first()
        if operation is None:
            raise Http404
        return operation


class OperationList(OperationEndpoint):
    """The visible operations."""

    @described("Operations on many jobs, the latest first", answers={200: page_of(OperationSerializer)},
               query=PAGE_QUERY, problems=(400,))  # fmt: skip
    def get(self, request: Request) -> Response:
        """Answer 200 with a page."""
        return answer_page(self, self.visible(), OperationSerializer, ordering=("-asked_at", "-id"))


class OperationDetail(OperationEndpoint):
    """One operation."""

    @described("How far an operation is", answers={200: OperationSerializer}, problems=(404,))
    def get(self, request: Request, operation_id: str) -> Response:
        """Answer 200 with the operation."""
        return Response(OperationSerializer(self.find(operation_id), context={"request": request}).data)


class OperationStop(OperationEndpoint):
    """Lets an operation do no more."""

    @described("Stop an operation", answers={200: OperationSerializer}, problems=(404, 409))
    def post(self, request: Request, operation_id: str) -> Response:
        """Answer 200 with the operation, 409 where it had ended; it takes the permission that it took to start it."""
        operation = self.find(operation_id)
        if not stop_bulk(operation, user=request.user):
            raise Problem(409, _("the operation had ended"), name="operation-ended")
        return Response(OperationSerializer(self.find(operation_id), context={"request": request}).data)


class AuditList(Endpoint):
    """What operators did."""

    verbs: ClassVar = {"GET": ("view_operatoraction",)}

    @described("What operators did, the latest first", answers={200: page_of(ActionSerializer)},
               query={**_AUDIT_QUERY, **PAGE_QUERY}, problems=(400,))  # fmt: skip
    def get(self, request: Request) -> Response:
        """Answer 200 with a page."""
        asked = parameters_of(request)
        texts = ("actor", "verb", "target_kind", "target")
        said: dict[str, Any] = {name: read_text(asked[name], name) for name in texts if name in asked}
        for name, column in (("after", "at__gte"), ("before", "at__lt")):
            if name in asked:
                said[column] = read_moment(asked[name], name)
        return answer_page(
            self, all_actions().filter(**said), ActionSerializer, ordering=("-at", "-id"), known=_AUDIT_QUERY
        )
