"""How long the disk takes to keep something for good: what one durable submit after the other cannot be faster than."""

from __future__ import annotations

import os
import tempfile
import time
from statistics import median
from typing import Final

_WRITES: Final = 50


def synchronised_write_s() -> float:
    """Return the median of some writes of 4 KB with fdatasync, where readings keep their files."""
    taken_s = []
    with tempfile.TemporaryFile(buffering=0) as place:
        for _ in range(_WRITES):
            began_at = time.perf_counter()
            place.write(bytes(4096))
            os.fdatasync(place.fileno())
            taken_s.append(time.perf_counter() - began_at)
    return median(taken_s)
