"""Answers that wait for news: `?wait=20` or `Prefer: wait=20` on an endpoint that shows one thing.

The view answers as ever, and says besides what would be news; where the client wants to wait, nothing is sent until
there is some, or the time is over. Waiting is asynchronous: under ASGI it holds no database connection and hinders
nobody; under WSGI, where it holds one of few threads, few may wait at once and the others are answered at once. The
request is authenticated again before it is answered, for its user may have lost the right meanwhile.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user
from django.core.handlers.asgi import ASGIRequest
from django.db import connections, transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from gearjobs.settings import gearjobs_settings

#: Seconds between two looks: soon at first, for most jobs are short.
_FIRST_PAUSE_S: Final = 0.05
_LAST_PAUSE_S: Final = 1.0
_GROWTH: Final = 1.3
_PREFERENCE: Final = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,9})\"?\s*(?:$|[,;])", re.IGNORECASE)


@dataclass(slots=True)
class News:
    """What a client waits for."""

    #: Seconds.
    wait_s: float
    #: Tells whether there is any; reads little.
    has_come: Callable[[], bool]
    #: Makes the answer anew; where None, the view is asked again.
    answer: Callable[[], Response] | None = None


class _Places:
    """How many requests wait in this process."""

    def __init__(self) -> None:
        self.taken = 0
        self._lock = threading.Lock()

    @contextmanager
    def one(self, limit: int) -> Iterator[bool]:
        """Take a place while the block runs, if there is one; give whether there was."""
        with self._lock:
            is_free = self.taken < limit
            self.taken += is_free
        try:
            yield is_free
        finally:
            with self._lock:
                self.taken -= is_free


places: Final = _Places()


def wait_of(request: Request) -> float:
    """Return how many seconds the client wants to wait, within what the site allows; 0 for not at all.

    Raises:
        ValidationError: `wait` is no number of seconds.
    """
    text = request.query_params.get("wait")
    if text is None:
        found = _PREFERENCE.search(request.headers.get("Prefer", ""))
        text = found[1] if found else "0"
    # So many digits at most that a float is exact.
    if not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text):
        raise ValidationError({"wait": [_("must be seconds, got %(value)s") % {"value": repr(text[:40])}]})
    return min(float(text), gearjobs_settings().api.wait_s)


def answering_late(view_class: type[APIView]) -> Callable[..., Any]:
    """Return the view of a class whose answers may have `news`."""
    answer: Callable[..., Any] = view_class.as_view()

    async def view(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        response = await sync_to_async(answer, thread_sensitive=True)(request, **kwargs)
        news: News | None = getattr(response, "news", None)
        if news is None or news.wait_s <= 0:
            return response  # type: ignore[no-any-return]  # a view's answer
        with places.one(places_of(request)) as has_place:
            if not has_place:
                return response  # type: ignore[no-any-return]  # as above
            has_come = await _wait(news, is_async=isinstance(request, ASGIRequest))
        if has_come:
            _begin_anew(request)
            again = news.answer or (lambda: answer(request, **kwargs))
            response = await sync_to_async(again, thread_sensitive=True)()
        response.headers["Preference-Applied"] = f"wait={news.wait_s:g}"
        return response  # type: ignore[no-any-return]  # as above

    return as_view_of(view, view_class)


def as_view_of(view: Callable[..., Any], view_class: type[APIView]) -> Callable[..., Any]:
    """Let a coroutine function stand for a view class, as `as_view` makes one."""
    view.cls = view_class  # type: ignore[attr-defined]  # what tools find the class by
    view.view_class = view_class  # type: ignore[attr-defined]  # likewise
    view.initkwargs = {}  # type: ignore[attr-defined]  # likewise
    # REST framework asks for the token itself, where a session is what the user is known by.
    view.csrf_exempt = True  # type: ignore[attr-defined]  # as `as_view` does
    # A transaction around all of it would never see the news, and Django allows none around a coroutine.
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


def places_of(request: HttpRequest) -> int:
    """Return how many requests like this one may wait at the same time."""
    found = gearjobs_settings().api
    return found.asgi_waits if isinstance(request, ASGIRequest) else found.wsgi_waits


def _begin_anew(request: HttpRequest) -> None:
    """Let the user be looked up again, who may have lost a right meanwhile; and count as one request."""
    request.gearjobs_has_waited = True  # type: ignore[attr-defined]  # for `endpoint`
    known = getattr(request, "_cached_user", None)
    # Another middleware may have put somebody else in the session's user's place, and would not do it again.
    if known is not None and getattr(request, "user", None) == known:
        # What Django's middleware set, and evaluated.
        delattr(request, "_cached_user")
        request.user = SimpleLazyObject(partial(get_user, request))  # type: ignore[assignment]  # as that does


async def _wait(news: News, *, is_async: bool) -> bool:
    ends_at = time.monotonic() + news.wait_s
    for pause_s in growing_pauses():
        left_s = ends_at - time.monotonic()
        if left_s <= 0:
            return False
        await asyncio.sleep(min(pause_s, left_s))
        if await look(news.has_come, is_async=is_async):
            return True
    raise AssertionError("the pauses have no end")


async def look(at: Callable[[], Any], *, is_async: bool) -> Any:
    """Return what a look at the database gives; under ASGI the connection is not kept until the next one."""

    def once() -> Any:
        try:
            return at()
        finally:
            # Those of the project's own databases, too: the request asked them who its user is.
            for connection in connections.all(initialized_only=True) if is_async else ():
                if not connection.in_atomic_block:
                    connection.close()

    return await sync_to_async(once, thread_sensitive=True)()


def growing_pauses() -> Iterator[float]:
    """Yield the seconds until each further look, for ever."""
    pause_s = _FIRST_PAUSE_S
    while True:
        yield pause_s
        pause_s = min(_LAST_PAUSE_S, pause_s * _GROWTH)
