"""gearmand's terminal tools and ours, run the same way: words and stdin in, exit code and bytes out.

Ours run in the test's own process, where starting them costs nothing; as processes they are tried in
`tests/integration/test_terminal_programs.py`.
"""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gearjobs.servers import ServerAddress
from gearjobs.terminal.gearadmin_program import gearadmin
from gearjobs.terminal.gearman_program import gearman
from gearjobs.terminal.server_options import HomeServers
from gearjobs.terminal.streams import Streams
from tests.support.foreign_peers import missing

#: Seconds a tool may take.
TOOL_TIMEOUT_S = 20.0

_PROGRAMS: dict[str, Callable[..., int]] = {"gearadmin": gearadmin, "gearman": gearman}


@dataclass(frozen=True)
class Ran:
    """What a program did."""

    code: int
    stdout: bytes
    stderr: bytes


#: Runs a program with words and a stdin.
Run = Callable[[str, Sequence[str], bytes], Ran]


def run_ours(program: str, words: Sequence[str], stdin: bytes = b"", *, home: HomeServers | None = None) -> Ran:
    """Run our program."""
    stdout, stderr = io.BytesIO(), io.BytesIO()
    streams = Streams(io.BytesIO(stdin), stdout.write, stderr.write)
    code = _PROGRAMS[program](words, streams, home=home or HomeServers(), program=program)
    return Ran(code, stdout.getvalue(), stderr.getvalue())


def run_stock(program: str, words: Sequence[str], stdin: bytes = b"") -> Ran:
    """Run gearmand's tool; skip the test where it is not installed."""
    if shutil.which(program) is None:
        missing(f"{program} is not installed (Debian: gearman-tools), so nothing was compared with it")
    done = subprocess.run([program, *words], input=stdin, capture_output=True, timeout=TOOL_TIMEOUT_S)
    return Ran(done.returncode, done.stdout, done.stderr)


def at(server: ServerAddress) -> list[str]:
    """Return the words that name a server."""
    return ["-h", server.host, "-p", str(server.port)]
