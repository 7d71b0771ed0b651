"""A worker process from its fork to its end: one Gearman worker that runs this project's tasks, one job at a time.

The supervisor (`worker.process_pool`) forks it and tells it by SIGTERM to stop after the running job. A run that is
lost ends the whole process at once: nothing else ends a function for sure, and another worker may have the job already.
What a job needs around it stands in `execution`.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from functools import partial
from types import FrameType

from django.db import connections

from gearjobs.signals import worker_started, worker_stopped
from gearjobs.tasks.execution import run_job
from gearjobs.tasks.site_security import site_security
from gearjobs.tasks.worker_plan import WorkerPlan
from gearjobs.worker.pool.deadline_board import DeadlineBoard
from gearjobs.worker.running_job import RunningJob
from gearjobs.worker.worker import Worker

logger = logging.getLogger("gearjobs.tasks")


def run_worker_process(index: int, *, plan: WorkerPlan, deadlines: DeadlineBoard, name: str = "") -> None:
    """Take and run jobs until SIGTERM; must be the main thread of a process of its own.

    Args:
        index: which process of the group, from 0.
        plan: what to do.
        deadlines: where to say when the running job must have ended, for the supervisor.
        name: makes the worker's id `<name>-<index>`; by default it is `<host>-<pid>`.
    """
    worker_id = f"{name}-{index}" if name else f"{socket.gethostname()}-{os.getpid()}"
    worker = Worker(plan.servers, client_id=worker_id, security=site_security())
    worker.watch_runs(on_lost=_end_at_once, note_deadline=partial(deadlines.note, index))
    for function, task in plan.tasks.items():
        worker.register(function, partial(run_job, task=task, worker_id=worker_id))

    def stop(_number: int, _frame: FrameType | None) -> None:
        worker.stop()

    signal.signal(signal.SIGTERM, stop)
    worker_started.send_robust(sender=None, worker_id=worker_id)
    try:
        worker.work()
    finally:
        worker_stopped.send_robust(sender=None, worker_id=worker_id)
        connections.close_all()


def _end_at_once(job: RunningJob) -> None:
    logger.error("Ending this worker process with its lost run job=%s pid=%s", job.handle, os.getpid())
    # Whatever the function does, and whatever it would do on its way out.
    os.kill(os.getpid(), signal.SIGKILL)
