"""The endpoints below `queues/`: functions as the job servers see them now, and what operators said of them.

One look asks all job servers at once; a server that is down is named, and hides nothing of the others. Reading takes
`view_job`, pausing and resuming `control_queue`, clearing `cancel_job` besides, limits `change_queue`. Names are those
of the job table.
"""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import Any, ClassVar, Final

from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from gearjobs.actions.change_queue_limits import QueueLimits, change_queue_limits, limits_of
from gearjobs.actions.clear_queues import clear_queues
from gearjobs.actions.live_snapshot import FunctionState, live_snapshot
from gearjobs.actions.pause_queues import pause_queues, resume_queues
from gearjobs.api.described import described
from gearjobs.api.endpoint import Endpoint, url_beside
from gearjobs.api.job_actions import read_body_of
from gearjobs.errors import UsageError
from gearjobs.models import QueueControl
from gearjobs.records.queue_controls import all_controls, control_of
from gearjobs.settings import gearjobs_settings

#: Columns of QueueControl that are limits.
_LIMITS: Final = ("max_high", "max_normal", "max_low", "concurrency", "rate", "per_s")


class LimitsSerializer(serializers.Serializer[Any]):
    """What operators set; each job server keeps them for itself."""

    max_high = serializers.IntegerField(required=False, allow_null=True, min_value=0)
    max_normal = serializers.IntegerField(required=False, allow_null=True, min_value=0)
    max_low = serializers.IntegerField(required=False, allow_null=True, min_value=0)
    concurrency = serializers.IntegerField(required=False, min_value=0, help_text="0 for any number.")
    rate = serializers.IntegerField(required=False, min_value=0, help_text="Starts within `per_s`; 0 for any number.")
    per_s = serializers.FloatField(required=False, min_value=0)


class QueueSerializer(serializers.Serializer[Any]):
    """A function."""

    name = serializers.CharField()
    url = serializers.URLField()
    waiting = serializers.IntegerField()
    high = serializers.IntegerField()
    normal = serializers.IntegerField()
    low = serializers.IntegerField()
    scheduled = serializers.IntegerField()
    running = serializers.IntegerField()
    throttled = serializers.IntegerField(help_text="Of those that wait, held up by a limit.")
    workers = serializers.IntegerField()
    benched = serializers.IntegerField()
    oldest_age_s = serializers.FloatField(allow_null=True)
    entered_per_s = serializers.FloatField()
    taken_per_s = serializers.FloatField()
    eta_s = serializers.FloatField(allow_null=True)
    is_paused = serializers.BooleanField()
    paused_at = serializers.DateTimeField(allow_null=True)
    note = serializers.CharField()
    limits = LimitsSerializer()


class QueueListSerializer(serializers.Serializer[Any]):
    """Functions at one moment."""

    results = QueueSerializer(many=True)
    problems = serializers.ListField(child=serializers.CharField(), help_text="Job servers that did not answer.")


class PauseSerializer(serializers.Serializer[Any]):
    """Why a queue is paused."""

    note = serializers.CharField(default="", allow_blank=True, max_length=500)


class ClearSerializer(serializers.Serializer[Any]):
    """What a clearing came to."""

    cleared = serializers.IntegerField()
    left = serializers.IntegerField(help_text="At servers that did not answer.")
    problems = serializers.ListField(child=serializers.CharField())


class QueueEndpoint(Endpoint):
    """The base of what shows, or acts on, functions."""

    def told(self, name: str, state: FunctionState | None, control: QueueControl | None) -> dict[str, Any]:
        """Return what is told of a function."""
        state = state or FunctionState(name)
        oldest = state.oldest_queued_at
        figures = asdict(state)
        del figures["oldest_queued_at"]
        return {
            **figures,
            "name": name,
            "url": url_beside(self.request, "queue-detail", name),
            "waiting": state.waiting,
            "eta_s": state.eta_s,
            "oldest_age_s": None if oldest is None else max(0.0, time.time() - oldest),
            "is_paused": state.is_paused or (control is not None and control.is_paused),
            "paused_at": control.paused_at if control is not None else None,
            "note": control.note if control is not None else "",
            "limits": {one: getattr(control, one) for one in _LIMITS} if control is not None else asdict(QueueLimits()),
        }

    def answer(self, name: str) -> Response:
        """Return one function as an answer."""
        live = live_snapshot(timeout_s=gearjobs_settings().admin.server_timeout_s)
        states = {state.name: state for state in live.functions}
        return Response(self.told(name, states.get(name), control_of(name)))


class QueueList(QueueEndpoint):
    """The functions of all job servers."""

    verbs: ClassVar = {"GET": ("view_job",)}

    @described("Functions, as the job servers see them now", answers={200: QueueListSerializer})
    def get(self, request: Request) -> Response:
        """Answer 200 with all of them, by name."""
        live = live_snapshot(timeout_s=gearjobs_settings().admin.server_timeout_s)
        states = {state.name: state for state in live.functions}
        controls = {row.function: row for row in all_controls()}
        names = sorted(states.keys() | controls.keys())
        told = [self.told(name, states.get(name), controls.get(name)) for name in names]
        return Response({"results": told, "problems": live.problems})


class QueueDetail(QueueEndpoint):
    """One function."""

    verbs: ClassVar = {"GET": ("view_job",), "PATCH": ("change_queue",)}

    @described("A function", answers={200: QueueSerializer})
    def get(self, request: Request, name: str) -> Response:
        """Answer 200; a function that nobody knows yet has nothing waiting."""
        return self.answer(name)

    @described("Set limits of a function", takes=LimitsSerializer, answers={200: QueueSerializer}, problems=(400,))
    def patch(self, request: Request, name: str) -> Response:
        """Answer 200 with the function; limits that are not given stay."""
        asked = read_body_of(LimitsSerializer, request)
        try:
            change_queue_limits(name, replace(limits_of(name), **asked), user=request.user)
        except UsageError as error:
            raise ValidationError({"": [str(error)]}) from error
        return self.answer(name)


class QueuePause(QueueEndpoint):
    """Lets no job of a function start."""

    verbs: ClassVar = {"POST": ("control_queue",)}

    @described("Pause a function", takes=PauseSerializer, answers={200: QueueSerializer}, problems=(400,))
    def post(self, request: Request, name: str) -> Response:
        """Answer 200 with the function; what runs goes on."""
        pause_queues([name], user=request.user, note=read_body_of(PauseSerializer, request)["note"])
        return self.answer(name)


class QueueResume(QueueEndpoint):
    """Lets jobs of a function start again."""

    verbs: ClassVar = {"POST": ("control_queue",)}

    @described("Resume a function", answers={200: QueueSerializer})
    def post(self, request: Request, name: str) -> Response:
        """Answer 200 with the function."""
        resume_queues([name], user=request.user)
        return self.answer(name)


class QueueClear(QueueEndpoint):
    """Cancels the jobs of a function that wait for a worker."""

    verbs: ClassVar = {"POST": ("control_queue", "cancel_job")}

    @described("Cancel the waiting jobs of a function", answers={200: ClearSerializer})
    def post(self, request: Request, name: str) -> Response:
        """Answer 200 with what became of them."""
        report = clear_queues([name], user=request.user)
        return Response({"cleared": report.cleared, "left": report.left, "problems": list(report.problems)})
