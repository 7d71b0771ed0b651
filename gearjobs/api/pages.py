"""Pages of anything but jobs: by cursor, as the list of jobs is, so that each page costs the same.

A list names what it is ordered by, newest first as a rule, and its page is `{"next", "previous", "results"}`.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError as InvalidValue
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.response import Response

from gearjobs.api.endpoint import Endpoint
from gearjobs.api.query_filters import parameters_of, read_size, refuse_unknown

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
    asked = parameters_of(endpoint.request)
    refuse_unknown(asked, known or {})
    pages = CursorPagination()
    pages.page_size, pages.ordering = read_size(asked), ordering
    try:
        page = pages.paginate_queryset(rows, endpoint.request, endpoint) or []
    except (NotFound, InvalidValue, ValueError, OverflowError):
        # It says where to go on, in a way of its own: whatever somebody wrote there themselves may be anything.
        raise ValidationError({"cursor": ["must come from another page"]}) from None
    return pages.get_paginated_response(serializer_class(page, many=True, context={"request": endpoint.request}).data)
