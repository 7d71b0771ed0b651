"""What a job tells while it runs: as server-sent events under ASGI, as a list to come back for anywhere.

`GET jobs/<handle>/events/` with `Accept: text/event-stream` streams states, progress, data and warnings until the job
has ended; `Last-Event-ID` goes on where an earlier stream broke off. Without that header it is a list of data and
warnings from `?since=` on, which waits as `?wait=` says. A stream ends after some minutes, so that its reader comes
back and is authenticated anew. Data and warnings are for those who may see what a job returned.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, Final

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from gearjobs.api.described import described
from gearjobs.api.endpoint import bare
from gearjobs.api.job_serializers import JobStatusSerializer, poll_after_ms_of
from gearjobs.api.job_views import WAITING, JobEndpoint
from gearjobs.api.long_poll import News, answering_late, as_view_of, growing_pauses, look, places, places_of, wait_of
from gearjobs.api.problems import Problem
from gearjobs.models import Job
from gearjobs.records.job_outputs import outputs_after
from gearjobs.records.job_queries import all_jobs
from gearjobs.records.joined_jobs import follow_joined, shown_version
from gearjobs.records.readable_body import read_body
from gearjobs.settings import gearjobs_settings

STREAM: Final = "text/event-stream"
#: Seconds of silence after which a comment keeps proxies from closing the connection.
_KEEP_ALIVE_S: Final = 15.0
#: Milliseconds after which a browser comes back.
_RECONNECT_MS: Final = 2000
#: Last-Event-ID: the version and the number of the last piece of output.
_POSITION: Final = re.compile(r"(\d{1,9})\.(\d{1,9})")


class EventStreamRenderer(JSONRenderer):
    """Stands for streams when formats are agreed upon; what is no stream but a problem is JSON."""

    media_type = STREAM
    format = "sse"


class EventSerializer(serializers.Serializer[Any]):
    """A piece of a job's output."""

    kind = serializers.ChoiceField(["data", "warning"])
    sequence = serializers.IntegerField()
    value = serializers.JSONField(allow_null=True)
    encoding = serializers.ChoiceField(["json", "utf-8", "base64"])
    sent_at = serializers.DateTimeField()


class EventListSerializer(serializers.Serializer[Any]):
    """Output of a job from some point on."""

    results = EventSerializer(many=True)
    since = serializers.IntegerField(help_text="Where to go on from.")
    is_over = serializers.BooleanField(help_text="Whether the job has ended, and this is all.")
    hidden = serializers.BooleanField(help_text="Whether who asks may not see what the job returned.")
    poll_after_ms = serializers.IntegerField(allow_null=True)


class JobEvents(JobEndpoint):
    """What a job tells while it runs."""

    def get_renderers(self) -> list[BaseRenderer]:
        """Return the formats, the preferred one first: streams where they are asked for by name and there are any."""
        formats, stream = super().get_renderers(), EventStreamRenderer()
        wants_stream = self.request is not None and STREAM in self.request.headers.get("Accept", "")
        # Whoever takes JSON, too, is answered with it under WSGI.
        is_first = wants_stream and isinstance(bare(self.request), ASGIRequest)
        return [stream, *formats] if is_first else [*formats, stream]

    @described(
        "What a job tells while it runs",
        answers={200: EventListSerializer},
        query={"since": "Number of the last piece that is known.", "wait": WAITING["wait"], "Prefer": WAITING["Prefer"],
               "Last-Event-ID": "Where an earlier stream broke off."},
        problems=(400, 404),
    )  # fmt: skip
    def get(self, request: Request, handle: str) -> Any:
        """Answer 200 with a list, or with a stream under ASGI where the client takes that."""
        job = self.find(handle, "payload", "result")
        may_see = self.may_see_bodies(job)
        if isinstance(request.accepted_renderer, EventStreamRenderer):
            if not isinstance(bare(request), ASGIRequest):
                raise Problem(
                    406, _("this site serves no streams; ask for JSON with ?wait=20 instead"), name="no-streams"
                )
            response = Response()
            if request.method != "GET":
                # Nobody would read the stream.
                return response
            response.stream = JobStream(job.handle, _position_of(request), may_see=may_see)  # type: ignore[attr-defined]  # for `streaming`
            return response
        since = since_of(request)
        pieces = list(outputs_after(job.joined_to or job.handle, since)) if may_see else []
        response = Response(_told(job, pieces, since=since, may_see=may_see))
        wait_s = wait_of(request)
        if wait_s and not pieces and not job.is_finished:
            response.news = News(wait_s, partial(_has_news, job, since))  # type: ignore[attr-defined]  # for `long_poll`
        return response


