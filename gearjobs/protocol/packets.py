"""The packet table: every packet's number, sender, arguments and meaning, and the texts of the ERROR packet.

This is the one home of the wire's numbers and names: the codec splits and joins arguments by it, the server's dispatch
and docs/protocol.md are checked against it. How bytes become packets is codec.py's matter; what the server does with
them is decided in core/.

Numbers 1..42 are Gearman's own, as gearmand 1.1.20 and 2.0 speak them (shared names with libgearman). Numbers from 128
are gearjobs' extensions: a peer may use them only after OPTION_REQ `gearjobs/1` was answered with OPTION_RES, and the
server sends them to nobody else. A packet that carries JSON carries it as attributes.py writes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum

#: First four bytes of a packet to the job server.
REQUEST_MAGIC = b"\0REQ"
#: First four bytes of a packet from the job server.
RESPONSE_MAGIC = b"\0RES"
#: Magic, type and body length: 4 bytes each, the two numbers in network byte order.
HEADER_BYTES = 12
#: OPTION_REQ's argument that asks for the extensions; a stock gearmand answers it with ERROR UNKNOWN_OPTION.
EXTENSIONS_OPTION = b"gearjobs/1"
#: OPTION_REQ's argument that asks for WORK_EXCEPTION packets to be passed on; compared without regard to case.
EXCEPTIONS_OPTION = b"exceptions"


class PacketType(IntEnum):
    """The number of a packet, under the name libgearman gives it."""

    CAN_DO = 1
    CANT_DO = 2
    RESET_ABILITIES = 3
    PRE_SLEEP = 4
    UNUSED = 5
    NOOP = 6
    SUBMIT_JOB = 7
    JOB_CREATED = 8
    GRAB_JOB = 9
    NO_JOB = 10
    JOB_ASSIGN = 11
    WORK_STATUS = 12
    WORK_COMPLETE = 13
    WORK_FAIL = 14
    GET_STATUS = 15
    ECHO_REQ = 16
    ECHO_RES = 17
    SUBMIT_JOB_BG = 18
    ERROR = 19
    STATUS_RES = 20
    SUBMIT_JOB_HIGH = 21
    SET_CLIENT_ID = 22
    CAN_DO_TIMEOUT = 23
    ALL_YOURS = 24
    WORK_EXCEPTION = 25
    OPTION_REQ = 26
    OPTION_RES = 27
    WORK_DATA = 28
    WORK_WARNING = 29
    GRAB_JOB_UNIQ = 30
    JOB_ASSIGN_UNIQ = 31
    SUBMIT_JOB_HIGH_BG = 32
    SUBMIT_JOB_LOW = 33
    SUBMIT_JOB_LOW_BG = 34
    SUBMIT_JOB_SCHED = 35
    SUBMIT_JOB_EPOCH = 36
    SUBMIT_REDUCE_JOB = 37
    SUBMIT_REDUCE_JOB_BACKGROUND = 38
    GRAB_JOB_ALL = 39
    JOB_ASSIGN_ALL = 40
    GET_STATUS_UNIQUE = 41
    STATUS_RES_UNIQUE = 42
    SUBMIT_JOB_EXT = 128
    GRAB_JOB_EXT = 129
    JOB_ASSIGN_EXT = 130
    WORK_FAIL_EXT = 131
    WORK_STATUS_EXT = 132
    ADOPT_JOBS = 133
    RESUME_JOB = 134
    RESUME_RES = 135
    RENEW_JOBS = 136
    RENEW_RES = 137
    OUTCOME_SETTLED = 138
    CANCEL_JOB = 139
    CANCEL_RES = 140
    CANCEL_NOTICE = 141
    WORKER_REPORT = 142
    WORKER_CONTROL = 143
    CONTROL_WORKERS = 144
    CONTROL_RES = 145
    LOSS_REPORT = 146
    QUEUES_CHANGED = 147
    CANCEL_FOR_REASON = 148
    CHANGE_JOB = 149
    CHANGE_RES = 150


class Sender(Enum):
    """Who originates a packet; all but SERVER's travel with the request magic."""

    CLIENT = "client"
    WORKER = "worker"
    PEER = "client or worker"
    SERVER = "server"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class PacketSpec:
    """One row of the packet table."""

    #: Number and name.
    type: PacketType
    #: Who originates it.
    sender: Sender
    #: Names of the arguments in wire order, a NUL between each two.
    arguments: tuple[str, ...]
    #: True when the last argument is opaque bytes, NULs included; but for submits, an empty one may be left out.
    ends_with_data: bool
    #: What the packet says, in a sentence.
    sentence: str
    #: True when the server passes the worker's packet on to the job's clients, under the same number.
    is_relayed: bool = False


