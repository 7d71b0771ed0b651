"""Something that is done to all jobs that match a filter: what, to which, how far it is.

Carried out in the background, beside a job server, in small portions (`tasks/bulk_runs`); the row says where it stands,
so that another one goes on where it was left. What matched is settled by a moment in time: jobs that were enqueued
after it are not touched.
"""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class BulkVerb(models.TextChoices):
    """What can be done to many jobs."""

    RETRY = "retry", pgettext_lazy("BulkOperation", "retry")
    CANCEL = "cancel", pgettext_lazy("BulkOperation", "cancel")
    DELETE = "delete", pgettext_lazy("BulkOperation", "delete")


class BulkState(models.TextChoices):
    """Where an operation stands."""

    WAITING = "waiting", pgettext_lazy("BulkOperation", "waiting")
    RUNNING = "running", pgettext_lazy("BulkOperation", "running")
    DONE = "done", pgettext_lazy("BulkOperation", "done")
    STOPPED = "stopped", pgettext_lazy("BulkOperation", "stopped")
    FAILED = "failed", pgettext_lazy("BulkOperation", "failed")


class BulkOperation(models.Model):
    """One verb, and the jobs it is for."""

    #: Made like a job's handle, and never a job's.
    id = models.CharField(_("id"), max_length=64, primary_key=True)
    verb = models.CharField(_("verb"), max_length=16, choices=BulkVerb)
    #: As `records/job_filter` writes it.
    filter = models.JSONField(_("filter"), default=dict)
    #: Jobs enqueued later are not meant.
    cut_off_at = models.DateTimeField(_("cut-off"), default=timezone.now)
    state = models.CharField(_("state"), max_length=16, choices=BulkState, default=BulkState.WAITING)
    #: Who carries it out.
    runner = models.CharField(_("runner"), max_length=128, blank=True, editable=False)
    #: That one's last sign of life.
    beat_at = models.DateTimeField(_("sign of life"), null=True, blank=True, editable=False)
    #: How many there were when it was asked for, as far as was counted.
    expected = models.BigIntegerField(_("expected"), default=0)
    #: True where there were more, or may have been.
    is_more_expected = models.BooleanField(_("more expected"), default=False)
    #: Jobs it was done to, and those that refused.
    done = models.BigIntegerField(_("done"), default=0)
    refused = models.BigIntegerField(_("refused"), default=0)
    #: Where it goes on (`records/job_pages`); empty before the first job.
    reached = models.CharField(_("reached"), max_length=100, blank=True, editable=False)
    #: Why it failed.
    error = models.TextField(_("error"), blank=True)
    #: Primary key of the user as text; empty for a command.
    asked_by = models.CharField(_("asked by"), max_length=255, blank=True)
    asked_at = models.DateTimeField(_("asked at"), default=timezone.now)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    class Meta:
        verbose_name = _("bulk operation")
        verbose_name_plural = _("bulk operations")
        default_permissions = ("view",)
        indexes = [
            # The latest first; retention.
            models.Index(fields=["asked_at"], name="gearjobs_bulk_asked"),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.id}"
