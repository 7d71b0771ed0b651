"""`gearadmin`: asks a job server's administrative protocol, as gearmand's tool of that name does.

Every option of gearmand's, what it prints and what it exits with; `--json` and what else is ours is marked in the help.
Like gearmand's it exits with 0 when the server answered, though it be with an error, which then stands on stderr; with
`--json` a refusal is 1. Of a command line that is wrong, gearmand's tells on stdout, this one on stderr. What can be
asked is the table in `admin_operations`.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

from gearjobs.client.admin_client import AdminClient
from gearjobs.errors import GearjobsError, UsageError
from gearjobs.terminal.admin_operations import OPERATIONS, Operation, as_error, as_text
from gearjobs.terminal.server_options import FILE_OPTIONS, HomeServers, option_values, security_of, servers_of
from gearjobs.terminal.streams import EXIT_FAILURE, EXIT_OK, Streams

#: Seconds a server may take to answer.
_TIMEOUT_S: Final = 10.0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def gearadmin(
    words: Sequence[str], streams: Streams, *, home: HomeServers, program: str, passed_over: Sequence[str] = ()
) -> int:
    """Do what a command line says, and return the exit code.

    Args:
        words: the command line without the program's name.
        streams: of the program.
        home: where it goes if nobody says.
        program: what it is called.
        passed_over: further long options that are taken; `=` behind those with a value.
    """
    parser = _Parser(prog=program, add_help=False, usage="%(prog)s [options]")
    parser.add_argument("--help", action="store_true", help="show this help and exit")
    add_gearadmin_options(parser)
    for name in passed_over:
        parser.add_argument(
            f"--{name.removesuffix('=')}",
            action="store" if name.endswith("=") else "store_true",
            help=argparse.SUPPRESS,
        )
    try:
        given = vars(parser.parse_args(words))
        if given["help"]:
            streams.stdout(parser.format_help().encode())
            return EXIT_OK
        return ask(given, streams, home=home)
    except GearjobsError as error:
        streams.stderr(f"{program}: {error}\n".encode())
        return EXIT_FAILURE


def add_gearadmin_options(parser: argparse.ArgumentParser) -> None:
    """Add the options to a parser that has no `-h`, which is the host's."""
    parser.add_argument("-h", "--host", default="", help="the job server's host, or unix:/path (localhost)")
    parser.add_argument("-p", "--port", default="", help="its port, or a service's name (4730)")
    parser.add_argument("-S", "--ssl", action="store_true", help="connect with TLS")
    for name, sentence in FILE_OPTIONS.items():
        parser.add_argument(f"--{name}", default="", metavar="FILE", help=sentence)
    parser.add_argument(
        "--timeout",
        type=float,
        default=_TIMEOUT_S,
        metavar="SECONDS",
        help=f"how long each answer may take ({_TIMEOUT_S:g})",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, the answers by their options")
    for operation in reversed(OPERATIONS):
        if operation.argument:
            parser.add_argument(f"--{operation.option}", metavar=operation.argument, help=operation.sentence)
        else:
            parser.add_argument(f"--{operation.option}", action="store_true", help=operation.sentence)


def ask(given: Mapping[str, Any], streams: Streams, *, home: HomeServers) -> int:
    """Carry out what the options say, and return the exit code.

    Raises:
        UsageError: they say nothing, or nothing that can be.
        ServerUnavailable: no server answered.
        WireError: an answer cannot be read.
    """
    lines = [
        (operation, operation.make_line(given[operation.name]))
        for operation in OPERATIONS
        if given.get(operation.name) not in {None, False}
    ]
    if not lines:
        raise UsageError("what is to be asked? Such as --status; --help lists everything")
    options = option_values(given)
    # One server, as gearmand's tool: what changes something must not end up at the next one of a list.
    address = servers_of(options, home, os.environ)[0]
    security = security_of(options, home, os.environ)
    answers = _JsonAnswers(streams) if given["json"] else _TextAnswers(streams)
    with AdminClient(address, timeout_s=given["timeout"], security=security) as client:
        for operation, line in lines:
            answers.take(operation, client.command(os.fsencode(line)))
    return answers.end()


class _TextAnswers:
    """Prints answers as gearmand's tool does."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    def take(self, operation: Operation, answer: bytes) -> None:
        error = as_error(answer)
        if error is None:
            self._streams.stdout(as_text(answer))
        else:
            self._streams.stderr(b"Error: " + error)

    def end(self) -> int:
        return EXIT_OK


class _JsonAnswers:
    """Prints all answers as one object; what was refused is an object with the key `error`."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._values: dict[str, object] = {}
        self._exit_code = EXIT_OK

    def take(self, operation: Operation, answer: bytes) -> None:
        error = as_error(answer)
        if error is None:
            self._values[operation.option] = operation.read(answer)
        else:
            self._values[operation.option] = {"error": error.decode("utf-8", "backslashreplace").strip()}
            self._exit_code = EXIT_FAILURE

    def end(self) -> int:
        self._streams.stdout(json.dumps(self._values, ensure_ascii=False).encode() + b"\n")
        return self._exit_code
