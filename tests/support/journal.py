"""What happened, as one list of plain values: the words in which simulation, crash tests and kill loops tell a run.

Whoever watches (the simulator's parts, a worker's log that is appended to, a client's list of answers, the rows at the
end) appends events in the order of one clock; `invariants` reads the list and knows nothing of who wrote it. An event
that cannot be seen from outside a process (what a server lost in memory) is left out by those who cannot know it: the
checks that need it then have nothing to say. Times are seconds on any one clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from gearjobs.core.terms import NO_TERMS, JobTerms, Limit

#: How a run ended, as far as the worker itself can tell.
COMPLETED, FAILED, RETRIED, STOPPED, KILLED = "completed", "failed", "retried", "stopped", "killed"
#: How a server was lost.
DIED, FENCED, CLOSED = "died", "fenced", "closed"


@dataclass(slots=True)
class Promised:
    """A background job is promised: JOB_CREATED is passed to the socket, or the transaction with its row committed."""

    at: float
    handle: bytes
    function: bytes
    #: What the submitter asked for; a submit that joined another job has that one's unique, not its payload.
    unique: bytes
    payload: bytes


@dataclass(slots=True)
class RolledBack:
    """The transaction that inserted the job's row was rolled back."""

    at: float
    handle: bytes


@dataclass(slots=True)
class RowAppeared:
    """The job's row is committed for the first time."""

    at: float
    handle: bytes
    function: bytes
    unique: bytes
    payload: bytes
    terms: JobTerms = NO_TERMS


@dataclass(slots=True)
class RowChanged:
    """An unfinished row was committed with something new."""

    at: float
    handle: bytes
    #: The incarnation that owns it and made the change; empty while nobody owns it.
    owner: str
    attempt: int
    is_running: bool
    crashes: int


@dataclass(slots=True)
class RowEnded:
    """The row has its outcome."""

    at: float
    handle: bytes
    owner: str
    attempt: int
    outcome: str
    #: Names the run whose result it is; empty for an outcome that no run brought.
    result: bytes
    crashes: int


@dataclass(slots=True)
class RowForgotten:
    """The row is gone."""

    at: float
    handle: bytes


@dataclass(slots=True)
class RowTaken:
    """A server took the unfinished row over."""

    at: float
    handle: bytes
    previous: str
    owner: str


@dataclass(slots=True)
class RunStarted:
    """A worker began to run a job."""

    at: float
    #: Unique name of the run, which its result repeats.
    run: bytes
    handle: bytes
    #: 0 where the worker is not told.
    attempt: int
    worker: str
    #: The incarnation that handed it out; empty where that cannot be seen.
    server: str
    #: Whether the worker knows a deadline and may come back with the run.
    is_resumable: bool
    is_background: bool
    payload: bytes


@dataclass(slots=True)
class RunEnded:
    """The run is over: nothing of it happens any more."""

    at: float
    run: bytes
    how: str


@dataclass(slots=True)
class WorkerCut:
    """The connection between a worker and a server was lost, or nothing passes on it."""

    at: float
    worker: str
    #: Incarnation; empty for all.
    server: str = ""


@dataclass(slots=True)
class LinkReset:
    """Something between a worker and a server reset their connection to both sides, though both live."""

    at: float
    worker: str


@dataclass(slots=True)
class WorkerDied:
    """The worker's process is gone."""

    at: float
    worker: str


@dataclass(slots=True)
class ServerBegan:
    """A server listens; it has loaded its jobs."""

    at: float
    server: str


@dataclass(slots=True)
class ServerLost:
    """A server's incarnation is over."""

    at: float
    server: str
    how: str


@dataclass(slots=True)
class Disturbed:
    """Something goes wrong for somebody over a span of time, in which less is asked of it."""

    at: float
    until: float
    #: Host or incarnation; empty for everybody (the store).
    who: str


@dataclass(slots=True)
class Ready:
    """A server queued a job for the first time; from here on it may be handed out."""

    at: float
    server: str
    handle: bytes
    function: bytes
    priority: int


@dataclass(slots=True)
class HandedOut:
    """A server handed a job to a worker."""

    at: float
    server: str
    handle: bytes
    function: bytes
    attempt: int
    is_background: bool
    #: How long the job had been ready while an idle worker could do it; 0 where nobody measured.
    idle_wait_s: float = 0.0
    #: Whether the worker had the run already, from a server that had not committed it.
    is_resumed: bool = False
    #: What the job's start and its run count for.
    limits: tuple[Limit, ...] = ()
    #: When the job expires, and what the server's clock says; both 0 where nobody looked.
    expires_at: float = 0.0
    wall: float = 0.0


