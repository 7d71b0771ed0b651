"""The clock by which a worker counts its leases: it goes on while the machine sleeps, and nobody can set it.

All processes of a machine read the same time, so that a supervisor can compare a child's deadline with its own clock.
Python's monotonic clock stands still on Linux while the machine is suspended, and a worker that wakes up must not
believe that its jobs are still its own.
"""

from __future__ import annotations

import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def lease_now() -> float:
    """Return the time in seconds; only differences mean anything."""
    return time.clock_gettime(_CLOCK)
