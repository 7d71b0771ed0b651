"""Jobs that belong together: groups, chains and chords, as stages that wait for one another.

A tree of calls (`gearjobs.tasks.groups`) becomes one row for the whole, its root, and one for each stage: jobs that may
run at the same time because the same must come before them. A stage hands its results to one other stage, or to the
root. A row without jobs only collects, or releases several stages at once. The counters are written in the transaction
that commits the jobs' outcomes (`records/groups/advance`), by whichever job server that is; a job that waits for a
stage has no server until then (`BLOCKED_OWNER`).
"""

from __future__ import annotations

from typing import Final

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from gearjobs.models.job import Job, JobStatus

#: The `owner` of a job whose turn has not come: no job server's name, so that none takes it.
BLOCKED_OWNER: Final = "(blocked)"


class GroupKind(models.TextChoices):
    """What a row stands for; the root says what the caller made."""

    GROUP = "group", pgettext_lazy("JobGroup", "group")
    CHAIN = "chain", pgettext_lazy("JobGroup", "chain")
    STAGE = "stage", pgettext_lazy("JobGroup", "stage")


class JobGroup(models.Model):
    """A whole, or one stage of it."""

    #: Made like a job's handle, and never a job's.
    id = models.CharField(_("id"), max_length=64, primary_key=True)
    #: The id of the whole; its own for the whole itself.
    root = models.CharField(_("root"), max_length=64, db_index=True)
    kind = models.CharField(_("kind"), max_length=16, choices=GroupKind, default=GroupKind.STAGE)
    #: Where its results go; empty for the root, and for a stage whose only purpose is to release others.
    next_stage = models.CharField(_("next stage"), max_length=64, blank=True, db_index=True)
    #: The stage without jobs that releases this one; empty for any other.
    released_by = models.CharField(_("released by"), max_length=64, blank=True, db_index=True)
    #: The place of its results among those that go where its own do.
    place = models.IntegerField(_("place"), default=0)
    #: How many stages must succeed before its jobs run.
    waits_for = models.IntegerField(_("waits for"), default=0)
    #: True when it takes a list of what comes to it, rather than the only value that does.
    gathers = models.BooleanField(_("gathers"), default=False)
    #: True when its own results are a list, rather than the result of its only job.
    is_list = models.BooleanField(_("is a list"), default=False)
    #: Jobs of the stage; of the whole for the root.
    total = models.IntegerField(_("jobs"), default=0)
    succeeded = models.IntegerField(_("succeeded"), default=0)
    #: Ended without success, those that were never started among them.
    failed = models.IntegerField(_("failed"), default=0)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    #: Of the root: when its last job ended.
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    #: Primary key, as text, of the user on whose behalf it was enqueued.
    enqueued_by = models.CharField(_("enqueued by"), max_length=255, blank=True)

    class Meta:
        verbose_name = _("job group")
        verbose_name_plural = _("job groups")
        default_permissions = ("view",)
        indexes = [
            # The newest first: the list of the admin.
            models.Index(fields=["created_at"], name="gearjobs_group_created"),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def status(self) -> JobStatus:
        """The state of the whole in the words of django.tasks."""
        if self.succeeded + self.failed >= self.total:
            return JobStatus.FAILED if self.failed else JobStatus.SUCCESSFUL
        return JobStatus.RUNNING if self.succeeded + self.failed else JobStatus.READY


class JobMember(models.Model):
    """Which job is in which stage: a row for each job of a group, and none for any other."""

    job = models.OneToOneField(
        Job,
        verbose_name=_("job"),
        related_name="membership",
        primary_key=True,
        on_delete=models.CASCADE,
        db_constraint=False,
    )
    stage = models.ForeignKey(
        JobGroup, verbose_name=_("stage"), related_name="members", on_delete=models.CASCADE, db_constraint=False
    )
    #: The place of its result in the stage's list.
    position = models.IntegerField(_("position"), default=0)
    #: Whether it is given what came before it, as its first argument.
    takes_input = models.BooleanField(_("takes input"), default=True)

    class Meta:
        verbose_name = _("member of a job group")
        verbose_name_plural = _("members of job groups")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.job_id} in {self.stage_id}"
