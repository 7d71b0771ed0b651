"""What worker processes and their supervisor know of each other without asking: memory that both have.

A process may be stopped, stuck in code that lets no other thread run, or dead; what the supervisor then needs (until
when the run may go on, which job it is, why the process ended) must lie where it can read it. There is one cell for a
process, with a row for each of its lanes, and each lane runs one job at a time. A number is written by one side alone,
in one piece. The memory is a file of no name, so that a supervisor that renews itself (`renewal`) can open it again.
Times are of the lease clock, the same for all processes of a machine.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

from gearjobs.errors import UsageError

#: Longest handle and server address on the board; handles are shorter than 64 bytes everywhere.
_HANDLE_BYTES: Final = 64
_SERVER_BYTES: Final = 264


class Ending(IntEnum):
    """Why a process ended, by its own last word."""

    #: It said nothing: it was told to end, or died.
    UNSAID = 0
    #: It had its share of jobs, memory or time, and is to be replaced.
    RECYCLED = 1
    #: An operator stopped it, by way of a server; it is not to be replaced.
    STOPPED = 2
    #: There was nothing left to do, which is what it was for.
    DRAINED = 3


class LaneRow(ctypes.Structure):
    """One lane of a process."""

    _fields_ = (
        #: When its run must have ended; infinity without one.
        ("deadline", ctypes.c_double),
        #: Since when it has known of no job for it; 0 while it runs one or asks.
        ("idle_since", ctypes.c_double),
        #: How often no server had a job for it.
        ("idle_turns", ctypes.c_uint64),
        #: Job servers it is connected to.
        ("servers", ctypes.c_uint32),
        #: The attempt of the job it runs; 0 while it runs none. Written first at the end and last at the start of one.
        ("attempt", ctypes.c_uint32),
        ("handle", ctypes.c_char * _HANDLE_BYTES),
        ("server", ctypes.c_char * _SERVER_BYTES),
    )
    deadline: float
    idle_since: float
    idle_turns: int
    servers: int
    attempt: int
    handle: bytes
    server: bytes

    def begin(self, handle: str, attempt: int, *, server: str) -> None:
        """The lane runs a job."""
        self.idle_since = 0.0
        self.handle = handle.encode()[: _HANDLE_BYTES - 1]
        self.server = server.encode()[: _SERVER_BYTES - 1]
        self.attempt = attempt

    def end(self) -> None:
        """The job has ended."""
        self.attempt = 0

    def turn(self, servers: int, *, is_idle: bool, now: float) -> None:
        """The lane was at its servers and got no job.

        Args:
            servers: how many there are at the moment.
            is_idle: whether all of them said that they have none.
            now: the time.
        """
        self.servers = servers
        if is_idle:
            self.idle_turns += 1
            self.idle_since = self.idle_since or now


class ProcessRow(ctypes.Structure):
    """What a process says of itself as a whole."""

    _fields_ = (
        ("jobs_done", ctypes.c_uint64),
        ("jobs_failed", ctypes.c_uint64),
        #: One of Ending.
        ("ending", ctypes.c_uint32),
        #: Written by the supervisor: whether it is to take no jobs.
        ("is_quiet", ctypes.c_uint32),
    )
    jobs_done: int
    jobs_failed: int
    ending: int
    is_quiet: int


@dataclass(frozen=True, slots=True)
class HeldJob:
    """A job that a process ran when it died."""

    handle: str
    attempt: int
    #: Address of the job server that handed it over.
    server: str


class ProcessCell:
    """The rows of one process.

    Args:
        row: of the whole.
        lanes: of its lanes.
    """

    def __init__(self, row: ProcessRow, lanes: list[LaneRow]) -> None:
        self.row = row
        self.lanes = lanes

    def clear(self) -> None:
        """Make it that of a process that has not begun; whether it is to be quiet stays."""
        self.row.jobs_done = self.row.jobs_failed = 0
        self.row.ending = Ending.UNSAID
        for lane in self.lanes:
            lane.deadline = math.inf
            lane.attempt = lane.servers = lane.idle_turns = 0
            lane.idle_since = 0.0

    def is_over(self, now: float) -> bool:
        """Whether a run of it should have ended."""
        return any(lane.deadline <= now for lane in self.lanes)

    def forget_deadlines(self) -> None:
        """The process is being killed: once is enough."""
        for lane in self.lanes:
            lane.deadline = math.inf

    @property
    def held_jobs(self) -> list[HeldJob]:
        """The jobs it runs, or ran when it died."""
        return [
            HeldJob(lane.handle.decode("utf-8", "replace"), lane.attempt, lane.server.decode("utf-8", "replace"))
            for lane in self.lanes
            if lane.attempt
        ]

    @property
    def busy_lanes(self) -> int:
        """Lanes that run a job."""
        return sum(1 for lane in self.lanes if lane.attempt)

    @property
    def has_servers(self) -> bool:
        """Whether it has reached a job server, and not lost all since."""
        return any(lane.servers for lane in self.lanes)


class WorkBoard:
    """The cells of a pool's processes.

    Args:
        lane_counts: the number of lanes of each process, in order.
        descriptor: of a board that is there already; by default a new one is made.

    Raises:
        UsageError: there is no process, or one without lanes.
    """

    def __init__(self, lane_counts: Sequence[int], *, descriptor: int | None = None) -> None:
        if not lane_counts or min(lane_counts) < 1:
            raise UsageError(f"a group of workers needs at least one process and one lane each, got {lane_counts!r}")
        self.lane_counts = tuple(lane_counts)
        row_bytes, lane_bytes = ctypes.sizeof(ProcessRow), ctypes.sizeof(LaneRow)
        size = len(lane_counts) * row_bytes + sum(lane_counts) * lane_bytes
        is_new = descriptor is None
        #: Of the memory, for who renews itself.
        self.descriptor = _new_memory(size) if descriptor is None else descriptor
        # Shared: children made by fork have the same pages.
        self._memory = mmap.mmap(self.descriptor, size)
        self.cells: list[ProcessCell] = []
        place = 0
        for count in lane_counts:
            row = ProcessRow.from_buffer(self._memory, place)
            place += row_bytes
            lanes = [LaneRow.from_buffer(self._memory, place + number * lane_bytes) for number in range(count)]
            place += count * lane_bytes
            self.cells.append(ProcessCell(row, lanes))
        if is_new:
            for cell in self.cells:
                cell.clear()

    @classmethod
    def opened(cls, descriptor: int, lane_counts: Sequence[int]) -> Self:
        """Return the board that another program of this process has made."""
        # For this program only; the next one will ask for what it needs.
        os.set_inheritable(descriptor, False)
        return cls(lane_counts, descriptor=descriptor)


def _new_memory(size: int) -> int:
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("gearjobs-work-board")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor
