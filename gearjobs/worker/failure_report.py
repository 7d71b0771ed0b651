"""From an exception to what is reported of it: class, text and traceback, whatever the exception is like.

Robust: an exception whose own text cannot be had is still reported, and what is too long to be of use is cut, since the
report becomes part of the job's record. The frames that lead up to the function, which are the same for every job, are
left out of tracebacks: people read what their own code did. What a run that failed, was warned or was cancelled ended
as is told apart here too.
"""

from __future__ import annotations

import traceback
from traceback import TracebackException
from types import FrameType, TracebackType

from gearjobs.errors import JobCancelled, SoftTimeout
from gearjobs.protocol.attributes import CANCELLED, FAILED, TIMED_OUT, FailureReport
from gearjobs.worker.running_job import RunningJob

#: Longest message, in characters: more than anybody reads, and a payload that got into one stays out of the record.
MESSAGE_LIMIT = 8 * 1024
#: Longest traceback, in characters. The end is kept: it names the error and the frames nearest to it.
TRACEBACK_LIMIT = 64 * 1024

#: Packages whose frames lead up to a job's function.
_OUTER_PACKAGES = ("gearjobs", "django.tasks", "django_tasks", "asgiref", "asyncio", "concurrent", "threading")
#: The module that raises exceptions in functions; they are to be seen where the function was.
_RAISING_MODULE = "gearjobs.worker.ending.interruption"


def failure_report(error: BaseException) -> FailureReport:
    """Describe the exception."""
    # Its text is the exception's own, or says that the exception failed to give one.
    captured = TracebackException(type(error), error, own_traceback(error.__traceback__))
    return _report(error, message=str(captured), lines="".join(captured.format()))


def run_report(job: RunningJob, error: BaseException) -> FailureReport:
    """Describe how the run ended that raised the exception."""
    report = failure_report(error)
    if job.is_cancel_asked and isinstance(error, JobCancelled):
        report.outcome = CANCELLED
        return report
    report.outcome = TIMED_OUT if job.is_warned and isinstance(error, SoftTimeout) else FAILED
    # A job that is to stop is not run again, whatever its function wishes.
    report.retry_in_s = None if job.is_cancel_asked else job.retry_in_s
    return report


def interruption_report(error: BaseException, frame: FrameType | None) -> FailureReport:
    """Describe why a run is ended by force; where its function is at that moment stands for the traceback."""
    frames = [] if frame is None else [one for one, _ in traceback.walk_stack(frame)][::-1]
    lines = list(TracebackException(type(error), error, None).format())
    while frames and _is_outer(frames[0]):
        frames.pop(0)
    if frames:
        summary = traceback.StackSummary.extract((one, one.f_lineno) for one in frames)
        lines = ["Traceback (most recent call last):\n", *summary.format(), *lines]
    return _report(error, message=str(error), lines="".join(lines))


def own_traceback(raised: TracebackType | None) -> TracebackType | None:
    """Return a traceback that begins with the function's own frames; of one that has none, the last frame."""
    entries: list[TracebackType] = []
    while raised is not None:
        entries.append(raised)
        raised = raised.tb_next
    own = next((index for index, entry in enumerate(entries) if not _is_outer(entry.tb_frame)), len(entries) - 1)
    kept: TracebackType | None = None
    for entry in reversed(entries[max(own, 0) :]):
        if kept is not None or not _is_raising(entry.tb_frame) or entry is entries[own]:
            kept = TracebackType(kept, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return kept


def _report(error: BaseException, *, message: str, lines: str) -> FailureReport:
    if len(message) > MESSAGE_LIMIT:
        message = message[: MESSAGE_LIMIT - 1] + "…"
    if len(lines) > TRACEBACK_LIMIT:
        lines = "…" + lines[1 - TRACEBACK_LIMIT :]
    kind = type(error)
    return FailureReport(f"{kind.__module__}.{kind.__qualname__}", message, lines)


def _is_outer(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__", ""))
    return any(module == package or module.startswith(f"{package}.") for package in _OUTER_PACKAGES)


def _is_raising(frame: FrameType) -> bool:
    return frame.f_globals.get("__name__") == _RAISING_MODULE
