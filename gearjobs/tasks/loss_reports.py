"""Tells job servers what the process died of that ran their jobs: for the records of the attempts.

Called by the workers' supervisor in a process of its own. A server that is gone, or knows nothing of it, is passed
over: what becomes of the job is decided without.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from gearjobs.client.client import Client
from gearjobs.tasks.site_security import site_security
from gearjobs.worker.pool.work_board import HeldJob

logger = logging.getLogger("gearjobs.tasks")


def report_losses(jobs: Sequence[HeldJob], cause: str) -> None:
    """Tell each job's server.

    Args:
        jobs: those the process ran when it died.
        cause: what it died of.
    """
    for job in jobs:
        with Client([job.server], security=site_security()) as client:
            is_told = client.report_loss(job.handle, job.attempt, cause)
        logger.warning("Lost a job's process job=%s attempt=%d told=%s: %s", job.handle, job.attempt, is_told, cause)
