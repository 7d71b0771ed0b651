"""What processes have cost so far: processor time and memory of some processes and of all their descendants.

Times of descendants that have ended count, once their parent has asked for their exit code: the kernel adds them up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import psutil


class ProcessCost:
    """A few processes and their descendants.

    Args:
        pids: the processes at the roots.
    """

    def __init__(self, pids: Sequence[int]) -> None:
        self._roots = [psutil.Process(pid) for pid in pids]

    def cpu_s(self) -> float:
        """Processor time, in seconds."""
        times = []
        for process in self._all():
            with suppress(psutil.NoSuchProcess):
                times.append(process.cpu_times())
        return sum(one.user + one.system + one.children_user + one.children_system for one in times)

    def memory_bytes(self) -> int:
        """Resident memory; what processes share counts for each of them."""
        total = 0
        for process in self._all():
            with suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        return total

    def _all(self) -> Iterator[psutil.Process]:
        for root in self._roots:
            yield root
            with suppress(psutil.NoSuchProcess):
                yield from root.children(recursive=True)
