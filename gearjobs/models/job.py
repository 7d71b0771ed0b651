"""The job row: one background job from its acceptance to the end of its retention.

The job server that owns a job is the only writer of its row (`records/record_store`), but for the insert by a client
whose transaction the job is part of (`records/job_queries.insert_jobs`); everybody else reads. Text from peers stands
here in the reversible form of `protocol/wire_text`; payload and result are bytes, exact. Nothing here imports the code
of a task.
"""

from __future__ import annotations

import datetime
from typing import Final

from django.db import models
from django.db.models import Value
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from gearjobs.models.failed_index import FailedJobIndex


class JobStatus(models.TextChoices):
    """The four states of django.tasks, in its own spelling."""

    READY = "READY", pgettext_lazy("Job", "Ready")
    RUNNING = "RUNNING", pgettext_lazy("Job", "Running")
    FAILED = "FAILED", pgettext_lazy("Job", "Failed")
    SUCCESSFUL = "SUCCESSFUL", pgettext_lazy("Job", "Successful")


class StatusDetail(models.TextChoices):
    """What exactly a state is about; the last seven are final, and are the values of `core.changes.Outcome`."""

    #: Until others have succeeded (`job_group`).
    BLOCKED = "blocked", pgettext_lazy("Job", "blocked")
    WAITING = "waiting", pgettext_lazy("Job", "waiting")
    SCHEDULED = "scheduled", pgettext_lazy("Job", "scheduled")
    RETRYING = "retrying", pgettext_lazy("Job", "retrying")
    RUNNING = "running", pgettext_lazy("Job", "running")
    SUCCEEDED = "succeeded", pgettext_lazy("Job", "succeeded")
    FAILED = "failed", pgettext_lazy("Job", "failed")
    CANCELLED = "cancelled", pgettext_lazy("Job", "cancelled")
    EXPIRED = "expired", pgettext_lazy("Job", "expired")
    TIMED_OUT = "timed_out", pgettext_lazy("Job", "timed out")
    LOST = "lost", pgettext_lazy("Job", "lost")
    DEAD = "dead", pgettext_lazy("Job", "dead")


#: The one table of which state of django.tasks a detail belongs to.
DETAIL_STATUS: Final[dict[StatusDetail, JobStatus]] = {
    StatusDetail.BLOCKED: JobStatus.READY,
    StatusDetail.WAITING: JobStatus.READY,
    StatusDetail.SCHEDULED: JobStatus.READY,
    StatusDetail.RETRYING: JobStatus.READY,
    StatusDetail.RUNNING: JobStatus.RUNNING,
    StatusDetail.SUCCEEDED: JobStatus.SUCCESSFUL,
    StatusDetail.FAILED: JobStatus.FAILED,
    StatusDetail.CANCELLED: JobStatus.FAILED,
    StatusDetail.EXPIRED: JobStatus.FAILED,
    StatusDetail.TIMED_OUT: JobStatus.FAILED,
    StatusDetail.LOST: JobStatus.FAILED,
    StatusDetail.DEAD: JobStatus.FAILED,
}


