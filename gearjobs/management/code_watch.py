"""`runworkers --reload`: new code for the workers as soon as a file of it changes, for development.

It finds the files as Django's autoreloader does, and looks at them once a second beside the supervisor; what follows
is what SIGHUP does, so that code which does not start is told and the old goes on. Running jobs end first.
"""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path
from typing import Final

from django.utils.autoreload import StatReloader

from gearjobs.worker.pool.pool_services import PoolView
from gearjobs.worker.pool.signal_pipe import SignalPipe

logger = logging.getLogger("gearjobs.worker")

#: Seconds from one look at the files to the next, as Django's.
LOOK_EVERY_S: Final = 1.0


class CodeWatch:
    """Looks whether files of the program changed, and has it reloaded."""

    def __init__(self) -> None:
        self._reloader = StatReloader()
        self._times: dict[Path, float] = {}
        self._look_at = 0.0

    def open(self, _signals: SignalPipe) -> None:
        """Note how the files are."""
        self._times = self._snapshot()

    def turn(self, _view: PoolView, now: float) -> None:
        """Look."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY_S
        times = self._snapshot()
        changed = [path for path, changed_at in times.items() if self._times.get(path, changed_at) != changed_at]
        # Files that were not there are imports since.
        self._times = self._times | times
        if changed:
            logger.info("Reloading: %s changed", ", ".join(sorted(path.name for path in changed)))
            os.kill(os.getpid(), signal.SIGHUP)

    def close(self) -> None:
        """Nothing to be done."""

    def _snapshot(self) -> dict[Path, float]:
        return dict(self._reloader.snapshot_files())
