"""When a worker's process must have ended its run, for its supervisor: the earlier of two times.

One is the end of the run's lease, after which the job may be run elsewhere; the other is the end by force, at a job's
limit or after its cancel. The worker keeps both by itself, unless it is stopped or stuck in code that lets no other
thread run: then the supervisor does, who is told here. The contact thread and the worker's own tell of them.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

#: Seconds a worker has for ending its run by force itself, before its supervisor does: it tells the server why.
LATE_S = 1.0


class EndDeadline:
    """The deadline of one worker's run, by the lease clock; infinity while there is none."""

    def __init__(self) -> None:
        #: Told of the deadline each time one of the two changes.
        self.note: Callable[[float], None] | None = None
        self._lock = threading.Lock()
        self._lease_ends_at = math.inf
        self._forced_end_at = math.inf

    def lease_ends(self, at: float) -> None:
        """The run's lease ends then."""
        if self.note is not None:
            with self._lock:
                self._lease_ends_at = at
                self.note(min(at, self._forced_end_at + LATE_S))

    def forced_end(self, at: float) -> None:
        """The run is ended by force then."""
        if self.note is not None:
            with self._lock:
                self._forced_end_at = at
                self.note(min(self._lease_ends_at, at + LATE_S))
