"""Runs that failed in the same way, counted together: three problems instead of two thousand rows.

What "the same way" is, the fingerprint says (`records/failures/fingerprint`). Written in the transaction that commits
the outcomes (`records/failures/group_counts`); people only mute a group and write a note to it
(`actions/mute_failures`). A job that failed and runs again counts as well as one that ended.
"""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class FailureGroup(models.Model):
    """All runs of one function that failed in the same way."""

    #: Also stands in the rows of the jobs (`Job.fingerprint`).
    fingerprint = models.CharField(_("fingerprint"), max_length=64, primary_key=True)
    function = models.TextField(_("function"))
    #: Dotted path of the decorated task; empty for a function that has none.
    task = models.CharField(_("task"), max_length=512, blank=True)
    error_class = models.CharField(_("error class"), max_length=255, blank=True)
    #: The project's innermost line of the traceback, as file and function; empty where there is none.
    culprit = models.CharField(_("culprit"), max_length=500, blank=True)
    #: As the first run of the group said it.
    sample_message = models.TextField(_("sample message"), blank=True)
    #: Runs that failed so.
    count = models.BigIntegerField(_("runs"), default=0)
    #: Jobs that it was the end of.
    ended = models.BigIntegerField(_("ended jobs"), default=0)
    first_seen_at = models.DateTimeField(_("first seen"), default=timezone.now)
    last_seen_at = models.DateTimeField(_("last seen"), default=timezone.now)
    #: Handle of the job that failed so last.
    last_job = models.CharField(_("last job"), max_length=64, blank=True)
    #: Until when nobody wants to be shown it; null for a group that is shown.
    muted_until = models.DateTimeField(_("muted until"), null=True, blank=True)
    note = models.TextField(_("note"), blank=True)

    class Meta:
        verbose_name = _("failure group")
        verbose_name_plural = _("failure groups")
        default_permissions = ("view",)
        permissions = [("manage_failures", "Can mute failure groups and write notes to them")]
        indexes = [
            # The latest first; retention.
            models.Index(fields=["last_seen_at"], name="gearjobs_failure_last_seen"),
        ]

    def __str__(self) -> str:
        return f"{self.error_class}: {self.sample_message[:80]}"

    @property
    def is_muted(self) -> bool:
        return self.muted_until is not None and self.muted_until > timezone.now()
