"""The connection of an administrative client: what was asked, and its answer in python-gearman's shapes.

Lists are tuples of dictionaries; `version`, `getpid` and `cancel job` are the server's line as it came. Reading a
list's lines is `gearjobs.protocol.admin_text`'s, which undoes the escapes of gearjobs' own server. The answer to a
command of one's own is read by `recv_server_<its name>` of a subclass, which returns whether more lines are to come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from gearjobs.client.admin_answers import MAX_ANSWER_BYTES
from gearjobs.compat.gearman.command_handler import GearmanCommandHandler
from gearjobs.compat.gearman.errors import InvalidAdminClientState, ProtocolError
from gearjobs.compat.gearman.protocol import (
    GEARMAN_COMMAND_ECHO_REQ,
    GEARMAN_COMMAND_TEXT_COMMAND,
    GEARMAN_SERVER_COMMAND_CANCEL_JOB,
    GEARMAN_SERVER_COMMAND_GETPID,
    GEARMAN_SERVER_COMMAND_MAXQUEUE,
    GEARMAN_SERVER_COMMAND_SHOW_JOBS,
    GEARMAN_SERVER_COMMAND_SHOW_UNIQUE_JOBS,
    GEARMAN_SERVER_COMMAND_SHUTDOWN,
    GEARMAN_SERVER_COMMAND_STATUS,
    GEARMAN_SERVER_COMMAND_VERSION,
    GEARMAN_SERVER_COMMAND_WORKERS,
)
from gearjobs.compat.gearman.wire_strings import from_wire, to_wire
from gearjobs.errors import WireError
from gearjobs.protocol.admin_text import parse_jobs, parse_status, parse_workers
from gearjobs.protocol.wire_text import unescape

if TYPE_CHECKING:
    from gearjobs.compat.gearman.connection_manager import GearmanConnectionManager

#: The commands that may be sent.
EXPECTED_GEARMAN_SERVER_COMMANDS: Final = {
    GEARMAN_SERVER_COMMAND_CANCEL_JOB,
    GEARMAN_SERVER_COMMAND_GETPID,
    GEARMAN_SERVER_COMMAND_MAXQUEUE,
    GEARMAN_SERVER_COMMAND_SHOW_JOBS,
    GEARMAN_SERVER_COMMAND_SHOW_UNIQUE_JOBS,
    GEARMAN_SERVER_COMMAND_SHUTDOWN,
    GEARMAN_SERVER_COMMAND_STATUS,
    GEARMAN_SERVER_COMMAND_VERSION,
    GEARMAN_SERVER_COMMAND_WORKERS,
}

#: A line of a list, as it is parsed.
Line = TypeVar("Line")

_ERROR: Final = b"ERR"
_END_OF_LIST: Final = b"."


class GearmanAdminClientCommandHandler(GearmanCommandHandler):
    """What one connection of an administrative client waits for; one command at a time."""

    #: Fields of a line of `status` and of `workers`, at least.
    STATUS_FIELDS: ClassVar[int] = 4
    WORKERS_FIELDS: ClassVar[int] = 4
    JOB_FIELDS: ClassVar[int] = 4
    UNIQUE_JOB_FIELDS: ClassVar[int] = 1

    def __init__(self, connection_manager: GearmanConnectionManager | None = None) -> None:
        super().__init__(connection_manager)
        self._sent_commands: deque[str | int] = deque()
        self._recv_responses: deque[Any] = deque()
        self._lines = bytearray()

    @property
    def response_ready(self) -> bool:
        """Whether an answer is whole."""
        return bool(self._recv_responses)

    def pop_response(self) -> tuple[str | int, Any]:
        """Return the command that was sent first, and its answer.

        Raises:
            InvalidAdminClientState: there is none.
        """
        if not self._sent_commands or not self._recv_responses:
            raise InvalidAdminClientState("expected the whole answer to a command, got none yet")
        return self._sent_commands.popleft(), self._recv_responses.popleft()

    def send_text_command(self, command_line: str) -> None:
        """Send a line.

        Raises:
            ProtocolError: it begins with no command.
        """
        # The longest first: none of them may hide another that it begins with.
        commands = sorted(EXPECTED_GEARMAN_SERVER_COMMANDS, key=len, reverse=True)
        command = next((known for known in commands if command_line.startswith(known)), None)
        if command is None:
            raise ProtocolError(f"expected one of {sorted(commands)}, got {command_line!r}")
        self._sent_commands.append(command)
        self.send_command(GEARMAN_COMMAND_TEXT_COMMAND, raw_text=f"{command_line}\n")

    def send_echo_request(self, echo_string: bytes | str) -> None:
        """Ask the server to send the bytes back."""
        self._sent_commands.append(GEARMAN_COMMAND_ECHO_REQ)
        self.send_command(GEARMAN_COMMAND_ECHO_REQ, data=echo_string)

    def recv_echo_res(self, data: bytes) -> bool:
        self._recv_responses.append(data)
        return False

    def recv_text_command(self, raw_text: str) -> bool:
        """Give a line to the method of the command that it answers.

        Raises:
            InvalidAdminClientState: nothing was asked.
        """
        if not self._sent_commands:
            raise InvalidAdminClientState(f"expected no line, got {raw_text!r}")
        command = str(self._sent_commands[0]).replace(" ", "_")
        callback: Callable[..., bool] | None = getattr(self, f"recv_server_{command}", None)
        if callback is None:
            raise ProtocolError(f"no use for the answer to {command!r}: {raw_text!r}")
        return callback(raw_text)

    def recv_server_status(self, raw_text: str) -> bool:
        return self._collect(raw_text, read_status)

    def recv_server_workers(self, raw_text: str) -> bool:
        return self._collect(raw_text, read_workers)

    def recv_server_show_jobs(self, raw_text: str) -> bool:
        return self._collect(raw_text, read_jobs)

    def recv_server_show_unique_jobs(self, raw_text: str) -> bool:
        return self._collect(raw_text, read_unique_jobs)

    def recv_server_version(self, raw_text: str) -> bool:
        self._recv_responses.append(raw_text)
        return False

    def recv_server_getpid(self, raw_text: str) -> bool:
        self._recv_responses.append(raw_text)
        return False

    def recv_server_cancel_job(self, raw_text: str) -> bool:
        self._recv_responses.append(raw_text)
        return False

    def recv_server_maxqueue(self, raw_text: str) -> bool:
        if to_wire(raw_text) != b"OK":
            raise ProtocolError(f"Expected 'OK', received: {raw_text}")
        self._recv_responses.append(raw_text)
        return False

    def recv_server_shutdown(self, raw_text: str) -> bool:
        if to_wire(raw_text).startswith(_ERROR):
            raise ProtocolError(f"the server does not shut down: {raw_text}")
        self._recv_responses.append(None)
        return False

    def _collect(self, raw_text: str, read: Callable[[bytes], Any]) -> bool:
        """Keep a line of a list; read the list when it is whole, and return whether more is to come."""
        line = to_wire(raw_text)
        if line == _END_OF_LIST:
            lines, self._lines = bytes(self._lines), bytearray()
            self._recv_responses.append(read(lines))
            return False
        # A refusal is one line and no list; no line of a list lacks its tabs or its colon.
        if not self._lines and line.startswith(_ERROR) and read is not read_unique_jobs and b"\t" not in line:
            raise ProtocolError(f"expected a list, got {raw_text}")
        self._lines += line + b"\n"
        if len(self._lines) > MAX_ANSWER_BYTES:
            raise ProtocolError(f"expected at most {MAX_ANSWER_BYTES} bytes of an answer, got more")
        return True


def read_status(lines: bytes) -> tuple[dict[str, Any], ...]:
    """Read the answer to `status`."""
    return tuple(
        {"task": from_wire(line.function), "queued": line.total, "running": line.running, "workers": line.workers}
        for line in _parsed(parse_status, lines)
    )


def read_workers(lines: bytes) -> tuple[dict[str, Any], ...]:
    """Read the answer to `workers`."""
    return tuple(
        {
            "file_descriptor": str(line.fd),
            "ip": line.address,
            "client_id": from_wire(line.client_id),
            "tasks": tuple(from_wire(function) for function in line.functions),
        }
        for line in _parsed(parse_workers, lines)
    )


def read_jobs(lines: bytes) -> tuple[dict[str, Any], ...]:
    """Read the answer to `show jobs`; the numbers have the names that python-gearman gave them."""
    return tuple(
        {
            "handle": from_wire(line.handle),
            "queued": line.retries,
            "canceled": int(line.is_ignored),
            "enabled": int(line.is_persisted),
        }
        for line in _parsed(parse_jobs, lines)
    )


def read_unique_jobs(lines: bytes) -> tuple[dict[str, list[str]], ...]:
    """Read the answer to `show unique jobs`; each unique stands in a list of its own, by python-gearman's slip."""
    return tuple({"unique": [from_wire(unescape(line))]} for line in lines.splitlines())


def _parsed(parse: Callable[[bytes], list[Line]], lines: bytes) -> list[Line]:
    try:
        return parse(lines)
    except WireError as error:
        raise ProtocolError(str(error)) from error
