"""What a job server tells a worker beside the turn of grabbing: leases, resumed runs, settled outcomes, cancels.

Read from packets here, noted by `grab_loop` in any state, acted on by `held_work`. Such packets come from servers with
the extensions only.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from gearjobs.core.reattachment import ResumeVerdict
from gearjobs.errors import WireError
from gearjobs.protocol.codec import Packet
from gearjobs.protocol.packets import ErrorCode, PacketType
from gearjobs.protocol.wire_text import to_text

#: The packets that are notices.
NOTICES = frozenset(
    {
        PacketType.RENEW_RES,
        PacketType.RESUME_RES,
        PacketType.OUTCOME_SETTLED,
        PacketType.CANCEL_NOTICE,
        PacketType.WORKER_CONTROL,
    }
)
# With every job: a member of an enumeration costs more to read than the rest of this.
_OUTCOME_SETTLED: Final = PacketType.OUTCOME_SETTLED


@dataclass(slots=True)
class Renewed:
    """The server answered RENEW_JOBS."""

    #: When it was asked.
    sent_at: float
    #: Whether it surely owns the jobs it handed out.
    is_held: bool


@dataclass(slots=True)
class ResumeAnswered:
    """The server answered RESUME_JOB."""

    handle: bytes
    attempt: int
    verdict: ResumeVerdict


@dataclass(slots=True)
class OutcomeSettled:
    """The server keeps what it was told of the job's end, or does not want it."""

    handle: bytes


@dataclass(slots=True)
class Controlled:
    """An operator has a word for the worker's process: `quiet`, `resume` or `stop`; others are for later versions."""

    verb: str


@dataclass(slots=True)
class CancelAsked:
    """A job of this worker's is to stop."""

    handle: bytes
    #: Whether it is over already, whatever the worker does.
    is_forced: bool


Notice = Renewed | ResumeAnswered | OutcomeSettled | Controlled | CancelAsked


def read_notice(packet: Packet, renewals: deque[float]) -> Notice:
    """Read one of the NOTICES.

    Args:
        packet: the notice.
        renewals: send times of the RENEW_JOBS that are not answered yet; the first is taken off by its answer.

    Raises:
        WireError: fatal; it was not asked for, or says what it may not.
    """
    if packet.type == _OUTCOME_SETTLED:
        return OutcomeSettled(packet.arguments[0])
    if packet.type == PacketType.CANCEL_NOTICE:
        handle, force = packet.arguments
        return CancelAsked(handle, force == b"1")
    if packet.type == PacketType.WORKER_CONTROL:
        return Controlled(to_text(packet.arguments[0]))
    if packet.type == PacketType.RESUME_RES:
        return _read_resume_answer(packet)
    if not renewals:
        raise WireError("UNEXPECTED_PACKET", "RENEW_RES must answer a RENEW_JOBS, got one more", is_fatal=True)
    return Renewed(renewals.popleft(), packet.arguments[0] == b"1")


def _read_resume_answer(packet: Packet) -> ResumeAnswered:
    handle, attempt, verdict = packet.arguments
    try:
        return ResumeAnswered(handle, int(attempt), ResumeVerdict(verdict.decode()))
    except ValueError as error:
        text = f"RESUME_RES must carry a decimal attempt and a verdict, got {attempt[:20]!r} and {verdict[:20]!r}"
        raise WireError(ErrorCode.INVALID_PACKET, text, is_fatal=True) from error
