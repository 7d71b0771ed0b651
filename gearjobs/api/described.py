"""What the OpenAPI document says of an endpoint, where drf-spectacular is installed; nothing otherwise.

Views name their summary, what they take and what they answer with one decorator, `described`; that every endpoint may
answer with a problem is added here. The document itself is made by `gearjobs.api.open_api` and kept in
docs/openapi.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from rest_framework import serializers
from rest_framework.settings import api_settings

try:
    from drf_spectacular.openapi import AutoSchema
    from drf_spectacular.types import OpenApiTypes
    from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_field
except ImportError:
    # The extra `openapi` is not installed.
    HAS_SPECTACULAR = False
else:
    HAS_SPECTACULAR = True

_View = TypeVar("_View", bound=Callable[..., Any])

#: What any endpoint may answer; refusals of one endpoint come on top.
_COMMON: Final = (401, 403, 406, 429)
_WORDS: Final[Mapping[int, str]] = {
    304: "The client's copy is the newest.",
    400: "The request was not understood; `errors` names the fields.",
    401: "Nobody is logged in.",
    403: "A permission is missing.",
    404: "There is no such thing, or not for this user.",
    405: "The endpoint has no such method.",
    406: "There is no such format.",
    409: "It cannot be done as things stand.",
    410: "It is gone: jobs are kept for a time after their end.",
    412: "It has changed since it was read.",
    413: "The body is too large.",
    415: "The body's format is not known.",
    422: "The Idempotency-Key belongs to another request.",
    428: "`If-Match` is missing.",
    429: "Too many requests; `Retry-After` says when to come back.",
    502: "The job server refused.",
    503: "No job server answers.",
}


class ProblemSerializer(serializers.Serializer[Any]):
    """An error as problem details, RFC 9457."""

    type = serializers.CharField(help_text="`urn:gearjobs:problem:...`, or `about:blank` where the status says all.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="A sentence on this case.")
    instance = serializers.CharField(help_text="The path that was asked for.", required=False)
    vars()["errors"] = serializers.DictField(required=False, help_text="What is wrong with each field of the request.")
    job = serializers.CharField(required=False, help_text="The job that stands in the way.")


def described(
    summary: str,
    *,
    answers: Mapping[int, Any],
    takes: Any = None,
    query: Mapping[str, str] | None = None,
    problems: tuple[int, ...] = (),
) -> Callable[[_View], _View]:
    """Say what a method of a view is for.

    Args:
        summary: a short sentence.
        answers: serializers by status; a text where there is no body, or another one than JSON.
        takes: serializer of the body.
        query: parameters of the URL, and headers, whose names begin with a capital.
        problems: statuses of its own refusals.
    """
    if not HAS_SPECTACULAR:
        return lambda view: view
    responses: dict[Any, Any] = {}
    for status, answer in answers.items():
        is_text = isinstance(answer, str)
        responses[status] = OpenApiResponse(description=answer) if is_text else answer
    for status in (*problems, *_COMMON):
        described_as = OpenApiResponse(ProblemSerializer, description=_WORDS[status])
        responses[(status, "application/problem+json")] = described_as
    parameters = [
        OpenApiParameter(
            name,
            OpenApiTypes.STR,
            OpenApiParameter.HEADER if name[0].isupper() else OpenApiParameter.QUERY,
            description=words,
        )
        for name, words in (query or {}).items()
    ]

    def decorate(view: _View) -> _View:
        # The project's own class of schemas, where that is drf-spectacular's, too.
        default: Any = api_settings.DEFAULT_SCHEMA_CLASS
        is_fit = isinstance(default, type) and issubclass(default, AutoSchema)
        view.schema = default if is_fit else AutoSchema  # type: ignore[attr-defined]  # where `extend_schema` looks
        words = {"summary": summary, "request": takes, "responses": responses, "parameters": parameters}
        return extend_schema(operation_id=_operation_id(view.__qualname__), **words)(view)

    return decorate


def _operation_id(name: str) -> str:
    """Return `job_list_get` of `JobList.get`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).replace(".", "_").lower()


def shown_as(field: serializers.Field[Any, Any, Any, Any]) -> Callable[[_View], _View]:
    """Say what a serializer's method returns, where its annotation does not say all."""
    if not HAS_SPECTACULAR:
        return lambda method: method
    return extend_schema_field(field)
