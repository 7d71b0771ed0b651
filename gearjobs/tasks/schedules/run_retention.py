"""Removing what is no longer asked for: old runs of schedules, and schedules that the code gave up long ago.

Of each schedule the latest runs are kept, so that one that fires every second does not fill the table and one that
fires every month still shows its last years. Little is deleted at a time: nobody waits for it.
"""

from __future__ import annotations

import datetime
import logging
from typing import Final

from django.utils import timezone

from gearjobs.tasks.schedules.saved_schedules import all_runs, all_schedules

logger = logging.getLogger("gearjobs.schedules")

#: Runs that are kept of each schedule.
KEPT_RUNS: Final = 1_000
#: How long a schedule rests that the code does not declare any more, until it is removed.
KEPT_WITHDRAWN: Final = datetime.timedelta(days=30)
#: Rows deleted by one statement.
_AT_ONCE: Final = 500


def prune_runs(*, kept: int = KEPT_RUNS) -> int:
    """Remove all but the latest runs of each schedule, and what was withdrawn long ago; return how many runs went.

    Raises:
        django.db.Error: the rest stays for the next time.
    """
    all_schedules().filter(withdrawn_at__lt=timezone.now() - KEPT_WITHDRAWN).delete()
    pruned = 0
    for schedule_id in all_schedules().values_list("pk", flat=True):
        runs = all_runs().filter(schedule_id=schedule_id).order_by("-due_at")
        last_kept = runs.values_list("due_at", flat=True)[kept - 1 : kept].first()
        if last_kept is None:
            continue
        while old := list(runs.filter(due_at__lt=last_kept).values_list("pk", flat=True)[:_AT_ONCE]):
            pruned += all_runs().filter(pk__in=old).delete()[0]
    if pruned:
        logger.info("prune schedule_runs=%d", pruned)
    return pruned
