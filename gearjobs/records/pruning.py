"""The thread beside a job server that removes what is over: ended jobs (`retention`), old figures (`old_figures`).

It has a database session of its own and shares nothing with the server. It works one page at a time and rests twenty
times as long as that took, so that it has a twentieth of the database at most, and the server's writer never waits for
more than a page: on SQLite, where one writes at a time. Any number of servers of a database may have one.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import Final

from django.db import Error, connections

from gearjobs.records.old_figures import FigureSweep
from gearjobs.records.retention import KeptFor, Sweep, kept_for
from gearjobs.records.sessions.session_limits import SessionLimits
from gearjobs.records.side_thread import SideThread, keeps_rows
from gearjobs.settings import gearjobs_settings

logger = logging.getLogger("gearjobs.records")

#: Seconds until the first sweep: a server that starts has other things to do.
FIRST_S: Final = 60.0
#: Seconds from the end of a sweep to the next one.
EVERY_S: Final = 600.0
#: Least seconds between two pages.
PAUSE_S: Final = 0.2
#: How much longer than a page took it rests.
_REST: Final = 20.0


class Pruning(SideThread):
    """Sweeps from `start` to `stop`.

    Args:
        kept: how long ended jobs stay.
        first_s: seconds until the first sweep.
    """

    def __init__(self, kept: KeptFor, *, first_s: float = FIRST_S) -> None:
        super().__init__("gearjobs-pruning")
        self._kept = kept
        self._first_s = first_s

    def _run(self) -> None:
        wait_s = self._first_s
        while not self._stopping.wait(wait_s):
            wait_s = EVERY_S
            try:
                self._sweep()
            except Error as error:
                logger.warning("cannot remove ended jobs, will try again error=%s", error)
            except Exception:
                # A wall: the next sweep may meet other rows.
                logger.exception("stumble while removing ended jobs")

    def _sweep(self) -> None:
        alias = gearjobs_settings().database
        connection, limits = connections[alias], SessionLimits(alias)
        sweep, figures, removed = Sweep(self._kept), FigureSweep(), 0
        try:
            limits.open(connection)
            while not (sweep.is_over and figures.is_over) and not self._stopping.is_set():
                began_at = time.monotonic()
                with limits.call():
                    if sweep.is_over:
                        figures.step()
                    else:
                        removed += sweep.step()
                self._stopping.wait(max(PAUSE_S, (time.monotonic() - began_at) * _REST))
        finally:
            if removed:
                logger.info("remove ended jobs=%d", removed)
            with suppress(Error):
                connection.close()
            limits.close(connection)


def make_pruning(queue_type: str) -> Pruning | None:
    """Return what removes ended jobs beside a job server, not yet started; None for one that keeps no rows."""
    return Pruning(kept_for(gearjobs_settings().results)) if keeps_rows(queue_type) else None
