"""Why a run failed, as the three columns that a job's row and an attempt's row have for it.

A worker may say nothing, or far too much: what is missing is made up from how the run ended, and what is too long is
cut, a traceback at its beginning, for its end says most.
"""

from __future__ import annotations

from typing import Final

from gearjobs.core.changes import JobFailure, Outcome
from gearjobs.errors import JobCancelled, JobDead, JobExpired, JobFailed, JobLost, JobTimedOut
from gearjobs.models import Job
from gearjobs.records.rows.column_values import fit_tail, fit_text

#: Longest message and traceback kept, in characters: enough for any reader, too little to fill a disk.
MESSAGE_LIMIT: Final = 10_000
TRACEBACK_LIMIT: Final = 100_000
#: Longest class path; an attempt's column is as wide as a job's.
_CLASS_LIMIT: Final = int(getattr(Job._meta.get_field("error_class"), "max_length", None) or 0)

_DEFAULTS: Final[dict[Outcome, tuple[type[Exception], str]]] = {
    Outcome.FAILED: (JobFailed, "the worker reported a failure"),
    Outcome.CANCELLED: (JobCancelled, "the job was cancelled"),
    Outcome.EXPIRED: (JobExpired, "the job was not started before it expired"),
    Outcome.TIMED_OUT: (JobTimedOut, "the job ran longer than its time limit"),
    Outcome.LOST: (JobLost, "the job's worker was lost and the job is not run again"),
    Outcome.DEAD: (JobDead, "the job's worker was lost too often"),
}


def failure_values(outcome: Outcome, failure: JobFailure | None) -> dict[str, str]:
    """Return the columns by field name.

    Args:
        outcome: how the run ended; not as a success.
        failure: what was said of it.
    """
    default, sentence = _DEFAULTS[outcome]
    class_path, message, traceback = class_path_of(default), sentence, ""
    if failure is not None:
        class_path, traceback = failure.class_path or class_path, failure.traceback
        # An exception may well have no message: then none is made up.
        message = failure.message
    return {
        "error_class": fit_text(class_path, _CLASS_LIMIT),
        "error_message": fit_text(message, MESSAGE_LIMIT),
        "error_traceback": fit_tail(traceback, TRACEBACK_LIMIT),
    }


def class_path_of(error: type[Exception]) -> str:
    """Return the dotted path that stands for an exception's class."""
    return f"{error.__module__}.{error.__qualname__}"
