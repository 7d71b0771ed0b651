"""What a simulated server is put together from: its habits, and the table and the sockets as the real parts want them.

A habit is what a server could do wrong; mutants have one that is wrong. The server itself is `simulated_server`'s.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gearjobs.core.changes import Change
from gearjobs.core.job_queue import JobQueue
from gearjobs.core.jobs import JobHandle
from gearjobs.server.commit.commit_steps import CommitRules
from gearjobs.server.commit.group_commit import GroupCommit
from gearjobs.server.connection import HeldReply
from tests.simulation.network import Link
from tests.simulation.shared_table import Session, SharedTable

if TYPE_CHECKING:
    from tests.simulation.simulated_server import SimulatedServer


@dataclass(slots=True)
class ServerHabits:
    """What a server could do wrong; the defaults are right."""

    rules: CommitRules = field(default_factory=CommitRules)
    #: Makes the queue; a mutant has a queue of its own kind.
    new_queue: Callable[..., JobQueue] = JobQueue
    new_group_commit: Callable[[CommitRules], GroupCommit[HeldReply]] = GroupCommit
    #: Whether JOB_CREATED waits for its commit.
    holds_created: bool = True
    #: Whether stored jobs are withheld while the lease is not in hand, and workers told so.
    heeds_lease: bool = True
    #: Whether connections on which nothing passes are given up.
    has_keepalive: bool = True
    #: Whether a server that hears it is fenced begins anew.
    heeds_fence: bool = True
    #: Whether the queue is told that the wall clock was set.
    heeds_clock: bool = True
    #: Whether it looks for jobs that nobody owns without being nudged.
    sweeps: bool = True


class LinkTransport:
    """What a Connection writes to, and its socket: one side of a link."""

    #: Of a socket for which there is nothing to set: how long silence lasts is the link's.
    family = socket.AF_UNIX

    def __init__(self, server: SimulatedServer, link: Link) -> None:
        self._server = server
        self.link = link

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is no buffer."""

    def get_extra_info(self, name: str) -> object:
        return {"peername": (self.link.processes[0].name, 1), "socket": self}.get(name)

    def fileno(self) -> int:
        return 0

    def pause_reading(self) -> None:
        """What comes is handed over all the same, and waits in the decoder."""

    def resume_reading(self) -> None:
        """As above."""

    def write(self, chunk: bytes) -> None:
        self._server.site.watch_output(self._server, self.link, chunk)
        self.link.send(1, chunk)

    def close(self) -> None:
        if self.link.is_open(1):
            self.link.close(1)
            self._server.later(0.0, self._server.lost, self.link)

    abort = close

    def received(self, link: Link, chunk: bytes) -> None:
        self._server.came(link, chunk)

    def broken(self, link: Link, *, is_reset: bool) -> None:
        self._server.broken(link, is_reset=is_reset)


class BoundTable:
    """The table as `commit_batch` wants it, within one call."""

    def __init__(self, table: SharedTable, session: Session) -> None:
        self._table = table
        self._session = session

    def commit(self, changes: Sequence[Change]) -> dict[JobHandle, JobHandle]:
        return self._table.commit(self._session, changes)
