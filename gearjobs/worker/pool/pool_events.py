"""What happens in a pool of processes, told to whoever started it as it happens, in the supervisor.

The supervisor writes its own log; these are for who wants to do something about it: tell job servers of lost jobs, send
signals, print.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gearjobs.worker.pool.work_board import HeldJob


class PoolEventKind(Enum):
    """What can happen to a pool."""

    #: A child was started.
    STARTED = "started"
    #: A child ended, by itself or as it was told to.
    ENDED = "ended"
    #: The pool was told to stop and tells its children.
    STOPPING = "stopping"
    #: A child did not stop in time, or is past its deadline, and is killed.
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class PoolEvent:
    """Something happened to a pool."""

    kind: PoolEventKind
    #: Which child; -1 when all are meant.
    index: int = -1
    #: The child's process id; 0 when all are meant.
    pid: int = 0
    #: How a child ended: its exit code, or minus the signal that ended it.
    exit_code: int = 0
    #: Seconds until the child is replaced.
    pause_s: float = 0.0
    #: How it ended, in words.
    cause: str = ""
    #: The jobs that it ran when it ended.
    held_jobs: tuple[HeldJob, ...] = ()