class Job(models.Model):
    """One background job."""

    #: The id everywhere: JOB_CREATED, `TaskResult.id`, REST, admin.
    handle = models.CharField(_("handle"), max_length=64, primary_key=True)
    #: gearmand sets no limit to its length.
    function = models.TextField(_("function"))
    #: 64 bytes, each at worst written as `\xNN`; empty for a job that never coalesces.
    unique = models.CharField(_("unique id"), max_length=256, blank=True)
    task = models.CharField(_("task"), max_length=512, blank=True)
    queue = models.CharField(_("queue"), max_length=255, blank=True)
    backend = models.CharField(_("backend"), max_length=255, blank=True)
    #: -100 to 100, higher first.
    priority = models.SmallIntegerField(_("priority"), default=0)

    status = models.CharField(_("status"), max_length=16, choices=JobStatus, default=JobStatus.READY)
    status_detail = models.CharField(_("detail"), max_length=16, choices=StatusDetail, default=StatusDetail.WAITING)
    #: Earliest start; null for at once.
    run_at = models.DateTimeField(_("run at"), null=True, blank=True)
    enqueued_at = models.DateTimeField(_("enqueued at"), default=timezone.now)
    #: Start of the first run.
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    #: Start of the latest run.
    last_attempted_at = models.DateTimeField(_("last attempted at"), null=True, blank=True)
    #: Null exactly as long as the job is unfinished.
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    #: How often the job was handed to a worker.
    attempt = models.IntegerField(_("attempt"), default=0)
    #: How often its worker was lost while it ran.
    crashes = models.IntegerField(_("crashes"), default=0)
    #: How many of its runs do not count as attempts: those lost with their worker, and those it gave back.
    lost = models.IntegerField(_("lost runs"), default=0, db_default=0)
    #: Client id of the worker of every attempt, in order.
    worker_ids = models.JSONField(_("workers"), default=list, blank=True)

    progress_numerator = models.FloatField(_("progress numerator"), default=0.0)
    #: 0 as long as the worker told nothing.
    progress_denominator = models.FloatField(_("progress denominator"), default=0.0)
    progress_message = models.CharField(_("progress message"), max_length=500, blank=True)

    error_class = models.CharField(_("error class"), max_length=255, blank=True)

    #: The job server's incarnation; empty for a row that a client inserted and no server adopted yet.
    owner = models.CharField(_("owner"), max_length=128, blank=True)
    #: Primary key, as text, of the user on whose behalf it was enqueued.
    enqueued_by = models.CharField(_("enqueued by"), max_length=255, blank=True)
    metadata = models.JSONField(_("metadata"), default=dict, blank=True)
    #: Function that reduces the results; empty for an ordinary job.
    reducer = models.CharField(_("reducer"), max_length=256, blank=True)
    #: One more at every change that a reader can see, and when another server comes to rely on the job.
    version = models.IntegerField(_("version"), default=1)
    #: True when the present run's worker may come back to it after its connection or its server is gone.
    is_resumable = models.BooleanField(_("is resumable"), default=False, db_default=False)
    #: Digest of function and unique id (`records/rows/unique_keys`), so that one unfinished job has it, whatever its
    #: server; null without a unique id, in a finished job, and in a row that no server adopted yet.
    unique_key = models.CharField(_("unique key"), max_length=64, null=True, blank=True, editable=False)  # noqa: DJ001 - nulls are no duplicates

    #: What the queue obeys beyond priority and time (`core/terms`).
    terms = models.JSONField(_("terms"), default=dict, blank=True, db_default=Value({}, models.JSONField()))
    #: When it must have started, or is not started any more; null for any time.
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    #: Since when it is to stop, while it runs.
    cancel_asked_at = models.DateTimeField(_("cancel asked at"), null=True, blank=True)
    #: Why somebody cancelled it.
    cancel_reason = models.CharField(_("reason for cancelling"), max_length=500, blank=True, default="", db_default="")
    #: The group of failures that its latest run belongs to (`FailureGroup`); null unless that failed, and of a job that
    #: was cancelled.
    fingerprint = models.CharField(_("fingerprint"), max_length=64, null=True, blank=True, editable=False)  # noqa: DJ001 - the index leaves nulls out
    #: The job that does this one's work, where it was found to have the same function and unique only after it was
    #: enqueued; empty for all others.
    joined_to = models.CharField(_("joined to"), max_length=64, blank=True, default="", db_default="")
    #: The job that does this one's work again, since somebody asked for that; empty as long as nobody has.
    retried_as = models.CharField(_("run again as"), max_length=64, blank=True, default="", db_default="")

    # What may be long stands last: SQLite reaches a column only by way of those before it, page by page.
    error_message = models.TextField(_("error message"), blank=True)
    error_traceback = models.TextField(_("traceback"), blank=True)
    payload = models.BinaryField(_("payload"), default=b"")
    #: Null unless the job's worker returned one.
    result = models.BinaryField(_("result"), null=True, blank=True)

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        default_permissions = ("view",)
        permissions = [
            ("view_payload", "Can view payload, result and traceback of jobs"),
            ("cancel_job", "Can cancel jobs"),
            ("retry_job", "Can retry jobs"),
            ("add_job", "Can enqueue jobs over HTTP"),
            ("change_job", "Can change the priority and the time of waiting jobs"),
            ("delete_job", "Can delete ended jobs"),
            ("control_worker", "Can quiet, resume and stop workers"),
            ("control_server", "Can drain and reload job servers"),
        ]
        indexes = [
            # The newest first: the lists of the admin and the API.
            models.Index(fields=["enqueued_at"], name="gearjobs_job_enqueued"),
            # One user's jobs, newest first.
            models.Index(fields=["enqueued_by", "enqueued_at"], name="gearjobs_job_enqueued_by"),
            # Unfinished jobs (null first) by owner, each owner's in the order of acceptance: rows nobody owns are asked
            # for every second. And what ended lately; retention.
            models.Index(fields=["finished_at", "owner", "enqueued_at"], name="gearjobs_job_finished"),
            # One group of failures, newest first.
            FailedJobIndex(fields=["fingerprint", "enqueued_at"], name="gearjobs_job_fingerprint"),
            # All failures, newest first.
            FailedJobIndex(fields=["enqueued_at"], name="gearjobs_job_failed", is_whole_elsewhere=False),
        ]
        # Of its own, for a unique text column would have a second index on PostgreSQL.
        constraints = [models.UniqueConstraint(fields=["unique_key"], name="gearjobs_job_unique_key")]

    def __str__(self) -> str:
        return self.handle

    @property
    def is_finished(self) -> bool:
        return self.finished_at is not None

    @property
    def present_detail(self) -> StatusDetail:
        """The detail as of now: nothing is written when a scheduled job becomes due."""
        detail = StatusDetail(self.status_detail)
        if detail is StatusDetail.SCHEDULED and self.run_at is not None and self.run_at <= timezone.now():
            return StatusDetail.WAITING
        return detail

    @property
    def progress_percent(self) -> float | None:
        """How far the job is, 0 to 100; None as long as nobody can tell."""
        if self.progress_denominator <= 0:
            return None
        return min(100.0, max(0.0, 100.0 * self.progress_numerator / self.progress_denominator))

    @property
    def duration(self) -> datetime.timedelta | None:
        """How long the latest run took, or has taken so far; None before the first."""
        if self.last_attempted_at is None or self.status == JobStatus.READY:
            return None
        return (self.finished_at or timezone.now()) - self.last_attempted_at
