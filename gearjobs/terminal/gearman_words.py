"""The command line of `gearman`: gearmand's letters, read as getopt reads them.

Options may stand among the data or the command's words; `--` ends them, and a worker's command that has options of its
own needs it: `gearman -w -f count -- wc -l`. Data and commands are bytes, as the terminal gave them. Options with two
dashes are ours. Source: gearmand's bin/arguments.cc, whose numbers are C's atoi; here a number must be one.
"""

from __future__ import annotations

import getopt
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gearjobs.errors import UsageError
from gearjobs.terminal.server_options import FILE_OPTIONS, ServerOptions

#: gearmand's letters; a colon behind those that take a value.
_LETTERS: Final = "bc:df:h:Hi:ILnNp:Pst:u:vwS"


@dataclass(slots=True)
class GearmanWords:
    """What the command line says."""

    server: ServerOptions = field(default_factory=ServerOptions)
    #: Functions to submit to, or to work at.
    functions: list[bytes] = field(default_factory=list)
    #: Payloads of a client; a worker's command and its arguments.
    words: list[bytes] = field(default_factory=list)
    is_worker: bool = False
    is_background: bool = False
    #: 1 for high, -1 for low.
    priority: int = 0
    #: A job for each line of stdin; of a worker, a piece of data for each line of its command.
    is_by_line: bool = False
    #: Lines without their ends.
    is_stripped: bool = False
    #: Whether a line says whose output it is.
    has_prefix: bool = False
    #: Whether stdin is left alone.
    is_without_input: bool = False
    unique: bytes = b""
    #: Seconds; None for any time.
    timeout_s: float | None = None
    #: Jobs after which a worker ends; 0 for never.
    count: int = 0
    is_verbose: bool = False
    is_daemon: bool = False
    pid_file: str = ""
    wants_help: bool = False


def read_words(words: Sequence[str], *, passed_over: Sequence[str] = ()) -> GearmanWords:
    """Read the command line.

    Args:
        words: without the program's name.
        passed_over: further long options, which mean nothing here; `=` behind those that take a value.

    Raises:
        UsageError: it cannot be; the sentence is for the terminal.
    """
    long_options = [*(f"{name}=" for name in FILE_OPTIONS), "ssl", "help", *passed_over]
    try:
        options, rest = getopt.gnu_getopt(list(words), _LETTERS, long_options)
    except getopt.GetoptError as error:
        raise UsageError(error.msg) from error
    read = GearmanWords(words=[os.fsencode(word) for word in rest])
    for option, text in options:
        _take(option, text, read)
    if not read.functions and not read.wants_help:
        raise UsageError("which function? Name at least one with -f")
    return read


def _take(option: str, text: str, read: GearmanWords) -> None:
    if option in _SWITCHES:
        _SWITCHES[option](read)
    elif option in _VALUES:
        _VALUES[option](read, text)
    elif option.removeprefix("--") in FILE_OPTIONS:
        setattr(read.server, option.removeprefix("--").replace("-", "_"), text)


def _strip_lines(read: GearmanWords) -> None:
    read.is_by_line = read.is_stripped = True


def _set(name: str, value: object) -> Callable[[GearmanWords], None]:
    return lambda read: setattr(read, name, value)


_SWITCHES: Final[dict[str, Callable[[GearmanWords], None]]] = {
    "-b": _set("is_background", True),
    "-d": _set("is_daemon", True),
    "-H": _set("wants_help", True),
    "--help": _set("wants_help", True),
    "-I": _set("priority", 1),
    "-L": _set("priority", -1),
    "-n": _set("is_by_line", True),
    "-N": _strip_lines,
    "-P": _set("has_prefix", True),
    "-s": _set("is_without_input", True),
    "-v": _set("is_verbose", True),
    "-w": _set("is_worker", True),
    "-S": lambda read: setattr(read.server, "ssl", True),
    "--ssl": lambda read: setattr(read.server, "ssl", True),
}

_VALUES: Final[dict[str, Callable[[GearmanWords, str], None]]] = {
    "-c": lambda read, text: setattr(read, "count", max(0, _number("-c", text))),
    "-f": lambda read, text: read.functions.append(os.fsencode(text)),
    "-h": lambda read, text: setattr(read.server, "host", text),
    "-i": lambda read, text: setattr(read, "pid_file", text),
    "-p": lambda read, text: setattr(read.server, "port", text),
    # A negative one is none, as in libgearman.
    "-t": lambda read, text: setattr(
        read, "timeout_s", number / 1000 if (number := _number("-t", text)) >= 0 else None
    ),
    "-u": lambda read, text: setattr(read, "unique", os.fsencode(text)),
}


def _number(option: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{option} takes a whole number, got {text!r}") from None
