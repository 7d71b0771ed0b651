"""JobQueue: one method per wire verb; the door to the queue and nothing more.

The verbs of workers that report on their jobs, WORK_*, stand in `run_reports`, those of operators in `operator_verbs`.
A method checks who may do what to which job, calls the files that own the policies, and returns the direct answer; what
others must hear or the store must keep is appended to `effects`, which the caller carries out in order and clears
before the next call. Every method takes the time as an argument and either has its whole effect or raises QueueRefusal
and changes nothing. Source: Gearman PROTOCOL; what gearmand 1.1.20 and 2.0 really do where the text is silent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from gearjobs.core.abilities import Abilities
from gearjobs.core.assignment import take_job
from gearjobs.core.changes import Accepted, Change, Finished, JobFailure, Outcome, Retried, StoredJob
from gearjobs.core.coalescing import Reaction, react
from gearjobs.core.effects import Effect
from gearjobs.core.flow_rates import FlowRate, FlowRates
from gearjobs.core.jobs import UNIQUE_LIMIT_BYTES, ConnectionId, FunctionName, Job, JobHandle, JobState
from gearjobs.core.lifecycle import Lifecycle
from gearjobs.core.operator_verbs import OperatorVerbs
from gearjobs.core.peers import Peer, Wakefulness
from gearjobs.core.quarantine import BenchRules, Quarantine
from gearjobs.core.reattachment import ReattachRules, ResumeVerdict, judge
from gearjobs.core.redelivery import MAX_CRASHES, Cut, RetryLimits
from gearjobs.core.rescheduling import hasten
from gearjobs.core.snapshot import (
    FunctionLoad,
    FunctionView,
    JobView,
    PeerView,
    StatusView,
    view_functions,
    view_jobs,
    view_loads,
    view_peers,
    view_status,
)
from gearjobs.core.submission import Receipt, Submission
from gearjobs.core.tallies import JobObserver
from gearjobs.errors import QueueFull, UniqueTaken, UniqueTooLong

_STORING: Final = JobState.STORING
_ASLEEP: Final = Wakefulness.ASLEEP


@dataclass(slots=True)
class QueueRules:
    """What the operator chose."""

    #: False keeps background jobs in memory only.
    has_store: bool = True
    #: gearmand 2.0's --job-retries: -1 without end, 0 never again, N runs at most.
    job_retries: int = -1
    #: Lost workers after which a background job is dead; 0 for no bound.
    max_crashes: int = MAX_CRASHES
    #: Sleeping workers called for each queued job; 0 for all. One is enough: an unheard call is passed on.
    wakeup_limit: int = 1
    #: Seconds after which an unanswered call is passed on. A worker answers in well under a millisecond; 50 ms keeps
    #: the worst start below the 100 ms that an idle worker may take.
    recall_after_s: float = 0.05
    #: Who gets fewer jobs because it fails fast.
    bench: BenchRules = field(default_factory=BenchRules)
    #: How long jobs that run without their server are waited for.
    reattach: ReattachRules = field(default_factory=ReattachRules)


class JobQueue(OperatorVerbs):
    """The queue of one job server.

    Args:
        rules: what the operator chose.
        observer: who is told of each step of a job; None where nobody counts.
    """

    def __init__(self, rules: QueueRules, observer: JobObserver | None = None) -> None:
        effects: list[Effect] = []
        abilities = Abilities(effects, wakeup_limit=rules.wakeup_limit, recall_after_s=rules.recall_after_s)
        life = Lifecycle(
            effects,
            abilities,
            has_store=rules.has_store,
            limits=RetryLimits(rules.job_retries, rules.max_crashes),
            reattach=rules.reattach,
            observer=observer,
        )
        super().__init__(effects, abilities, life=life, quarantine=Quarantine(effects, abilities, rules.bench))
        self._has_store = rules.has_store
        self._flow = FlowRates()

    def connect(self, connection: ConnectionId, *, address: str) -> None:
        """A peer connected; `address` is its host and port."""
        self._abilities.peers[connection] = Peer(connection, address)

    def disconnect(self, connection: ConnectionId, *, now: float, was_cut: bool = False) -> None:
        """A peer is gone: its runs are cut short, the queued jobs only it waited for are dropped.

        Args:
            connection: whose it was.
            now: unix seconds.
            was_cut: whether this server closed it by itself: the peer may live, and come back to its resumable runs.
        """
        peer = self._abilities.peers[connection]
        self._abilities.strip(peer, now=now)
        # gearmand's order: the job assigned last is the first to be queued again.
        for job in reversed(list(peer.held.values())):
            if was_cut and job.is_resumable:
                self._life.orphan(job, now=now)
            else:
                self._life.cut_short(job, Cut.WORKER_LOST, now=now)
        for job in list(peer.awaited.values()):
            job.clients = tuple(client for client in job.clients if client != connection)
            if not job.clients and not job.is_background and not job.is_running:
                self._life.drop(job)
        del self._abilities.peers[connection]

    def set_client_id(self, connection: ConnectionId, client_id: str) -> None:
        """SET_CLIENT_ID: name the worker in listings and records."""
        self._abilities.peers[connection].client_id = client_id

    def worker_report(self, connection: ConnectionId, report: bytes) -> None:
        """WORKER_REPORT: keep what the worker says of itself, in place of what it said before."""
        self._abilities.peers[connection].report = report

    def workers_called(self, pattern: str) -> list[ConnectionId]:
        """Return the workers of that name, or of names that begin so where the pattern ends in `*`."""
        return [peer.connection for peer in self._abilities.peers.values() if peer.is_worker_called(pattern)]

    def want_exceptions(self, connection: ConnectionId) -> None:
        """OPTION_REQ exceptions: send this client WORK_EXCEPTION instead of WORK_FAIL."""
        self._abilities.peers[connection].wants_exceptions = True

    def use_extensions(self, connection: ConnectionId) -> None:
        """OPTION_REQ gearjobs/1: this peer knows the extension packets."""
        self._abilities.peers[connection].has_extensions = True

    def submit_job(self, connection: ConnectionId, submission: Submission, *, handle: JobHandle, now: float) -> Receipt:
        """SUBMIT_JOB*: make a job, or join, replace or object to the live one with the same function and unique.

        Args:
            connection: who submits, and waits where the submission is not a background one.
            submission: what is to run.
            handle: the name of a job made now; a live job that has it makes the submit a repetition, answered again.
            now: unix seconds.

        Returns:
            The handle for JOB_CREATED, the older one where a live job was joined.

        Raises:
            UniqueTooLong: the unique or the reducer is longer than 64 bytes; nothing is queued.
            QueueFull: the function's `maxqueue` is reached, and the job would be one more.
            UniqueTaken: there is a live one, and the submission's terms object to that.
        """
        if len(submission.unique) > UNIQUE_LIMIT_BYTES or len(submission.reducer) > UNIQUE_LIMIT_BYTES:
            longest = max(len(submission.unique), len(submission.reducer))
            raise UniqueTooLong(f"a unique or a reducer is at most {UNIQUE_LIMIT_BYTES} bytes, got {longest}")
        job = self._life.jobs.get(handle) or self._rival(submission, handle, now=now)
        if job is None:
            job = Job(
                handle,
                submission.function,
                submission.unique,
                submission.payload,
                submission.priority,
                submission.is_background,
                now,
                submission.run_at,
                submission.reducer,
                submission.terms,
            )
            if submission.submitter:
                job.submitters = (submission.submitter,)
            if not submission.is_background:
                self._attach(connection, job)
            self._life.accept(job, submission.details, now=now)
        else:
            if not submission.is_background:
                self._attach(connection, job)
            # Whoever repeats a handle need not be whoever it was given to.
            if submission.submitter and job.handle != handle and submission.submitter not in job.submitters:
                job.submitters += (submission.submitter,)
            if submission.is_background and not job.is_background:
                # It began without limits, and with its unique for as long as it lives.
                job.terms = replace(submission.terms, limits=job.terms.limits, unique_for=job.terms.unique_for)
                self._life.make_durable(job, submission.details)
        is_promised = submission.is_background or job.state is _STORING
        return Receipt(job.handle, awaits_store=is_promised and not job.is_kept)

    def get_status(self, handle: JobHandle) -> StatusView:
        """GET_STATUS."""
        return view_status(self._life.jobs.get(handle))

    def get_status_unique(self, unique: bytes) -> StatusView:
        """GET_STATUS_UNIQUE: the first live job with that unique, whatever its function."""
        return view_status(self._life.uniques.find_unique(unique))

    def can_do(self, connection: ConnectionId, function: FunctionName, *, now: float, timeout_s: float = 0.0) -> None:
        """CAN_DO and CAN_DO_TIMEOUT: register a function; `timeout_s` 0 lets its jobs run for ever."""
        self._abilities.add(self._abilities.peers[connection], function, timeout_s=timeout_s, now=now)

    def cant_do(self, connection: ConnectionId, function: FunctionName, *, now: float) -> None:
        """CANT_DO: unregister a function; jobs of it that the worker holds are queued again."""
        peer = self._abilities.peers[connection]
        queue = self._abilities.functions.get(function)
        if queue is None or connection not in queue.workers:
            return
        self._abilities.remove(peer, queue, now=now)
        for job in reversed([job for job in peer.held.values() if job.function == function]):
            self._life.cut_short(job, Cut.GIVEN_BACK, now=now)

    def reset_abilities(self, connection: ConnectionId, *, now: float) -> None:
        """RESET_ABILITIES: CANT_DO of every function."""
        for ability in list(self._abilities.peers[connection].abilities):
            self.cant_do(connection, ability.queue.name, now=now)

    def pre_sleep(self, connection: ConnectionId, *, now: float) -> None:
        """PRE_SLEEP: the worker must be woken from now on; where work waits already, at once.

        As in gearmand, one that falls asleep with jobs in its hands has all the time for them.
        """
        peer = self._abilities.peers[connection]
        self._abilities.fall_asleep(peer, now=now)
        if peer.wakefulness is _ASLEEP:
            self._life.deadlines.let_off(peer.held.values())

    def await_job(self, connection: ConnectionId, *, now: float) -> None:
        """Let a worker whose grab found nothing wait for its answer: it is called as a sleeper is, and before any.

        Whoever keeps the grab makes it once more when the worker is called, or when it is to wait no longer.
        """
        self._abilities.fall_asleep(self._abilities.peers[connection], is_asking=True, now=now)

    def grab_job(self, connection: ConnectionId, *, is_resumable: bool = False, now: float) -> Job | None:
        """GRAB_JOB*: hand a job to the worker, or return None (NO_JOB).

        Args:
            connection: the worker.
            is_resumable: whether it can come back to a run; the job tells whether it may.
            now: unix seconds.
        """
        peer = self._abilities.peers[connection]
        called_for = self._abilities.awaken(peer)
        if self._life.expiry.next_at <= now:
            self._life.expire_due(now)
        taken = take_job(peer)
        if taken is None:
            if called_for is not None:
                self._abilities.answer(called_for, None, now=now)
            return None
        job, ability = taken
        self._life.start(peer, job, ability, is_resumable=is_resumable, now=now)
        if ability.queue.benched:
            self._quarantine.note_grab(peer, ability, now=now)
        if called_for is not None:
            self._abilities.answer(called_for, ability.queue, now=now)
        return job

    def resume_job(self, connection: ConnectionId, handle: JobHandle, attempt: int, *, now: float) -> ResumeVerdict:
        """RESUME_JOB: let a worker go on with a run that it has from another connection, or from another server.

        Args:
            connection: the worker, under the name it had; it need not have registered the function.
            handle: the job.
            attempt: the number of the run.
            now: unix seconds.
        """
        job = self._life.jobs.get(handle)
        peer = self._abilities.peers[connection]
        worker_id = peer.worker_id if peer.is_named else None
        verdict = judge(job, attempt, worker_id=worker_id, is_unsettled=handle in self._life.unsettled)
        if job is not None and verdict is ResumeVerdict.ACCEPTED:
            self._life.reattach(peer, job, now=now)
        return verdict

    def restore(self, stored: Iterable[StoredJob], *, now: float) -> None:
        """Take in jobs that the store holds: at start-up, or rows that clients inserted."""
        for job in stored:
            self._life.restore(job, now=now)

    def committed(self, change: Change, *, now: float) -> None:
        """The store has committed a change."""
        if isinstance(change, Accepted):
            self._life.acceptance_kept(change.handle, now=now)
        elif isinstance(change, Finished):
            self._life.outcome_kept(change.handle)
        elif isinstance(change, Retried):
            self._life.retry_kept(change.handle, now=now)

    def refused(self, change: Accepted, *, now: float) -> None:
        """The store could not commit an acceptance: the job is dropped, its submitter hears ERROR."""
        self._life.acceptance_void(change.handle, now=now)

    def joined(self, change: Accepted, into: JobHandle, *, now: float) -> None:
        """The store had a live job of that unique, perhaps another server's, whose handle the submitter is told.

        The job is gone without a trace. Clients that joined it in the foreground meanwhile hear WORK_FAIL of the
        other, which they cannot wait for here; those that waited for it before it was to be stored, go on waiting.
        """
        self._life.acceptance_void(change.handle, into=into, now=now)

    def hold_stored(self) -> None:
        """Hand out no background job from now on: the store, or the hold on it, is in doubt."""
        if self._has_store:
            self._abilities.hold_stored()

    def release_stored(self, now: float) -> None:
        """Hand out background jobs again."""
        self._abilities.release_stored(now=now)

    def tick(self, now: float) -> None:
        """Do what is due: jobs that expire, delayed ones, deadlines, orphans, pauses on the bench, unanswered calls."""
        self._life.expire_due(now)
        self._life.promote_due(now)
        for job in self._life.deadlines.take_overdue(now):
            if 0 < job.timeout_at <= now:
                self._life.notify(job, is_forced=True)
                self._life.cut_short(job, Cut.OUT_OF_TIME, now=now)
            elif job.is_let_off:
                self._abilities.rouse(job.worker)
            else:
                self._life.cut_short(job, Cut.TIMED_OUT, now=now)
        for job in self._life.orphans.take_overdue(now):
            self._life.cut_short(job, Cut.NOT_RESUMED, now=now)
        self._life.open_limits(now)
        self._quarantine.release_due(now)
        self._abilities.recall(now)

    def clock_set(self, by_s: float) -> None:
        """The clock was put forward, or back where `by_s` is negative: what was to come after a while still does.

        A job that is to run, or expires, at a certain time does so when the clock shows it.
        """
        self._life.deadlines.move(by_s)
        self._life.move_retries(by_s)
        self._life.expiry.watch_anew(self._life.jobs.values())
        self._life.orphans.move(by_s)
        self._life.throttles.move(by_s)
        self._abilities.controls.move(by_s)
        self._flow.move(by_s)
        self._quarantine.move(by_s)
        self._abilities.move_calls(by_s)

    def next_due(self) -> float | None:
        """Return the unix seconds at which `tick` has something to do, or None; never later than the truth."""
        times = (
            self._life.delayed.next_due(),
            self._life.expiry.next_due(),
            self._life.deadlines.next_due(),
            self._life.orphans.next_due(),
            self._life.throttles.next_due(),
            self._abilities.controls.next_due(),
            self._quarantine.next_due(),
            self._abilities.next_recall(),
        )
        return min((time for time in times if time is not None), default=None)

    def functions(self) -> list[FunctionView]:
        """Return a view of every function."""
        return view_functions(self._abilities.functions.values())

    def loads(self) -> list[FunctionLoad]:
        """Return what every function has to do at the moment."""
        return view_loads(self._abilities.functions.values())

    def read_rates(self, now: float) -> None:
        """Take the readings that `rate` goes by; to be called about once a second."""
        self._flow.read(self._abilities.functions, now)

    def rate(self, name: FunctionName, now: float) -> FlowRate:
        """Return how fast jobs of a function, which must be there, came and were taken lately."""
        return self._flow.rate(self._abilities.functions[name], now)

    def connection_count(self) -> int:
        """Return how many clients and workers are connected."""
        return len(self._abilities.peers)

    def peers(self) -> list[PeerView]:
        """Return a view of every connection."""
        return view_peers(self._abilities.peers.values())

    def jobs(self) -> list[JobView]:
        """Return a view of every live job."""
        return view_jobs(self._life.jobs.values())

    def _attach(self, connection: ConnectionId, job: Job) -> None:
        """Let the client wait for the job."""
        job.clients += (connection,)
        self._abilities.peers[connection].awaited[job.handle] = job

    def _rival(self, submission: Submission, handle: JobHandle, *, now: float) -> Job | None:
        """Return the live job that a submission joins; None where it is a job of its own, for which there is room."""
        life = self._life
        live = life.uniques.find(submission.function, submission.unique, submission.payload)
        if live is None:
            self._require_room(submission)
            return None
        reaction = react(live, submission)
        if reaction is Reaction.REFUSE:
            text = f"a job of {submission.function!r} with the unique {submission.unique!r} is not finished"
            raise UniqueTaken(text, handle=live.handle)
        if reaction is Reaction.REPLACE:
            failure = JobFailure(message=f"the job {handle.decode('ascii', 'replace')} took its place")
            life.cancel(live, Finished(live.handle, Outcome.CANCELLED, b"", now, failure))
            return None
        if reaction is Reaction.HASTEN:
            priority, run_at = submission.priority, submission.run_at
            hasten(life, self._abilities, live, priority=priority, run_at=run_at, now=now)
        return live

    def _require_room(self, submission: Submission) -> None:
        queue = self._abilities.functions.get(submission.function)
        if queue is not None and queue.is_full(submission.priority):
            raise QueueFull(f"function {submission.function!r} has as many jobs as its maxqueue allows")
