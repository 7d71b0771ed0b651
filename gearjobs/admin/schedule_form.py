"""The form of a schedule in the admin: what is called, when, and what the two policies are.

The task is chosen among those of the project, whose modules are imported for it. What the form accepts can be fired:
the expression, the zone and the arguments are tried before anything is saved. Secrets among the arguments stand there
as masks; arguments that are left as they were shown stay what they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gearjobs.errors import UsageError
from gearjobs.models import Schedule
from gearjobs.records.masking import MASK, has_mask
from gearjobs.tasks.discovery import discover_tasks
from gearjobs.tasks.django_tasks import InvalidTask
from gearjobs.tasks.masked_calls import masked_arguments
from gearjobs.tasks.payload import encode_call
from gearjobs.tasks.registry import registered_tasks, task_at
from gearjobs.tasks.schedules.saved_schedules import all_schedules, call_columns
from gearjobs.tasks.task import GearTask
from gearjobs.timetable.due_times import INTERVAL_LIMIT_S, NICKNAMES, cron_fields
from gearjobs.timetable.firing_plan import JITTER_LIMIT_S

if TYPE_CHECKING:
    _ScheduleModelForm = forms.ModelForm[Schedule]
else:
    # Django's own class takes no type argument.
    _ScheduleModelForm = forms.ModelForm

#: What the form itself decides of a schedule; the rest follows from the task.
FORM_COLUMNS: Final = (
    "priority",
    "cron",
    "interval_s",
    "anchor_at",
    "time_zone",
    "overlap",
    "catch_up",
    "jitter_s",
    "is_enabled",
)


def _task_choices() -> Iterable[tuple[str, str]]:
    discover_tasks()
    paths = sorted(task.module_path for task in registered_tasks() if isinstance(task, GearTask))
    return [("", "---------"), *((path, path) for path in paths)]


@cache
def _zone_choices() -> Iterable[tuple[str, str]]:
    return [(zone, zone) for zone in sorted(available_timezones())]


class ScheduleForm(_ScheduleModelForm):
    """A schedule that was made by hand."""

    task = forms.ChoiceField(label=gettext_lazy("task").capitalize(), choices=_task_choices)
    time_zone = forms.ChoiceField(
        label=gettext_lazy("Time zone"),
        choices=_zone_choices,
        initial=lambda: settings.TIME_ZONE,
        help_text=gettext_lazy("Whose wall clock a cron expression means."),
    )
    cron = forms.CharField(
        label=gettext_lazy("Cron expression"),
        required=False,
        widget=forms.TextInput(attrs={"class": "vTextField", "placeholder": "0 3 * * *", "autocomplete": "off"}),
        help_text=gettext_lazy("Minute, hour, day of month, month, day of week; or one of %(words)s.")
        % {"words": ", ".join(NICKNAMES)},
    )
    interval_s = forms.IntegerField(
        label=gettext_lazy("Every … seconds"),
        required=False,
        min_value=1,
        max_value=INTERVAL_LIMIT_S,
        help_text=gettext_lazy("Instead of a cron expression; 3600 is an hour, 86400 a day."),
    )
    jitter_s = forms.IntegerField(
        label=gettext_lazy("Jitter in seconds"),
        initial=0,
        min_value=0,
        max_value=JITTER_LIMIT_S,
        help_text=gettext_lazy("Spreads the runs over so many seconds after their due time."),
    )
    priority = forms.IntegerField(
        label=gettext_lazy("Priority"),
        required=False,
        min_value=-100,
        max_value=100,
        help_text=gettext_lazy("-100 to 100, higher first; leave empty for the task's own."),
    )
    args = forms.JSONField(
        label=gettext_lazy("Arguments"),
        required=False,
        initial=list,
        widget=forms.Textarea(attrs={"rows": 2, "cols": 60}),
        help_text=gettext_lazy("A JSON list."),
    )
    kwargs = forms.JSONField(
        label=gettext_lazy("Keyword arguments"),
        required=False,
        initial=dict,
        widget=forms.Textarea(attrs={"rows": 2, "cols": 60}),
        help_text=gettext_lazy("A JSON object."),
    )

    class Meta:
        model = Schedule
        fields = (
            "key", "task", "args", "kwargs", "queue", "priority", "cron", "interval_s", "anchor_at", "time_zone",
            "overlap", "catch_up", "jitter_s", "is_enabled",
        )  # fmt: skip
        help_texts = {
            "key": gettext_lazy("A name for the schedule."),
            "queue": gettext_lazy("Leave empty for the task's own."),
            "anchor_at": gettext_lazy("A due time of an interval: the first one."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field, path = self.fields.get("task"), self.instance.task
        task = task_at(path)
        if isinstance(field, forms.ChoiceField) and path and task is None:
            # The project does not have it any more: shown all the same, and refused when it is saved.
            field.choices = [*_task_choices(), (path, path)]
        if task is None:
            self.initial.pop("priority", None)
        elif self.instance.queue == task.queue_name:
            # Else another task, chosen here, were called on this one's queue.
            self.initial["queue"] = ""
        if path:
            known = self.instance
            self.initial["args"], self.initial["kwargs"] = masked_arguments(known.args, known.kwargs, task=path)

    def clean_key(self) -> str:
        key: str = self.cleaned_data["key"]
        if all_schedules().filter(key=key).exclude(pk=self.instance.pk).exists():
            raise ValidationError(_("There is a schedule with this key already."))
        return key

    def clean_cron(self) -> str:
        cron: str = self.cleaned_data["cron"]
        try:
            return cron_fields(cron) if cron else ""
        except UsageError as error:
            raise ValidationError(capfirst(str(error))) from error

    def clean_args(self) -> list[Any]:
        args = self.cleaned_data["args"]
        if args in (None, ""):
            return []
        if not isinstance(args, list):
            raise ValidationError(_('The arguments must be a JSON list, such as [1, "two"].'))
        unmasked: list[Any] = self._unmasked("args", args)
        return unmasked

    def clean_kwargs(self) -> dict[str, Any]:
        kwargs = self.cleaned_data["kwargs"]
        if kwargs in (None, ""):
            return {}
        if not isinstance(kwargs, dict):
            raise ValidationError(_('The keyword arguments must be a JSON object, such as {"size": 3}.'))
        unmasked: dict[str, Any] = self._unmasked("kwargs", kwargs)
        return unmasked

    def _unmasked(self, name: str, given: Any) -> Any:
        """Return the arguments that are meant by what was sent.

        Raises:
            ValidationError: a secret is to be kept beside what was changed, or for another task, which may show it.
        """
        if not has_mask(given):
            return given
        if given != self.initial.get(name) or self.cleaned_data.get("task") != self.instance.task:
            raise ValidationError(
                _("%(mask)s stands for a secret, and is none: give the value itself.") % {"mask": MASK}
            )
        return getattr(self.instance, name)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if bool(cleaned.get("cron")) == bool(cleaned.get("interval_s")) and "cron" not in self.errors:
            self.add_error("cron", _("Give either a cron expression or an interval."))
        if {"task", "args", "kwargs"} <= cleaned.keys():
            try:
                self.columns = self._columns(cleaned)
            except (UsageError, InvalidTask) as error:
                self.add_error("args", capfirst(str(error)))
        return cleaned

    def validate_unique(self) -> None:
        """Do nothing: `clean_key` asks the database that has the table."""

    def _columns(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        task = task_at(cleaned["task"])
        if not isinstance(task, GearTask):
            raise UsageError(_("this task is not known any more"))
        # PostgreSQL keeps no such text.
        if b"\\u0000" in encode_call(cleaned["args"], cleaned["kwargs"]):
            raise UsageError(_("no text may have a NUL character"))
        called = call_columns(task, cleaned["args"], kwargs=cleaned["kwargs"], queue=cleaned.get("queue", ""))
        columns: dict[str, Any] = {name: cleaned[name] for name in FORM_COLUMNS if name in cleaned}
        if columns.get("priority") is None:
            columns["priority"] = task.priority
        return {**called, **columns}


class DeclaredScheduleForm(_ScheduleModelForm):
    """A schedule that is declared in code: it can be paused, and nothing else."""

    class Meta:
        model = Schedule
        fields = ("is_enabled",)

    @property
    def columns(self) -> dict[str, Any]:
        """What the form decides."""
        return {"is_enabled": self.cleaned_data["is_enabled"]}

    def validate_constraints(self) -> None:
        """Do nothing: what the code declares was checked there."""
