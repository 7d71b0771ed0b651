"""The thread beside a job server that writes what its jobs did, minute by minute.

It reads the server's tallies every few seconds, which costs the server nothing, and writes the rows of the present
minute whole (`minute_figures`). It has a database session of its own: what is wrong with these rows disturbs no job.
While the database does not take them they wait, and the oldest of too many are given up; a crash loses the last few.
"""

from __future__ import annotations

import logging
import os
import random
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

from django.db import Error, connections

from gearjobs.core.changes import Outcome
from gearjobs.core.handles import RANDOM_BITS, make_incarnation
from gearjobs.core.tallies import JobTallies
from gearjobs.models import ALL_FUNCTIONS, MINUTE_S, FunctionRollup
from gearjobs.protocol.wire_text import to_text
from gearjobs.records.rows.column_values import fit_text
from gearjobs.records.rows.function_keys import function_key
from gearjobs.records.sessions.session_limits import SessionLimits
from gearjobs.records.side_thread import SideThread, keeps_rows
from gearjobs.records.statistics.minute_figures import FunctionMinute, MinuteFigures, failures, without_end
from gearjobs.settings import gearjobs_settings

logger = logging.getLogger("gearjobs.records")

#: Seconds between two writes; one more is at the end of each minute.
EVERY_S: Final = 5.0
#: Rows that wait for the database: an hour of a server with a hundred functions.
PENDING_LIMIT: Final = 6_000
#: Rows written by one statement.
_AT_ONCE: Final = 100
#: Longest name of a function that is kept.
_NAME_LIMIT: Final = 1_000

_UNIQUE: Final = ("width_s", "function_key", "starts_s", "server")
#: The columns that are counted.
COUNTED: Final = (
    "enqueued", "succeeded", "failed", "cancelled", "retried", "lost", "run_s", "run_counts", "wait_s", "wait_counts",
)  # fmt: skip


class RollupWriter(SideThread):
    """Writes from `start` to `stop`, and at its end what is left.

    Args:
        server: the name of the server's life: no other one writes rows under it.
        tallies: where the server counts.
        clock: unix seconds.
    """

    def __init__(self, server: str, tallies: JobTallies, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__("gearjobs-rollups")
        self.tallies = tallies
        self._server = server
        self._clock = clock
        self._minutes = MinuteFigures(tallies.copy(), clock())
        #: Rows that are not written yet, the oldest first.
        self._pending: dict[tuple[int, str], FunctionRollup] = {}

    def write(self, *, using: str | None = None) -> int:
        """Write what happened up to now; return how many rows.

        Raises:
            django.db.Error: the rows wait for the next call.
        """
        for minute in self._minutes.grow(self.tallies.copy(), self._clock()):
            row = _row(minute, self._server)
            # As the youngest, also where it waited already.
            self._pending.pop((row.starts_s, row.function_key), None)
            self._pending[row.starts_s, row.function_key] = row
        for oldest in list(islice(self._pending, max(0, len(self._pending) - PENDING_LIMIT))):
            del self._pending[oldest]
        rows = list(self._pending.values())
        upsert(rows, using=using or gearjobs_settings().database)
        self._pending.clear()
        return len(rows)

    def _run(self) -> None:
        alias = gearjobs_settings().database
        connection, limits = connections[alias], SessionLimits(alias)
        is_over = False
        while not is_over:
            is_over = self._stopping.wait(_pause_s(self._clock()))
            try:
                limits.open(connection)
                with limits.call():
                    self.write(using=alias)
            except Error as error:
                logger.warning("cannot write figures of the last minutes, will try again error=%s", error)
                with suppress(Error):
                    connection.close()
            except Exception:
                # A wall: the jobs do not depend on it.
                logger.exception("stumble while writing figures")
        with suppress(Error):
            connection.close()
        limits.close(connection)


def upsert(rows: Sequence[FunctionRollup], *, using: str) -> None:
    """Write rows whole, in place of those that are there under the same keys."""
    features = connections[using].features
    FunctionRollup.objects.using(using).bulk_create(
        rows,
        batch_size=_AT_ONCE,
        update_conflicts=True,
        unique_fields=_UNIQUE if features.supports_update_conflicts_with_target else None,
        update_fields=COUNTED,
    )


def make_rollup_writer(queue_type: str) -> RollupWriter | None:
    """Return what writes figures beside a job server, not yet started; None for one that keeps no rows."""
    if not keeps_rows(queue_type):
        return None
    life = make_incarnation(time.time(), random.SystemRandom().getrandbits(RANDOM_BITS))
    return RollupWriter(f"{socket.gethostname()[:64]}:{os.getpid()}:{life}", JobTallies())


def _row(minute: FunctionMinute, server: str) -> FunctionRollup:
    tally, function = minute.tally, minute.function
    return FunctionRollup(
        starts_s=minute.starts_s,
        width_s=MINUTE_S,
        function_key=ALL_FUNCTIONS if function is None else function_key(function),
        function="" if function is None else fit_text(to_text(function), _NAME_LIMIT),
        server=server,
        enqueued=tally.submitted,
        succeeded=tally.ended.get(Outcome.SUCCEEDED, 0),
        failed=failures(tally),
        cancelled=tally.ended.get(Outcome.CANCELLED, 0),
        retried=tally.retried,
        lost=tally.requeued,
        run_s=tally.runs.total_s,
        run_counts=without_end(tally.runs.counts),
        wait_s=tally.waits.total_s,
        wait_counts=without_end(tally.waits.counts),
    )


def _pause_s(now: float) -> float:
    """Return the seconds until the next write: at the end of the minute, if that comes sooner."""
    return min(EVERY_S, MINUTE_S - now % MINUTE_S + 0.05)
