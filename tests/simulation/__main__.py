"""`python -m tests.simulation`: run seeds, or look at one.

    python -m tests.simulation --seeds 20000          seeds 0 to 19,999, on all processors
    python -m tests.simulation --seeds 20000 --first 1000000
    python -m tests.simulation --seed 4711            one seed; a broken one with as few faults as break it

Ends with 1 when a seed broke. What a breach means is said in `tests/support/invariants.py`.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.many_seeds import Tally, figures, run_many
from tests.simulation.one_run import run_seed, shrink

#: Broken seeds that are told in full.
TOLD = 20
#: Seconds between two lines of progress.
PROGRESS_S = 10.0


def main() -> int:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Run the job servers' simulation.")
    parser.add_argument("--seeds", type=int, default=20_000, help="how many seeds (default: 20000)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default: 0)")
    parser.add_argument("--processes", type=int, default=0, help="how many at once (default: one a processor)")
    parser.add_argument("--seed", type=int, help="run this seed alone, and tell what happened")
    options = parser.parse_args()
    if options.seed is not None:
        return _look_at(options.seed)
    return _run(options.first, options.seeds, options.processes)


def _look_at(seed: int) -> int:
    report = run_seed(seed)
    if not report.is_good:
        report = shrink(seed)
    _say(report.text())
    return 0 if report.is_good else 1


def _run(first: int, count: int, processes: int) -> int:
    began_at = time.monotonic()
    told_at = began_at

    def progress(tally: Tally) -> None:
        nonlocal told_at
        if time.monotonic() - told_at > PROGRESS_S:
            told_at = time.monotonic()
            _say(figures(tally, began_at))

    tally = run_many(first, count, on_progress=progress, processes=processes)
    for seed, sentence in sorted(tally.broken.items())[:TOLD]:
        _say(f"seed {seed}: {sentence}")
    _say(figures(tally, began_at))
    if tally.broken:
        _say(f"look at one by: python -m tests.simulation --seed {min(tally.broken)}")
    return 1 if tally.broken else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
