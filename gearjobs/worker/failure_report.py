"""From an exception to what is reported of it: class, text and traceback, whatever the exception is like.

Pure, and robust: an exception whose own text cannot be had is still reported, and what is too long to be of use is cut,
since the report becomes part of the job's record.
"""

from __future__ import annotations

from traceback import TracebackException

from gearjobs.protocol.attributes import FailureReport

#: Longest message, in characters: more than anybody reads, and a payload that got into one stays out of the record.
MESSAGE_LIMIT = 8 * 1024
#: Longest traceback, in characters. The end is kept: it names the error and the frames nearest to it.
TRACEBACK_LIMIT = 64 * 1024


def failure_report(error: BaseException) -> FailureReport:
    """Describe the exception."""
    kind = type(error)
    # Its text is the exception's own, or says that the exception failed to give one.
    captured = TracebackException.from_exception(error)
    message = str(captured)
    if len(message) > MESSAGE_LIMIT:
        message = message[: MESSAGE_LIMIT - 1] + "…"
    traceback = "".join(captured.format())
    if len(traceback) > TRACEBACK_LIMIT:
        traceback = "…" + traceback[1 - TRACEBACK_LIMIT :]
    return FailureReport(f"{kind.__module__}.{kind.__qualname__}", message, traceback)
