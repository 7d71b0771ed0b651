"""`gearjobs`: the programs of a terminal without a Django project; also `python -m gearjobs.terminal`.

`gearjobs gearadmin --status`, `gearjobs gearman -f resize photo.jpg`. In a project the same programs are management
commands, which know its servers and its secret.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from gearjobs.terminal.server_options import HomeServers
from gearjobs.terminal.streams import EXIT_FAILURE, EXIT_OK, exit_code_of, standard_streams
from gearjobs.version import __version__

#: Name -> its module, which has a function of that name. Imported when it is wanted: a monitor that asks every second
#: needs nothing of what a worker needs.
_PROGRAMS: Final = {
    "gearadmin": "gearjobs.terminal.gearadmin_program",
    "gearman": "gearjobs.terminal.gearman_program",
}
_USAGE: Final = """\
Usage: gearjobs gearadmin [options]   ask a job server: --status, --workers, --show-jobs ...; --help lists all
       gearjobs gearman [options]     submit jobs, or work at functions with a command; -H lists the options
       gearjobs --version
"""


def main() -> None:
    """Run the program that the command line names, and exit."""
    sys.exit(exit_code_of(lambda: run(sys.argv[1:])))


def run(words: Sequence[str]) -> int:
    """Run the program that the words name, and return its exit code."""
    streams = standard_streams()
    match list(words):
        case [name, *rest] if name in _PROGRAMS:
            exit_code: int = getattr(import_module(_PROGRAMS[name]), name)(
                rest, streams, home=HomeServers(), program=name
            )
            return exit_code
        case ["--version"]:
            streams.stdout(f"gearjobs {__version__}\n".encode())
            return EXIT_OK
        case ["--help" | "-h"]:
            streams.stdout(_USAGE.encode())
            return EXIT_OK
        case _:
            streams.stderr(_USAGE.encode())
            return EXIT_FAILURE


if __name__ == "__main__":
    main()
