"""Answers of the administrative text protocol: written for the server, read for the admin client.

A text line arrives as codec.TextLine and is carried out by the server; here stand the bytes of its answer, exactly as
gearmand 1.1.20 prints them, mixed line ends included, and the way back. Names are printed as wire_text.py writes them,
so that no function, unique or client id can forge a line or an end of list; readers undo that, and take stock
gearmand's raw names as well as they can be told apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from gearjobs.errors import UsageError, WireError
from gearjobs.protocol.packets import ErrorCode
from gearjobs.protocol.wire_text import to_text, unescape
from gearjobs.protocol.worker_report import WorkerReport, decode_report, encode_report

#: The answer to a command that was carried out.
OK_LINE = b"OK\r\n"
#: `maxqueue`'s own: python-gearman takes nothing else there, gearadmin takes both. gearmand says OK_LINE.
OK_MAXQUEUE_LINE = b"OK\n"
#: `shutdown`'s own, as the servers that knew the line answered it: gearmand before 2011, Perl's to this day.
OK_SHUTDOWN_LINE = b"OK\n"
#: Last line of every list.
END_OF_LIST = b".\n"

_COUNT = re.compile(rb"[0-9]{1,20}")
# The colon is the first that stands as a word of its own: a client id may hold spaces.
_WORKER = re.compile(
    rb"(?P<fd>[0-9]{1,20}) (?P<address>[0-9A-Za-z.:%_-]+) (?P<client_id>.*?) :(?P<functions>(?: .*)?)", re.DOTALL
)
_BENCHED = "benched:"
_Line = TypeVar("_Line")


class AdminError(StrEnum):
    """Why an admin command is refused: the words after `ERR`."""

    UNKNOWN_SHOW_ARGUMENTS = "UNKNOWN_SHOW_ARGUMENTS"
    UNKNOWN_JOB = "UNKNOWN_JOB"
    UNKNOWN_ERROR = "UNKNOWN_ERROR"
    FUNCTION_NOT_FOUND = "function not found"
    FUNCTION_IN_USE = "there are still connected workers or executing clients"
    #: Ours, as are the next: gearmand knows no such line, and lets everybody send the others.
    UNKNOWN_SHUTDOWN_ARGUMENTS = "UNKNOWN_SHUTDOWN_ARGUMENTS"
    STORE_FAILED = "QUEUE_ERROR The+store+has+not+kept+it"
    NOT_ALLOWED = "NOT_ALLOWED This+command+is+taken+from+the+server's+own+machine+only"
    NOT_KNOWN = "NOT_ALLOWED This+command+is+taken+from+peers+that+have+shown+who+they+are+only"
    NO_ADMIN = "NOT_ALLOWED This+server+takes+this+command+from+nobody"
    NOT_ADMITTED = "AUTH_REQUIRED This+server+wants+a+secret+to+be+proven+first"
    NOT_GRANTED = "ACCESS_DENIED No+access+rule+grants+this+command"


@dataclass(slots=True)
class FunctionLine:
    """A function in `status`."""

    function: bytes
    #: Jobs waiting, delayed or running.
    total: int
    #: Jobs running.
    running: int
    #: Connections that can do it.
    workers: int


@dataclass(slots=True)
class PriorityLine:
    """A function in `prioritystatus`: its waiting jobs."""

    function: bytes
    high: int
    normal: int
    low: int
    #: Connections that can do it.
    workers: int


@dataclass(slots=True)
class WorkerLine:
    """A connection in `workers`; every connection is listed, whatever it does."""

    #: The server's number of the connection.
    fd: int
    #: IP address of the peer.
    address: str
    #: As SET_CLIENT_ID gave it; `-` when it gave none.
    client_id: bytes
    #: What it can do, the newest first.
    functions: tuple[bytes, ...]
    #: Those of them at which it is benched because it fails fast. Ours: printed behind the functions, `benched:` before
    #: each name.
    benched: tuple[bytes, ...] = ()


@dataclass(slots=True)
class JobLine:
    """A job in `show jobs`."""

    handle: bytes
    #: How often it went back to waiting.
    retries: int
    #: True when nobody waits for it any more and it will be skipped.
    is_ignored: bool
    #: True when it is in the store.
    is_persisted: bool


@dataclass(slots=True)
class WorkerReportLine:
    """A worker in `show worker reports`, which is ours."""

    #: As SET_CLIENT_ID gave it.
    client_id: bytes
    #: Host and port of the peer.
    address: str
    #: What it last said of itself.
    report: WorkerReport


def line_word(name: str | bytes) -> bytes:
    r"""Return a name as one word of an admin line, which gearjobs reads back; a space is `\x20`.

    Raises:
        UsageError: it is empty.
    """
    raw = name.encode() if isinstance(name, str) else name
    if not raw:
        raise UsageError("a function's name must not be empty")
    return to_text(raw).replace(" ", r"\x20").encode()


def render_status(lines: Iterable[FunctionLine]) -> bytes:
    """Return the answer to `status`."""
    return _render_list(f"{to_text(line.function)}\t{line.total}\t{line.running}\t{line.workers}" for line in lines)


def render_prioritystatus(lines: Iterable[PriorityLine]) -> bytes:
    """Return the answer to `prioritystatus`."""
    return _render_list(
        f"{to_text(line.function)}\t{line.high}\t{line.normal}\t{line.low}\t{line.workers}" for line in lines
    )


def render_workers(lines: Iterable[WorkerLine]) -> bytes:
    """Return the answer to `workers`; an empty client id is printed as none, for clients count the words."""
    return _render_list(
        " ".join(
            [
                *(str(line.fd), line.address, to_text(line.client_id or b"-"), ":"),
                *map(to_text, line.functions),
                *(_BENCHED + to_text(function) for function in line.benched),
            ]
        )
        for line in lines
    )


def render_jobs(lines: Iterable[JobLine]) -> bytes:
    """Return the answer to `show jobs`."""
    return _render_list(
        f"{to_text(line.handle)}\t{line.retries}\t{line.is_ignored:d}\t{line.is_persisted:d}" for line in lines
    )


def render_unique_jobs(uniques: Iterable[bytes]) -> bytes:
    """Return the answer to `show unique jobs`; a unique that is the end of list's dot is escaped."""
    return _render_list(r"\x2e" if unique == b"." else to_text(unique) for unique in uniques)


