"""The row of a job server that uses this database: who it is, and until when its jobs are its own.

A job's `owner` is the `incarnation` of such a row. Written by `records/ownership` only (`server_leases`,
`take_over`). Times that decide anything are the database's own clock in microseconds of unix time, for datetimes mean
different things to different databases and settings; what they decide is said in `records/ownership/server_leases`.
"""

from __future__ import annotations

from typing import Final

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

#: Longest name of an incarnation, and so of a job's owner.
INCARNATION_LIMIT: Final = 128


class JobServer(models.Model):
    """One life of a job server, from its start until nobody's jobs name it any more."""

    #: Never used by two lives; says host and pid to people.
    incarnation = models.CharField(_("incarnation"), max_length=INCARNATION_LIMIT, primary_key=True)
    host = models.CharField(_("host"), max_length=255, blank=True)
    pid = models.IntegerField(_("process id"), default=0)
    #: Which boot of which machine, and which of its process tables; empty where the system does not tell.
    boot_id = models.CharField(_("boot"), max_length=100, blank=True)
    #: The start of the process in clock ticks since that boot: a process id alone may be used again.
    process_start = models.BigIntegerField(_("process start"), default=0)
    version = models.CharField(_("version"), max_length=32, blank=True)
    started_at = models.DateTimeField(_("started at"), default=timezone.now)
    #: Counts the database sessions of this life: only the latest may write.
    session = models.IntegerField(_("session"), default=0)
    #: Number of its latest committed batch: whoever lost the answer to a commit finds here what became of it.
    batch = models.BigIntegerField(_("batch"), default=0)
    #: Last sign of life.
    renewed_at_us = models.BigIntegerField(_("renewed at"), default=0)
    #: End of the lease unless it is renewed; null where a lock on the database's file says who owns it.
    lease_until_us = models.BigIntegerField(_("lease until"), null=True, blank=True)
    #: Since when nothing it writes counts: it closed, or others take its jobs over. Null as long as it may write.
    fenced_at_us = models.BigIntegerField(_("fenced at"), null=True, blank=True)

    class Meta:
        verbose_name = _("job server")
        verbose_name_plural = _("job servers")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.incarnation
