"""python-gearman's names for the packets, and its two functions between bytes and packets.

Numbers and arguments are those of `gearjobs.protocol.packets`, reading and writing is the codec's; here they get the
names that python-gearman gave them (`task`, `job_handle`, `data`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gearjobs.compat.gearman.constants import DEFAULT_GEARMAN_PORT, PRIORITY_HIGH, PRIORITY_LOW, PRIORITY_NONE
from gearjobs.compat.gearman.errors import ProtocolError, UnknownPriority
from gearjobs.compat.gearman.wire_strings import from_wire, to_wire
from gearjobs.errors import UsageError, WireError
from gearjobs.protocol.codec import Decoder, Packet, TextLine, encode_request, encode_response
from gearjobs.protocol.packets import HEADER_BYTES, PACKETS, REQUEST_MAGIC, RESPONSE_MAGIC, PacketType

__all__ = [
    "DEFAULT_GEARMAN_PORT",
    "get_command_name",
    "pack_binary_command",
    "pack_text_command",
    "parse_binary_command",
    "parse_text_command",
]

NULL_CHAR: Final = b"\0"
MAGIC_REQ_STRING: Final = REQUEST_MAGIC
MAGIC_RES_STRING: Final = RESPONSE_MAGIC
COMMAND_HEADER_SIZE: Final = HEADER_BYTES

GEARMAN_COMMAND_CAN_DO: Final = int(PacketType.CAN_DO)
GEARMAN_COMMAND_CANT_DO: Final = int(PacketType.CANT_DO)
GEARMAN_COMMAND_RESET_ABILITIES: Final = int(PacketType.RESET_ABILITIES)
GEARMAN_COMMAND_PRE_SLEEP: Final = int(PacketType.PRE_SLEEP)
GEARMAN_COMMAND_NOOP: Final = int(PacketType.NOOP)
GEARMAN_COMMAND_SUBMIT_JOB: Final = int(PacketType.SUBMIT_JOB)
GEARMAN_COMMAND_JOB_CREATED: Final = int(PacketType.JOB_CREATED)
GEARMAN_COMMAND_GRAB_JOB: Final = int(PacketType.GRAB_JOB)
GEARMAN_COMMAND_NO_JOB: Final = int(PacketType.NO_JOB)
GEARMAN_COMMAND_JOB_ASSIGN: Final = int(PacketType.JOB_ASSIGN)
GEARMAN_COMMAND_WORK_STATUS: Final = int(PacketType.WORK_STATUS)
GEARMAN_COMMAND_WORK_COMPLETE: Final = int(PacketType.WORK_COMPLETE)
GEARMAN_COMMAND_WORK_FAIL: Final = int(PacketType.WORK_FAIL)
GEARMAN_COMMAND_GET_STATUS: Final = int(PacketType.GET_STATUS)
GEARMAN_COMMAND_ECHO_REQ: Final = int(PacketType.ECHO_REQ)
GEARMAN_COMMAND_ECHO_RES: Final = int(PacketType.ECHO_RES)
GEARMAN_COMMAND_SUBMIT_JOB_BG: Final = int(PacketType.SUBMIT_JOB_BG)
GEARMAN_COMMAND_ERROR: Final = int(PacketType.ERROR)
GEARMAN_COMMAND_STATUS_RES: Final = int(PacketType.STATUS_RES)
GEARMAN_COMMAND_SUBMIT_JOB_HIGH: Final = int(PacketType.SUBMIT_JOB_HIGH)
GEARMAN_COMMAND_SET_CLIENT_ID: Final = int(PacketType.SET_CLIENT_ID)
GEARMAN_COMMAND_CAN_DO_TIMEOUT: Final = int(PacketType.CAN_DO_TIMEOUT)
GEARMAN_COMMAND_ALL_YOURS: Final = int(PacketType.ALL_YOURS)
GEARMAN_COMMAND_WORK_EXCEPTION: Final = int(PacketType.WORK_EXCEPTION)
GEARMAN_COMMAND_OPTION_REQ: Final = int(PacketType.OPTION_REQ)
GEARMAN_COMMAND_OPTION_RES: Final = int(PacketType.OPTION_RES)
GEARMAN_COMMAND_WORK_DATA: Final = int(PacketType.WORK_DATA)
GEARMAN_COMMAND_WORK_WARNING: Final = int(PacketType.WORK_WARNING)
GEARMAN_COMMAND_GRAB_JOB_UNIQ: Final = int(PacketType.GRAB_JOB_UNIQ)
GEARMAN_COMMAND_JOB_ASSIGN_UNIQ: Final = int(PacketType.JOB_ASSIGN_UNIQ)
GEARMAN_COMMAND_SUBMIT_JOB_HIGH_BG: Final = int(PacketType.SUBMIT_JOB_HIGH_BG)
GEARMAN_COMMAND_SUBMIT_JOB_LOW: Final = int(PacketType.SUBMIT_JOB_LOW)
GEARMAN_COMMAND_SUBMIT_JOB_LOW_BG: Final = int(PacketType.SUBMIT_JOB_LOW_BG)
#: No packet: a line of the administrative text protocol, which python-gearman handled like one.
GEARMAN_COMMAND_TEXT_COMMAND: Final = 9999

GEARMAN_SERVER_COMMAND_STATUS: Final = "status"
GEARMAN_SERVER_COMMAND_VERSION: Final = "version"
GEARMAN_SERVER_COMMAND_WORKERS: Final = "workers"
GEARMAN_SERVER_COMMAND_MAXQUEUE: Final = "maxqueue"
GEARMAN_SERVER_COMMAND_SHUTDOWN: Final = "shutdown"
GEARMAN_SERVER_COMMAND_GETPID: Final = "getpid"
GEARMAN_SERVER_COMMAND_SHOW_JOBS: Final = "show jobs"
GEARMAN_SERVER_COMMAND_CANCEL_JOB: Final = "cancel job"
GEARMAN_SERVER_COMMAND_SHOW_UNIQUE_JOBS: Final = "show unique jobs"

#: python-gearman's name of an argument, where it is not ours.
_ARGUMENT_NAMES: Final = {
    "function": "task",
    "handle": "job_handle",
    "payload": "data",
    "result": "data",
    "failure": "data",
    "warning": "data",
    "code": "error_code",
    "text": "error_text",
    "option": "option_name",
    "timeout_ms": "timeout",
}

#: Number of a packet -> names of its arguments in order.
GEARMAN_PARAMS_FOR_COMMAND: Final[dict[int, list[str]]] = {
    **{
        int(number): [_ARGUMENT_NAMES.get(argument, argument) for argument in spec.arguments]
        for number, spec in PACKETS.items()
    },
    GEARMAN_COMMAND_TEXT_COMMAND: ["raw_text"],
}

#: Number of a packet -> `GEARMAN_COMMAND_...`.
GEARMAN_COMMAND_TO_NAME: Final[dict[int, str]] = {
    **{int(number): f"GEARMAN_COMMAND_{PacketType(number).name}" for number in PACKETS},
    GEARMAN_COMMAND_TEXT_COMMAND: "GEARMAN_COMMAND_TEXT_COMMAND",
}

_SUBMIT_COMMANDS: Final = {
    (True, PRIORITY_NONE): GEARMAN_COMMAND_SUBMIT_JOB_BG,
    (True, PRIORITY_LOW): GEARMAN_COMMAND_SUBMIT_JOB_LOW_BG,
    (True, PRIORITY_HIGH): GEARMAN_COMMAND_SUBMIT_JOB_HIGH_BG,
    (False, PRIORITY_NONE): GEARMAN_COMMAND_SUBMIT_JOB,
    (False, PRIORITY_LOW): GEARMAN_COMMAND_SUBMIT_JOB_LOW,
    (False, PRIORITY_HIGH): GEARMAN_COMMAND_SUBMIT_JOB_HIGH,
}


def get_command_name(cmd_type: int) -> str | int:
    """Return `GEARMAN_COMMAND_...` of a packet's number; the number itself when no packet has it."""
    return GEARMAN_COMMAND_TO_NAME.get(cmd_type, cmd_type)


