"""Foreground jobs (`task.do`) while jobs are caught: run here and now, as by a worker, and never kept.

Their arguments and results go through JSON, and what the task raises comes back as it would over the wire, by the name
of its class and its text.
"""

from __future__ import annotations

import time

from gearjobs.client.requests import JobRequest
from gearjobs.errors import JobFailed
from gearjobs.protocol.attributes import AssignAttributes
from gearjobs.protocol.wire_text import to_text
from gearjobs.tasks.execution import run_job_in_place
from gearjobs.tasks.handle_source import next_handle
from gearjobs.tasks.rebuilt_task import find_task
from gearjobs.testing.in_process_worker import WORKER_ID
from gearjobs.worker.failure_report import failure_report
from gearjobs.worker.grab_loop import Assignment
from gearjobs.worker.running_job import RunningJob


def run_foreground(request: JobRequest) -> bytes:
    """Run a job and return its result.

    Raises:
        JobFailed: the task raised, or there is none of that function.
    """
    function = to_text(request.function)
    task = find_task(function.rpartition("@")[0] or function, function=function)
    if task is None:
        raise JobFailed(f"no task of this process answers to the function {function!r}")
    attributes = AssignAttributes(priority=request.priority, accepted_at=time.time(), worker_ids=[WORKER_ID])
    assignment = Assignment(next_handle().encode(), request.function, request.unique, request.payload, attributes)
    job = RunningJob(assignment, _drop, has_extensions=True, server="in-process")
    try:
        return run_job_in_place(job, task=task, worker_id=WORKER_ID)
    except (KeyboardInterrupt, SystemExit):
        raise
    # The wall in front of user code, as the worker's own.
    except BaseException as error:
        report = failure_report(error)
        raise JobFailed(report.message, class_path=report.class_path) from error


def _drop(_report: bytes) -> None:
    """Nobody listens to what a foreground job reports while it runs."""
