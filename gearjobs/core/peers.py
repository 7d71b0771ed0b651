"""What the queue knows of one connection: as a worker what it can do and holds, as a client what it waits for.

A connection may be both at once. Plain state with no rule of its own: the rules live in `abilities` and `job_queue`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from gearjobs.core.function_queue import FunctionQueue
from gearjobs.core.jobs import ConnectionId, Job, JobHandle


class Wakefulness(Enum):
    """Whether a worker would hear of a new job by itself."""

    #: It asks for jobs.
    AWAKE = "awake"
    #: It sent PRE_SLEEP and must be told.
    ASLEEP = "asleep"
    #: It was sent NOOP and has not asked since.
    CALLED = "called"


@dataclass(slots=True, eq=False)
class Ability:
    """One function of one worker."""

    queue: FunctionQueue
    #: Seconds a job may take in this worker before it is taken back; 0 for ever.
    timeout_s: float = 0.0
    #: When its last jobs failed, as far as they failed fast and in a row; see `quarantine`.
    failures: list[float] = field(default_factory=list)
    #: Unix seconds from which the worker, which is benched, gets a job again; 0 where it gets one now.
    resumes_at: float = 0.0


@dataclass(slots=True, eq=False)
class Peer:
    """One connection."""

    connection: ConnectionId
    #: Host and port, as logs and listings show it.
    address: str
    #: SET_CLIENT_ID; `-` as gearmand shows a connection that gave none.
    client_id: str = "-"
    wants_exceptions: bool = False
    #: Whether it knows the extension packets, and so heeds a CANCEL_NOTICE.
    has_extensions: bool = False
    #: The next function to be asked for a job comes first.
    abilities: list[Ability] = field(default_factory=list)
    wakefulness: Wakefulness = Wakefulness.AWAKE
    #: The function it was last called for.
    called_for: FunctionQueue | None = None
    #: Jobs it runs, in the order it got them.
    held: dict[JobHandle, Job] = field(default_factory=dict)
    #: Jobs it waits for in the foreground.
    awaited: dict[JobHandle, Job] = field(default_factory=dict)
    #: The job it ended last with WORK_EXCEPTION: libraries send WORK_FAIL after it, which says nothing new.
    excepted: JobHandle | None = None
    #: Jobs that ended otherwise while it ran them and of whose end it has not told: what it says of them is passed
    #: over. True where it must hear OutcomeSettled when it tells of their end.
    passed_over: dict[JobHandle, bool] = field(default_factory=dict)
    #: True while any of its abilities has failures on record.
    has_failures: bool = False
    #: What the worker last said of itself (WORKER_REPORT), as it came; empty where it said nothing.
    report: bytes = b""

    @property
    def worker_id(self) -> str:
        """What is written of this worker into a job's record."""
        return self.client_id if self.client_id not in ("", "-") else self.address

    @property
    def is_named(self) -> bool:
        """Whether it has given itself a name, which it has on every connection."""
        return self.client_id not in ("", "-")

    def is_worker_called(self, pattern: str) -> bool:
        """Whether it works under this name, or one that begins so where the pattern ends in `*`.

        A worker that takes no jobs for a while has no abilities, but has said something of itself.
        """
        if not (self.abilities or self.report):
            return False
        return self.client_id.startswith(pattern[:-1]) if pattern.endswith("*") else self.client_id == pattern
