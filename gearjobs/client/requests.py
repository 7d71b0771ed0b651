"""What a client asks of a job server, as values, and the bytes that ask it.

Pure: a request is checked when it is made, so a mistake is the caller's UsageError and no ERROR packet; which packet
carries it is decided when it is encoded, because that depends on what the server at hand understands. A stock gearmand
knows three priorities and whole seconds; a gearjobs server takes the exact ones and a handle of the client's making.
What comes back is followed by `in_flight`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from gearjobs.errors import UsageError
from gearjobs.protocol.attributes import MAX_PRIORITY, MAX_UNIX_S, MIN_PRIORITY, SubmitAttributes, encode
from gearjobs.protocol.codec import encode_request
from gearjobs.protocol.packets import PacketType

#: A handle is shorter than this everywhere: GEARMAND_JOB_HANDLE_SIZE with its closing NUL. A gearmand asked for a
#: longer one gives no answer at all.
HANDLE_LIMIT_BYTES = 64
#: The same of a unique, when its status is asked for; a submission may have one of exactly this length.
UNIQUE_LIMIT_BYTES = 64

#: Which packet submits a job, by (is it a background job, sign of its priority).
_SUBMIT_TYPES = {
    (False, 1): PacketType.SUBMIT_JOB_HIGH,
    (False, 0): PacketType.SUBMIT_JOB,
    (False, -1): PacketType.SUBMIT_JOB_LOW,
    (True, 1): PacketType.SUBMIT_JOB_HIGH_BG,
    (True, 0): PacketType.SUBMIT_JOB_BG,
    (True, -1): PacketType.SUBMIT_JOB_LOW_BG,
}


@dataclass(slots=True)
class JobRequest:
    """One job to be submitted; make it with `job_request`, which checks it."""

    function: bytes
    payload: bytes
    #: Jobs of one function with the same unique are one job; empty for a job of its own.
    unique: bytes = b""
    #: -100 to 100, higher first.
    priority: int = 0
    #: False when the submitter waits for the result.
    is_background: bool = False
    #: Unix seconds before which it must not start; 0 for at once. Background jobs only.
    run_at: float = 0.0
    #: The handle it is to have; empty to let the server make one. Background jobs only.
    handle: bytes = b""
    #: What a gearjobs server records of the job beyond Gearman's own words. Background jobs only.
    attributes: SubmitAttributes | None = None


def job_request(function: str | bytes, payload: bytes, *, unique: str | bytes = b"", priority: int = 0) -> JobRequest:
    """Make a request for a foreground job.

    Raises:
        UsageError: the function is empty, a NUL stands where the wire has none, or the priority is out of range.
    """
    if not isinstance(payload, bytes):
        raise UsageError(f"a payload must be bytes, got {type(payload).__name__}; encode it first")
    if not MIN_PRIORITY <= priority <= MAX_PRIORITY:
        raise UsageError(f"a priority must be a whole number from {MIN_PRIORITY} to {MAX_PRIORITY}, got {priority!r}")
    return JobRequest(function_word(function), payload, unique=wire_word(unique, "a unique"), priority=priority)


def background_request(
    function: str | bytes,
    payload: bytes,
    *,
    unique: str | bytes = b"",
    priority: int = 0,
    run_at: float = 0.0,
    handle: str = "",
) -> JobRequest:
    """Make a request for a job that the server keeps and nobody waits for.

    Raises:
        UsageError: as `job_request`, or the handle or the time cannot be.
    """
    request = job_request(function, payload, unique=unique, priority=priority)
    put_in_background(request, run_at=run_at, handle=handle)
    return request


def function_word(function: str | bytes) -> bytes:
    """Return the function's name as the wire writes it.

    Raises:
        UsageError: it is empty or holds a NUL.
    """
    name = wire_word(function, "a function's name")
    if not name:
        raise UsageError("a function's name must not be empty")
    return name


def wire_word(text: str | bytes, what: str) -> bytes:
    """Return the text as an argument that others may follow: UTF-8, without NUL.

    Raises:
        UsageError: a NUL, which separates arguments, is in it.
    """
    word = text.encode() if isinstance(text, str) else text
    if b"\0" in word:
        raise UsageError(f"{what} must not hold a NUL byte, got {word!r}")
    return word


def handle_word(handle: str | bytes) -> bytes:
    """Return a handle as the wire writes it.

    Raises:
        UsageError: it is empty, holds a NUL, or is too long to be any server's.
    """
    word = wire_word(handle, "a handle")
    if not 0 < len(word) < HANDLE_LIMIT_BYTES:
        raise UsageError(f"a handle must be 1 to {HANDLE_LIMIT_BYTES - 1} bytes long, got {len(word)}: {word!r}")
    return word


def unique_word(unique: str | bytes) -> bytes:
    """Return a unique as GET_STATUS_UNIQUE asks for it.

    Raises:
        UsageError: it is empty, holds a NUL, or is longer than gearmand answers questions about.
    """
    word = wire_word(unique, "a unique")
    if not 0 < len(word) < UNIQUE_LIMIT_BYTES:
        raise UsageError(f"a unique must be 1 to {UNIQUE_LIMIT_BYTES - 1} bytes long, got {len(word)}: {word!r}")
    return word


def put_in_background(
    request: JobRequest, *, run_at: float = 0.0, handle: str = "", attributes: SubmitAttributes | None = None
) -> None:
    """Turn the request into one for a background job, which the server keeps and nobody waits for.

    Raises:
        UsageError: the handle or the time cannot be; the request is unchanged.
    """
    # Not a number compares false, and is refused with the rest.
    if not 0 <= run_at <= MAX_UNIX_S:
        raise UsageError(f"run_at must be unix seconds from 0 (at once) to {MAX_UNIX_S:.0f}, got {run_at!r}")
    request.handle = handle_word(handle) if handle else b""
    request.run_at = run_at
    request.attributes = attributes
    request.is_background = True


def encode_submit(request: JobRequest, *, has_extensions: bool) -> bytes:
    """Return the packet that submits the job to a server with or without the extensions.

    Without them the handle and the attributes stay behind, the priority's sign chooses the lane, and a time to run
    leaves the normal lane only: SUBMIT_JOB_EPOCH has no others.
    """
    if is_idempotent(request, has_extensions=has_extensions):
        body = encode(_full_attributes(request))
        return encode_request(
            PacketType.SUBMIT_JOB_EXT, request.handle, request.function, request.unique, body, request.payload
        )
    if request.run_at:
        # Rounded up: early would break the promise, late by a fraction does not.
        epoch = b"%d" % math.ceil(request.run_at)
        return encode_request(PacketType.SUBMIT_JOB_EPOCH, request.function, request.unique, epoch, request.payload)
    sign = (request.priority > 0) - (request.priority < 0)
    submit_type = _SUBMIT_TYPES[request.is_background, sign]
    return encode_request(submit_type, request.function, request.unique, request.payload)


def is_idempotent(request: JobRequest, *, has_extensions: bool) -> bool:
    """Whether the server answers a second copy of the request without making a second job of it."""
    return has_extensions and request.is_background and bool(request.handle)


def _full_attributes(request: JobRequest) -> SubmitAttributes:
    given = request.attributes or SubmitAttributes()
    priority = request.priority or given.priority
    run_at = request.run_at or given.run_at
    if priority == given.priority and run_at == given.run_at:
        return given
    return replace(given, priority=priority, run_at=run_at)