def submit_cmd_for_background_priority(background: bool, priority: str | None) -> int:
    """Return the number of the packet that submits such a job.

    Raises:
        UnknownPriority: there is no such priority.
    """
    try:
        return _SUBMIT_COMMANDS[bool(background), priority]
    except KeyError:
        raise UnknownPriority(f"a priority must be PRIORITY_NONE, _LOW or _HIGH, got {priority!r}") from None


def pack_binary_command(cmd_type: int, cmd_args: Mapping[str, Any], is_response: bool = False) -> bytes:
    """Return a packet's bytes.

    Raises:
        ProtocolError: there is no such packet, or its arguments are others or no strings, or one holds a NUL.
    """
    expected = GEARMAN_PARAMS_FOR_COMMAND.get(cmd_type)
    if expected is None or cmd_type == GEARMAN_COMMAND_TEXT_COMMAND or set(expected) != set(cmd_args):
        raise ProtocolError(f"packet {cmd_type!r} takes the arguments {expected}, got {sorted(cmd_args)}")
    if any(not isinstance(value, bytes | str) for value in cmd_args.values()):
        raise ProtocolError(f"{get_command_name(cmd_type)} takes strings, got {dict(cmd_args)!r}")
    encode = encode_response if is_response else encode_request
    try:
        return encode(cmd_type, *(to_wire(cmd_args[name]) for name in expected))
    except UsageError as error:
        raise ProtocolError(str(error)) from error


