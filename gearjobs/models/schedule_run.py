"""What became of one due time of a schedule: the job it made, or why it made none.

A row for each schedule and due time, and never two: whoever inserts it fires. The job is inserted in the same
transaction, so there is the one exactly if there is the other. Written by `tasks/schedules/firing` and
`actions/run_schedule`, removed by retention (`tasks/schedules/run_retention`).
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from gearjobs.models.schedule import Schedule


class RunOutcome(models.TextChoices):
    """What a due time did."""

    FIRED = "fired", pgettext_lazy("ScheduleRun", "fired")
    BY_HAND = "by_hand", pgettext_lazy("ScheduleRun", "run by hand")
    #: Left to the last job, which had not started yet.
    JOINED = "joined", pgettext_lazy("ScheduleRun", "joined the last one")
    #: The last job had not ended.
    OVERLAPPED = "overlapped", pgettext_lazy("ScheduleRun", "skipped: the last one had not ended")
    #: No server was there.
    MISSED = "missed", pgettext_lazy("ScheduleRun", "skipped: missed")


class ScheduleRun(models.Model):
    """One due time of a schedule that was dealt with."""

    schedule = models.ForeignKey(Schedule, verbose_name=_("schedule"), related_name="runs", on_delete=models.CASCADE)
    due_at = models.DateTimeField(_("due at"))
    decided_at = models.DateTimeField(_("decided at"))
    outcome = models.CharField(_("outcome"), max_length=16, choices=RunOutcome)
    #: The job it made or joined; empty for none. The job may be gone before the row, or the row before the job.
    handle = models.CharField(_("job"), max_length=64, blank=True)
    #: Host and process id of the job server that decided, or the user who ran it by hand.
    decided_by = models.CharField(_("decided by"), max_length=255, blank=True)

    class Meta:
        verbose_name = _("schedule run")
        verbose_name_plural = _("schedule runs")
        default_permissions = ()
        indexes = [
            # Retention.
            models.Index(fields=["decided_at"], name="gearjobs_run_decided"),
        ]
        constraints = [models.UniqueConstraint(fields=["schedule", "due_at"], name="gearjobs_run_once")]

    def __str__(self) -> str:
        return f"{self.schedule_id} due {self.due_at}"
