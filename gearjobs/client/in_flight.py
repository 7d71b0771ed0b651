"""What one connection of a client waits for: packets in, answers and job events out.

Pure (sans-IO: it holds no socket and no clock), so that a blocking and an asynchronous client run the same rules. A
server answers the requests of a connection in their order, and each has one answer: JOB_CREATED, STATUS_RES, ECHO_RES
... or ERROR. What becomes
of a foreground job comes in between, named by its handle, but never before its JOB_CREATED. A packet that fits neither
rule means that the two ends no longer agree on what was asked: a fatal WireError, and the connection must be closed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from gearjobs.errors import JobFailed, ServerError, UniqueConflict, WireError
from gearjobs.protocol.attributes import decode_failure
from gearjobs.protocol.codec import Packet, TextLine
from gearjobs.protocol.packets import ErrorCode, PacketType
from gearjobs.protocol.wire_text import to_text


@dataclass(slots=True)
class JobCreated:
    """The server accepted the job, or coalesced it with one of the same unique."""

    handle: str


@dataclass(slots=True)
class JobProgress:
    """The worker told how far it is."""

    handle: str
    numerator: float
    denominator: float


@dataclass(slots=True)
class JobData:
    """The worker sent a part of its result early."""

    handle: str
    body: bytes


@dataclass(slots=True)
class JobWarning:
    """The worker sent a warning; the job goes on."""

    handle: str
    body: bytes


JobEvent = JobCreated | JobProgress | JobData | JobWarning


@dataclass(slots=True, eq=False)
class ForegroundJob:
    """A job whose result comes back over the connection that submitted it; two of one handle are still two."""

    #: Empty until the server accepted it.
    handle: bytes = b""
    #: What happened to it and was not taken yet.
    events: list[JobEvent] = field(default_factory=list)
    #: Whether anybody is to take them.
    keeps_events: bool = True
    #: Called when something happened to it; set by whoever waits in a loop.
    wake: Callable[[], object] | None = None
    #: True once it ended, well or not.
    is_over: bool = False
    result: bytes = b""
    failure: JobFailed | None = None

    def take_events(self) -> list[JobEvent]:
        """Return what happened since the last call, oldest first."""
        events, self.events = self.events, []
        return events

    def note(self, event: JobEvent) -> None:
        """Keep what happened, where anybody is to take it."""
        if self.keeps_events:
            self.events.append(event)

    def outcome(self) -> bytes:
        """Return the result of a job that is over.

        Raises:
            JobFailed: it has none, because it failed.
        """
        if self.failure is not None:
            raise self.failure
        return self.result


@dataclass(slots=True)
class Pending:
    """A request that was sent and waits for its one answer."""

    #: The packet that answers it, when it is not ERROR.
    answered_by: PacketType
    #: The job to be followed, when the request submits a foreground job.
    job: ForegroundJob | None = None
    #: True once the answer, or an ERROR, came.
    is_answered: bool = False
    #: The answer's arguments.
    answer: tuple[bytes, ...] = ()
    #: What the server said instead.
    error: ServerError | None = None
    #: Called when it is answered; set by whoever waits in a loop.
    wake: Callable[[], object] | None = None

    def arguments(self) -> tuple[bytes, ...]:
        """Return the answer's arguments.

        Raises:
            ServerError: the server refused the request.
        """
        if self.error is not None:
            raise self.error
        return self.answer

    def end(self) -> bytes | ServerError | JobFailed | None:
        """Return what became of the foreground job it submits: its result, or why it has none; None before its end."""
        if self.error is not None:
            return self.error
        if self.job is None or not self.job.is_over:
            return None
        return self.job.result if self.job.failure is None else self.job.failure


_ANSWERS = frozenset(
    {
        PacketType.JOB_CREATED,
        PacketType.STATUS_RES,
        PacketType.STATUS_RES_UNIQUE,
        PacketType.ECHO_RES,
        PacketType.OPTION_RES,
        PacketType.CANCEL_RES,
        PacketType.CHANGE_RES,
        PacketType.CONTROL_RES,
    }
)


@dataclass(slots=True)
class InFlight:
    """The unanswered requests and the unfinished foreground jobs of one connection."""

    _unanswered: deque[Pending] = field(default_factory=deque)
    #: Several submissions of one connection may be coalesced into one job, which the server then reports to each of
    #: them: the oldest hears it, and the next one when that is over.
    _jobs: dict[bytes, deque[ForegroundJob]] = field(default_factory=dict)

    def sent(self, pending: Pending) -> None:
        """Note a request, in the order in which the requests are written."""
        self._unanswered.append(pending)

    def receive(self, packet: Packet | TextLine) -> None:
        """Take one packet and settle the request or the job it belongs to.

        Raises:
            WireError: fatal; nobody asked for this packet.
        """
        if isinstance(packet, TextLine):
            raise _unasked(repr(b" ".join(packet.words)))
        if packet.type in _ANSWERS:
            self._answer(packet)
        elif packet.type == PacketType.ERROR:
            self._refuse(packet)
        else:
            self._tell_job(packet)

    def _answer(self, packet: Packet) -> None:
        pending = self._next_unanswered(_name(packet))
        if packet.type != pending.answered_by:
            raise _unasked(f"{_name(packet)} where {pending.answered_by.name} was due")
        pending.is_answered = True
        pending.answer = packet.arguments
        if pending.job is not None:
            pending.job.handle = packet.arguments[0]
            pending.job.note(JobCreated(to_text(pending.job.handle)))
            self._jobs.setdefault(pending.job.handle, deque()).append(pending.job)
        _wake(pending)

    def _refuse(self, packet: Packet) -> None:
        code, text = (argument.decode("utf-8", "backslashreplace") for argument in packet.arguments)
        pending = self._next_unanswered(f"ERROR {code} {text!r}")
        pending.is_answered = True
        kind = UniqueConflict if code == ErrorCode.UNIQUE_TAKEN else ServerError
        pending.error = kind(code, text)
        _wake(pending)

    def _next_unanswered(self, came: str) -> Pending:
        if not self._unanswered:
            raise _unasked(came)
        return self._unanswered.popleft()

    def _tell_job(self, packet: Packet) -> None:
        tell = _JOB_PACKETS.get(packet.type)
        if tell is None:
            raise _unasked(_name(packet))
        # gearmand appends a NUL to the handle when it turns an exception into WORK_FAIL.
        handle = packet.arguments[0].rstrip(b"\0")
        jobs = self._jobs.get(handle)
        if jobs is None:
            # No fault: a server that does not take WORK_EXCEPTION for the end sends WORK_FAIL after it.
            return
        job = jobs[0]
        tell(job, packet.arguments)
        _wake(job)
        if job.is_over:
            jobs.popleft()
            if not jobs:
                del self._jobs[handle]


def _wake(waited_for: Pending | ForegroundJob) -> None:
    if waited_for.wake is not None:
        waited_for.wake()


def _progressed(job: ForegroundJob, arguments: tuple[bytes, ...]) -> None:
    progress = JobProgress(to_text(job.handle), wire_number(arguments[1]), wire_number(arguments[2]))
    job.note(progress)


def _streamed(job: ForegroundJob, arguments: tuple[bytes, ...]) -> None:
    job.note(JobData(to_text(job.handle), arguments[1]))


def _warned(job: ForegroundJob, arguments: tuple[bytes, ...]) -> None:
    job.note(JobWarning(to_text(job.handle), arguments[1]))


def _completed(job: ForegroundJob, arguments: tuple[bytes, ...]) -> None:
    job.is_over = True
    job.result = arguments[1]


def _failed(job: ForegroundJob, arguments: tuple[bytes, ...]) -> None:
    job.is_over = True
    # WORK_FAIL has the handle only, WORK_EXCEPTION the reason as well.
    job.failure = read_failure(arguments[1]) if len(arguments) > 1 else JobFailed()


_JOB_PACKETS: dict[int, Callable[[ForegroundJob, tuple[bytes, ...]], None]] = {
    PacketType.WORK_STATUS: _progressed,
    PacketType.WORK_DATA: _streamed,
    PacketType.WORK_WARNING: _warned,
    PacketType.WORK_COMPLETE: _completed,
    PacketType.WORK_FAIL: _failed,
    PacketType.WORK_EXCEPTION: _failed,
}


def read_failure(body: bytes) -> JobFailed:
    """Return WORK_EXCEPTION's bytes as an exception: a gearjobs worker's report, or whatever text another one sent."""
    try:
        report = decode_failure(body)
    except WireError:
        return JobFailed(body.decode("utf-8", "backslashreplace"))
    return JobFailed(report.message, class_path=report.class_path)


def wire_number(raw: bytes) -> float:
    """Return a number of WORK_STATUS or STATUS_RES; 0 for what is none, as gearmand reads it."""
    try:
        return int(raw)
    except ValueError:
        pass
    try:
        number = float(raw)
    except ValueError:
        return 0
    return number if number - number == 0 else 0


def _name(packet: Packet) -> str:
    return PacketType(packet.type).name


def _unasked(came: str) -> WireError:
    return WireError("UNEXPECTED_PACKET", f"the job server sent {came}, which nobody asked for", is_fatal=True)
