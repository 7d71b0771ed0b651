"""Telling workers, by way of the job servers, to take no jobs, to take them again, or to end.

A worker does it when it comes to it: a running job ends first. Who may say so, the servers decide: as with admin lines
that change something, by default whoever is on their own machine.
"""

from __future__ import annotations

import logging
from typing import Final

from gearjobs.errors import UsageError
from gearjobs.tasks.job_control import project_client

logger = logging.getLogger("gearjobs.actions")

#: What workers can be told.
WORKER_VERBS: Final = ("quiet", "resume", "stop")


def control_workers(worker_id: str, verb: str) -> int:
    """Tell workers something and return how many were told.

    Args:
        worker_id: a worker's client id, or the beginning of several and `*`.
        verb: one of WORKER_VERBS.

    Raises:
        UsageError: there is no such verb, or no name is given.
        ServerError: a job server refused.
        ServerUnavailable: no job server answered.
    """
    if verb not in WORKER_VERBS:
        raise UsageError(f"workers can be told {', '.join(WORKER_VERBS)}, got {verb!r}")
    if not worker_id:
        raise UsageError("a worker's name, or the beginning of several and *, is wanted; got none")
    told = project_client().control_workers(worker_id, verb)
    logger.info("control workers=%s verb=%s told=%d", worker_id, verb, told)
    return told
