"""What a worker says to one job server, and when: the state machine of one worker connection.

Pure (sans-IO: it holds no socket; `now` is monotonic seconds): packets in, bytes to be sent out of `take_outgoing`. It
introduces itself (the extensions, its name, its abilities), then grabs. NO_JOB puts it to sleep until NOOP, but not for
ever: a NOOP can be lost in a server's fault, so it also asks by itself now and then. Whoever drives it flushes what is
outgoing once per turn, so that a result and the next GRAB travel in one write. Wire verbs keep their names here
(`grab_job`, `pre_sleep`, `can_do`). A deadline counts from the moment the request was written, not the answer read.
What a server says of runs and outcomes that are not this connection's turn becomes a notice; `held_work` acts on it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from gearjobs.errors import ServerError, WireError
from gearjobs.protocol.attributes import AssignAttributes, FailureReport, decode_assign, encode
from gearjobs.protocol.codec import Packet, TextLine, encode_request
from gearjobs.protocol.packets import EXTENSIONS_OPTION, ErrorCode, PacketType
from gearjobs.worker.holding.outcome_packets import failure_packet, plain_failure_packet, success_packet
from gearjobs.worker.holding.server_notices import NOTICES, CancelAsked, Notice, read_notice

#: Seconds asleep after which the worker asks by itself. A lost NOOP then delays a job by 10 s at most, and 10,000 idle
#: workers cost their server 1,000 questions a second.
REGRAB_S = 10.0
#: Seconds a server may take to answer: past the longest stall of a busy store, short enough that the worker turns to
#: others before people wonder.
ANSWER_TIMEOUT_S = 30.0


class GrabState(Enum):
    """What the worker connection is at."""

    #: It introduced itself and waits to hear whether the server has the extensions.
    INTRODUCED = "introduced"
    #: It may grab: a job may be waiting.
    AWAKE = "awake"
    #: It grabbed and waits for the answer.
    GRABBING = "grabbing"
    #: No job was waiting; the server sends NOOP when one comes.
    ASLEEP = "asleep"
    #: It holds a job.
    WORKING = "working"


@dataclass(slots=True)
class Assignment:
    """A job as the server handed it over."""

    handle: bytes
    function: bytes
    unique: bytes
    payload: bytes
    #: A stock server tells none of these: they have their defaults.
    attributes: AssignAttributes = field(default_factory=AssignAttributes)


class GrabLoop:
    """One worker connection.

    Args:
        abilities: the functions the worker can do, and the seconds a job of each may take, 0 for ever.
        client_id: what the server calls this worker.
        regrab_s: seconds asleep after which it asks by itself.
        answer_timeout_s: seconds a server may take to answer.
        is_resting: whether it begins by taking no jobs.
    """

    def __init__(
        self,
        abilities: Mapping[bytes, float],
        *,
        client_id: bytes,
        regrab_s: float = REGRAB_S,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
        is_resting: bool = False,
    ) -> None:
        #: Whether the server was told that the worker can do nothing, until it rises.
        self.is_resting = is_resting
        self._abilities = abilities
        # What the worker can do and the server was told that it cannot, for now.
        self._held_back: frozenset[bytes] = frozenset()
        self._client_id = client_id
        self._regrab_s = regrab_s
        self._answer_timeout_s = answer_timeout_s
        self._outgoing: list[bytes] = []
        self.state = GrabState.INTRODUCED
        #: When something is due by itself, monotonic seconds: the answer while one is waited for, the next question
        #: while asleep; infinity otherwise.
        self.due_at = math.inf
        self.has_extensions = False
        #: The job being worked on.
        self.assignment: Assignment | None = None
        #: When the last GRAB_JOB was sent.
        self.grabbed_at = -math.inf
        # Send times of RENEW_JOBS that are not answered yet.
        self._renewals: deque[float] = deque()
        self._notices: list[Notice] = []
        # True once WORK_FAIL was sent after WORK_EXCEPTION: a server to which the first was the end knows no such job.
        self._expects_complaint = False
        #: Complaints of the server nobody has looked at yet.
        self.complaints: list[ServerError] = []

    def introduce(self, now: float) -> None:
        """Say who this is and what it can do; comes first on a connection."""
        self._say(PacketType.OPTION_REQ, EXTENSIONS_OPTION)
        self._say(PacketType.SET_CLIENT_ID, self._client_id)
        if not self.is_resting:
            self._can_do_all()
        self.due_at = now + self._answer_timeout_s

    def rest(self) -> None:
        """Be called for no job until `rise`; later where a job is held, or may be on its way."""
        if not self.is_resting and self.state in _RESTFUL_STATES:
            self._say(PacketType.RESET_ABILITIES)
            self.is_resting = True
            self.state = GrabState.AWAKE
            self.due_at = math.inf

    def rise(self) -> None:
        """Be called for jobs again."""
        if self.is_resting and self.state is not GrabState.INTRODUCED:
            self._can_do_all()
            self.is_resting = False

    def hold_back(self, functions: frozenset[bytes]) -> None:
        """Take no jobs of these functions from a stock server, and of all others; later where a job may be on its way.

        A server with the extensions holds back by itself what a worker fails at.
        """
        if functions == self._held_back or self.has_extensions or self.is_resting:
            return
        if self.state not in _RESTFUL_STATES:
            return
        for function in functions - self._held_back:
            self._say(PacketType.CANT_DO, function)
        for function in self._held_back - functions:
            self._can_do(function, self._abilities[function])
            # No server calls for a job that was there before.
            self.state = GrabState.AWAKE
            self.due_at = math.inf
        self._held_back = functions

    def worker_report(self, body: bytes) -> None:
        """Tell the server what the worker is and does, where it wants to know."""
        if self.has_extensions:
            self._say(PacketType.WORKER_REPORT, body)

    def grab_job(self, now: float) -> None:
        """Ask for a job."""
        self._outgoing.append(_GRAB_EXT if self.has_extensions else _GRAB)
        self.state = _GRABBING
        self.grabbed_at = now
        self.due_at = now + self._answer_timeout_s

    def renew_jobs(self, now: float) -> None:
        """Ask whether the worker may go on with what it holds from this server."""
        self._say(PacketType.RENEW_JOBS)
        self._renewals.append(now)

    def resume_job(self, handle: bytes, attempt: int) -> None:
        """Ask whether this server takes a run that the worker still has."""
        self._say(PacketType.RESUME_JOB, handle, b"%d" % attempt)

    def receive(self, packet: Packet | TextLine, now: float) -> None:
        """Take one packet; the new state tells what it meant.

        Raises:
            WireError: fatal; the server may not say this now.
        """
        if isinstance(packet, TextLine):
            raise _unexpected(repr(b" ".join(packet.words)), self.state)
        kind = packet.type
        if kind in _ASSIGNMENTS and self.state is _GRABBING:
            self._job_assign(packet)
        elif kind in NOTICES and self.has_extensions:
            self._notices.append(read_notice(packet, self._renewals))
        elif kind == _NOOP:
            self._noop()
        elif kind == _NO_JOB and self.state is _GRABBING:
            self._pre_sleep(now)
        elif kind == PacketType.ERROR:
            self._error(packet.arguments)
        elif kind == PacketType.OPTION_RES and self.state is GrabState.INTRODUCED:
            self._awaken(has_extensions=True)
        else:
            raise _unexpected(PacketType(packet.type).name, self.state)

    def wake_if_due(self, now: float) -> None:
        """Let a sleeper ask by itself when its time came."""
        if self.state is GrabState.ASLEEP and now >= self.due_at:
            self.state = GrabState.AWAKE
            self.due_at = math.inf

    def is_overdue(self, now: float) -> bool:
        """Whether the server owes an answer for too long: the connection is as good as dead."""
        return self.state in _WAITING_STATES and now >= self.due_at

    def held(self) -> Assignment:
        """Return the job that is being worked on."""
        if self.assignment is None:
            raise RuntimeError(f"no job is held: the connection is {self.state.value}")
        return self.assignment

    def take_notices(self) -> list[Notice]:
        """Return what the server said since the last call about runs and outcomes."""
        if not self._notices:
            return []
        notices, self._notices = self._notices, []
        return notices

    def take_over(self, assignment: Assignment) -> None:
        """Work on a job that another connection was handed: this one leads to its server now."""
        self.assignment = assignment
        self.state = GrabState.WORKING
        self.due_at = math.inf

    def let_go(self) -> bytes:
        """Work on the job no longer, at least not for this server, which is told nothing; return its handle."""
        handle = self.held().handle
        self.assignment = None
        self.state = _AWAKE
        return handle

    def report_outcome(self, packet: bytes) -> None:
        """Report the end of the job by this packet and let go of it."""
        self.let_go()
        self._outgoing.append(packet)

    def repeat_outcome(self, packet: bytes) -> None:
        """Report the end of a job that another connection was handed, whatever this one is at."""
        self._outgoing.append(packet)

    def work_complete(self, result: bytes) -> None:
        """Report the job's result and let go of it."""
        self.report_outcome(success_packet(self.held().handle, result))

    def work_fail(self, report: FailureReport, *, tells_why: bool = True) -> None:
        """Report that the job failed and let go of it.

        A stock server hands WORK_EXCEPTION's bytes on to the client, so the traceback stays here. To some servers
        WORK_EXCEPTION is not the end, hence the WORK_FAIL; gearmand complains about that one.

        Args:
            report: how it failed.
            tells_why: whether a stock server is told more than that it failed.
        """
        if self.has_extensions:
            self.report_outcome(failure_packet(self.held().handle, report))
            return
        if not tells_why:
            self.report_outcome(plain_failure_packet(self.held().handle))
            return
        handle = self.let_go()
        public = FailureReport(class_path=report.class_path, message=report.message)
        self._say(PacketType.WORK_EXCEPTION, handle, encode(public))
        self._say(PacketType.WORK_FAIL, handle)
        self._expects_complaint = True

    def reset_abilities(self) -> None:
        """Take no more jobs, and give back one that is held or just being handed over; the last word before closing."""
        self._say(PacketType.RESET_ABILITIES)

    @property
    def has_outgoing(self) -> bool:
        """Whether there is something to be sent."""
        return bool(self._outgoing)

    def take_outgoing(self) -> bytes:
        """Return the bytes to be sent now, in one write; empty when there are none."""
        outgoing = b"".join(self._outgoing)
        self._outgoing.clear()
        return outgoing

    def _say(self, packet_type: PacketType, *arguments: bytes) -> None:
        self._outgoing.append(encode_request(packet_type, *arguments))

    def _can_do_all(self) -> None:
        self._held_back = frozenset()
        for function, timeout_s in self._abilities.items():
            self._can_do(function, timeout_s)

    def _can_do(self, function: bytes, timeout_s: float) -> None:
        if timeout_s > 0:
            # Rounded up: a job must not be taken back early.
            self._say(PacketType.CAN_DO_TIMEOUT, function, b"%d" % math.ceil(timeout_s * 1000))
        else:
            self._say(PacketType.CAN_DO, function)

    def _awaken(self, *, has_extensions: bool) -> None:
        self.has_extensions = has_extensions
        self.state = GrabState.AWAKE
        self.due_at = math.inf

    def _noop(self) -> None:
        # One that comes while grabbing or working was sent before the server heard of that; it says nothing new.
        if self.state is GrabState.ASLEEP:
            self.state = GrabState.AWAKE
            self.due_at = math.inf

    def _pre_sleep(self, now: float) -> None:
        self._outgoing.append(_PRE_SLEEP)
        self.state = GrabState.ASLEEP
        self.due_at = now + self._regrab_s

    def _job_assign(self, packet: Packet) -> None:
        assignment = _read_assignment(packet)
        if assignment.function not in self._abilities:
            raise WireError(
                ErrorCode.INVALID_PACKET,
                f"an assignment must be of a function this worker can do, got {assignment.function!r}",
                is_fatal=True,
            )
        self.assignment = assignment
        if self._notices:
            # A cancel that came before was of an earlier run of the job.
            self._notices = [one for one in self._notices if not _is_cancel_of(one, assignment.handle)]
        self._expects_complaint = False
        self.state = _WORKING
        self.due_at = math.inf

    def _error(self, arguments: tuple[bytes, ...]) -> None:
        code, text = (argument.decode("utf-8", "backslashreplace") for argument in arguments)
        if self.state is GrabState.INTRODUCED:
            # UNKNOWN_OPTION, whatever the server calls it: nothing else was asked yet.
            self._awaken(has_extensions=False)
        elif code == ErrorCode.JOB_NOT_FOUND and self._expects_complaint:
            self._expects_complaint = False
        else:
            self.complaints.append(ServerError(code, text))


