"""The thread beside a job server that fires schedules: it sleeps until the next one is due, and looks again.

Any number of servers of a database may have one. The time is the database's own, so that all of them mean the same
moment and a machine with a wrong clock fires nothing early; between two looks it is counted by the monotonic clock, and
a database clock that was put back is noticed by that. The thread has a database session of its own, with the limits of
the store's, and shares nothing with the server's loop but the call that tells it of new rows. While the database is
away it tries again; what became due meanwhile is caught up by each schedule's own policy.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from django.db import Error, connections

from gearjobs.records.ownership.store_clock import US_PER_S, read_clock_us
from gearjobs.records.sessions.session_limits import SessionLimits
from gearjobs.records.side_thread import SideThread
from gearjobs.settings import gearjobs_settings
from gearjobs.tasks.schedules.firing import ScheduleFirer
from gearjobs.tasks.schedules.run_retention import prune_runs

logger = logging.getLogger("gearjobs.schedules")

#: Seconds between two looks at the table while nothing is due: so late may an edit be noticed.
LOOK_S: Final = 2.0
#: Seconds until the first and at most until a later try where the database does not answer.
RETRY_S: Final = (0.5, 10.0)
#: Seconds by which the database's clock may go back against ours before schedules are aimed anew.
STEP_S: Final = 2.0
#: Seconds between two looks at what is to be removed.
PRUNE_S: Final = 3_600.0

#: Seconds that two clocks may differ about a short time.
_LEAST_WAIT_S: Final = 0.001


class Scheduler(SideThread):
    """Fires schedules from `start` to `stop`.

    Args:
        decided_by: says in the rows who fired.
        on_jobs: called in this thread when jobs were inserted, which no server has yet.
        cancel: called in this thread with the handle of a job whose place another one took.
    """

    def __init__(self, decided_by: str, *, on_jobs: Callable[[], object], cancel: Callable[[str], object]) -> None:
        super().__init__("gearjobs-schedules")
        self._firer = ScheduleFirer(decided_by)
        self._on_jobs = on_jobs
        self._cancel = cancel
        self._clock = _StepWatch()
        self._retry_s = 0.0
        self._prune_at = 0.0

    def _run(self) -> None:
        alias = gearjobs_settings().database
        limits = SessionLimits(alias)
        logger.info("fire schedules database=%s", alias)
        while not self._stopping.is_set():
            connection = connections[alias]
            try:
                if connection.connection is None:
                    limits.open(connection)
                with limits.call():
                    wait_s = self._look()
                self._note_answer()
            except Error as error:
                wait_s = self._note_outage(error)
            except Exception:
                # A wall: what is nobody's fault but ours must not end all schedules for good.
                logger.exception("stumble over schedules")
                wait_s = RETRY_S[1]
            if self._retry_s:
                _close(alias, limits)
            self._stopping.wait(wait_s)
        _close(alias, limits)

    def _look(self) -> float:
        """Fire what is due; return the seconds until the next look."""
        now = read_clock_us(connections[gearjobs_settings().database]) / US_PER_S
        if self._clock.was_put_back(now, time.monotonic()):
            self._firer.aim_anew(now)
        report = self._firer.fire_due(now)
        if report.jobs:
            self._on_jobs()
        for handle in report.replaced:
            self._cancel(handle)
        if report.is_partial:
            # Where nothing came of it, it is other servers' to do.
            return 0.0 if report.jobs else RETRY_S[0]
        if time.monotonic() >= self._prune_at:
            prune_runs()
            self._prune_at = time.monotonic() + PRUNE_S
        next_at = self._firer.next_fire_at(now)
        return LOOK_S if next_at is None else min(LOOK_S, max(_LEAST_WAIT_S, next_at - now))

    def _note_answer(self) -> None:
        if self._retry_s:
            logger.info("fire schedules again")
        self._retry_s = 0.0

    def _note_outage(self, error: Error) -> float:
        first_s, most_s = RETRY_S
        if not self._retry_s:
            logger.warning("cannot fire schedules until the database answers error=%s", error)
        self._retry_s = min(most_s, max(first_s, self._retry_s * 2))
        return self._retry_s


def _close(alias: str, limits: SessionLimits) -> None:
    """Let go of the session, however it is."""
    with suppress(Error):
        connections[alias].close()
    limits.close(connections[alias])


class _StepWatch:
    """Notices that one clock went back against another."""

    def __init__(self) -> None:
        self._ahead_s: float | None = None

    def was_put_back(self, now: float, monotonic: float) -> bool:
        """Tell whether the clock was put back since it was last looked at; true at the first look as well."""
        ahead_s = now - monotonic
        was_ahead_s, self._ahead_s = self._ahead_s, ahead_s
        return was_ahead_s is None or ahead_s < was_ahead_s - STEP_S
