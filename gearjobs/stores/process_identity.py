"""Which process this is, so that a later one can prove that it is gone.

A process id alone proves nothing: it may be another machine's, another container's, or used again. With the boot of
the machine, the table of processes it counts in and the moment it started it names one process for ever; where the
system does not tell these (no /proc), nothing is ever proved and the lease decides instead.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
#: Field of /proc/<pid>/stat after the name: the state is the first, the start the twentieth (proc(5), 3 and 22).
_STATE, _START = 0, 19
#: States of what runs no more and only waits to be forgotten.
_ENDED: Final = {"Z", "X", "x"}


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process of one boot of one machine."""

    host: str
    pid: int
    #: Boot and table of processes; empty where the system does not tell.
    boot_id: str
    #: Clock ticks from the boot to its start; 0 where the system does not tell.
    process_start: int

    def is_surely_dead(self) -> bool:
        """Tell whether the process is known to have ended: True is a proof, False is not."""
        if not self.boot_id or not self.process_start or self.boot_id != _boot_id():
            return False
        try:
            # Signal 0 only asks; a process of another user may be hidden in /proc and is found all the same.
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass
        state, start = _state_and_start(self.pid)
        return state in _ENDED or start not in {0, self.process_start}


def this_process() -> ProcessIdentity:
    """Return the identity of the calling process."""
    pid = os.getpid()
    return ProcessIdentity(socket.gethostname()[:255], pid, _boot_id(), _state_and_start(pid)[1])


def _boot_id() -> str:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        # Containers of a machine share its boot and count their processes apart.
        return f"{boot} {(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


def _state_and_start(pid: int) -> tuple[str, int]:
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", 0
    # The name before them is in parentheses and may hold anything.
    fields = text.rpartition(")")[2].split()
    return fields[_STATE], int(fields[_START])
