"""`gearman`: submits jobs from a terminal, or works at functions with a command, as gearmand's tool of that name does.

Here are the help, the process id's file and the background; the two modes are `job_sender` and `command_worker`. What
differs from gearmand's: a job or a server that fails ends it with 1 whatever failed, and numbers must be numbers.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from gearjobs.errors import GearjobsError, UsageError
from gearjobs.server.command.daemon import detach
from gearjobs.terminal.command_worker import CommandWorker
from gearjobs.terminal.gearman_words import GearmanWords, read_words
from gearjobs.terminal.job_sender import JobSender
from gearjobs.terminal.server_options import FILE_OPTIONS, HomeServers, security_of, servers_of
from gearjobs.terminal.streams import EXIT_FAILURE, EXIT_OK, Streams

_HELP: Final = """\
Usage: {program} -f FUNCTION [options] [DATA ...]           submit a job for each DATA, or one with what stdin says
       {program} -w -f FUNCTION [options] [-- COMMAND ...]  run the command for each job: payload in, result out

Both:
  -f FUNCTION   function, may be given several times
  -h HOST       job server: a host or unix:/path (GEARMAN_SERVERS; {servers})
  -p PORT       its port, or a service's name (4730)
  -t MS         client: how long a job may take; worker: with -c, each silence so long counts as a job
  -S, --ssl     connect with TLS
{files}
  -v            say what happens
  -i FILE       write the process id there
  -d            go into the background
  -H, --help    show this help

Client:
  -b            in the background: do not wait for the end
  -I            with high priority
  -L            with low priority
  -n            a job for each line of stdin
  -N            likewise, the lines without their ends
  -P            put the function before each output
  -s            do not read stdin: the payload is empty
  -u UNIQUE     jobs of a function with the same unique are one

Worker:
  -w            work
  -c COUNT      end after so many jobs
  -n            send each line of the command at once, as data
  -N            likewise, the lines without their ends
Without a command the payload is printed. A command that ends with anything but 0 has failed.
"""


def gearman(
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
    try:
        read = read_words(words, passed_over=passed_over)
    except UsageError as error:
        streams.stderr(f"{program}: {error}; -H shows the help\n".encode())
        return EXIT_FAILURE
    if read.wants_help:
        streams.stdout(_help(home, program).encode())
        return EXIT_OK
    try:
        return _run(read, streams, home=home, program=program)
    except (GearjobsError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        streams.stderr(f"{program}: {error}\n".encode())
        return EXIT_FAILURE


def _run(read: GearmanWords, streams: Streams, *, home: HomeServers, program: str) -> int:
    servers = servers_of(read.server, home, os.environ)
    security = security_of(read.server, home, os.environ)
    role = CommandWorker if read.is_worker else JobSender
    detachment = detach() if read.is_daemon else None
    mode = role(read, streams, servers=servers, security=security, program=program)
    pid_file = Path(read.pid_file) if read.pid_file else None
    if pid_file is not None:
        pid_file.write_text(f"{os.getpid()}\n", encoding="ascii")
    try:
        if detachment is not None:
            detachment.complete()
        return mode.run()
    finally:
        if pid_file is not None:
            with suppress(FileNotFoundError):
                pid_file.unlink()


def _help(home: HomeServers, program: str) -> str:
    files = "\n".join(f"  --{name} FILE\n                {sentence}" for name, sentence in FILE_OPTIONS.items())
    return _HELP.format(program=program, servers=", ".join(home.servers), files=files)
