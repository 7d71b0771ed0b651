"""What `gearadmin` can ask a job server: each option, the line it sends, and its answer as JSON.

The table stands in the order in which several options of one command line are carried out, which is that of gearmand's
tool: the last of its help first. What changes something of ours comes before all that shows. The lines themselves are
documented in docs/protocol.md, their answers read by `protocol/admin_text`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gearjobs.errors import UsageError
from gearjobs.protocol.admin_text import (
    END_OF_LIST,
    parse_jobs,
    parse_prioritystatus,
    parse_status,
    parse_worker_reports,
    parse_workers,
)
from gearjobs.protocol.wire_text import to_text

_OK: Final = b"OK"
_ERROR: Final = b"ERR"
_SPACE: Final = r"\x20"


@dataclass(frozen=True, slots=True)
class Operation:
    """One option."""

    #: Its long spelling, without the dashes; in JSON the name of its answer.
    option: str
    #: What it does, for `--help`.
    sentence: str
    #: The line it sends, or what makes it of the option's argument.
    line: str | Callable[[str], str]
    #: What the argument is called; "" where there is none.
    argument: str = ""
    #: Makes the answer a value for JSON.
    read: Callable[[bytes], object] = lambda answer: as_value(answer) or True

    @property
    def name(self) -> str:
        """How parsers call it."""
        return self.option.replace("-", "_")

    def make_line(self, argument: str) -> str:
        """Return the line to be sent."""
        return self.line if isinstance(self.line, str) else self.line(argument)


def as_value(answer: bytes) -> str:
    """Return what stands behind an answer's OK."""
    return answer.removeprefix(_OK).strip().decode("utf-8", "backslashreplace")


def as_error(answer: bytes) -> bytes | None:
    """Return what stands behind ERR in an answer that is an error, with its line end; None for any other answer."""
    # A list's line of a function called `ERR ...` has a tab.
    is_error = answer.startswith(_ERROR + b" ") and answer.count(b"\n") == 1 and b"\t" not in answer
    return answer.removeprefix(_ERROR + b" ") if is_error else None


def as_text(answer: bytes) -> bytes:
    """Return an answer as gearmand's gearadmin prints it: without its OK, unless that is all."""
    if answer in {b"OK\r\n", b"OK\n"}:
        return b"OK\n"
    return answer.removeprefix(_OK + b" ") if answer.startswith(_OK + b" ") and answer.count(b"\n") == 1 else answer


def as_json(part: object) -> object:
    """Return a line of a list, or a part of one, as JSON knows it; bytes become text as `wire_text` writes them."""
    if isinstance(part, bytes):
        return to_text(part)
    if isinstance(part, list | tuple):
        return [as_json(one) for one in part]
    if dataclasses.is_dataclass(part):
        return {one.name: as_json(getattr(part, one.name)) for one in dataclasses.fields(part)}
    return part


def _listed(parse: Callable[[bytes], Sequence[object]]) -> Callable[[bytes], object]:
    return lambda answer: as_json(parse(answer))


def _uniques(answer: bytes) -> object:
    return [line.decode("utf-8", "backslashreplace") for line in answer.removesuffix(END_OF_LIST).splitlines()]


def _maxqueue_line(argument: str) -> str:
    function, equals, numbers = argument.rpartition("=")
    words = numbers.split(",")
    if not (function and equals) or len(words) not in {1, 3} or not all(word.strip().isdecimal() for word in words):
        raise UsageError(f"--max-queue must be FUNCTION=N or FUNCTION=HIGH,NORMAL,LOW, got {argument!r}")
    return " ".join(["maxqueue", function, *(word.strip() for word in words)])


def _at_function(word: str) -> Callable[[str], str]:
    # A gearjobs server takes a space in a name as the lists of names print bytes that cannot be.
    return lambda name: f"{word} {name.replace(' ', _SPACE)}"


def _snapshot(answer: bytes) -> object:
    value: object = json.loads(answer.partition(b"\n")[0])
    return value


OPERATIONS: Final = (
    Operation(
        "pause-function",
        "Hand out no job of a function until it is resumed. Ours.",
        _at_function("pause"),
        "FUNCTION",
    ),
    Operation("resume-function", "Hand out the jobs of a function again. Ours.", _at_function("resume"), "FUNCTION"),
    Operation(
        "clear-function",
        "Cancel the waiting jobs of a function, and print how many. Ours.",
        _at_function("clear"),
        "FUNCTION",
        lambda answer: int(as_value(answer)),
    ),
    Operation(
        "max-queue",
        "Let a function have so many jobs at most: N of each priority, or three numbers; 0 for any. Ours.",
        _maxqueue_line,
        "FUNCTION=N",
    ),
    Operation("getpid", "Print the server's process id.", "getpid", read=lambda answer: int(as_value(answer))),
    Operation("create-function", "Make a function known.", lambda name: f"create function {name}", "FUNCTION"),
    Operation("drop-function", "Forget a function nobody works at.", lambda name: f"drop function {name}", "FUNCTION"),
    Operation(
        "show-jobs", "List all jobs: handle, retries, ignored, persisted.", "show jobs", read=_listed(parse_jobs)
    ),
    Operation("show-unique-jobs", "List the unique of every job.", "show unique jobs", read=_uniques),
    Operation("cancel-job", "Take back a job.", lambda handle: f"cancel job {handle}", "HANDLE"),
    Operation("server-verbose", "Print how much the server logs.", "verbose"),
    Operation("server-version", "Print the server's version.", "version"),
    Operation("workers", "List every connection and what it can do.", "workers", read=_listed(parse_workers)),
    Operation(
        "priority-status",
        "List every function: its waiting jobs of high, normal and low priority, its workers.",
        "prioritystatus",
        read=_listed(parse_prioritystatus),
    ),
    Operation(
        "status", "List every function: its jobs, the running ones, its workers.", "status", read=_listed(parse_status)
    ),
    Operation(
        "worker-reports",
        "List what each of gearjobs' workers last said of itself. Ours.",
        "show worker reports",
        read=_listed(parse_worker_reports),
    ),
    Operation(
        "snapshot", "Print what the server is doing, as JSON in any case. Ours.", "show snapshot", read=_snapshot
    ),
)
