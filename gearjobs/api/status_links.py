"""Signed addresses of a job's state, for whoever is not logged in: a link in an e-mail, a kiosk, another system.

The token names the job and the moment it expires at, signed with the site's SECRET_KEY; whoever has it reads the tiny
state of that job, and nothing else of it. It cannot be taken back but by deleting the job.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any, Final

from django.core import signing
from django.http import Http404, HttpRequest
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from gearjobs.api.described import described
from gearjobs.api.endpoint import Endpoint
from gearjobs.api.job_serializers import JobStatusSerializer
from gearjobs.api.job_views import STATUS_FIELDS, WAITING, awaiting, gone, job_headers, unchanged
from gearjobs.records.job_queries import all_jobs
from gearjobs.records.joined_jobs import follow_joined

_SALT: Final = "gearjobs.status"
#: How long a link works unless it is said otherwise.
DEFAULT_AGE: Final = timedelta(days=7)
#: How long after a link was made its job may still be about to come.
_FRESH: Final = timedelta(minutes=10)


def signed_status_url(
    handle: str,
    *,
    max_age: timedelta = DEFAULT_AGE,
    request: HttpRequest | Request | None = None,
    namespace: str = "gearjobs",
) -> str:
    """Return the address at which anybody reads the state of a job.

    Args:
        handle: the job's id.
        max_age: how long it works.
        request: makes it a whole URL rather than a path.
        namespace: where the project put `gearjobs.urls`.
    """
    token = signing.dumps([handle, int(time.time() + max_age.total_seconds())], salt=_SALT)
    return str(reverse(f"{namespace}:signed-status", [token], request=request))


class SignedStatus(Endpoint):
    """How a job stands, for who has the link."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @described("How a job stands, by a signed link", query=WAITING, problems=(400, 404, 410),
               answers={200: JobStatusSerializer, 304: "The client's copy is the newest."})  # fmt: skip
    def get(self, request: Request, token: str) -> Any:
        """Answer 200 with the state, or 304; 404 where the link is none, or too old; 410 where the job is gone."""
        handle = _handle_in(token)
        jobs = all_jobs().filter(pk=handle)
        response = unchanged(request, jobs, handle=handle, is_privileged=False)
        if response is None:
            job = jobs.only(*STATUS_FIELDS).first()
            if job is None:
                # A link may be made in the transaction that enqueues the job.
                raise Http404 if _is_fresh(token) else gone(handle)
            follow_joined([job])
            response = Response(JobStatusSerializer(job).data, headers=job_headers(job, is_privileged=False))
        return awaiting(response, jobs, request=request)


def _handle_in(token: str) -> str:
    try:
        handle, ends_at = signing.loads(token, salt=_SALT)
    except (signing.BadSignature, ValueError):
        raise Http404 from None
    if time.time() > ends_at:
        raise Http404
    return str(handle)


def _is_fresh(token: str) -> bool:
    try:
        signing.loads(token, salt=_SALT, max_age=_FRESH)
    except signing.SignatureExpired:
        return False
    return True