_T = PacketType
_CLIENT, _WORKER, _PEER, _SERVER = Sender.CLIENT, Sender.WORKER, Sender.PEER, Sender.SERVER
_FUNCTION, _HANDLE, _UNIQUE = ("function",), ("handle",), ("unique",)
_SUBMIT = ("function", "unique", "payload")
_SCHEDULE = ("function", "unique", "minute", "hour", "day_of_month", "month", "day_of_week", "payload")
_REDUCE = ("function", "unique", "reducer", "aggregator", "payload")
_STATUS = ("known", "running", "numerator", "denominator")

_ROWS = (
    PacketSpec(_T.CAN_DO, _WORKER, _FUNCTION, False, "The worker can do the function from now on."),
    PacketSpec(_T.CANT_DO, _WORKER, _FUNCTION, False, "The worker can no longer do the function."),
    PacketSpec(_T.RESET_ABILITIES, _WORKER, (), False, "The worker can no longer do anything."),
    PacketSpec(_T.PRE_SLEEP, _WORKER, (), False, "The worker sleeps until a NOOP, which comes at once if a job waits."),
    PacketSpec(_T.UNUSED, Sender.NOBODY, (), False, "The number was never given a meaning."),
    PacketSpec(_T.NOOP, _SERVER, (), False, "A job waits for the sleeping worker."),
    PacketSpec(_T.SUBMIT_JOB, _CLIENT, _SUBMIT, True, "Run the job and tell this connection what becomes of it."),
    PacketSpec(_T.JOB_CREATED, _SERVER, _HANDLE, False, "The job was accepted, or coalesced with one that was."),
    PacketSpec(_T.GRAB_JOB, _WORKER, (), False, "The worker asks for a job."),
    PacketSpec(_T.NO_JOB, _SERVER, (), False, "No job waits for this worker."),
    PacketSpec(_T.JOB_ASSIGN, _SERVER, ("handle", "function", "payload"), True, "The job is this worker's now."),
    PacketSpec(
        _T.WORK_STATUS,
        _WORKER,
        ("handle", "numerator", "denominator"),
        False,
        "The job is this far.",
        is_relayed=True,
    ),
    PacketSpec(_T.WORK_COMPLETE, _WORKER, ("handle", "result"), True, "The job succeeded.", is_relayed=True),
    PacketSpec(_T.WORK_FAIL, _WORKER, _HANDLE, False, "The job failed.", is_relayed=True),
    PacketSpec(_T.GET_STATUS, _CLIENT, _HANDLE, False, "How far is the job of this handle?"),
    PacketSpec(_T.ECHO_REQ, _PEER, ("payload",), True, "Send the bytes back."),
    PacketSpec(_T.ECHO_RES, _SERVER, ("payload",), True, "The bytes that were sent."),
    PacketSpec(_T.SUBMIT_JOB_BG, _CLIENT, _SUBMIT, True, "Run the job; answered when it is kept."),
    PacketSpec(_T.ERROR, _SERVER, ("code", "text"), False, "A request was refused."),
    PacketSpec(_T.STATUS_RES, _SERVER, _HANDLE + _STATUS, False, "How far the job is; an ended one is unknown."),
    PacketSpec(_T.SUBMIT_JOB_HIGH, _CLIENT, _SUBMIT, True, "SUBMIT_JOB at high priority."),
    PacketSpec(_T.SET_CLIENT_ID, _PEER, ("client_id",), False, "The name that `workers` shows for this connection."),
    PacketSpec(
        _T.CAN_DO_TIMEOUT,
        _WORKER,
        ("function", "timeout_ms"),
        False,
        "CAN_DO, and a job of it may run this many milliseconds.",
    ),
    PacketSpec(_T.ALL_YOURS, _WORKER, (), False, "The worker has this server alone; no server uses it."),
    PacketSpec(_T.WORK_EXCEPTION, _WORKER, ("handle", "failure"), True, "The job failed with this.", is_relayed=True),
    PacketSpec(_T.OPTION_REQ, _PEER, ("option",), False, "Turn an option on for this connection."),
    PacketSpec(_T.OPTION_RES, _SERVER, ("option",), False, "The option is on."),
    PacketSpec(_T.WORK_DATA, _WORKER, ("handle", "data"), True, "A part of the result.", is_relayed=True),
    PacketSpec(_T.WORK_WARNING, _WORKER, ("handle", "warning"), True, "A warning about the job.", is_relayed=True),
    PacketSpec(_T.GRAB_JOB_UNIQ, _WORKER, (), False, "GRAB_JOB, answered with JOB_ASSIGN_UNIQ."),
    PacketSpec(
        _T.JOB_ASSIGN_UNIQ,
        _SERVER,
        ("handle", "function", "unique", "payload"),
        True,
        "JOB_ASSIGN with the unique.",
    ),
    PacketSpec(_T.SUBMIT_JOB_HIGH_BG, _CLIENT, _SUBMIT, True, "SUBMIT_JOB_BG at high priority."),
    PacketSpec(_T.SUBMIT_JOB_LOW, _CLIENT, _SUBMIT, True, "SUBMIT_JOB at low priority."),
    PacketSpec(_T.SUBMIT_JOB_LOW_BG, _CLIENT, _SUBMIT, True, "SUBMIT_JOB_BG at low priority."),
    PacketSpec(
        _T.SUBMIT_JOB_SCHED,
        _CLIENT,
        _SCHEDULE,
        True,
        "SUBMIT_JOB_BG, to run once at the next minute that matches these crontab fields.",
    ),
    PacketSpec(
        _T.SUBMIT_JOB_EPOCH,
        _CLIENT,
        ("function", "unique", "run_at", "payload"),
        True,
        "SUBMIT_JOB_BG, not to run before this unix second.",
    ),
    PacketSpec(_T.SUBMIT_REDUCE_JOB, _CLIENT, _REDUCE, True, "SUBMIT_JOB with a reducer for the worker."),
    PacketSpec(_T.SUBMIT_REDUCE_JOB_BACKGROUND, _CLIENT, _REDUCE, True, "SUBMIT_JOB_BG with a reducer for the worker."),
    PacketSpec(_T.GRAB_JOB_ALL, _WORKER, (), False, "GRAB_JOB, answered with JOB_ASSIGN_ALL or JOB_ASSIGN_UNIQ."),
    PacketSpec(
        _T.JOB_ASSIGN_ALL,
        _SERVER,
        ("handle", "function", "unique", "reducer", "payload"),
        True,
        "JOB_ASSIGN with unique and reducer.",
    ),
    PacketSpec(_T.GET_STATUS_UNIQUE, _CLIENT, _UNIQUE, False, "How far is the job of this unique?"),
    PacketSpec(
        _T.STATUS_RES_UNIQUE,
        _SERVER,
        (*_UNIQUE, *_STATUS, "waiting_clients"),
        False,
        "How far the job is and how many clients wait for it.",
    ),
    PacketSpec(
        _T.SUBMIT_JOB_EXT,
        _CLIENT,
        ("handle", "function", "unique", "attributes", "payload"),
        True,
        "SUBMIT_JOB_BG under a handle of the client's making; sent again, it is answered again and not doubled.",
    ),
    PacketSpec(_T.GRAB_JOB_EXT, _WORKER, (), False, "GRAB_JOB, answered with JOB_ASSIGN_EXT or NO_JOB."),
    PacketSpec(
        _T.JOB_ASSIGN_EXT,
        _SERVER,
        ("handle", "function", "unique", "attributes", "payload"),
        True,
        "JOB_ASSIGN with unique, attempt, priority and times.",
    ),
    PacketSpec(_T.WORK_FAIL_EXT, _WORKER, ("handle", "failure"), True, "WORK_FAIL with class, text and traceback."),
    PacketSpec(
        _T.WORK_STATUS_EXT,
        _WORKER,
        ("handle", "numerator", "denominator", "message"),
        True,
        "WORK_STATUS with a sentence for people.",
    ),
    PacketSpec(_T.ADOPT_JOBS, _CLIENT, (), False, "Jobs were put into the store: look for them. Not answered."),
    PacketSpec(
        _T.RESUME_JOB,
        _WORKER,
        ("handle", "attempt"),
        False,
        "May the worker go on with a run that it has from another connection or server, and report here?",
    ),
    PacketSpec(
        _T.RESUME_RES,
        _SERVER,
        ("handle", "attempt", "verdict"),
        False,
        "It may (`accepted`), must stop (`refused`), or had better ask again or elsewhere (`unknown`).",
    ),
    PacketSpec(
        _T.RENEW_JOBS,
        _WORKER,
        (),
        False,
        "May the worker go on with the resumable jobs that it holds from this server?",
    ),
    PacketSpec(
        _T.RENEW_RES,
        _SERVER,
        ("held",),
        False,
        "It may, for `resume_s` from when it asked (`1`); or the server does not surely own them any more (`0`).",
    ),
    PacketSpec(
        _T.OUTCOME_SETTLED,
        _SERVER,
        _HANDLE,
        False,
        "What the worker reported of this job's end is kept or not wanted: it may forget it. Sent unasked.",
    ),
    PacketSpec(
        _T.CANCEL_JOB,
        _CLIENT,
        ("handle", "force"),
        False,
        "End the job: at once where it has not started, else by its worker; with `force` `1` a run ends at once, too.",
    ),
    PacketSpec(
        _T.CANCEL_RES,
        _SERVER,
        ("handle", "verdict"),
        False,
        "It has ended (`cancelled`), its worker was told (`asked`), or no live job has the handle (`unknown`).",
    ),
    PacketSpec(
        _T.CANCEL_NOTICE,
        _SERVER,
        ("handle", "force"),
        False,
        "The job that the worker runs is to stop; with `force` `1` it is over already. Sent unasked.",
    ),
    PacketSpec(
        _T.WORKER_REPORT,
        _WORKER,
        ("report",),
        True,
        "What the worker's process is and does, as JSON, for whoever watches it. Not answered.",
    ),
    PacketSpec(
        _T.WORKER_CONTROL,
        _SERVER,
        ("verb",),
        False,
        "The worker is to take no jobs (`quiet`), to take them again (`resume`), or to end (`stop`). Sent unasked.",
    ),
    PacketSpec(
        _T.CONTROL_WORKERS,
        _CLIENT,
        ("worker_id", "verb"),
        False,
        "Send WORKER_CONTROL to the workers of that client id, or of all where it ends in `*`, to those it begins.",
    ),
    PacketSpec(_T.CONTROL_RES, _SERVER, ("told",), False, "So many workers were told."),
    PacketSpec(
        _T.LOSS_REPORT,
        _PEER,
        ("handle", "attempt", "cause"),
        True,
        "What became of the worker process that ran this attempt of the job. Not answered.",
    ),
    PacketSpec(
        _T.QUEUES_CHANGED,
        _CLIENT,
        (),
        False,
        "An operator changed what the store says of functions (paused, limited): read it again. Not answered.",
    ),
    PacketSpec(
        _T.CANCEL_FOR_REASON,
        _CLIENT,
        ("handle", "force", "reason"),
        True,
        "CANCEL_JOB, with a sentence for the job's record; answered with CANCEL_RES.",
    ),
    PacketSpec(
        _T.CHANGE_JOB,
        _CLIENT,
        ("handle", "priority", "run_at", "function", "queue"),
        False,
        "Let a job that does not run wait otherwise: at another priority, until other unix seconds (0: at once), for "
        "another function, on that django.tasks queue; what is empty stays.",
    ),
    PacketSpec(
        _T.CHANGE_RES,
        _SERVER,
        ("handle", "verdict"),
        False,
        "It waits so (`changed`), runs (`started`), is just being committed (`busy`), has a unique and keeps its "
        "function (`unique`), or no live job has the handle (`unknown`).",
    ),
)

