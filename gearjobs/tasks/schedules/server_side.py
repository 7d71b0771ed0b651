"""Whether a job server fires schedules, and the Scheduler that does it beside the server.

It fires what the job table's database has, so a server that keeps its jobs elsewhere fires nothing. Jobs whose place
others took are cancelled the way anybody's are (`job_control`): by asking the servers of the project.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from typing import Final

from django.conf import settings

from gearjobs.errors import GearjobsError
from gearjobs.records.side_thread import keeps_rows
from gearjobs.tasks.job_control import cancel_one, project_client
from gearjobs.tasks.schedules.scheduler import Scheduler

logger = logging.getLogger("gearjobs.schedules")

_OFF: Final = "off"


def make_scheduler(queue_type: str, wanted: str, *, on_jobs: Callable[[], object]) -> Scheduler | None:
    """Return what fires schedules beside a job server, not yet started; None for a server that fires none.

    Args:
        queue_type: where the server keeps its jobs.
        wanted: "on" or "off".
        on_jobs: called in another thread when jobs were inserted, which no server has yet.
    """
    if wanted == _OFF:
        logger.info("fire no schedules: --schedules off")
    elif not keeps_rows(queue_type):
        logger.info("fire no schedules: --queue-type %s keeps jobs outside of the database", queue_type)
    elif not settings.USE_TZ:
        logger.warning("fire no schedules: they need USE_TZ = True, for times without a zone come twice in autumn")
    else:
        return Scheduler(f"{socket.gethostname()}:{os.getpid()}", on_jobs=on_jobs, cancel=_cancel)
    return None


def _cancel(handle: str) -> None:
    """Cancel a job; that it could not be is logged, for the new one runs beside it then."""
    try:
        verdict = cancel_one(handle, client=project_client())
    except GearjobsError as error:
        logger.warning("cannot cancel job=%s, which was replaced error=%s", handle, error)
        return
    logger.info("cancel job=%s, which was replaced verdict=%s", handle, verdict.value)
