"""Whether the clock on the wall was set, told by the clock that never is.

Deadlines of the queue are unix seconds, as rows and packets have them. When the wall's clock jumps, by hand or because
the machine slept, the difference of the two clocks does; the server then moves what is to come "after a while" along.
"""

from __future__ import annotations

import time
from typing import Final

#: Seconds by which the two may drift apart between two looks: a second of slewing is corrected at 0.5 ms/s at most.
TOLERANCE_S: Final = 0.5


class Clocks:
    """Compares the two clocks."""

    def __init__(self) -> None:
        self._difference_s = time.time() - time.monotonic()

    def agree(self, now: float) -> bool:
        """Return whether `step_s` would find nothing; it is asked for every tick."""
        return -TOLERANCE_S < now - time.monotonic() - self._difference_s < TOLERANCE_S

    def step_s(self, now: float) -> float:
        """Return by how many seconds the wall's clock was set since the last look; 0 usually.

        Args:
            now: unix seconds, just read.
        """
        by_s = now - time.monotonic() - self._difference_s
        if -TOLERANCE_S < by_s < TOLERANCE_S:
            return 0.0
        self._difference_s += by_s
        return by_s
