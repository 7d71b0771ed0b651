"""What operators said about a function: whether it rests, and its limits.

One row for each function that somebody said something about. Every job server of the database reads the table again and
again and obeys it; written by the actions that pause and resume queues and change their limits.
"""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class QueueControl(models.Model):
    """An operator's word about one function."""

    #: Digest of the function's name: names may be of any length, and databases compare text in their own ways.
    key = models.CharField(_("key"), max_length=64, primary_key=True, editable=False)
    #: As in a job's row.
    function = models.TextField(_("function"))
    is_paused = models.BooleanField(_("paused"), default=False)
    paused_at = models.DateTimeField(_("paused at"), null=True, blank=True)
    #: Most jobs that may wait, by the wire's priorities; 0 for any number, null where nobody said.
    max_high = models.IntegerField(_("most waiting, high"), null=True, blank=True)
    max_normal = models.IntegerField(_("most waiting, normal"), null=True, blank=True)
    max_low = models.IntegerField(_("most waiting, low"), null=True, blank=True)
    #: Most jobs that may run at once; 0 for any number.
    concurrency = models.IntegerField(_("concurrency"), default=0)
    #: Most jobs that may start within `per_s` seconds; 0 for any number.
    rate = models.IntegerField(_("rate"), default=0)
    per_s = models.FloatField(_("rate's period in seconds"), default=0.0)
    #: Why.
    note = models.CharField(_("note"), max_length=500, blank=True)
    #: Primary key of the user as text; empty for a command and for an admin line.
    changed_by = models.CharField(_("changed by"), max_length=255, blank=True)
    changed_at = models.DateTimeField(_("changed at"), default=timezone.now)

    class Meta:
        verbose_name = _("queue")
        verbose_name_plural = _("queues")
        default_permissions = ("view",)
        permissions = [
            ("control_queue", "Can pause, resume and clear queues"),
            ("change_queue", "Can set limits of queues"),
        ]

    def __str__(self) -> str:
        return self.function