def parse_binary_command(in_buffer: bytes, is_response: bool = True) -> tuple[int | None, dict[str, Any] | None, int]:
    """Return number, arguments and length of the packet at the start of the bytes; (None, None, 0) when it is cut.

    Raises:
        ProtocolError: it is no packet.
    """
    decoder = Decoder(expects=RESPONSE_MAGIC if is_response else REQUEST_MAGIC)
    decoder.receive(bytes(in_buffer))
    try:
        packet = decoder.next_packet()
    except WireError as error:
        raise ProtocolError(str(error)) from error
    if packet is None or isinstance(packet, TextLine):
        return None, None, 0
    body_bytes = int.from_bytes(in_buffer[HEADER_BYTES - 4 : HEADER_BYTES], "big")
    return packet.type, command_arguments(packet), HEADER_BYTES + body_bytes


def parse_text_command(in_buffer: bytes) -> tuple[int | None, dict[str, Any] | None, int]:
    """Return number, arguments and length of the line at the start of the bytes; (None, None, 0) when it is cut.

    Raises:
        ProtocolError: the line has a NUL, so that it is none.
    """
    line, end, _rest = in_buffer.partition(b"\n")
    if not end:
        return None, None, 0
    if NULL_CHAR in line:
        raise ProtocolError(f"a line must not contain a NUL, got {line[:75]!r}")
    # Some of gearmand's lines end in CR LF.
    return GEARMAN_COMMAND_TEXT_COMMAND, {"raw_text": from_wire(line.removesuffix(b"\r"))}, len(line) + 1


def pack_text_command(cmd_type: int, cmd_args: Mapping[str, Any]) -> bytes:
    """Return the bytes of a line, which has its end already.

    Raises:
        ProtocolError: it is a packet, or there is no line.
    """
    if cmd_type != GEARMAN_COMMAND_TEXT_COMMAND or cmd_args.get("raw_text") is None:
        raise ProtocolError(f"expected a raw_text, got {get_command_name(cmd_type)} {dict(cmd_args)!r}")
    return to_wire(cmd_args["raw_text"])


def command_arguments(packet: Packet) -> dict[str, Any]:
    """Return a packet's arguments by python-gearman's names: `data` as bytes, all else as strings."""
    names = GEARMAN_PARAMS_FOR_COMMAND[packet.type]
    return {
        name: value if name == "data" else from_wire(value) for name, value in zip(names, packet.arguments, strict=True)
    }
