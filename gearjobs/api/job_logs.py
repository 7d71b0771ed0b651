"""What a job logged: its captured log lines and its warnings, as text.

A worker sends what a task logs (`capture_logs`) as warnings of the job, some lines at a time; here they are lines
again, for those who may see what the job returned. The same pieces, as they were sent, are among `events/`.
"""

from __future__ import annotations

import json
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gearjobs.api.described import described
from gearjobs.api.event_stream import since_of
from gearjobs.api.job_serializers import poll_after_ms_of
from gearjobs.api.job_views import JobEndpoint
from gearjobs.models import JobOutput
from gearjobs.records.job_outputs import warnings_after
from gearjobs.records.readable_body import read_body


class LogPieceSerializer(serializers.Serializer[Any]):
    """Some lines that were sent together."""

    sequence = serializers.IntegerField(help_text="Its number among all that the job sent.")
    sent_at = serializers.DateTimeField()
    lines = serializers.ListField(child=serializers.CharField())


class LogSerializer(serializers.Serializer[Any]):
    """What a job logged, from some point on."""

    results = LogPieceSerializer(many=True)
    since = serializers.IntegerField(help_text="Where to go on from.")
    is_over = serializers.BooleanField(help_text="Whether the job has ended, and this is all.")
    hidden = serializers.BooleanField(help_text="Whether who asks may not see what the job logged.")
    poll_after_ms = serializers.IntegerField(allow_null=True)


class JobLogs(JobEndpoint):
    """What a job logged."""

    @described("What a job logged", answers={200: LogSerializer},
               query={"since": "Number of the last piece that is known."}, problems=(400, 404))  # fmt: skip
    def get(self, request: Request, handle: str) -> Response:
        """Answer 200 with the lines, a hundred pieces at most."""
        job = self.find(handle, "payload", "result", "error_traceback")
        may_see, since = self.may_see_bodies(job), since_of(request)
        pieces = list(warnings_after(job.joined_to or job.handle, since)) if may_see else []
        told = {
            "results": [_told(piece) for piece in pieces],
            "since": pieces[-1].sequence if pieces else since,
            "is_over": job.is_finished and not pieces,
            "hidden": not may_see,
            "poll_after_ms": poll_after_ms_of(job),
        }
        return Response(told)


def _told(piece: JobOutput) -> dict[str, Any]:
    value = read_body(bytes(piece.body)).value
    text = value if isinstance(value, str) else json.dumps(value)
    return {"sequence": piece.sequence, "sent_at": piece.streamed_at, "lines": text.splitlines()}
