"""The endpoints below `schedules/`: what is called again and again, made, changed, paused, run and deleted.

The permissions are those of the admin (`view_schedule`, `add_schedule`, `change_schedule`, `delete_schedule`,
`run_schedule`): whoever may make a schedule may have any task of the project called. A schedule that is declared in
code is changed there; here it can be paused, resumed and run.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.conf import settings
from django.db import IntegrityError
from django.http import Http404
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from gearjobs.actions.pause_schedules import pause_schedules, resume_schedules
from gearjobs.actions.run_schedule import run_schedule
from gearjobs.api.accepted import accepted_job
from gearjobs.api.described import described, shown_as
from gearjobs.api.endpoint import Endpoint, url_beside
from gearjobs.api.job_actions import AcceptedSerializer, read_body_of
from gearjobs.api.pages import PAGE_QUERY, answer_page, page_of
from gearjobs.api.problems import Problem
from gearjobs.errors import UsageError
from gearjobs.models import Schedule, ScheduleRun, ScheduleSource
from gearjobs.models.schedule import CatchUpChoice, OverlapChoice
from gearjobs.records.audit import note_action
from gearjobs.records.masking import MASK, has_mask
from gearjobs.records.rows.column_values import plain_json
from gearjobs.settings import gearjobs_settings
from gearjobs.tasks.discovery import discover_tasks
from gearjobs.tasks.masked_calls import masked_arguments
from gearjobs.tasks.payload import encode_call
from gearjobs.tasks.registry import task_at
from gearjobs.tasks.schedules.saved_schedules import (
    all_runs,
    all_schedules,
    call_columns,
    change_schedule,
    create_schedule,
    next_runs,
)
from gearjobs.tasks.schedules.schedule_spec import KEY_LIMIT
from gearjobs.tasks.schedules.schedule_words import when_words
from gearjobs.tasks.task import GearTask
from gearjobs.timetable.due_times import INTERVAL_LIMIT_S, cron_fields, zone_of
from gearjobs.timetable.firing_plan import JITTER_LIMIT_S

#: Due times that are told ahead, and runs that are told of.
_AHEAD: Final = 5
_RUNS: Final = 20
#: What an answer takes from the row as it is.
_COLUMNS: Final = (
    "key", "task", "function", "queue", "priority", "args", "kwargs", "cron", "interval_s", "time_zone", "overlap",
    "catch_up", "jitter_s", "is_enabled", "source", "withdrawn_at", "created_at", "next_due_at", "next_fire_at",
    "last_fired_at", "last_handle",
)  # fmt: skip


class ScheduleSerializer(serializers.ModelSerializer[Schedule]):
    """A schedule as it is told."""

    url = serializers.SerializerMethodField()
    when = serializers.SerializerMethodField()
    args = serializers.SerializerMethodField()
    kwargs = serializers.SerializerMethodField()
    next_runs = serializers.SerializerMethodField()

    class Meta:
        model = Schedule
        fields = ("url", "when", *_COLUMNS, "next_runs")
        read_only_fields = fields

    @shown_as(serializers.URLField())
    def get_url(self, schedule: Schedule) -> str:
        return url_beside(self.context["request"], "schedule-detail", str(schedule.pk))

    def get_when(self, schedule: Schedule) -> str:
        return when_words(schedule)

    @shown_as(serializers.ListField(child=serializers.JSONField(allow_null=True), help_text="Secrets masked."))
    def get_args(self, schedule: Schedule) -> list[object]:
        return masked_arguments(schedule.args, schedule.kwargs, task=schedule.task)[0]

    @shown_as(serializers.DictField(child=serializers.JSONField(allow_null=True), help_text="Secrets masked."))
    def get_kwargs(self, schedule: Schedule) -> dict[str, object]:
        return masked_arguments(schedule.args, schedule.kwargs, task=schedule.task)[1]

    @shown_as(serializers.ListField(child=serializers.DateTimeField()))
    def get_next_runs(self, schedule: Schedule) -> list[str]:
        try:
            return [one.isoformat() for one in next_runs(schedule, _AHEAD, after=timezone.now().timestamp())]
        except UsageError:
            # Its zone, or its expression, is none on this machine.
            return []


class RunSerializer(serializers.ModelSerializer[ScheduleRun]):
    """What became of a due time."""

    class Meta:
        model = ScheduleRun
        fields = ("due_at", "decided_at", "outcome", "handle", "decided_by")
        read_only_fields = fields


class RunListSerializer(serializers.Serializer[Any]):
    """What became of the latest due times."""

    results = RunSerializer(many=True)


class ScheduleRequestSerializer(serializers.Serializer[Any]):
    """A schedule as it is made."""

    key = serializers.CharField(max_length=KEY_LIMIT)
    task = serializers.CharField(max_length=512)
    args = serializers.ListField(child=serializers.JSONField(allow_null=True), default=list)
    kwargs = serializers.DictField(child=serializers.JSONField(allow_null=True), default=dict)
    queue = serializers.CharField(default="", allow_blank=True, max_length=255, help_text="Empty for the task's own.")
    priority = serializers.IntegerField(default=None, allow_null=True, min_value=-100, max_value=100)
    cron = serializers.CharField(default="", allow_blank=True, max_length=200, help_text="Five fields, or `@hourly`.")
    interval_s = serializers.IntegerField(default=None, allow_null=True, min_value=1, max_value=INTERVAL_LIMIT_S)
    time_zone = serializers.CharField(default="", allow_blank=True, max_length=64, help_text="Empty for the site's.")
    overlap = serializers.ChoiceField(OverlapChoice.choices, default=OverlapChoice.SKIP)
    catch_up = serializers.ChoiceField(CatchUpChoice.choices, default=CatchUpChoice.LAST)
    jitter_s = serializers.IntegerField(default=0, min_value=0, max_value=JITTER_LIMIT_S)
    is_enabled = serializers.BooleanField(default=True)


class ScheduleChangeSerializer(ScheduleRequestSerializer):
    """What of a schedule is to be otherwise; what is not given stays."""

    key = None  # type: ignore[assignment]  # how a serializer drops a field


class ScheduleList(Endpoint):
    """Schedules, and making one."""

    verbs: ClassVar = {"GET": ("view_schedule",), "POST": ("add_schedule",)}

    @described("Schedules, the newest first", answers={200: page_of(ScheduleSerializer)}, query=PAGE_QUERY,
               problems=(400,))  # fmt: skip
    def get(self, request: Request) -> Response:
        """Answer 200 with a page."""
        return answer_page(self, all_schedules(), ScheduleSerializer, ordering=("-created_at", "-id"))

    @described("Make a schedule", takes=ScheduleRequestSerializer, answers={201: ScheduleSerializer},
               problems=(400, 409))  # fmt: skip
    def post(self, request: Request) -> Response:
        """Answer 201 with the schedule, 409 where there is one with its key."""
        asked = read_body_of(ScheduleRequestSerializer, request)
        key = asked.pop("key")
        if not key.isprintable():
            raise ValidationError({"key": [_("must be printable characters")]})
        try:
            schedule = create_schedule(key, _columns(asked), source=ScheduleSource.ADMIN)
        except IntegrityError:
            raise Problem(
                409, _("there is a schedule with the key %(key)s") % {"key": repr(key)}, name="key-taken"
            ) from None
        note_action("add_schedule", actor=request.user, target_kind="schedule", target=key)
        body = ScheduleSerializer(schedule, context={"request": request}).data
        return Response(body, status=201, headers={"Location": body["url"]})


class ScheduleEndpoint(Endpoint):
    """The base of what shows, or acts on, one schedule."""

    def find(self, pk: str) -> Schedule:
        """Return a schedule.

        Raises:
            Http404: there is none.
        """
        is_number = pk.isascii() and pk.isdecimal() and len(pk) < 19
        schedule = all_schedules().filter(pk=int(pk)).first() if is_number else None
        if schedule is None:
            raise Http404
        return schedule

    def told(self, schedule: Schedule) -> Response:
        """Return a schedule as an answer."""
        return Response(ScheduleSerializer(schedule, context={"request": self.request}).data)


class ScheduleDetail(ScheduleEndpoint):
    """One schedule."""

    verbs: ClassVar = {"GET": ("view_schedule",), "PATCH": ("change_schedule",), "DELETE": ("delete_schedule",)}

    @described("A schedule", answers={200: ScheduleSerializer}, problems=(404,))
    def get(self, request: Request, pk: str) -> Response:
        """Answer 200 with the schedule."""
        return self.told(self.find(pk))

    @described("Change a schedule", takes=ScheduleChangeSerializer, answers={200: ScheduleSerializer},
               problems=(400, 404, 409))  # fmt: skip
    def patch(self, request: Request, pk: str) -> Response:
        """Answer 200 with the schedule; one that is declared in code can only be paused and resumed."""
        schedule = self.find(pk)
        serializer = ScheduleChangeSerializer(data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        if unknown := sorted(set(request.data) - set(serializer.fields)):
            raise ValidationError({str(unknown[0]): [_("is no member of this request")]})
        asked = dict(serializer.validated_data)
        if schedule.source == ScheduleSource.CODE:
            if asked.keys() - {"is_enabled"}:
                raise Problem(409, _("this schedule is declared in code; change it there"), name="declared-in-code")
            columns = asked
        else:
            # Who names the one kind of time means it instead of the other.
            for name, other, nothing in (("cron", "interval_s", None), ("interval_s", "cron", "")):
                if asked.get(name):
                    asked.setdefault(other, nothing)
            known = {str(name): getattr(schedule, str(name)) for name in ScheduleChangeSerializer().fields}
            columns = _columns({**known, **asked})
        if change_schedule(schedule, columns):
            details = {"changed": sorted(asked)}
            note_action(
                "change_schedule", actor=request.user, target_kind="schedule", target=schedule.key, details=details
            )
        return self.told(schedule)

    @described("Delete a schedule", answers={204: "It is gone; its jobs stay."}, problems=(404, 409))
    def delete(self, request: Request, pk: str) -> Response:
        """Answer 204."""
        schedule = self.find(pk)
        if schedule.source == ScheduleSource.CODE and schedule.withdrawn_at is None:
            detail = _("this schedule is declared in code and would come back; pause it instead")
            raise Problem(409, detail, name="declared-in-code")
        schedule.delete(using=gearjobs_settings().database)
        note_action("delete_schedule", actor=request.user, target_kind="schedule", target=schedule.key)
        return Response(status=204)


class ScheduleRuns(ScheduleEndpoint):
    """What became of a schedule's due times."""

    verbs: ClassVar = {"GET": ("view_schedule",)}

    @described("The latest runs of a schedule", answers={200: RunListSerializer}, problems=(404,))
    def get(self, request: Request, pk: str) -> Response:
        """Answer 200 with the latest, the newest first."""
        runs = all_runs().filter(schedule=self.find(pk)).order_by("-due_at")[:_RUNS]
        return Response({"results": RunSerializer(runs, many=True).data})


