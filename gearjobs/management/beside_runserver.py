"""A job server and workers beside Django's `runserver`, for development: `GEARJOBS["SERVER"]["AUTOSTART"]`.

`AppConfig.ready` calls `start_beside_runserver` in every process; it does something in those of `runserver` only. With
the autoreloader there are two: the one that watches keeps the job server, which outlives changes of the code; the one
that serves, and is begun anew at each change, keeps the workers, so that they always run the code that is served.
Without it, one process keeps both. They are ordinary `runjobserver` and `runworkers` processes: one that ends (no
migration yet, a syntax error) is started again after a pause; all of them get SIGTERM when their keeper ends, however
it ends (Linux), and Ctrl-C reaches them by the terminal.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from django.conf import settings
from django.utils.autoreload import DJANGO_AUTORELOAD_ENV, get_child_arguments

from gearjobs.guarded_socket import NO_SECURITY, open_guarded
from gearjobs.servers import parse_server
from gearjobs.settings import gearjobs_settings

#: The command that has companions.
RUNSERVER: Final = "runserver"
#: Seconds from the end of a companion to its next start; doubled each time it ended within as long, up to the last.
PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0, 15.0)
#: Seconds a companion must have run for its end to count as the first.
STEADY_S: Final = 10.0
#: Seconds to find out whether a job server is there already.
PROBE_TIMEOUT_S: Final = 0.5
#: prctl's PR_SET_PDEATHSIG (linux/prctl.h).
_PR_SET_PDEATHSIG: Final = 1
# Options of every command that decide which project it is.
_PROJECT_OPTIONS: Final = ("--settings", "--pythonpath")


@dataclass(frozen=True, slots=True)
class Companion:
    """A command that runs beside `runserver`."""

    #: Its name and options.
    words: tuple[str, ...]


SERVER: Final = Companion(("runjobserver",))
# Without a reloader of their own: `runserver` begins them anew.
WORKERS: Final = Companion(("runworkers", "--no-reload"))


def start_beside_runserver() -> None:
    """Start what belongs beside this process, if it is one of `runserver`'s and the settings say so."""
    if sys.argv[1:2] != [RUNSERVER] or {"--help", "-h", "--version"} & set(sys.argv):
        return
    word = gearjobs_settings().server.autostart
    if word == "always" or (word == "debug" and settings.DEBUG):
        for companion in companions(sys.argv, os.environ):
            threading.Thread(
                target=_keep, args=(companion,), name=f"gearjobs-{companion.words[0]}", daemon=True
            ).start()


def companions(argv: Sequence[str], environ: Mapping[str, str]) -> list[Companion]:
    """Return what belongs beside the process of `runserver` with these arguments and this environment."""
    if "--noreload" in argv:
        return [SERVER, WORKERS]
    return [WORKERS] if environ.get(DJANGO_AUTORELOAD_ENV) == "true" else [SERVER]


def command_line(companion: Companion, runserver: Sequence[str]) -> list[str]:
    """Return how to run the companion in the same project, by the same interpreter, as `runserver` was run.

    Args:
        companion: which.
        runserver: the whole command line of `runserver`, the interpreter first.
    """
    place = runserver.index(RUNSERVER)
    return [*runserver[:place], *companion.words, *_project_options(runserver[place:])]


def _project_options(words: Sequence[str]) -> list[str]:
    found: list[str] = []
    for number, word in enumerate(words):
        if word in _PROJECT_OPTIONS:
            found += [f"{word}={value}" for value in words[number + 1 : number + 2]]
        elif word.startswith(tuple(f"{option}=" for option in _PROJECT_OPTIONS)):
            found.append(word)
    return found


def _keep(companion: Companion) -> None:
    """Run the companion as long as this process lives."""
    name = companion.words[0]
    failures = 0
    while True:
        if companion is SERVER and (address := _present_server()) is not None:
            _say(f"A job server answers at {address} already: none is started beside runserver.")
            return
        started_at = time.monotonic()
        exit_code = _run(companion)
        failures = 0 if time.monotonic() - started_at >= STEADY_S else failures + 1
        pause_s = PAUSES_S[min(failures, len(PAUSES_S)) - 1] if failures else PAUSES_S[0]
        _say(f"{name} beside runserver ended with exit code {exit_code}; it is started again in {pause_s:g} s.")
        time.sleep(pause_s)


def _run(companion: Companion) -> int:
    environ = {name: value for name, value in os.environ.items() if name != DJANGO_AUTORELOAD_ENV}
    tie = partial(_end_with, os.getpid(), ctypes.CDLL(None)) if sys.platform.startswith("linux") else None
    # preexec_fn: between fork and exec, a call to the C library that is loaded already, and nothing else.
    process = subprocess.Popen(  # noqa: S603 - our own command line once more
        command_line(companion, get_child_arguments()),
        stdin=subprocess.DEVNULL,
        env=environ,
        preexec_fn=tie,  # noqa: PLW1509 - as above
    )
    return process.wait()


def _end_with(keeper_pid: int, libc: ctypes.CDLL) -> None:
    """Have the process to be sent SIGTERM when its keeper ends; a running job then ends first."""
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != keeper_pid:
        os._exit(1)


def _present_server() -> str | None:
    """Return the first configured job server's address if somebody listens there."""
    address = parse_server(gearjobs_settings().servers[0])
    try:
        open_guarded(address, NO_SECURITY, timeout_s=PROBE_TIMEOUT_S).close()
    except OSError:
        return None
    return str(address)


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()
