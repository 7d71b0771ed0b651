"""The attempts of a job that did not end it: each run that failed and was tried again, and each that was lost.

The run that ended the job, or that goes on, is the job's own row; so a job that succeeds at once has no row here.
Written by the job server only (`records/rows/attempt_rows`), bounded per job. The foreign key has no constraint in the
database, so that a row costs no look-up of its job; whoever deletes a job deletes its attempts first.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from gearjobs.models.job import Job


class AttemptOutcome(models.TextChoices):
    """How an attempt ended that did not end its job."""

    FAILED = "failed", pgettext_lazy("Attempt", "failed")
    TIMED_OUT = "timed_out", pgettext_lazy("Attempt", "timed out")
    LOST = "lost", pgettext_lazy("Attempt", "worker lost")


class JobAttempt(models.Model):
    """One run of a background job that was followed by another."""

    job = models.ForeignKey(
        Job,
        verbose_name=_("job"),
        related_name="attempts",
        on_delete=models.CASCADE,
        db_constraint=False,
        db_index=False,
    )
    #: Counts from 1 within the job.
    number = models.IntegerField(_("number"))
    #: Client id of the worker.
    worker_id = models.CharField(_("worker"), max_length=255, blank=True)
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"))
    outcome = models.CharField(_("outcome"), max_length=16, choices=AttemptOutcome)
    error_class = models.CharField(_("error class"), max_length=255, blank=True)
    error_message = models.TextField(_("error message"), blank=True)
    error_traceback = models.TextField(_("traceback"), blank=True)

    class Meta:
        verbose_name = _("job attempt")
        verbose_name_plural = _("job attempts")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="gearjobs_attempt_number")]

    def __str__(self) -> str:
        return f"{self.job_id} attempt {self.number}"
