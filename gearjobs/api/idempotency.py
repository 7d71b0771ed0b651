"""`Idempotency-Key`: a request that is sent twice is carried out once, and answered twice with the same.

The key's row is inserted before anything is done, so that of two requests at once one meets the constraint and is told
to come back. A request that was refused leaves no row: it may be sent again with the same key. A key that was used for
another request is refused. Keys are a user's own, and are forgotten after `GEARJOBS["API"]["IDEMPOTENCY_H"]`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from gearjobs.api.problems import Problem
from gearjobs.models import IdempotentRequest
from gearjobs.settings import gearjobs_settings

HEADER: Final = "Idempotency-Key"
_LONGEST: Final = 255
#: Seconds after which a request that was never answered counts as lost: its process died.
_LOST_AFTER_S: Final = 60
#: Headers that are part of the answer.
_KEPT_HEADERS: Final = ("Location", "Retry-After")


def answered_once(request: Request, answer: Callable[[], Response]) -> Response:
    """Return the answer to a request, the first one's where the same was sent before.

    Args:
        request: with or without the header.
        answer: carries the request out.

    Raises:
        Problem: the key is too long, was used for something else, or the first request is still under way.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return answer()
    if not 0 < len(key) <= _LONGEST:
        raise Problem(
            400,
            _("%(header)s must have 1 to %(longest)s characters, got %(value)s")
            % {"header": HEADER, "longest": _LONGEST, "value": len(key)},
            name="invalid-request",
        )
    known = _Key(request, key)
    if not known.begin():
        return known.replay()
    try:
        response = answer()
    except BaseException:
        known.forget()
        raise
    known.keep(response)
    return response


class _Key:
    """The row of one user's key."""

    def __init__(self, request: Request, key: str) -> None:
        self._user = str(request.user.pk)
        self._row_pk = 0
        self._key = hashlib.sha256(key.encode()).hexdigest()
        # The body as it came; REST framework has read it, and Django keeps what was read through it.
        said = f"{request.method} {request.path}\n".encode() + repr(request.data).encode(errors="backslashreplace")
        self._digest = hashlib.sha256(said).hexdigest()

    def begin(self) -> bool:
        """Take the key; return whether it was free."""
        alias, now = gearjobs_settings().database, timezone.now()
        kept_since = now - timedelta(hours=gearjobs_settings().api.idempotency_h)
        self._rows().filter(at__lt=kept_since).delete()
        self._rows().filter(status=None, at__lt=now - timedelta(seconds=_LOST_AFTER_S)).delete()
        try:
            with transaction.atomic(using=alias):
                row = IdempotentRequest.objects.using(alias).create(
                    user=self._user, key=self._key, digest=self._digest, at=now
                )
        except IntegrityError:
            return False
        self._row_pk = row.pk
        return True

    def replay(self) -> Response:
        """Return what the first request was answered."""
        row = self._rows().first()
        if row is not None and row.digest != self._digest:
            raise Problem(422, _("this %(header)s was used for another request") % {"header": HEADER}, name="key-used")
        if row is None or row.status is None:
            problem = Problem(
                409,
                _("the first request with this %(header)s is still under way") % {"header": HEADER},
                name="under-way",
            )
            problem.wait = 1  # type: ignore[attr-defined]  # what REST framework makes Retry-After of
            raise problem
        headers = {**row.answer["headers"], "Idempotency-Replayed": "true"}
        return Response(row.answer["body"], status=row.status, headers=headers)

    def keep(self, response: Response) -> None:
        """Remember the answer."""
        headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
        # As JSON: the project's settings may leave times as they are.
        body = json.loads(JSONRenderer().render(response.data))
        self._own().update(status=response.status_code, answer={"body": body, "headers": headers})

    def forget(self) -> None:
        """Let the request be sent again."""
        self._own().delete()

    def _own(self) -> QuerySet[IdempotentRequest]:
        # Not that of a request which came when this one counted as lost.
        return self._rows().filter(pk=self._row_pk)

    def _rows(self) -> QuerySet[IdempotentRequest]:
        alias = gearjobs_settings().database
        return IdempotentRequest.objects.using(alias).filter(user=self._user, key=self._key)
