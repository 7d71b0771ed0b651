"""A child of the pool from its fork to its end, as a program of its own would be: exit codes, last words, and no more.

The supervisor's own code must never go on in a child, whatever is raised there. Also here: how the end of a child is
put into words, for the log and for the records of the jobs it ran.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from gearjobs.worker.pool.parent_death import die_with_parent

logger = logging.getLogger("gearjobs.worker")


def be_child(run: Callable[[], None], *, supervisor_pid: int, name: str) -> NoReturn:
    """Run the function and end the process with what comes of it.

    Args:
        run: what the child is for.
        supervisor_pid: with whom it dies; taken before the fork.
        name: what it is called in the log.
    """
    exit_code = 1
    try:
        die_with_parent(supervisor_pid)
        run()
        exit_code = 0
    except SystemExit as request:
        exit_code = _exit_code(request)
    except KeyboardInterrupt:
        # What a shell says of a program ended by Ctrl-C; the user knows why.
        exit_code = 128 + signal.SIGINT
    except BaseException:
        # The process ends here; the traceback is its last word.
        logger.critical("Worker process failed name=%s pid=%s", name, os.getpid(), exc_info=True)
    finally:
        flush_output()
        os._exit(exit_code)


def words_of_end(exit_code: int) -> str:
    """Return how a process ended, from what `os.waitstatus_to_exitcode` says."""
    if exit_code >= 0:
        return f"exit code {exit_code}"
    return f"signal {-exit_code} ({signal.strsignal(-exit_code)})"


def send_signal(pid: int, number: signal.Signals) -> None:
    """Send a signal to a child that was not waited for yet."""
    # Ended already: the pid is still this child's.
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def flush_output() -> None:
    """Write out what is buffered: after a fork it would be written by both."""
    for stream in (sys.stdout, sys.stderr):
        # Closed or gone: nothing left to save.
        with suppress(OSError, ValueError):
            stream.flush()


def _exit_code(request: SystemExit) -> int:
    """Return what the interpreter would make of it."""
    if request.code is None:
        return 0
    if isinstance(request.code, int):
        return request.code
    sys.stderr.write(f"{request.code}\n")
    return 1
