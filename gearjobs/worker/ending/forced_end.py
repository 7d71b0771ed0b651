"""Ends a run that does not end by itself: reports it in its function's place, then has its process ended.

Nothing ends a function for sure but the end of its process. The server is told first, why and whether the job is to run
again; a process that is ended without a word is a lost worker, whose job runs again whatever its policy says. Whoever
runs the worker says how the process is ended; a worker in somebody else's program ends no run by force.
"""

from __future__ import annotations

import logging
import sys

from gearjobs.errors import JobCancelled, JobTimedOut
from gearjobs.protocol.attributes import CANCELLED, TIMED_OUT, FailureReport
from gearjobs.protocol.wire_text import to_bytes
from gearjobs.worker.ending.run_limits import RunStep
from gearjobs.worker.failure_report import interruption_report
from gearjobs.worker.holding.outcome_packets import failure_packet, plain_failure_packet
from gearjobs.worker.running_job import RunningJob

logger = logging.getLogger("gearjobs.worker")

#: Least seconds to the next run of a job whose process is about to end: by then it surely has.
LEAST_RETRY_S = 1.0


def report_forced_end(job: RunningJob, step: RunStep) -> None:
    """Tell the job's server that its time is over, or that it did not stop when it was cancelled."""
    job.is_ended_by_force = True
    report = _report(job, step)
    handle = to_bytes(job.handle)
    packet = failure_packet(handle, report) if job.has_extensions else plain_failure_packet(handle)
    is_told = job.send_last(packet)
    logger.error("Ending a run by force job=%s told=%s reason=%s", job.handle, is_told, report.message)


def _report(job: RunningJob, step: RunStep) -> FailureReport:
    # A look at another thread: where it is right now.
    frame = sys._current_frames().get(job.interruption.thread_id)  # noqa: SLF001 - there is no other way to ask
    if step is RunStep.TIME_OUT and not job.is_cancel_asked:
        error: BaseException = JobTimedOut(f"the run took longer than its timeout of {job.timeout_s:g} s")
        report = interruption_report(error, frame)
        report.outcome = TIMED_OUT
        retry_in_s = _ask(job, error)
        report.retry_in_s = None if retry_in_s is None else max(retry_in_s, LEAST_RETRY_S)
        return report
    error = JobCancelled("the run was cancelled and did not stop")
    report = interruption_report(error, frame)
    report.outcome = CANCELLED
    _ask(job, error)
    return report


def _ask(job: RunningJob, error: BaseException) -> float | None:
    """Ask the function's side whether the job runs again: users' code, which must not keep the process alive."""
    if job.on_forced_end is None:
        return None
    try:
        return job.on_forced_end(error)
    except Exception:
        logger.exception("Failed to ask whether a job runs again job=%s", job.handle)
        return None
