"""Read-only views of the queue, for the admin lines, the dashboard and the metrics.

A view is made when asked for and never kept: it costs one pass over what it shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gearjobs.core.function_queue import FunctionQueue
from gearjobs.core.jobs import FunctionName, Job, JobHandle, JobState
from gearjobs.core.peers import Peer


@dataclass(slots=True)
class FunctionView:
    """One function."""

    name: FunctionName
    #: Jobs waiting per lane; a delayed job counts as waiting with normal priority, as gearmand counts it.
    high: int
    normal: int
    low: int
    running: int
    workers: int

    @property
    def total(self) -> int:
        return self.high + self.normal + self.low + self.running


@dataclass(slots=True)
class FunctionLoad:
    """What one function has to do at the moment, more exactly than gearmand's lines can say it."""

    name: FunctionName
    #: Jobs ready to run, per lane: high, normal, low.
    waiting: tuple[int, int, int]
    #: Jobs whose time has not come.
    delayed: int
    running: int
    workers: int
    #: Unix seconds since which the job that waits longest is ready to run; None when nothing waits.
    oldest_queued_at: float | None
    #: Workers that are benched.
    benched: int = 0
    #: Of the waiting jobs those that a limit holds up.
    throttled: int = 0
    #: Whether an operator paused it.
    is_paused: bool = False


@dataclass(slots=True)
class RunView:
    """A job that a worker has in its hands."""

    handle: JobHandle
    function: FunctionName
    #: Unix seconds of its hand-out, or since which it is known to run.
    started_at: float
    attempt: int


@dataclass(slots=True)
class PeerView:
    """One connection."""

    connection: int
    #: Host and port.
    address: str
    client_id: str
    #: Newest registration first, as far as the round robin has not turned them.
    functions: tuple[FunctionName, ...]
    #: Those at which it is benched.
    benched: tuple[FunctionName, ...] = ()
    #: The worker's last report of itself (`protocol/worker_report`); empty without one.
    report: bytes = b""
    #: What it runs, in the order it got it.
    runs: tuple[RunView, ...] = ()
    #: Jobs whose end it waits for as a client.
    awaited: int = 0


@dataclass(slots=True)
class JobView:
    """One live job."""

    handle: JobHandle
    unique: bytes
    #: How often a run of it was cut short and it was queued again, which is what gearmand counts.
    retries: int
    is_kept: bool


@dataclass(slots=True)
class StatusView:
    """What GET_STATUS tells of a handle; all zero for an unknown one."""

    is_known: bool = False
    is_running: bool = False
    numerator: int = 0
    denominator: int = 0
    #: Clients that wait in the foreground.
    clients: int = 0
    #: The job's function, which access rules speak of; peers are not told.
    function: bytes = field(default=b"", compare=False)
    #: The connection that runs it, and who submitted it as far as that is known; for access rules, too.
    worker: int | None = field(default=None, compare=False)
    submitters: tuple[str, ...] = field(default=(), compare=False)


def view_functions(queues: Iterable[FunctionQueue]) -> list[FunctionView]:
    """Return a view of every function, in the order of its first mention."""
    return [
        FunctionView(
            queue.name,
            queue.waiting[0],
            queue.waiting[1] + queue.delayed,
            queue.waiting[2],
            queue.running,
            len(queue.workers),
        )
        for queue in queues
    ]


def view_loads(queues: Iterable[FunctionQueue]) -> list[FunctionLoad]:
    """Return what every function has to do, in the order of its first mention."""
    return [
        FunctionLoad(
            queue.name,
            (queue.waiting[0], queue.waiting[1], queue.waiting[2]),
            queue.delayed,
            queue.running,
            len(queue.workers),
            queue.oldest_queued_at(),
            len(queue.benched),
            queue.throttled,
            queue.is_paused,
        )
        for queue in queues
    ]


def view_peers(peers: Iterable[Peer]) -> list[PeerView]:
    """Return a view of every connection, oldest first."""
    return [
        PeerView(
            peer.connection,
            peer.address,
            peer.client_id,
            tuple(ability.queue.name for ability in peer.abilities),
            tuple(ability.queue.name for ability in peer.abilities if peer.connection in ability.queue.benched),
            peer.report,
            tuple(RunView(job.handle, job.function, job.started_at, job.attempt) for job in peer.held.values()),
            len(peer.awaited),
        )
        for peer in peers
    ]


def view_jobs(jobs: Iterable[Job]) -> list[JobView]:
    """Return a view of every live job; those that ended and are only kept until that is committed are left out."""
    return [
        JobView(job.handle, job.unique, job.attempt - job.is_running, job.is_background and job.is_kept)
        for job in jobs
        if job.state is not JobState.ENDED
    ]


def view_status(job: Job | None) -> StatusView:
    """Return what a client may know of a job; one that ran and whose outcome is not committed yet still runs."""
    if job is None:
        return StatusView()
    # STORING: how its run failed is not committed.
    is_over = job.state is JobState.ENDED or job.state is JobState.STORING
    is_running = job.is_running or (is_over and job.attempt > 0)
    return StatusView(
        True,
        is_running,
        job.numerator,
        job.denominator,
        len(job.clients),
        job.function,
        job.worker if job.is_running else None,
        job.submitters,
    )
