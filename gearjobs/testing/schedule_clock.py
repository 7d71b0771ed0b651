"""Lets time pass for schedules, without waiting: what a job server would fire until then is enqueued.

Each due time is decided as by a job server that is up all the time, one after the other: overlap, catch-up and jitter
are the schedules' own. Only their clock moves.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any, Final

from gearjobs.records.job_queries import all_jobs
from gearjobs.tasks.result import GearResult
from gearjobs.tasks.schedules.firing import ScheduleFirer
from gearjobs.tasks.schedules.saved_schedules import all_runs
from gearjobs.tasks.schedules.schedule_sync import sync_schedules
from gearjobs.tasks.stored_result import result_of

#: Due times after which it is taken for a mistake: a year of a schedule that fires each minute has half a million.
FIRING_LIMIT: Final = 1_000


def fire_schedules(until: datetime, *, backend: str = "default") -> list[GearResult[Any]]:
    """Fire what becomes due from now on, and return its jobs in order.

    Args:
        until: a time to come.
        backend: alias of the backend that reads jobs which name none.

    Raises:
        AssertionError: there were more due times than FIRING_LIMIT.
    """
    sync_schedules()
    known = set(_handles())
    firer = ScheduleFirer("gearjobs.testing")
    now, fired = time.time(), 0
    while (due_at := firer.next_fire_at(now)) is not None and due_at <= until.timestamp():
        fired += 1
        if fired > FIRING_LIMIT:
            raise AssertionError(f"schedules were due more than {FIRING_LIMIT} times before {until}")
        now = due_at
        firer.fire_due(now)
    new = [handle for handle in _handles() if handle not in known]
    rows = all_jobs().in_bulk(new)
    return [result_of(rows[handle], backend=backend) for handle in new if handle in rows]


def _handles() -> list[str]:
    return list(all_runs().exclude(handle="").order_by("due_at", "pk").values_list("handle", flat=True))
