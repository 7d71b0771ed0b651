"""When each worker process must have ended its run, where its supervisor can read it.

A worker that is stopped, or stuck in code that lets no other thread run, cannot end its run itself; whoever watches it
needs to know its deadline without asking. The board is shared memory, made before the fork: one number for each
process, written by it alone and read by the supervisor. Times are of the lease clock, which is the same for both.
"""

from __future__ import annotations

import math
import mmap

from gearjobs.errors import UsageError

#: Bytes of one number, a C double, written and read in one piece.
_NUMBER_BYTES = 8


class DeadlineBoard:
    """The deadlines of a group of worker processes.

    Args:
        count: how many there are.

    Raises:
        UsageError: there is none.
    """

    def __init__(self, count: int) -> None:
        if count < 1:
            raise UsageError(f"a group of workers needs at least one process, got {count}")
        # Anonymous and shared: children made by fork have the same pages.
        self._deadlines = memoryview(mmap.mmap(-1, count * _NUMBER_BYTES)).cast("d")
        for index in range(count):
            self.note(index, math.inf)

    def __len__(self) -> int:
        return len(self._deadlines)

    def note(self, index: int, deadline: float) -> None:
        """Say when the process must have ended its run, by the lease clock; infinity while it has none."""
        self._deadlines[index] = deadline

    def is_over(self, index: int, now: float) -> bool:
        """Whether the process should have ended its run."""
        return self._deadlines[index] <= now
