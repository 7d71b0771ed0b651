"""What every endpoint of the REST API has in common: who may come in, how often, and how it says no.

Closed by default: whoever is not logged in is refused, and each view names the permissions of its methods in
`verbs`. How a user is known, and which formats there are, is the project's `REST_FRAMEWORK`; errors are problem details
(`problems`) unless the project has a handler of its own. GET, HEAD and OPTIONS change nothing, anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any, ClassVar

from django.apps import apps
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.permissions import SAFE_METHODS, BasePermission, IsAuthenticated
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle, ScopedRateThrottle
from rest_framework.views import APIView

from gearjobs.api.problems import answer_problem, mark_problem
from gearjobs.records.job_queries import has_permission
from gearjobs.settings import gearjobs_settings

#: A job is one person's business, and may have changed since it was asked for.
CACHING = "private, no-cache"


def url_beside(request: Request, name: str, *args: str) -> str:
    """Return the URL of another endpoint, in whatever namespaces the project put the one that is answering."""
    match = request.resolver_match
    namespace = match.view_name.rpartition(":")[0] if match is not None else "gearjobs"
    return reverse(f"{namespace}:{name}", args, request=request)


def bare(request: Request) -> HttpRequest:
    """Return Django's request within REST framework's."""
    return request._request  # noqa: SLF001 - the documented way to it


def is_own(request: Request, enqueued_by: str) -> bool:
    """Tell whether something was enqueued on behalf of who asks."""
    return enqueued_by == str(request.user.pk)


class HasVerbs(BasePermission):
    """Lets a user in who has the permissions that the view names for the method."""

    message = "this takes a permission that you do not have"

    def has_permission(self, request: Request, view: APIView) -> bool:
        method = "GET" if request.method in SAFE_METHODS else request.method or ""
        wanted = getattr(view, "verbs", {}).get(method, ())
        missing = [codename for codename in wanted if not has_permission(request.user, codename)]
        if missing:
            self.message = _("this takes the permission gearjobs.%(value)s") % {"value": missing[0]}
        return not missing


class ScopeThrottle(ScopedRateThrottle):
    """Bounds what one user asks: the project's rate of the scope, else the one of `GEARJOBS["API"]`."""

    def __init__(self, scope: str, rate: str) -> None:
        self.scope = scope
        self.rate = str(api_settings.DEFAULT_THROTTLE_RATES.get(scope) or rate)
        self.num_requests, self.duration = self.parse_rate(self.rate)

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Count the request, and tell whether it is one too many."""
        # ScopedRateThrottle would look for the scope in the view.
        return super(ScopedRateThrottle, self).allow_request(request, view)


class BoundedJSONParser(JSONParser):
    """Reads no more than the site lets a request have: not every release of REST framework sees to that."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return the value.

        Raises:
            RequestDataTooBig: there are more bytes than DATA_UPLOAD_MAX_MEMORY_SIZE.
            ParseError: they are no JSON, or too deep for it.
        """
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read() if limit is None else stream.read(limit + 1)
        if limit is not None and len(body) > limit:
            raise RequestDataTooBig(f"expected at most {limit} bytes")
        try:
            return super().parse(BytesIO(body), media_type, parser_context)
        except RecursionError:
            raise ParseError(_("the JSON is nested too deep")) from None


class Endpoint(APIView):
    """The base of all views."""

    permission_classes: Sequence[type[BasePermission]] = (IsAuthenticated, HasVerbs)
    parser_classes = (BoundedJSONParser,)
    #: There is one version, and the project may put it under any path; its own versions are not this one's.
    versioning_class = None
    #: Codenames of permissions by method; GET stands for HEAD and OPTIONS, too.
    verbs: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def get_renderers(self) -> list[BaseRenderer]:
        # The browsable API needs the templates of an installed rest_framework; gearjobs does not.
        return super().get_renderers() if apps.is_installed("rest_framework") else [JSONRenderer()]

    def get_throttles(self) -> list[BaseThrottle]:
        """Return the project's own throttles, and ours."""
        found = gearjobs_settings().api
        is_reading = self.request.method in SAFE_METHODS
        scope, rate = ("gearjobs-status", found.status_rate) if is_reading else ("gearjobs-write", found.write_rate)
        return [*super().get_throttles(), ScopeThrottle(scope, rate)]

    def check_throttles(self, request: Request) -> None:
        # A request that has waited for news is looked at again, and is still one.
        if not getattr(bare(request), "gearjobs_has_waited", False):
            super().check_throttles(request)

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        return answer_problem

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        final = super().finalize_response(request, response, *args, **kwargs)
        if isinstance(final, Response):
            final.headers.setdefault("Cache-Control", CACHING)
            # Texts of peers stand in it: no browser shall guess that it is a page.
            final.headers.setdefault("X-Content-Type-Options", "nosniff")
            mark_problem(final)
        return final
