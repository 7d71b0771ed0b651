"""What a packet or a line needs, and whether its sender has it. Asked only where connections have credentials.

One table says for every packet which verb it needs on which of its arguments. Whoever is not admitted may echo, set
options and prove a secret, and hears AUTH_REQUIRED otherwise; who is admitted and lacks a grant hears ACCESS_DENIED. Of
a job that it may not ask about a peer learns nothing, as if there were none: a handle is no secret, so it may ask about
those that it submitted itself, under whatever connection, and that it runs. A worker holds only jobs of functions it
was allowed to register, so its reports need no function of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from gearjobs.core.access import Grants, Verb
from gearjobs.core.job_queue import JobQueue
from gearjobs.core.jobs import ConnectionId, FunctionName, JobHandle
from gearjobs.core.reattachment import ResumeVerdict
from gearjobs.core.snapshot import StatusView
from gearjobs.core.submission import CancelVerdict
from gearjobs.errors import WireError
from gearjobs.protocol.admin_text import AdminError, render_error
from gearjobs.protocol.auth import AUTH_OPTION, PROOF_OPTION
from gearjobs.protocol.codec import Packet, TextLine, encode_response
from gearjobs.protocol.packets import ErrorCode, PacketType, Refusal
from gearjobs.protocol.wire_text import to_text, unescape
from gearjobs.server.connection import Connection
from gearjobs.server.entrance.credentials import Credentials
from gearjobs.server.entrance.identify import Identification

_T = PacketType

#: Packets anybody may send: nothing of the queue is in them.
_OPEN: Final = frozenset({_T.ECHO_REQ, _T.OPTION_REQ})

#: Verb, and the arguments that name functions; none where some function must do.
_NEEDS: Final[dict[int, tuple[Verb, tuple[int, ...]]]] = {
    **dict.fromkeys(
        (
            _T.SUBMIT_JOB,
            _T.SUBMIT_JOB_BG,
            _T.SUBMIT_JOB_HIGH,
            _T.SUBMIT_JOB_HIGH_BG,
            _T.SUBMIT_JOB_LOW,
            _T.SUBMIT_JOB_LOW_BG,
            _T.SUBMIT_JOB_SCHED,
            _T.SUBMIT_JOB_EPOCH,
        ),
        (Verb.SUBMIT, (0,)),
    ),
    # The reducer is a function that runs, too.
    _T.SUBMIT_REDUCE_JOB: (Verb.SUBMIT, (0, 2)),
    _T.SUBMIT_REDUCE_JOB_BACKGROUND: (Verb.SUBMIT, (0, 2)),
    _T.SUBMIT_JOB_EXT: (Verb.SUBMIT, (1,)),
    _T.ADOPT_JOBS: (Verb.SUBMIT, ()),
    _T.QUEUES_CHANGED: (Verb.SUBMIT, ()),
    _T.CAN_DO: (Verb.WORK, (0,)),
    _T.CAN_DO_TIMEOUT: (Verb.WORK, (0,)),
    **dict.fromkeys(
        (
            _T.CANT_DO,
            _T.RESET_ABILITIES,
            _T.PRE_SLEEP,
            _T.ALL_YOURS,
            _T.GRAB_JOB,
            _T.GRAB_JOB_UNIQ,
            _T.GRAB_JOB_ALL,
            _T.GRAB_JOB_EXT,
            _T.RENEW_JOBS,
            _T.WORK_STATUS,
            _T.WORK_STATUS_EXT,
            _T.WORK_COMPLETE,
            _T.WORK_FAIL,
            _T.WORK_FAIL_EXT,
            _T.WORK_EXCEPTION,
            _T.WORK_DATA,
            _T.WORK_WARNING,
            _T.LOSS_REPORT,
            _T.WORKER_REPORT,
        ),
        (Verb.WORK, ()),
    ),
    _T.CONTROL_WORKERS: (Verb.ADMIN, ()),
}

#: Admin lines that show something of every function.
_SHOWING: Final = frozenset({b"status", b"prioritystatus", b"workers", b"show"})
#: Admin lines that show nothing of any.
_HARMLESS: Final = frozenset({b"version", b"getpid", b"verbose"})

#: Admin lines that change the one function that they name.
_ON_FUNCTIONS: Final = frozenset({b"maxqueue", b"pause", b"resume", b"clear"})

#: What a refusal is counted under where the packet or line needs no verb of the rules.
_OTHER_VERB: Final = "other"


class Gatekeeper:
    """Lets packets and lines pass, or answers in their place.

    Args:
        queue: knows the function of a handle.
        identification: takes the steps of proving a secret.
    """

    def __init__(self, queue: JobQueue, identification: Identification) -> None:
        self._queue = queue
        self._identification = identification
        #: Packets and lines that were refused since the start, by the error's code and the verb that was needed.
        self.refused: Counter[tuple[str, str]] = Counter()
        self._hiders: dict[int, Callable[[Connection, Packet, Credentials], bool]] = {
            _T.GET_STATUS: self._hides_status,
            _T.GET_STATUS_UNIQUE: self._hides_status_unique,
            _T.RESUME_JOB: self._hides_run,
            _T.CANCEL_JOB: self._hides_job,
            _T.CANCEL_FOR_REASON: self._hides_job,
            _T.CHANGE_JOB: self._hides_job,
            _T.LOSS_REPORT: self._passes_over_loss,
        }

    def lets_pass(self, connection: Connection, packet: Packet | TextLine, credentials: Credentials) -> bool:
        """Return True where the packet may be carried out, False where it is done with.

        Raises:
            WireError: it is refused.
        """
        if isinstance(packet, TextLine):
            return self._lets_line_pass(connection, packet, credentials)
        if packet.type in _OPEN:
            return packet.type == _T.ECHO_REQ or not self._takes_proof(connection, packet, credentials)
        if not credentials.is_admitted:
            raise self._refusal(credentials, _verb_of_packet(packet.type))
        if credentials.grants is None:
            return True
        hides = self._hiders.get(packet.type)
        if hides is not None:
            return not hides(connection, packet, credentials)
        self._require(packet, credentials, credentials.grants)
        return True

    def withdraw_abilities(self, connections: Mapping[ConnectionId, Connection], now: float) -> None:
        """Take from workers the functions that the rules no longer grant them, and the jobs of these that they hold."""
        for view in list(self._queue.peers()):
            number = ConnectionId(view.connection)
            credentials = connections[number].credentials
            if credentials is None or credentials.grants is None:
                continue
            for function in view.functions:
                if not credentials.grants.may(Verb.WORK, function):
                    self._queue.cant_do(number, FunctionName(function), now=now)

    def _takes_proof(self, connection: Connection, packet: Packet, credentials: Credentials) -> bool:
        (option,) = packet.arguments
        if credentials.exchange is None or not option.startswith((AUTH_OPTION, PROOF_OPTION)):
            return False
        answer = self._identification.authenticate(connection, credentials.exchange, option)
        connection.send(encode_response(_T.OPTION_RES, answer))
        return True

    def _require(self, packet: Packet, credentials: Credentials, grants: Grants) -> None:
        needs = _NEEDS.get(packet.type)
        if needs is None:
            # SET_CLIENT_ID, and what the server refuses anyway.
            return
        verb, places = needs
        functions = [packet.arguments[place] for place in places]
        # What is not about functions is about the server, which who administers a few of them must not change.
        may_unnamed = grants.may_every(verb) if verb is Verb.ADMIN else grants.may_any(verb)
        if not (all(grants.may(verb, function) for function in functions) if functions else may_unnamed):
            shown = f" {to_text(functions[0][:80])}" if functions else ""
            raise self._refusal(credentials, verb, f"{credentials.identity} may not {verb}{shown}")

    def _hides_status(self, connection: Connection, packet: Packet, credentials: Credentials) -> bool:
        handle = packet.arguments[0].partition(b"\0")[0]
        if self._may_ask(connection, self._queue.get_status(JobHandle(handle)), credentials):
            return False
        connection.send(encode_response(_T.STATUS_RES, handle, b"0", b"0", b"0", b"0"))
        return True

    def _hides_status_unique(self, connection: Connection, packet: Packet, credentials: Credentials) -> bool:
        unique = packet.arguments[0].partition(b"\0")[0]
        if self._may_ask(connection, self._queue.get_status_unique(unique), credentials):
            return False
        connection.send(encode_response(_T.STATUS_RES_UNIQUE, unique, b"0", b"0", b"0", b"0", b"0"))
        return True

    def _hides_run(self, connection: Connection, packet: Packet, credentials: Credentials) -> bool:
        handle, attempt = packet.arguments
        status = self._queue.get_status(JobHandle(handle))
        if credentials.grants is None or not status.is_known or credentials.grants.may(Verb.WORK, status.function):
            return False
        connection.send(encode_response(_T.RESUME_RES, handle, attempt, ResumeVerdict.UNKNOWN.encode()))
        self.refused[ErrorCode.ACCESS_DENIED, Verb.WORK] += 1
        return True

    def _hides_job(self, connection: Connection, packet: Packet, credentials: Credentials) -> bool:
        """Let those cancel or change a job who may cancel any of its function; others know of it as of its status.

        Whoever moves it to another function must be allowed to submit there.
        """
        handle = packet.arguments[0]
        status = self._queue.get_status(JobHandle(handle))
        grants = credentials.grants
        if grants is None or not status.is_known:
            return False
        if grants.may(Verb.CANCEL, status.function):
            if packet.type == _T.CHANGE_JOB and (function := packet.arguments[3]):
                self._require_verb(Verb.SUBMIT, function, credentials)
            return False
        if self._may_ask(connection, status, credentials):
            text = f"{credentials.identity} may not {Verb.CANCEL} {to_text(status.function[:80])}"
            raise self._refusal(credentials, Verb.CANCEL, text)
        answer = _T.CHANGE_RES if packet.type == _T.CHANGE_JOB else _T.CANCEL_RES
        connection.send(encode_response(answer, handle, CancelVerdict.UNKNOWN.encode()))
        return True

    def _require_verb(self, verb: Verb, function: bytes, credentials: Credentials) -> None:
        if credentials.grants is not None and not credentials.grants.may(verb, function):
            text = f"{credentials.identity} may not {verb} {to_text(function[:80])}"
            raise self._refusal(credentials, verb, text)

    def _passes_over_loss(self, connection: Connection, packet: Packet, credentials: Credentials) -> bool:
        """Let those tell what became of a run who may run the job; of one that is not known here, any worker.

        It is not answered in any case.
        """
        status = self._queue.get_status(JobHandle(packet.arguments[0]))
        if credentials.grants is None:
            return False
        if status.is_known and not credentials.grants.may(Verb.WORK, status.function):
            self.refused[ErrorCode.ACCESS_DENIED, Verb.WORK] += 1
            return True
        self._require(packet, credentials, credentials.grants)
        return False

    def _may_ask(self, connection: Connection, status: StatusView, credentials: Credentials) -> bool:
        grants = credentials.grants
        if grants is None or not status.is_known or status.worker == connection.id:
            return True
        if grants.may_every(Verb.STATUS) or grants.may(Verb.ADMIN, status.function):
            return True
        # Of a job that came out of the store nobody knows who submitted it: a client that waits for its end must not be
        # told that it is over because the server was restarted.
        is_own = not status.submitters or credentials.identity.principal in status.submitters
        if is_own and grants.may(Verb.STATUS, status.function):
            return True
        self.refused[ErrorCode.ACCESS_DENIED, Verb.STATUS] += 1
        return False

    def _lets_line_pass(self, connection: Connection, line: TextLine, credentials: Credentials) -> bool:
        if not credentials.is_admitted:
            error = AdminError.NOT_ADMITTED
        elif credentials.grants is None or self._may_say(line.words, credentials.grants):
            return True
        else:
            error = AdminError.NOT_GRANTED
        self.refused[error.partition(" ")[0], _verb_of_line(line.words)] += 1
        connection.send(render_error(error))
        return False

    def _may_say(self, words: tuple[bytes, ...], grants: Grants) -> bool:
        command = words[0].lower()
        if command in _HARMLESS or grants.may_every(Verb.ADMIN):
            return True
        if command in _SHOWING:
            return grants.may_every(Verb.STATUS)
        if command == b"cancel" and len(words) > 2:
            return grants.may(Verb.CANCEL, self._queue.get_status(JobHandle(words[2])).function)
        if command in _ON_FUNCTIONS and len(words) > 1:
            return grants.may(Verb.ADMIN, unescape(words[1]))
        # `drop function` finds its function in any case, a grant does not.
        return False

    def _refusal(self, credentials: Credentials, verb: str, text: str = "") -> WireError:
        if credentials.may_become_more:
            error = WireError(*Refusal.AUTH_REQUIRED.value)
        else:
            error = WireError(ErrorCode.ACCESS_DENIED, text or f"{credentials.identity} may do nothing here")
        self.refused[error.code, verb] += 1
        return error


def _verb_of_packet(packet_type: int) -> str:
    if packet_type in {_T.GET_STATUS, _T.GET_STATUS_UNIQUE}:
        return Verb.STATUS
    if packet_type in {_T.CANCEL_JOB, _T.CANCEL_FOR_REASON, _T.CHANGE_JOB}:
        return Verb.CANCEL
    return _NEEDS[packet_type][0] if packet_type in _NEEDS else _OTHER_VERB


def _verb_of_line(words: tuple[bytes, ...]) -> str:
    command = words[0].lower()
    if command in _SHOWING:
        return Verb.STATUS
    return Verb.CANCEL if command == b"cancel" else Verb.ADMIN
