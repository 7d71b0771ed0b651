"""Running in the background: the process that was started waits until its child serves, then leaves it alone.

So a start script may go on when the command returns: exit code 0 says that the server listens, 1 that it does not, and
the child has said why on the terminal that it still had. Source: gearmand's util/daemon.cc.
"""

from __future__ import annotations

import os
import sys

#: What the child writes when it serves.
_READY = b"\0"
_STDERR = 2


class Detachment:
    """The child's side: in the background already, still with the terminal's stdout and stderr.

    Args:
        pipe: where the parent waits.
    """

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def complete(self) -> None:
        """Let the parent end with 0, and let go of the terminal; once."""
        null = os.open(os.devnull, os.O_RDWR)
        for standard in (1, _STDERR):
            os.dup2(null, standard)
        os.close(null)
        os.write(self._pipe, _READY)
        os.close(self._pipe)


def open_standard_files() -> None:
    """Give stdin, stdout and stderr their descriptors where the process was started without, so that no socket does."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(descriptor)


def detach() -> Detachment:
    """Go on in a child process of a session of its own; the parent never returns from here.

    To be called before there are threads, sockets or databases that the two would share.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    waits, tells = os.pipe()
    if os.fork():
        os.close(tells)
        # Nothing of this process's clean-up: it belongs to the child.
        os._exit(0 if os.read(waits, 1) == _READY else 1)
    os.close(waits)
    os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    if null:
        os.close(null)
    return Detachment(tells)
