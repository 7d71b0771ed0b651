"""`health/live` and `health/ready`: for load balancers and watchdogs, without a login, and saying nothing else.

Live is this process: it answers. Ready is what it needs: the database with the job table in it. Neither asks a job
server: jobs are accepted while all of them are down.
"""

from __future__ import annotations

from typing import Any

from django.db import Error
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from gearjobs.api.described import described
from gearjobs.api.endpoint import Endpoint
from gearjobs.records.job_queries import all_jobs


class HealthSerializer(serializers.Serializer[Any]):
    """Whether all is well."""

    status = serializers.ChoiceField(["ok", "down"])


class HealthLive(Endpoint):
    """Whether this process answers."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get_throttles(self) -> list[BaseThrottle]:
        """Return none: they count in a cache, and what is down there is not this process."""
        return []

    @described("Whether the site answers", answers={200: HealthSerializer})
    def get(self, request: Request) -> Response:
        """Answer 200."""
        return Response({"status": "ok"})


class HealthReady(HealthLive):
    """Whether the job table can be read."""

    @described("Whether jobs can be read and enqueued", answers={200: HealthSerializer, 503: HealthSerializer})
    def get(self, request: Request) -> Response:
        """Answer 200, or 503 where the database does not."""
        try:
            all_jobs().values_list("pk", flat=True).order_by().first()
        except Error:
            return Response({"status": "down"}, status=503)
        return Response({"status": "ok"})