class ScheduleRunNow(ScheduleEndpoint):
    """Runs a schedule beside its due times."""

    verbs: ClassVar = {"POST": ("run_schedule",)}

    @described("Run a schedule now", answers={202: AcceptedSerializer}, problems=(404,))
    def post(self, request: Request, pk: str) -> Response:
        """Answer 202 with the job."""
        return accepted_job(request, run_schedule(self.find(pk), user=request.user))


class SchedulePause(ScheduleEndpoint):
    """Lets a schedule rest."""

    verbs: ClassVar = {"POST": ("change_schedule",)}

    @described("Pause a schedule", answers={200: ScheduleSerializer}, problems=(404,))
    def post(self, request: Request, pk: str) -> Response:
        """Answer 200 with the schedule."""
        schedule = self.find(pk)
        pause_schedules([schedule], user=request.user)
        return self.told(schedule)


class ScheduleResume(ScheduleEndpoint):
    """Lets a schedule go on."""

    verbs: ClassVar = {"POST": ("change_schedule",)}

    @described("Resume a schedule", answers={200: ScheduleSerializer}, problems=(404, 409))
    def post(self, request: Request, pk: str) -> Response:
        """Answer 200 with the schedule."""
        schedule = self.find(pk)
        resume_schedules([schedule], user=request.user)
        return self.told(schedule)


