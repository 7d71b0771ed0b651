"""Pages of anything but jobs: by cursor, as the list of jobs is, so that each page costs the same.

A list names what it is ordered by, newest first as a rule, and its page is `{"next", "previous", "results"}`.
"""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from gearjobs.api.endpoint import Endpoint
from gearjobs.api.query_filters import parameters_of, read_size, refuse_unknown
from gearjobs.errors import UsageError
from gearjobs.records.keyset_pages import keyset_page

PAGE_QUERY = {"cursor": "From `next` or `previous` of another page.", "page_size": "1 to 200."}


def page_of(serializer_class: type[serializers.BaseSerializer[Any]]) -> type[serializers.Serializer[Any]]:
    """Return the serializer of a page, for the OpenAPI document."""
    name = f"{serializer_class.__name__.removesuffix('Serializer')}Page"
    members = {
        "next": serializers.URLField(allow_null=True),
        "previous": serializers.URLField(allow_null=True),
        "results": serializer_class(many=True),
    }
    return type(name, (serializers.Serializer,), {"__doc__": "A page.", **members})


def answer_page(
    endpoint: Endpoint,
    rows: QuerySet[Any],
    serializer_class: type[serializers.BaseSerializer[Any]],
    *,
    ordering: tuple[str, ...],
    known: dict[str, str] | None = None,
) -> Response:
    """Return a page of rows as an answer.

    Args:
        endpoint: whose request it is.
        rows: all that who asks may read.
        serializer_class: of a row.
        ordering: columns of which the last is unique.
        known: the filters that the endpoint reads itself; any other parameter is refused.
    """
    request = endpoint.request
    asked = parameters_of(request)
    refuse_unknown(asked, known or {})
    try:
        page = keyset_page(rows, ordering, cursor=asked.get("cursor", ""), size=read_size(asked))
    except UsageError as error:
        raise ValidationError({"cursor": [str(error)]}) from error
    told = {
        "next": page_url(request, page.next_cursor),
        "previous": page_url(request, page.previous_cursor),
        "results": serializer_class(page.rows, many=True, context={"request": request}).data,
    }
    return Response(told)


def page_url(request: Request, cursor: str) -> str | None:
    """Return the URL of the page at a cursor, else as the request's; None where there is no such page."""
    if not cursor:
        return None
    asked = request.query_params.copy()
    asked["cursor"] = cursor
    return f"{request.build_absolute_uri(request.path)}?{asked.urlencode()}"
