"""Removing ended jobs at once, in small pages: what a job server does by and by (`records/retention`).

Who may run commands may prune; there is no other way to it. What was removed is logged.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from gearjobs.records.audit import note_action
from gearjobs.records.retention import KeptFor, Sweep

logger = logging.getLogger("gearjobs.actions")


def prune_jobs(
    kept: KeptFor,
    *,
    queues: Sequence[str] = (),
    on_removed: Callable[[int], None] = lambda removed: None,
) -> int:
    """Remove the jobs that ended long enough ago, with their output and attempts; return how many.

    Rests after each page as long as that took, so that a job server's writer has its turn.

    Args:
        kept: how long ended jobs stay.
        queues: jobs of these queues only; of any where none is named.
        on_removed: told how many were removed so far.
    """
    sweep, removed = Sweep(kept, queues=queues), 0
    while not sweep.is_over:
        began_at = time.monotonic()
        removed += sweep.step()
        on_removed(removed)
        time.sleep(time.monotonic() - began_at)
    logger.info("prune jobs=%d queues=%s", removed, ",".join(queues) or "any")
    if removed:
        note_action("prune", actor=None, target_kind="job", count=removed, details={"queues": list(queues)})
    return removed


def count_prunable(kept: KeptFor, *, queues: Sequence[str] = ()) -> int:
    """Return how many jobs `prune_jobs` would remove."""
    return Sweep(kept, queues=queues).count()