#: The packet table: number -> row.
PACKETS: dict[int, PacketSpec] = {row.type: row for row in _ROWS}


class ErrorCode(StrEnum):
    """The code of an ERROR packet: libgearman's name of it without `GEARMAN_`."""

    INVALID_MAGIC = "INVALID_MAGIC"
    INVALID_COMMAND = "INVALID_COMMAND"
    INVALID_PACKET = "INVALID_PACKET"
    ARGUMENT_TOO_LARGE = "ARGUMENT_TOO_LARGE"
    QUEUE_ERROR = "QUEUE_ERROR"
    UNKNOWN_OPTION = "UNKNOWN_OPTION"
    JOB_NOT_FOUND = "JOB_NOT_FOUND"
    #: Ours, as are the next two; heard only where a secret or access rules are configured.
    AUTH_REQUIRED = "AUTH_REQUIRED"
    AUTH_FAILED = "AUTH_FAILED"
    ACCESS_DENIED = "ACCESS_DENIED"
    #: Ours; heard only by who asked for it.
    UNIQUE_TAKEN = "UNIQUE_TAKEN"


class Refusal(Enum):
    """Why a request is refused, as gearmand words it: use it as `WireError(*Refusal.QUEUE_FULL.value)`."""

    NOT_REQUEST_MAGIC = (ErrorCode.INVALID_MAGIC, "Request magic expected")
    NOT_RESPONSE_MAGIC = (ErrorCode.INVALID_MAGIC, "Response magic expected")
    NOT_A_REQUEST = (ErrorCode.INVALID_COMMAND, "Command not expected")
    UNIQUE_TOO_LARGE = (ErrorCode.ARGUMENT_TOO_LARGE, "Unique value too large")
    HANDLE_TOO_LARGE = (
        ErrorCode.ARGUMENT_TOO_LARGE,
        "Error occurred due to GEARMAND_JOB_HANDLE_SIZE being too small from snprintf",
    )
    QUEUE_FULL = (ErrorCode.QUEUE_ERROR, "Job queue is full")
    #: Ours: gearmand takes all there is.
    OUT_OF_MEMORY = (ErrorCode.QUEUE_ERROR, "The server is out of buffer memory")
    STORE_FAILED = (ErrorCode.QUEUE_ERROR, "QUEUE_ERROR")
    UNKNOWN_OPTION = (ErrorCode.UNKNOWN_OPTION, "Server does not recognize given option")
    AUTH_REQUIRED = (ErrorCode.AUTH_REQUIRED, "This server wants a secret to be proven first")
    NO_JOB_FOR_DATA = (ErrorCode.JOB_NOT_FOUND, "Job does not exist on server")
    NO_JOB_FOR_RESULT = (ErrorCode.JOB_NOT_FOUND, "Job given in work result not found")
    NO_JOB_FOR_EXCEPTION = (ErrorCode.JOB_NOT_FOUND, "An exception was received for a job that does not exist")