@dataclass(slots=True)
class ControlsObeyed:
    """From here on a server hands out no job of these functions, and jobs of all others."""

    at: float
    server: str
    paused: frozenset[bytes]


@dataclass(slots=True)
class RunSettled:
    """A server counts the run of a job that it handed out as over, however it ended."""

    at: float
    server: str
    handle: bytes


@dataclass(slots=True)
class CancelAnswered:
    """A client was told whether the job is cancelled, or is to stop."""

    at: float
    handle: bytes
    verdict: str


@dataclass(slots=True)
class UniqueFreed:
    """Others may have the unique of a job that started."""

    at: float
    handle: bytes


@dataclass(slots=True)
class Told:
    """A waiting client is told of a job's end."""

    at: float
    handle: bytes
    #: Whether the job has a row, so that the outcome must be in it first.
    is_durable: bool


@dataclass(slots=True)
class ForegroundAsked:
    """A client waits for a foreground job, and was told its handle."""

    at: float
    client: str
    handle: bytes
    server: str


@dataclass(slots=True)
class ForegroundOver:
    """The client heard the job's end, or its connection broke."""

    at: float
    client: str
    handle: bytes


@dataclass(slots=True)
class QuietBegan:
    """From here on nothing goes wrong any more."""

    at: float


@dataclass(slots=True)
class RunOver:
    """The end of what was watched."""

    at: float


Event = (
    Promised
    | RolledBack
    | RowAppeared
    | RowChanged
    | RowEnded
    | RowForgotten
    | RowTaken
    | RunStarted
    | RunEnded
    | WorkerCut
    | LinkReset
    | WorkerDied
    | ServerBegan
    | ServerLost
    | Disturbed
    | Ready
    | HandedOut
    | ControlsObeyed
    | RunSettled
    | UniqueFreed
    | CancelAnswered
    | Told
    | ForegroundAsked
    | ForegroundOver
    | QuietBegan
    | RunOver
)


@dataclass(slots=True)
class Breach:
    """An invariant that did not hold."""

    invariant: str
    handle: bytes
    sentence: str

    def __str__(self) -> str:
        return f"{self.invariant} job={self.handle.decode('ascii', 'backslashreplace')}: {self.sentence}"


@dataclass(slots=True)
class Promises:
    """What the watched servers were told to keep to; the defaults are theirs."""

    #: Lost workers after which a job is dead.
    max_crashes: int = 3
    #: Seconds from a server's loss within which its waiting jobs are another's (N of the durability design).
    take_over_s: float = 15.0
    #: Seconds from a server's loss for which jobs that stock workers ran are withheld at least: STOCK_GRACE less what
    #: may have passed since its last renewal.
    stock_grace_s: float = 6.0
    #: Seconds from a server's loss for which jobs that our workers ran are withheld at least: TTL + REATTACH, less what
    #: may have passed since its last renewal.
    resume_grace_s: float = 25.0
    #: Seconds in which a worker must have found the healthy server again that has its job.
    resume_within_s: float = 8.0
    #: Seconds in which a worker whose connection was reset hears that its run is another's, if nothing else is wrong.
    refused_within_s: float = 5.0
    #: Seconds of quiet until nobody waits for an answer any more that will not come (the worker's time-out is 30 s).
    settles_within_s: float = 45.0
    #: Seconds from a ready job and an idle worker to its start: 0.1 is promised for 99 of 100.
    start_within_s: float = 0.25


Kind = TypeVar("Kind")


class JournalView:
    """The events, sorted by kind, so that every check reads only what it needs.

    Args:
        events: in the order of their times.
        promises: what the watched servers were told to keep to.
    """

    def __init__(self, events: Sequence[Event], promises: Promises | None = None) -> None:
        self.events = events
        self.promises = promises or Promises()
        self._by_kind: dict[type, list[Event]] = {}
        for event in events:
            self._by_kind.setdefault(type(event), []).append(event)

    def all(self, kind: type[Kind]) -> list[Kind]:
        """Return the events of one kind, in order."""
        return cast("list[Kind]", self._by_kind.get(kind, []))

    def parted(self) -> set[bytes]:
        """Return the jobs that two servers run for two promises, under one handle.

        A foreground job's upgrade was refused to its submitter, its client waits for it where it is, and another server
        came to have its row, because its submitter or others were told there that it is kept.
        """
        homes: dict[bytes, set[str]] = {}
        for event in self.all(HandedOut):
            if not event.is_background:
                homes.setdefault(event.handle, set()).add(event.server)
        taken = self.all(RowTaken)
        return {event.handle for event in taken if homes.get(event.handle, {event.owner}) - {event.owner}}

    def ends_at(self) -> float:
        """Return the time of the last event."""
        return self.events[-1].at if self.events else 0.0


Check = Callable[[JournalView], list[Breach]]