def render_worker_reports(lines: Iterable[WorkerReportLine]) -> bytes:
    """Return the answer to `show worker reports`."""
    return _render_list(
        f"{to_text(line.client_id)}\t{line.address}\t{encode_report(line.report).decode()}" for line in lines
    )


def render_value(value: str) -> bytes:
    """Return the answer to `version`, `getpid` and `verbose`."""
    return f"OK {value}\n".encode()


def render_error(error: AdminError) -> bytes:
    """Return the answer to a command that cannot be carried out."""
    return f"ERR {error}\r\n".encode()


def render_unknown_command(word: bytes) -> bytes:
    """Return the answer to a line whose first word is no command; gearmand puts no space before the word."""
    return f"ERR UNKNOWN_COMMAND Unknown+server+command{to_text(word)}\r\n".encode()


def render_incomplete_command(command: str) -> bytes:
    """Return the answer to `create`, `drop` or `maxqueue` with words missing."""
    return f"ERR INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+{command}\r\n".encode()


def parse_status(body: bytes) -> list[FunctionLine]:
    """Read the answer to `status`, its end of list included or not.

    Raises:
        WireError: INVALID_PACKET, with the line that cannot be read.
    """
    return _parse_list(body, _parse_function_line)


def parse_prioritystatus(body: bytes) -> list[PriorityLine]:
    """Read the answer to `prioritystatus`; as parse_status."""
    return _parse_list(body, _parse_priority_line)


def parse_workers(body: bytes) -> list[WorkerLine]:
    """Read the answer to `workers`; as parse_status. A function with a space in its name comes out in pieces."""
    return _parse_list(body, _parse_worker_line)


def parse_jobs(body: bytes) -> list[JobLine]:
    """Read the answer to `show jobs`; as parse_status."""
    return _parse_list(body, _parse_job_line)


def parse_worker_reports(body: bytes) -> list[WorkerReportLine]:
    """Read the answer to `show worker reports`; as parse_status."""
    return _parse_list(body, _parse_report_line)


def _render_list(lines: Iterable[str]) -> bytes:
    return b"".join([*(f"{line}\n".encode() for line in lines), END_OF_LIST])


def _parse_list(body: bytes, parse_line: Callable[[bytes], _Line]) -> list[_Line]:
    lines = []
    for line in body.splitlines():
        if line == b".":
            break
        lines.append(parse_line(line))
    return lines


def _parse_function_line(line: bytes) -> FunctionLine:
    function, (total, running, workers) = _name_and_counts(line, shape="NAME TOTAL RUNNING WORKERS")
    return FunctionLine(function, total, running, workers)


def _parse_priority_line(line: bytes) -> PriorityLine:
    function, (high, normal, low, workers) = _name_and_counts(line, shape="NAME HIGH NORMAL LOW WORKERS")
    return PriorityLine(function, high, normal, low, workers)


def _parse_job_line(line: bytes) -> JobLine:
    handle, (retries, ignored, persisted) = _name_and_counts(line, shape="HANDLE RETRIES IGNORED PERSISTED")
    return JobLine(handle, retries, bool(ignored), bool(persisted))


def _name_and_counts(line: bytes, *, shape: str) -> tuple[bytes, list[int]]:
    # From the right: stock gearmand prints a tab in a name as it is.
    name, *counts = line.rsplit(b"\t", shape.count(" "))
    if len(counts) != shape.count(" ") or not all(_COUNT.fullmatch(count) for count in counts):
        raise _unreadable(line, shape=shape)
    return unescape(name), [int(count) for count in counts]


def _parse_worker_line(line: bytes) -> WorkerLine:
    found = _WORKER.fullmatch(line)
    if found is None:
        raise _unreadable(line, shape="FD IP ID :[ FUNCTION]*")
    words = found["functions"].split(b" ")[1:]
    benched = [word for word in words if word.startswith(_BENCHED.encode()) and word[len(_BENCHED) :] in words]
    return WorkerLine(
        int(found["fd"]),
        found["address"].decode(),
        unescape(found["client_id"]),
        tuple(unescape(word) for word in words if word not in benched),
        tuple(unescape(word[len(_BENCHED) :]) for word in benched),
    )


def _parse_report_line(line: bytes) -> WorkerReportLine:
    client_id, _, rest = line.partition(b"\t")
    address, tab, report = rest.partition(b"\t")
    if not tab:
        raise _unreadable(line, shape="ID ADDRESS REPORT")
    return WorkerReportLine(unescape(client_id), address.decode("utf-8", "replace"), decode_report(report))


def _unreadable(line: bytes, *, shape: str) -> WireError:
    return WireError(ErrorCode.INVALID_PACKET, f"an admin line must be {shape}, got {line[:75]!r}")
