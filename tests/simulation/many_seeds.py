"""Many runs at once, on all processors: a range of seeds, and what broke in it.

A bug that rises inside of a run counts as a breach of that seed, with its last lines. Each process takes the next few
seeds when it is done with its last ones, so that a slow seed holds nobody up.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field

from tests.simulation.one_run import run_seed

#: Seeds that a process takes at once.
CHUNK = 50


@dataclass(slots=True)
class Tally:
    """What a range of seeds showed."""

    seeds: int = 0
    events: int = 0
    #: Simulated.
    seconds: float = 0.0
    #: What broke, by seed.
    broken: dict[int, str] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        """Count another range's figures to this one's."""
        self.seeds += other.seeds
        self.events += other.events
        self.seconds += other.seconds
        self.broken.update(other.broken)


def run_range(first: int, count: int) -> Tally:
    """Run a range of seeds in this process."""
    tally = Tally()
    for seed in range(first, first + count):
        tally.seeds += 1
        try:
            report = run_seed(seed)
        except Exception as error:  # noqa: BLE001 - a bug is a finding, and the other seeds are to be run
            tally.broken[seed] = f"{type(error).__name__}: {error}\n{traceback.format_exc(limit=-3)}"
            continue
        tally.events += report.events
        tally.seconds += report.seconds
        if not report.is_good:
            tally.broken[seed] = str(report.breaches[0])
    return tally


def run_many(first: int, count: int, *, on_progress: Callable[[Tally], None], processes: int = 0) -> Tally:
    """Run a range of seeds on all processors, or so many."""
    total = Tally()
    with ProcessPoolExecutor(processes or os.cpu_count()) as pool:
        for future in as_completed([pool.submit(run_range, *part) for part in _parts(first, count)]):
            total.add(future.result())
            on_progress(total)
    return total


def figures(tally: Tally, began_at: float) -> str:
    """Return the tally as a line for people; `began_at` is of time.monotonic."""
    took_s = max(time.monotonic() - began_at, 1e-9)
    return (
        f"{tally.seeds} seeds, {len(tally.broken)} broken, {tally.seeds / took_s:.0f} seeds/s, "
        f"{tally.events / 1e6:.1f} million events, {tally.seconds / 86400:.1f} simulated days, {took_s:.0f} s"
    )


def _parts(first: int, count: int) -> Iterator[tuple[int, int]]:
    for start in range(first, first + count, CHUNK):
        yield start, min(CHUNK, first + count - start)
