"""What the jobs of a function did within one minute or one hour: the figures behind charts, rates and percentiles.

A job server writes its own rows only, each a whole (`records/statistics/rollup_writer`), so that nobody contends and
whatever is written again counts once; a crash loses the last seconds. Retention makes one row an hour of what all
servers wrote. Foreground jobs are counted, too: these rows know more than the job table.
"""

from __future__ import annotations

from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _

#: The `function_key` of what all functions did together.
ALL_FUNCTIONS: Final = ""
#: The two widths of rows, in seconds.
MINUTE_S: Final = 60
HOUR_S: Final = 3600


class FunctionRollup(models.Model):
    """One function, or all of them, in one stretch of time, as one server saw it."""

    #: Unix seconds of the beginning, a multiple of the width: local time has an hour twice in autumn.
    starts_s = models.BigIntegerField(_("starts"))
    width_s = models.IntegerField(_("width in seconds"), default=MINUTE_S)
    #: Digest of the function's name (`records/rows/function_keys`); empty for all functions together.
    function_key = models.CharField(_("function key"), max_length=64, blank=True, editable=False)
    #: As in a job's row; empty for all functions together.
    function = models.TextField(_("function"), blank=True)
    #: The life of the job server that counted; empty once the rows of several were made one.
    server = models.CharField(_("server"), max_length=128, blank=True)

    enqueued = models.BigIntegerField(_("enqueued"), default=0)
    succeeded = models.BigIntegerField(_("succeeded"), default=0)
    #: Ended in any other way than by success or because somebody cancelled them.
    failed = models.BigIntegerField(_("failed"), default=0)
    cancelled = models.BigIntegerField(_("cancelled"), default=0)
    #: Runs that failed and are repeated.
    retried = models.BigIntegerField(_("retried"), default=0)
    #: Runs that were cut short, because their worker was lost or gave them back.
    lost = models.BigIntegerField(_("lost runs"), default=0)
    #: Seconds of all runs that came to an end.
    run_s = models.FloatField(_("run time in seconds"), default=0.0)
    #: Runs per bucket of `core.tallies.BUCKET_ENDS_S`, and the longer ones; without the zeros at the end.
    run_counts = models.JSONField(_("runs by duration"), default=list, blank=True)
    #: Seconds of all waits that came to an end.
    wait_s = models.FloatField(_("waiting time in seconds"), default=0.0)
    wait_counts = models.JSONField(_("waits by duration"), default=list, blank=True)

    class Meta:
        verbose_name = _("function rollup")
        verbose_name_plural = _("function rollups")
        default_permissions = ()
        indexes = [
            # All functions of the last hour; retention.
            models.Index(fields=["width_s", "starts_s"], name="gearjobs_rollup_starts"),
        ]
        constraints = [
            # One function's series, and the server's own row in it.
            models.UniqueConstraint(
                fields=["width_s", "function_key", "starts_s", "server"], name="gearjobs_rollup_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.function or '*'} {self.starts_s}+{self.width_s}"