# What comes and goes with every job: a member of an enumeration costs more to read than all that is done with it here.
_AWAKE: Final = GrabState.AWAKE
_GRABBING: Final = GrabState.GRABBING
_WORKING: Final = GrabState.WORKING
_NOOP: Final = PacketType.NOOP
_NO_JOB: Final = PacketType.NO_JOB
_JOB_ASSIGN_EXT: Final = PacketType.JOB_ASSIGN_EXT
_GRAB: Final = encode_request(PacketType.GRAB_JOB_UNIQ)
_GRAB_EXT: Final = encode_request(PacketType.GRAB_JOB_EXT)
_PRE_SLEEP: Final = encode_request(PacketType.PRE_SLEEP)

_ASSIGNMENTS = frozenset(
    {PacketType.JOB_ASSIGN, PacketType.JOB_ASSIGN_UNIQ, PacketType.JOB_ASSIGN_ALL, PacketType.JOB_ASSIGN_EXT}
)
#: States in which no job is held and none can be on its way.
_RESTFUL_STATES = frozenset({GrabState.AWAKE, GrabState.ASLEEP})
_WAITING_STATES = frozenset({GrabState.INTRODUCED, GrabState.GRABBING})


def _read_assignment(packet: Packet) -> Assignment:
    if packet.type == _JOB_ASSIGN_EXT:
        handle, function, unique, attributes, payload = packet.arguments
        return Assignment(handle, function, unique, payload, decode_assign(attributes))
    if packet.type == PacketType.JOB_ASSIGN_UNIQ:
        handle, function, unique, payload = packet.arguments
        return Assignment(handle, function, unique, payload)
    if packet.type == PacketType.JOB_ASSIGN:
        handle, function, payload = packet.arguments
        return Assignment(handle, function, b"", payload)
    handle, function, unique, _reducer, payload = packet.arguments
    return Assignment(handle, function, unique, payload)


def _is_cancel_of(notice: Notice, handle: bytes) -> bool:
    return isinstance(notice, CancelAsked) and notice.handle == handle


def _unexpected(came: str, state: GrabState) -> WireError:
    text = f"a worker that is {state.value} expects no {came}"
    return WireError("UNEXPECTED_PACKET", text, is_fatal=True)
