"""A schedule: a call of a task that is made again and again, and when.

Made in the admin or by `task.schedule()`, or declared in code and written here when workers start. The row says all
that a job of it needs, so that the job server can fire it without the code of the task. Columns from `next_due_at` on
are the firing's (`tasks/schedules/firing`), the others those of whoever edits the schedule. Due times are whole
seconds; what the words for overlap and catch-up mean stands in `timetable/firing_plan`.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from gearjobs.timetable.due_times import CRON_LIMIT
from gearjobs.timetable.firing_plan import CatchUp, Overlap


class ScheduleSource(models.TextChoices):
    """Where a schedule comes from, and so who may change it."""

    CODE = "code", pgettext_lazy("Schedule", "code")
    ADMIN = "admin", pgettext_lazy("Schedule", "admin")


class OverlapChoice(models.TextChoices):
    """`timetable.firing_plan.Overlap`, in words."""

    SKIP = Overlap.SKIP.value, pgettext_lazy("Schedule", "skip: leave this run out")
    QUEUE = Overlap.QUEUE.value, pgettext_lazy("Schedule", "queue: run it all the same")
    COALESCE = Overlap.COALESCE.value, pgettext_lazy("Schedule", "coalesce: let one run wait at most")
    REPLACE = Overlap.REPLACE.value, pgettext_lazy("Schedule", "replace: cancel the last run")


class CatchUpChoice(models.TextChoices):
    """`timetable.firing_plan.CatchUp`, in words."""

    NONE = CatchUp.NONE.value, pgettext_lazy("Schedule", "none: leave them out")
    LAST = CatchUp.LAST.value, pgettext_lazy("Schedule", "last: run the last one")
    ALL = CatchUp.ALL.value, pgettext_lazy("Schedule", "all: run every one")


class Schedule(models.Model):
    """A call of a task, and when it is made."""

    #: The name of the schedule everywhere.
    key = models.CharField(_("key"), max_length=255, unique=True)
    #: Dotted path of the task.
    task = models.CharField(_("task"), max_length=512)
    #: The Gearman function its jobs go to, at most 512 bytes.
    function = models.CharField(_("function"), max_length=512, blank=True, editable=False)
    backend = models.CharField(_("backend"), max_length=255, blank=True, editable=False)
    queue = models.CharField(_("queue"), max_length=255, blank=True)
    #: -100 to 100, higher first.
    priority = models.SmallIntegerField(_("priority"), default=0)
    args = models.JSONField(_("arguments"), default=list, blank=True)
    kwargs = models.JSONField(_("keyword arguments"), default=dict, blank=True)
    #: What the task says its jobs obey (`core/terms`); an `expires_at` in it counts from the firing.
    terms = models.JSONField(_("terms"), default=dict, blank=True, editable=False)
    #: What the task says of its jobs' metadata.
    metadata = models.JSONField(_("metadata"), default=dict, blank=True, editable=False)
    #: The unique that the task gives such a call, in the form of `protocol/wire_text`; empty for none.
    unique = models.CharField(_("unique id"), max_length=256, blank=True, editable=False)

    #: A crontab's five fields; empty for an interval.
    cron = models.CharField(_("cron expression"), max_length=CRON_LIMIT, blank=True)
    #: Seconds between two due times; null for a cron expression.
    interval_s = models.PositiveIntegerField(_("every … seconds"), null=True, blank=True)
    #: A due time that an interval is counted from, the first one.
    anchor_at = models.DateTimeField(_("counted from"), default=timezone.now)
    #: Name of the tz database; whose wall clock a cron expression means.
    time_zone = models.CharField(_("time zone"), max_length=64)
    overlap = models.CharField(
        _("overlap"),
        max_length=16,
        choices=OverlapChoice,
        default=OverlapChoice.SKIP,
        help_text=_("What happens when the last run has not ended yet."),
    )
    catch_up = models.CharField(
        _("catch up"),
        max_length=16,
        choices=CatchUpChoice,
        default=CatchUpChoice.LAST,
        help_text=_("What happens to runs that no job server was there for."),
    )
    #: Runs start at a moment within so many seconds after their due time.
    jitter_s = models.PositiveIntegerField(
        _("jitter in seconds"), default=0, help_text=_("Spreads the runs over so many seconds after their due time.")
    )
    is_enabled = models.BooleanField(_("enabled"), default=True)
    source = models.CharField(
        _("source"), max_length=8, choices=ScheduleSource, default=ScheduleSource.ADMIN, editable=False
    )
    #: Since when the code does not declare it any more: it rests; null for a schedule that is declared, or never was.
    withdrawn_at = models.DateTimeField(_("withdrawn at"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    #: The first due time that nobody dealt with; null when there is none to come.
    next_due_at = models.DateTimeField(_("next due"), null=True, blank=True, editable=False)
    #: The same with its jitter: when it is to be looked at.
    next_fire_at = models.DateTimeField(_("next run"), null=True, blank=True, editable=False)
    #: When its last job was made.
    last_fired_at = models.DateTimeField(_("last run"), null=True, blank=True, editable=False)
    #: Its last job.
    last_handle = models.CharField(_("last job"), max_length=64, blank=True, editable=False)

    class Meta:
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        permissions = [("run_schedule", "Can run schedules now")]
        indexes = [
            # What is due next.
            models.Index(fields=["next_fire_at"], name="gearjobs_schedule_next_fire"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=(Q(interval_s=None) & ~Q(cron="")) | (Q(interval_s__gt=0) & Q(cron="")),
                name="gearjobs_schedule_cron_or_interval",
                violation_error_message=_("Give either a cron expression or an interval."),
            )
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def is_active(self) -> bool:
        """Whether it fires."""
        return self.is_enabled and self.withdrawn_at is None
