"""When a worker process has done its share and is replaced by a fresh one: by jobs, memory or age.

Pure. Programs leak; a process that ends between two jobs costs nothing but the time of a fork. Every process draws its
own limits, somewhat below those that were asked for, so that processes that were started together do not all end
together. The process itself asks after each job, its supervisor now and then, for a process without jobs gets older,
too.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RecycleLimits:
    """What one process may have; 0 for any of it."""

    jobs: int = 0
    rss_bytes: int = 0
    age_s: float = 0.0


def draw_limits(asked: RecycleLimits, *, jitter: float, chance: float) -> RecycleLimits:
    """Return the limits of one process.

    Args:
        asked: what no process may exceed.
        jitter: the share by which its limits may be lower, 0 to 1.
        chance: a random number from 0 to 1.
    """
    share = 1.0 - jitter * chance
    return RecycleLimits(
        # At least one, or it would be for any number.
        max(1, round(asked.jobs * share)) if asked.jobs else 0,
        round(asked.rss_bytes * share),
        asked.age_s * share,
    )


def reason_to_recycle(limits: RecycleLimits, *, jobs: int, rss_bytes: int, age_s: float) -> str:
    """Return why a process is to be replaced, for the log; empty where it is not.

    Args:
        limits: its own.
        jobs: those it has done.
        rss_bytes: its memory that is not swapped out.
        age_s: seconds since its start.
    """
    if limits.jobs and jobs >= limits.jobs:
        return f"it has done {jobs} jobs"
    if limits.rss_bytes and rss_bytes >= limits.rss_bytes:
        return f"it has {rss_bytes / 1024**2:.0f} MiB of memory"
    if limits.age_s and age_s >= limits.age_s:
        return f"it is {age_s:.0f} s old"
    return ""
