"""Numbers as peers write them, read as gearmand reads them.

Gearman's numbers are decimal text, and libraries in the field send empty text, letters or raw integers instead. None of
that may end a connection: what is no number is 0, and what is absurd is cut to what the server can keep.
"""

from __future__ import annotations

import re
from typing import Final

from gearjobs.errors import WireError
from gearjobs.protocol.attributes import MAX_PRIORITY, MAX_UNIX_S, MIN_PRIORITY
from gearjobs.protocol.packets import ErrorCode

#: gearmand raises a timeout below one second to one second.
_LEAST_TIMEOUT_S: Final = 1.0
#: A year: longer timeouts are the same as none.
_MOST_TIMEOUT_S: Final = 366 * 86400.0
#: gearmand keeps a status as uint32.
_MOST_NUMBER: Final = 2**32 - 1
#: Ten years: further in the future is a mistake of the caller (milliseconds for seconds, most often).
_FURTHEST_S: Final = 10 * 366 * 86400.0

#: What C's atoi reads: blanks, a sign, digits; with a fraction, which gearjobs workers may send.
_NUMBER: Final = re.compile(rb"\s*([+-]?[0-9]{1,30}(?:\.[0-9]{1,30})?)")

#: What CHANGE_JOB's priority and time are written as.
_WANTED_PRIORITY: Final = re.compile(rb"-?[0-9]{1,3}")
_WANTED_TIME: Final = re.compile(rb"[0-9]{1,12}(?:\.[0-9]{1,9})?")

#: What an attempt is written as.
_ATTEMPT: Final = re.compile(rb"[1-9][0-9]{0,9}")


def lenient_number(raw: bytes) -> float:
    """Return the number a peer wrote, 0 to 2**32 - 1; 0 for what is none."""
    found = _NUMBER.match(raw)
    return min(max(float(found[1]), 0.0), _MOST_NUMBER) if found else 0.0


def timeout_seconds(raw: bytes) -> float:
    """Return CAN_DO_TIMEOUT's milliseconds as seconds, at least one; 0 (no timeout) for zero, less, and no number."""
    found = _NUMBER.match(raw)
    milliseconds = float(found[1]) if found else 0.0
    if milliseconds <= 0:
        return 0.0
    return min(max(milliseconds / 1000, _LEAST_TIMEOUT_S), _MOST_TIMEOUT_S)


def attempt_number(raw: bytes) -> int:
    """Return RESUME_JOB's attempt.

    Raises:
        WireError: it is no decimal number from 1 on: only workers of ours send it, and another run would be resumed.
    """
    if not _ATTEMPT.fullmatch(raw):
        text = f"RESUME_JOB must name an attempt of 1 to 10 decimal digits, got {raw[:32]!r}"
        raise WireError(ErrorCode.INVALID_PACKET, text)
    return int(raw)


def due_time(raw: bytes, *, now: float) -> float:
    """Return SUBMIT_JOB_EPOCH's time in unix seconds; 0 (at once) for the past and for what is no number.

    Raises:
        WireError: the time is more than ten years away; gearmand does not answer such a submit at all.
    """
    found = _NUMBER.match(raw)
    due_at = float(found[1]) if found else 0.0
    if due_at <= now:
        return 0.0
    if due_at > now + _FURTHEST_S:
        text = f"SUBMIT_JOB_EPOCH must name unix seconds within ten years from now, got {raw[:32]!r}"
        raise WireError(ErrorCode.ARGUMENT_TOO_LARGE, text)
    return due_at


def wanted_priority(raw: bytes) -> int | None:
    """Return CHANGE_JOB's priority; None for an empty one.

    Raises:
        WireError: it is no whole number from -100 to 100: only clients of ours send it, and it would not be meant so.
    """
    if not raw:
        return None
    if not _WANTED_PRIORITY.fullmatch(raw) or not MIN_PRIORITY <= int(raw) <= MAX_PRIORITY:
        text = f"CHANGE_JOB must name a priority from {MIN_PRIORITY} to {MAX_PRIORITY}, got {raw[:32]!r}"
        raise WireError(ErrorCode.INVALID_PACKET, text)
    return int(raw)


def wanted_time(raw: bytes) -> float | None:
    """Return CHANGE_JOB's time in unix seconds, 0 for at once; None for an empty one.

    Raises:
        WireError: it is no number of seconds that a calendar has.
    """
    if not raw:
        return None
    if not _WANTED_TIME.fullmatch(raw) or float(raw) > MAX_UNIX_S:
        text = f"CHANGE_JOB must name unix seconds of a year up to 9999, got {raw[:32]!r}"
        raise WireError(ErrorCode.INVALID_PACKET, text)
    return float(raw)