class JobStream:
    """One reader's stream of what a job tells.

    Args:
        handle: the job's.
        position: version and number of output that the reader knows.
        may_see: whether the reader may see data and warnings.
    """

    def __init__(self, handle: str, position: tuple[int, int], *, may_see: bool) -> None:
        self._handle = handle
        self._version, self._since = position
        self._may_see = may_see
        self._progress: Any = None
        self._state: tuple[str, str, int] | None = None
        self._is_over = False

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the stream, until the job has ended or the stream has lived long enough."""
        ends_at = time.monotonic() + gearjobs_settings().api.stream_s
        yield f"retry: {_RECONNECT_MS}\n\n".encode()
        pauses, silent_since = growing_pauses(), time.monotonic()
        while True:
            chunk = await look(self._look, is_async=True)
            now = time.monotonic()
            if chunk:
                pauses, silent_since = growing_pauses(), now
                yield chunk
            elif now - silent_since >= _KEEP_ALIVE_S:
                silent_since = now
                yield b": still here\n\n"
            if self._is_over or now >= ends_at:
                return
            await asyncio.sleep(next(pauses))

    def _look(self) -> bytes:
        """Return what is new, as events."""
        pieces = list(outputs_after(self._source(), self._since)) if self._may_see else []
        shown = shown_version(all_jobs().filter(pk=self._handle))
        if shown is None:
            self._is_over = True
            return self._event("end", {"id": self._handle, "status": None})
        events = []
        for piece in pieces:
            self._since = piece.sequence
            events.append(self._event("warning" if piece.is_warning else "data", _told_piece(piece)))
        if shown[1] != self._version and not pieces:
            events += self._changes(shown[1])
        return b"".join(events)

    def _source(self) -> str:
        """Return whose output it is: of a job whose work another does, the other's."""
        return all_jobs().filter(pk=self._handle).values_list("joined_to", flat=True).first() or self._handle

    def _changes(self, version: int) -> list[bytes]:
        job = all_jobs().filter(pk=self._handle).defer("payload", "result", "error_traceback", "metadata").first()
        if job is None:
            return []
        follow_joined([job])
        self._version = version
        told = JobStatusSerializer(job).data
        events = []
        state = (job.status, job.status_detail, job.attempt)
        if state != self._state and not job.is_finished:
            events.append(self._event("status", told))
        elif told["progress"] != self._progress and not job.is_finished:
            events.append(self._event("progress", told))
        self._state, self._progress = state, told["progress"]
        if job.is_finished:
            # What it told was kept before its end; whatever of it is left comes first.
            self._is_over = not (self._may_see and list(outputs_after(job.joined_to or job.handle, self._since)))
            if self._is_over:
                error = {"class": job.error_class, "message": job.error_message} if job.error_class else None
                events.append(self._event("end", {**told, "error": error}))
            else:
                self._version = 0
        return events

    def _event(self, kind: str, told: object) -> bytes:
        # JSON has no line breaks of its own, so that nothing a job says can end the event.
        text = json.dumps(told, default=str)
        return f"id: {self._version}.{self._since}\nevent: {kind}\ndata: {text}\n\n".encode()


def streaming(view_class: type[JobEvents]) -> Callable[..., Any]:
    """Return the view: of streams, and of lists that wait."""
    late = answering_late(view_class)

    async def view(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        response: HttpResponseBase = await late(request, **kwargs)
        stream: JobStream | None = getattr(response, "stream", None)
        if stream is None:
            return response
        # Read to its end, or given up, by the server; either ends the generator, and gives the place back.
        answer = StreamingHttpResponse(_placed(stream, places_of(request)), content_type=STREAM)
        answer.headers["Cache-Control"] = "no-cache, no-transform"
        # nginx would else collect the events first.
        answer.headers["X-Accel-Buffering"] = "no"
        return answer

    return as_view_of(view, view_class)


async def _placed(stream: JobStream, limit: int) -> AsyncIterator[bytes]:
    with places.one(limit) as has_place:
        if not has_place:
            yield f"retry: {_RECONNECT_MS * 5}\n\n".encode()
            return
        async for chunk in stream.chunks():
            yield chunk


def _has_news(job: Job, since: int) -> bool:
    if next(outputs_after(job.joined_to or job.handle, since), None) is not None:
        return True
    finished_at = all_jobs().filter(pk=job.joined_to or job.handle).values_list("finished_at", flat=True)
    return finished_at.first() is not None


def _told(job: Job, pieces: list[Any], *, since: int, may_see: bool) -> dict[str, Any]:
    return {
        "results": [_told_piece(piece) for piece in pieces],
        "since": pieces[-1].sequence if pieces else since,
        "is_over": job.is_finished and not pieces,
        "hidden": not may_see,
        "poll_after_ms": poll_after_ms_of(job),
    }


def _told_piece(piece: Any) -> dict[str, Any]:
    body = read_body(bytes(piece.body))
    return {
        "kind": "warning" if piece.is_warning else "data",
        "sequence": piece.sequence,
        "value": body.value,
        "encoding": body.encoding,
        "sent_at": piece.streamed_at,
    }


def since_of(request: Request) -> int:
    """Return the number of the last piece of output that the client knows."""
    text = request.query_params.get("since", "0")
    if not re.fullmatch(r"\d{1,9}", text):
        raise ValidationError({"since": [_("must be a whole number, got %(value)s") % {"value": repr(text[:40])}]})
    return int(text)


def _position_of(request: Request) -> tuple[int, int]:
    """Return where the reader is; one that comes with nothing, or nonsense, begins anew."""
    found = _POSITION.fullmatch(request.headers.get("Last-Event-ID", ""))
    return (0, int(found[2])) if found else (0, since_of(request))
