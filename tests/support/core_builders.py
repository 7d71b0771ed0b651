"""What the tests of the queue are made of: jobs in each state, function queues, connections, submissions.

Where they play together stands in `core_stages`.
"""

from __future__ import annotations

from typing import Final

from gearjobs.core.abilities import Abilities
from gearjobs.core.changes import JobDetails, JobFailure, Outcome, Requeued, StoredJob
from gearjobs.core.function_queue import FunctionQueue
from gearjobs.core.jobs import ConnectionId, FunctionName, Job, JobHandle, JobState, move
from gearjobs.core.peers import Ability, Peer
from gearjobs.core.redelivery import Cut
from gearjobs.core.submission import Submission
from gearjobs.core.terms import NO_TERMS, JobTerms

#: Unix seconds at which every test begins.
NOW: Final = 1_000.0

RESIZE: Final = FunctionName(b"resize")
MAIL: Final = FunctionName(b"mail")
FAILURE: Final = JobFailure("shop.errors.NoPaper", "out of paper", "Traceback ...")


def make_job(
    handle: bytes = b"H:1",
    function: FunctionName = RESIZE,
    *,
    unique: bytes = b"",
    payload: bytes = b"photo",
    priority: int = 0,
    is_background: bool = False,
    run_at: float = 0.0,
    terms: JobTerms = NO_TERMS,
) -> Job:
    """Return a job that was just submitted."""
    return Job(JobHandle(handle), function, unique, payload, priority, is_background, NOW, run_at, terms=terms)


def make_waiting(
    handle: bytes = b"H:1", function: FunctionName = RESIZE, *, priority: int = 0, terms: JobTerms = NO_TERMS
) -> Job:
    """Return a job that is to be put into a queue."""
    job = make_job(handle, function, priority=priority, terms=terms)
    move(job, JobState.WAITING)
    return job


def make_delayed(handle: bytes = b"H:1", *, run_at: float) -> Job:
    """Return a job that waits for its time."""
    job = make_job(handle, run_at=run_at)
    move(job, JobState.DELAYED)
    return job


def make_running(handle: bytes = b"H:1", *, attempt: int = 1) -> Job:
    """Return a job in its nth run."""
    job = make_waiting(handle)
    move(job, JobState.RUNNING)
    job.attempt = attempt
    return job


def make_stored_run(handle: bytes = b"H:1", *, is_resumable: bool = True, owner_gone_s: float = 0.0) -> StoredJob:
    """Return a job as a store gives it back whose first run was under way."""
    stored = make_stored(handle, attempt=1, was_running=True)
    stored.is_resumable, stored.owner_gone_s = is_resumable, owner_gone_s
    return stored


def make_stored(
    handle: bytes = b"H:1", *, unique: bytes = b"", run_at: float = 0.0, attempt: int = 0, was_running: bool = False
) -> StoredJob:
    """Return a job as a store gives it back."""
    return StoredJob(
        JobHandle(handle), RESIZE, unique, b"photo", 0, run_at, NOW - 60, attempt=attempt, was_running=was_running
    )


def make_requeued(handle: bytes = b"H:1", cut: Cut = Cut.WORKER_LOST, *, now: float) -> Requeued:
    """Return what is recorded of a job whose first run was cut short."""
    is_crash, is_lost = cut is Cut.WORKER_LOST, cut is not Cut.TIMED_OUT
    failure = JobFailure(message=f"{cut.value} at attempt 1")
    requeued = Requeued(JobHandle(handle), is_crash, now, int(is_crash), 1, failure)
    requeued.outcome, requeued.lost = Outcome.LOST if is_lost else Outcome.TIMED_OUT, int(is_lost)
    return requeued


def make_queue(*jobs: Job, name: FunctionName = RESIZE) -> FunctionQueue:
    """Return a function's queue with these waiting jobs."""
    queue = FunctionQueue(name)
    for job in jobs:
        queue.push(job)
    return queue


def make_peer(number: int = 1, *queues: FunctionQueue) -> Peer:
    """Return a connection that can do these functions, the first to be asked for a job first."""
    return Peer(ConnectionId(number), f"10.0.0.{number}:5000", abilities=[Ability(queue) for queue in queues])


def add_worker(abilities: Abilities, number: int, *functions: FunctionName) -> Peer:
    """Let a worker with these functions connect."""
    peer = abilities.peers[ConnectionId(number)] = make_peer(number)
    for function in functions:
        abilities.add(peer, function, timeout_s=0.0, now=NOW)
    return peer


def foreground(
    function: FunctionName = RESIZE, *, unique: bytes = b"", payload: bytes = b"photo", priority: int = 0
) -> Submission:
    """Return a SUBMIT_JOB."""
    return Submission(function, unique, payload, priority, is_background=False)


def background(
    function: FunctionName = RESIZE,
    *,
    unique: bytes = b"",
    payload: bytes = b"photo",
    run_at: float = 0.0,
    details: JobDetails | None = None,
    terms: JobTerms = NO_TERMS,
) -> Submission:
    """Return a SUBMIT_JOB_BG, or with terms a SUBMIT_JOB_EXT."""
    return Submission(function, unique, payload, 0, is_background=True, run_at=run_at, details=details, terms=terms)
