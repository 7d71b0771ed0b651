"""Middleware: lets a job know the user on whose behalf a request enqueued it, and the audit where requests come from.

The user is looked up only when a job is enqueued: a request that enqueues nothing costs no query and no `Vary: Cookie`.
Put it after Django's AuthenticationMiddleware. What is not enqueued within a request carries whatever
`gearjobs.submitted_by` says, or nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from gearjobs.records.audit import acting_from, address_of
from gearjobs.tasks.submitter import current_submitter


class SubmitterMiddleware:
    """Makes the request's user the submitter of the jobs it enqueues."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self._is_async:
            return self._acall(request)
        token = current_submitter.set(_submitter_of(request))
        try:
            with acting_from(address_of(request.META)):
                return self._get_response(request)
        finally:
            current_submitter.reset(token)

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        token = current_submitter.set(_submitter_of(request))
        try:
            with acting_from(address_of(request.META)):
                response = self._get_response(request)
                return response if isinstance(response, HttpResponseBase) else await response
        finally:
            current_submitter.reset(token)


def _submitter_of(request: HttpRequest) -> Callable[[], str]:
    def look_up() -> str:
        user = getattr(request, "user", None)
        return str(user.pk) if user is not None and user.is_authenticated else ""

    return look_up