def _columns(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the columns that a request decides.

    Raises:
        ValidationError: a value cannot be.
    """
    columns = dict(asked)
    discover_tasks()
    task = task_at(columns["task"])
    if not isinstance(task, GearTask):
        raise ValidationError({"task": [_("there is no such task")]})
    columns["time_zone"] = _tried("time_zone", zone_of, columns["time_zone"] or str(settings.TIME_ZONE))
    columns["cron"] = _tried("cron", cron_fields, columns["cron"]) if columns["cron"] else ""
    if bool(columns["cron"]) == bool(columns["interval_s"]):
        raise ValidationError({"cron": [_("give either a cron expression or an interval")]})
    queue = columns["queue"]
    try:
        # Refuses what is nested too deep.
        encode_call(columns["args"], columns["kwargs"])
        called = call_columns(task, columns["args"], kwargs=columns["kwargs"], queue=queue)
    except UsageError as error:
        raise ValidationError({"args": [str(error)]}) from error
    call = [columns["args"], columns["kwargs"]]
    if has_mask(call):
        raise ValidationError(
            {"args": [_("%(mask)s stands for a secret, and is none; give the value itself") % {"mask": MASK}]}
        )
    if plain_json(call) != call:
        # PostgreSQL keeps no such text.
        raise ValidationError({"args": [_("no text may have a NUL character or a lone surrogate")]})
    priority = task.priority if columns["priority"] is None else columns["priority"]
    return {**columns, **called, "priority": priority}


def _tried(name: str, check: Any, text: str) -> str:
    """Return a text that a check takes; what the check returns, where that is a text."""
    try:
        found = check(text)
    except UsageError as error:
        raise ValidationError({name: [str(error)]}) from error
    return found if isinstance(found, str) else text
