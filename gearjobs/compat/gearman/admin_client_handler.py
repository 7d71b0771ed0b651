"""The answers to administrative commands in python-gearman's shapes, and the handler of a ping's connection.

Lists are tuples of dictionaries; `version`, `getpid` and `cancel job` are the server's line as it came. Reading the
lines is `gearjobs.protocol.admin_text`'s, which undoes the escapes of gearjobs' own server.
"""

from __future__ import annotations

from typing import Any

from gearjobs.compat.gearman.command_handler import GearmanCommandHandler
from gearjobs.compat.gearman.errors import ProtocolError
from gearjobs.compat.gearman.protocol import GEARMAN_COMMAND_ECHO_REQ
from gearjobs.compat.gearman.wire_strings import from_wire
from gearjobs.errors import WireError
from gearjobs.protocol.admin_text import END_OF_LIST, parse_jobs, parse_status, parse_workers
from gearjobs.protocol.wire_text import unescape


class GearmanAdminClientCommandHandler(GearmanCommandHandler):
    """Waits for the echo of a ping."""

    #: What came back; None before.
    echoed: bytes | None = None

    def send_echo_request(self, echo_string: bytes) -> None:
        """Ask the server to send the bytes back."""
        self.echoed = None
        self.send_command(GEARMAN_COMMAND_ECHO_REQ, data=echo_string)

    def recv_echo_res(self, data: bytes) -> bool:
        self.echoed = data
        return False


def read_status(answer: bytes) -> tuple[dict[str, Any], ...]:
    """Read the answer to `status`."""
    try:
        lines = parse_status(answer)
    except WireError as error:
        raise ProtocolError(str(error)) from error
    return tuple(
        {"task": from_wire(line.function), "queued": line.total, "running": line.running, "workers": line.workers}
        for line in lines
    )


def read_workers(answer: bytes) -> tuple[dict[str, Any], ...]:
    """Read the answer to `workers`."""
    try:
        lines = parse_workers(answer)
    except WireError as error:
        raise ProtocolError(str(error)) from error
    return tuple(
        {
            "file_descriptor": str(line.fd),
            "ip": line.address,
            "client_id": from_wire(line.client_id),
            "tasks": tuple(from_wire(function) for function in line.functions),
        }
        for line in lines
    )


def read_jobs(answer: bytes) -> tuple[dict[str, Any], ...]:
    """Read the answer to `show jobs`; the numbers have the names that python-gearman gave them."""
    try:
        lines = parse_jobs(answer)
    except WireError as error:
        raise ProtocolError(str(error)) from error
    return tuple(
        {
            "handle": from_wire(line.handle),
            "queued": line.retries,
            "canceled": int(line.is_ignored),
            "enabled": int(line.is_persisted),
        }
        for line in lines
    )


def read_unique_jobs(answer: bytes) -> tuple[dict[str, list[str]], ...]:
    """Read the answer to `show unique jobs`; each unique stands in a list of its own, by python-gearman's slip."""
    lines = answer.removesuffix(END_OF_LIST).splitlines()
    return tuple({"unique": [from_wire(unescape(line))]} for line in lines)
