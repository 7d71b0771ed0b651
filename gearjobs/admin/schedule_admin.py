"""Schedules in the Django admin: made, edited, paused, let go on, run now and deleted.

A schedule that is declared in code can be paused and run here; what it is, the code says. Saving goes the way of
`task.schedule()`, so the columns of whoever fires are never written back, and a changed time is aimed anew.
What stands in the cells is `schedule_cells`'s, what the form refuses `schedule_form`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from gearjobs.actions.pause_schedules import pause_schedules, resume_schedules
from gearjobs.actions.run_schedule import run_schedule
from gearjobs.admin import schedule_cells as cells
from gearjobs.admin.schedule_form import DeclaredScheduleForm, ScheduleForm
from gearjobs.admin.screen_admin import ScreenAdmin
from gearjobs.errors import UsageError
from gearjobs.models import Schedule, ScheduleSource
from gearjobs.records.job_queries import has_permission
from gearjobs.tasks.schedules.saved_schedules import all_schedules, change_schedule, create_schedule

_WHAT: Final = ("key", "task", "args", "kwargs", "queue", "priority")
#: The same for those who may not change it, and so never see a secret among the arguments.
_WHAT_SHOWN: Final = ("key", "task", "shown_args", "shown_kwargs", "queue", "priority")
_WHEN: Final = ("cron", "interval_s", "anchor_at", "time_zone", "jitter_s")
_POLICY: Final = ("overlap", "catch_up", "is_enabled")
_SEEN: Final = ("state", "when", "upcoming", "history")


class ScheduleAdmin(ScreenAdmin):
    """Schedules in the Django admin."""

    form = ScheduleForm
    list_display = ("name", "when", "state", "next_run", "last_run")
    list_display_links = ("name",)
    list_filter = ("is_enabled", "source")
    list_per_page = 50
    ordering = ("key",)
    search_fields = ("key", "task")
    show_full_result_count = False
    actions = ("pause_chosen", "resume_chosen", "run_chosen")
    change_form_template = "gearjobs/schedule_page.html"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.act_view)
        return [path("<int:pk>/<str:verb>/now/", view, name="gearjobs_schedule_act"), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Schedule]:
        return all_schedules()

    def get_form(self, request: HttpRequest, obj: Schedule | None = None, **kwargs: Any) -> type[ModelForm[Schedule]]:  # type: ignore[override]  # as Django calls it
        if obj is not None and obj.source == ScheduleSource.CODE:
            kwargs["form"] = DeclaredScheduleForm
        return super().get_form(request, obj, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Schedule | None = None) -> list[Any]:
        is_form = obj is None or (obj.source != ScheduleSource.CODE and self.has_change_permission(request, obj))
        sections = [(None, _WHAT if is_form else _WHAT_SHOWN), (_("When"), _WHEN), (_("Policy"), _POLICY)]
        if obj is not None:
            sections.insert(0, (None, _SEEN))
        return [(heading, {"fields": fields}) for heading, fields in sections]

    def get_readonly_fields(self, request: HttpRequest, obj: Schedule | None = None) -> list[str]:
        if obj is None:
            return []
        declared = [*_WHAT_SHOWN, *_WHEN, "overlap", "catch_up"] if obj.source == ScheduleSource.CODE else ["key"]
        return [*_SEEN, "shown_args", "shown_kwargs", *declared]

    def has_delete_permission(self, request: HttpRequest, obj: Schedule | None = None) -> bool:
        if obj is not None and obj.source == ScheduleSource.CODE and obj.withdrawn_at is None:
            # It would be back with the next start of workers; it can be paused.
            return False
        return super().has_delete_permission(request, obj)

    def get_deleted_objects(  # type: ignore[override]  # the stubs want the texts of Django's own
        self, objs: Sequence[Schedule], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Name the schedules alone: their runs go with them, and their jobs stay."""
        declared = [str(one) for one in objs if not self.has_delete_permission(request, one)]
        return [str(one) for one in objs], {str(self.opts.verbose_name_plural): len(objs)}, set(), declared

    def save_model(self, request: HttpRequest, obj: Schedule, form: Any, change: bool) -> None:  # noqa: FBT001, PLR0917 - Django's signature
        if change:
            known = all_schedules().get(pk=obj.pk)
            change_schedule(known, form.columns)
        else:
            known = create_schedule(obj.key, form.columns, source=ScheduleSource.ADMIN)
        obj.pk, obj.next_due_at, obj.next_fire_at = known.pk, known.next_due_at, known.next_fire_at

    def change_view(  # noqa: PLR0917 - Django's signature
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"may_run": has_permission(request.user, "run_schedule"), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def act_view(self, request: HttpRequest, pk: int, verb: str) -> HttpResponse:
        """Pause, resume or run one schedule, from its page."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        act = _ACTS.get(verb)
        schedule = all_schedules().filter(pk=pk).first()
        if act is None or schedule is None:
            raise Http404
        if not self.has_view_permission(request, schedule):
            raise PermissionDenied
        self._act(request, [schedule], act)
        return HttpResponseRedirect(reverse(f"{self.admin_site.name}:gearjobs_schedule_change", args=[pk]))

    @admin.action(description=gettext_lazy("Pause selected schedules"), permissions=["change"])
    def pause_chosen(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Pause what is selected in the list."""
        self._act(request, list(queryset), _pause)

    @admin.action(description=gettext_lazy("Resume selected schedules"), permissions=["change"])
    def resume_chosen(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Let go on what is selected in the list."""
        self._act(request, list(queryset), _resume)

    @admin.action(description=gettext_lazy("Run selected schedules now"), permissions=["run"])
    def run_chosen(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Run what is selected in the list."""
        self._act(request, list(queryset), _run)

    def has_run_permission(self, request: HttpRequest) -> bool:
        """Tell whether the user may run schedules now."""
        return has_permission(request.user, "run_schedule")

    def _act(self, request: HttpRequest, schedules: list[Schedule], act: Callable[..., str]) -> None:
        try:
            said = act(schedules, request.user)
        except UsageError as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        for schedule in schedules:
            self.log_change(request, schedule, said)
        self.message_user(request, said, messages.SUCCESS)

    @admin.display(description=gettext_lazy("schedule"), ordering="key")
    def name(self, schedule: Schedule) -> SafeString:
        """What it is called, and what it calls."""
        return cells.name_text(schedule)

    @admin.display(description=gettext_lazy("when"))
    def when(self, schedule: Schedule) -> SafeString:
        """When it runs."""
        return cells.when_text(schedule)

    @admin.display(description=gettext_lazy("arguments"))
    def shown_args(self, schedule: Schedule) -> SafeString | str:
        """What it calls the task with by place, secrets masked."""
        return cells.args_text(schedule)

    @admin.display(description=gettext_lazy("keyword arguments"))
    def shown_kwargs(self, schedule: Schedule) -> SafeString | str:
        """What it calls the task with by name, secrets masked."""
        return cells.kwargs_text(schedule)

    @admin.display(description=gettext_lazy("state"))
    def state(self, schedule: Schedule) -> SafeString:
        """Whether it fires."""
        return cells.state_badge(schedule)

    @admin.display(description=gettext_lazy("next run"), ordering="next_fire_at")
    def next_run(self, schedule: Schedule) -> SafeString | str:
        """The next due time."""
        return cells.next_run_text(schedule)

    @admin.display(description=gettext_lazy("last run"), ordering="last_fired_at")
    def last_run(self, schedule: Schedule) -> SafeString | str:
        """The last job."""
        return cells.last_run_text(schedule)

    @admin.display(description=gettext_lazy("next runs"))
    def upcoming(self, schedule: Schedule) -> SafeString | str:
        """The next due times."""
        return cells.next_runs_list(schedule)

    @admin.display(description=gettext_lazy("latest runs"))
    def history(self, schedule: Schedule) -> SafeString | str:
        """What became of the latest due times."""
        return cells.runs_table(schedule)


def _pause(schedules: list[Schedule], user: Any) -> str:
    count = pause_schedules(schedules, user=user)
    return ngettext("%(count)s schedule was paused.", "%(count)s schedules were paused.", count) % {"count": count}


def _resume(schedules: list[Schedule], user: Any) -> str:
    count = resume_schedules(schedules, user=user)
    return ngettext("%(count)s schedule goes on.", "%(count)s schedules go on.", count) % {"count": count}


def _run(schedules: list[Schedule], user: Any) -> str:
    handles = [run_schedule(schedule, user=user) for schedule in schedules]
    words = ngettext("Enqueued the job %(handles)s.", "Enqueued the jobs %(handles)s.", len(handles))
    return words % {"handles": ", ".join(handles[:10])}


_ACTS: Final[dict[str, Callable[..., str]]] = {"pause": _pause, "resume": _resume, "run": _run}
