"""What a client can ask of a job server with one packet, as values that any shell can ask.

Pure. A question knows its packet for a server with or without the extensions, the packet that answers it, how the
answer is read, whether a copy does harm, and whether the next server may know more. Foreground jobs are more than a
question and its answer: see `in_flight`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from gearjobs.client.job_status import JobStatus, read_status
from gearjobs.client.requests import JobRequest, encode_submit, handle_word, is_idempotent, unique_word
from gearjobs.client.server_walk import Answer, Repeat
from gearjobs.core.submission import CancelVerdict, ChangeVerdict
from gearjobs.errors import ServerError
from gearjobs.protocol.codec import encode_request
from gearjobs.protocol.packets import ErrorCode, PacketType
from gearjobs.protocol.wire_text import to_bytes, to_text


def _anywhere(_has_extensions: bool) -> Repeat:  # noqa: FBT001 - a callback of one argument
    return Repeat.ANYWHERE


def _always(_answer: object) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Question(Generic[Answer]):
    """One packet and its answer."""

    #: Makes the packet, told whether the server has the extensions; raises ServerError where it cannot be asked.
    encode: Callable[[bool], bytes]
    #: The packet that answers it.
    answered_by: PacketType
    #: Reads the answer's arguments.
    read: Callable[[tuple[bytes, ...]], Answer]
    #: Whom it may be sent to again, told whether the server has the extensions.
    repeat: Callable[[bool], Repeat] = _anywhere
    #: Whether the answer is the last word; else the next server is asked.
    is_final: Callable[[Answer], bool] = _always
    #: What has servers of its own to prefer, where the client balances; see `balance`.
    key: bytes = b""


def submit_question(request: JobRequest, *, key: bytes) -> Question[str]:
    """Return the submission of a background job; answered with its handle."""

    def repeat(has_extensions: bool) -> Repeat:  # noqa: FBT001 - a callback of one argument
        is_known = is_idempotent(request, has_extensions=has_extensions)
        return Repeat.SAME_SERVER if is_known else Repeat.NEVER

    return Question(
        lambda has_extensions: encode_submit(request, has_extensions=has_extensions),
        PacketType.JOB_CREATED,
        lambda answer: to_text(answer[0]),
        repeat,
        key=key,
    )


def status_question(handle: str | bytes) -> Question[JobStatus]:
    """Return the question how far a job is.

    Raises:
        UsageError: this cannot be a handle.
    """
    packet = encode_request(PacketType.GET_STATUS, handle_word(handle))
    return Question(lambda _: packet, PacketType.STATUS_RES, read_status, is_final=_is_known)


def unique_status_question(unique: str | bytes, *, key: bytes) -> Question[JobStatus]:
    """Return the question how far the job of this unique is.

    Raises:
        UsageError: this cannot be a unique.
    """
    packet = encode_request(PacketType.GET_STATUS_UNIQUE, unique_word(unique))
    return Question(lambda _: packet, PacketType.STATUS_RES_UNIQUE, read_status, is_final=_is_known, key=key)


def cancel_question(handle: str | bytes, *, force: bool, reason: str = "") -> Question[CancelVerdict]:
    """Return the wish to have a job ended.

    Raises:
        UsageError: this cannot be a handle.
    """
    packet = encode_request(PacketType.CANCEL_JOB, handle_word(handle), b"%d" % force)
    if reason:
        words = reason.encode("utf-8", "replace")
        packet = encode_request(PacketType.CANCEL_FOR_REASON, handle_word(handle), b"%d" % force, words)

    def encode(has_extensions: bool) -> bytes:  # noqa: FBT001 - a callback of one argument
        if not has_extensions:
            text = "this job server has no CANCEL_JOB; the admin line `cancel job` takes back what waits in it"
            raise ServerError(ErrorCode.INVALID_COMMAND, text)
        return packet

    return Question(
        encode,
        PacketType.CANCEL_RES,
        lambda answer: CancelVerdict(answer[1].decode()),
        is_final=lambda verdict: verdict is not CancelVerdict.UNKNOWN,
    )


def change_question(
    handle: str | bytes, *, priority: int | None, run_at: float | None, function: str, queue: str
) -> Question[ChangeVerdict]:
    """Return the wish to have a job that does not run wait otherwise; see `Client.change_job`.

    Raises:
        UsageError: this cannot be a handle.
    """
    said = (
        b"" if priority is None else b"%d" % priority,
        b"" if run_at is None else b"%.6f" % run_at,
        to_bytes(function),
        queue.encode("utf-8", "replace"),
    )
    packet = encode_request(PacketType.CHANGE_JOB, handle_word(handle), *said)

    def encode(has_extensions: bool) -> bytes:  # noqa: FBT001 - a callback of one argument
        if not has_extensions:
            raise ServerError(ErrorCode.INVALID_COMMAND, "this job server has no CHANGE_JOB")
        return packet

    return Question(
        encode,
        PacketType.CHANGE_RES,
        lambda answer: ChangeVerdict(answer[1].decode()),
        is_final=lambda verdict: verdict is not ChangeVerdict.UNKNOWN,
    )


def echo_question(payload: bytes) -> Question[bytes]:
    """Return the wish to have the payload sent back."""
    packet = encode_request(PacketType.ECHO_REQ, payload)
    return Question(lambda _: packet, PacketType.ECHO_RES, lambda answer: answer[0])


def _is_known(status: JobStatus) -> bool:
    return status.known
