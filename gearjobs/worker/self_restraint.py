"""A worker holds itself back at stock servers where it fails fast: it leaves a function's jobs to the others.

A gearjobs server benches such a worker (`core.quarantine`); a stock one lets it fail through the whole queue. So the
worker counts by itself, by the same rules: failures of a function in a row, each right after its job's start. Then it
takes back that function at all stock servers, and offers it for one job now and then until one succeeds, or takes its
time to fail. Its other functions go on. Whether a foreground job's client waits for no other worker is not known here,
so that foreground jobs count. The time comes in; two log lines are all that is done here. `grab_loop` says it to a
server, `server_rota` when.
"""

from __future__ import annotations

import logging
import math

from gearjobs.core.quarantine import BenchRules
from gearjobs.protocol.wire_text import to_text

logger = logging.getLogger("gearjobs.worker")

_NOTHING: frozenset[bytes] = frozenset()


class SelfRestraint:
    """What one worker does not want from stock servers.

    Args:
        rules: from when on, and for how long; by default those of a gearjobs server.
    """

    def __init__(self, rules: BenchRules | None = None) -> None:
        self._rules = rules or BenchRules()
        # When each function failed fast, those since its last success.
        self._failures: dict[bytes, list[float]] = {}
        self._held_back: set[bytes] = set()
        # When each function that is held back may have its next job; those whose time has come are not in it.
        self._resumes_at: dict[bytes, float] = {}

    @property
    def due_at(self) -> float:
        """When `withheld` returns less than it last did; infinity for never."""
        return min(self._resumes_at.values(), default=math.inf)

    def note_end(self, function: bytes, *, is_failure: bool, started_at: float, now: float) -> None:
        """A stock server's job has ended.

        Args:
            function: of the job.
            is_failure: whether it failed.
            started_at: when it began, by the clock of `now`.
            now: seconds.
        """
        if not is_failure or now - started_at >= self._rules.fast_s:
            self._forgive(function)
        elif function in self._held_back:
            self._pause(function, now)
        elif self._rules.failures:
            failures = [time for time in self._failures.get(function, ()) if now - time < self._rules.window_s]
            self._failures[function] = [*failures, now]
            if len(failures) >= self._rules.failures:
                self._hold_back(function, now)

    def withheld(self, now: float) -> frozenset[bytes]:
        """Return the functions of which no stock server is to give a job now."""
        if not self._resumes_at:
            return _NOTHING
        self._resumes_at = {function: at for function, at in self._resumes_at.items() if at > now}
        return frozenset(self._resumes_at)

    def _hold_back(self, function: bytes, now: float) -> None:
        count = len(self._failures.pop(function))
        self._held_back.add(function)
        self._pause(function, now)
        logger.warning(
            "Holding back at stock job servers function=%s fast_failures=%d one_job_every_s=%g",
            to_text(function),
            count,
            self._rules.interval_s,
        )

    def _pause(self, function: bytes, now: float) -> None:
        self._resumes_at[function] = now + self._rules.interval_s

    def _forgive(self, function: bytes) -> None:
        self._failures.pop(function, None)
        if function in self._held_back:
            self._held_back.discard(function)
            self._resumes_at.pop(function, None)
            logger.info("Taking all jobs of stock job servers again function=%s", to_text(function))
