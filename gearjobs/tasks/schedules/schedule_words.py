"""What people read of a schedule: when it runs and how it is, in words, for the admin and the commands alike.

Intervals and states are translated. The words for a crontab are cronsim's, which are English; whoever prefers the five
fields finds them beside the words.
"""

from __future__ import annotations

from datetime import datetime

from cronsim import CronSim, CronSimError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from gearjobs.models import Schedule


def when_words(schedule: Schedule) -> str:
    """Return when a schedule runs: `At 03:00 every day (Europe/Berlin)`; the words for cron are English only."""
    if schedule.interval_s is not None:
        return interval_words(schedule.interval_s)
    return f"{cron_words(schedule.cron)} ({schedule.time_zone})"


def interval_words(interval_s: int) -> str:
    """Return `every 15 minutes`, in the largest unit that divides it."""
    if interval_s % 86_400 == 0:
        return ngettext("every day", "every %(count)s days", interval_s // 86_400) % {"count": interval_s // 86_400}
    if interval_s % 3_600 == 0:
        return ngettext("every hour", "every %(count)s hours", interval_s // 3_600) % {"count": interval_s // 3_600}
    if interval_s % 60 == 0:
        return ngettext("every minute", "every %(count)s minutes", interval_s // 60) % {"count": interval_s // 60}
    return ngettext("every second", "every %(count)s seconds", interval_s) % {"count": interval_s}


def cron_words(cron: str) -> str:
    """Return what a crontab's fields mean, or the fields where there are no words for them."""
    try:
        return CronSim(cron, datetime(2000, 1, 1)).explain()  # noqa: DTZ001 - no moment is meant
    except CronSimError:
        return cron


def state_words(schedule: Schedule) -> str:
    """Return how a schedule is."""
    if schedule.withdrawn_at is not None:
        return _("no longer in the code")
    return pgettext("Schedule", "on") if schedule.is_enabled else pgettext("Schedule", "paused")
