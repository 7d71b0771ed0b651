"""What a job sent while it ran: pieces of data and warnings, in order, bounded per job.

Written by the job server only (`records/rows/output_rows`), like the job's own row. The foreign key has no constraint
in the database, so that a piece costs no look-up of its job; whoever deletes a job deletes its pieces first.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from gearjobs.models.job import Job


class JobOutput(models.Model):
    """One WORK_DATA or WORK_WARNING of a background job."""

    job = models.ForeignKey(
        Job,
        verbose_name=_("job"),
        related_name="outputs",
        on_delete=models.CASCADE,
        db_constraint=False,
        db_index=False,
    )
    #: Counts from 1 within the job, over all of its attempts.
    sequence = models.IntegerField(_("number"))
    is_warning = models.BooleanField(_("is a warning"), default=False)
    body = models.BinaryField(_("body"), default=b"")
    streamed_at = models.DateTimeField(_("streamed at"))

    class Meta:
        verbose_name = _("job output")
        verbose_name_plural = _("job outputs")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["job", "sequence"], name="gearjobs_output_sequence")]

    def __str__(self) -> str:
        return f"{self.job_id} #{self.sequence}"
