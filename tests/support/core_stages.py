"""Where the queue's tests play: the sleeping workers of `abilities`, the jobs of `lifecycle`, and the whole queue.

Effects pile up until a test asks for one kind of them; asking a `take_...` method takes them.
"""

from __future__ import annotations

from typing import Final

from gearjobs.core.abilities import Abilities
from gearjobs.core.assignment import take_job
from gearjobs.core.changes import Accepted, Change, Finished, Outcome
from gearjobs.core.effects import CancelNotice, Effect, News, NewsKind, OutcomeSettled, Record, Wake
from gearjobs.core.endings import Ending
from gearjobs.core.job_queue import JobQueue, QueueRules
from gearjobs.core.jobs import ConnectionId, FunctionName, Job, JobHandle, JobState
from gearjobs.core.lifecycle import Lifecycle
from gearjobs.core.peers import Ability, Peer
from gearjobs.core.reattachment import ReattachRules, ResumeVerdict
from gearjobs.core.redelivery import Cut, RetryLimits
from gearjobs.core.run_reports import FailedRun
from gearjobs.core.submission import Receipt, Submission
from gearjobs.core.tallies import JobObserver
from gearjobs.core.terms import NO_TERMS, JobTerms
from tests.support.core_builders import FAILURE, NOW, RESIZE, add_worker, background, foreground, make_job, make_waiting

#: Seconds after which an unanswered call is passed on, in every test.
RECALL_AFTER_S: Final = 0.05
WORKER, CLIENT, OTHER_CLIENT = ConnectionId(1), ConnectionId(2), ConnectionId(3)


class EffectList:
    """The effects that have piled up."""

    def __init__(self) -> None:
        self.effects: list[Effect] = []

    def take_changes(self) -> list[Change]:
        """Return and forget what was recorded."""
        return [effect.change for effect in self._take(Record) if isinstance(effect, Record)]

    def take_news(self) -> list[News]:
        """Return and forget what clients were told."""
        return [effect for effect in self._take(News) if isinstance(effect, News)]

    def take_woken(self) -> list[ConnectionId]:
        """Return and forget who was woken."""
        return [effect.connection for effect in self._take(Wake) if isinstance(effect, Wake)]

    def take_notices(self) -> list[CancelNotice]:
        """Return and forget which workers were told to stop which jobs."""
        return [effect for effect in self._take(CancelNotice) if isinstance(effect, CancelNotice)]

    def take_settled(self) -> list[tuple[ConnectionId, JobHandle]]:
        """Return and forget which workers were told to forget which outcomes."""
        return [(e.connection, e.handle) for e in self._take(OutcomeSettled) if isinstance(e, OutcomeSettled)]

    def _take(self, kind: type[Effect]) -> list[Effect]:
        taken = [effect for effect in self.effects if isinstance(effect, kind)]
        self.effects[:] = [effect for effect in self.effects if not isinstance(effect, kind)]
        return taken


class Hall(EffectList):
    """Workers and what wakes them."""

    def __init__(self, *, wakeup_limit: int = 1) -> None:
        super().__init__()
        self.abilities = Abilities(self.effects, wakeup_limit=wakeup_limit, recall_after_s=RECALL_AFTER_S)

    def worker(self, number: int, *functions: FunctionName) -> Peer:
        """Let a worker connect that can do these functions, `resize` if none is named."""
        return add_worker(self.abilities, number, *(functions or (RESIZE,)))

    def sleeper(self, number: int, *functions: FunctionName) -> Peer:
        """Let a worker connect and fall asleep."""
        peer = self.worker(number, *functions)
        self.abilities.fall_asleep(peer, now=NOW)
        return peer

    def queue_job(self, function: FunctionName = RESIZE, *, priority: int = 0, now: float = NOW) -> None:
        """Put a job into its queue and announce it, as `lifecycle` does."""
        queue = self.abilities.function(function)
        queue.push(make_waiting(b"H:1", function, priority=priority))
        self.abilities.announce(queue, now=now)

    def grab(self, peer: Peer) -> tuple[Job, Ability] | None:
        """Let a worker take a job, as `job_queue` does."""
        called_for = self.abilities.awaken(peer)
        taken = take_job(peer)
        if called_for is not None:
            self.abilities.answer(called_for, taken[1].queue if taken else None, now=NOW)
        return taken


class StepList:
    """A JobObserver that writes down what it is told."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, JobHandle, float | None, JobState]] = []

    def job_submitted(self, job: Job) -> None:
        self.steps.append(("submitted", job.handle, None, job.state))

    def job_started(self, job: Job, now: float) -> None:
        self.steps.append(("started", job.handle, now, job.state))

    def job_requeued(self, job: Job) -> None:
        self.steps.append(("requeued", job.handle, None, job.state))

    def job_retried(self, job: Job, now: float) -> None:
        self.steps.append(("retried", job.handle, now, job.state))

    def job_ended(self, job: Job, outcome: Outcome, now: float) -> None:
        self.steps.append((outcome.value, job.handle, now, job.state))


class Stage(EffectList):
    """A lifecycle, one worker that can `resize`, and two clients."""

    def __init__(self, *, has_store: bool = True, job_retries: int = -1, observer: JobObserver | None = None) -> None:
        super().__init__()
        self.abilities = Abilities(self.effects, wakeup_limit=1, recall_after_s=RECALL_AFTER_S)
        self.life = Lifecycle(
            self.effects,
            self.abilities,
            has_store=has_store,
            limits=RetryLimits(job_retries),
            reattach=ReattachRules(),
            observer=observer,
        )
        self.worker = add_worker(self.abilities, WORKER, RESIZE)
        self.client = add_worker(self.abilities, CLIENT)
        self.other_client = add_worker(self.abilities, OTHER_CLIENT)
        self.queue = self.abilities.function(RESIZE)

    def submit(self, *clients: Peer, unique: bytes = b"") -> Job:
        """Accept a job these clients wait for."""
        job = make_job(unique=unique)
        for client in clients or (self.client,):
            self.join(job, client)
        self.life.accept(job, None, now=NOW)
        return job

    def join(self, job: Job, client: Peer) -> None:
        """Let the client wait for the job."""
        job.clients += (client.connection,)
        client.awaited[job.handle] = job

    def leave(self, job: Job) -> None:
        """Let nobody wait for the job any more."""
        job.clients = ()

    def store(self, *, unique: bytes = b"", run_at: float = 0.0, terms: JobTerms = NO_TERMS) -> Job:
        """Accept a background job; its commit is still to come."""
        job = make_job(unique=unique, run_at=run_at, is_background=True, terms=terms)
        self.life.accept(job, None, now=NOW)
        return job

    def keep(self, *, unique: bytes = b"", run_at: float = 0.0, terms: JobTerms = NO_TERMS) -> Job:
        """Accept a background job and commit it."""
        job = self.store(unique=unique, run_at=run_at, terms=terms)
        self.life.acceptance_kept(job.handle, now=NOW)
        self.effects.clear()
        return job

    def run(self, job: Job, *, timeout_s: float = 0.0) -> Job:
        """Hand the job, the next of its queue, to the worker, five seconds later."""
        self.worker.abilities[0].timeout_s = timeout_s
        taken = take_job(self.worker)
        assert taken is not None
        self.life.start(self.worker, *taken, now=NOW + 5)
        return job

    def cut_short(self, job: Job, cut: Cut = Cut.WORKER_LOST, *, now: float = NOW + 9) -> None:
        """Cut the job's run short."""
        self.life.cut_short(job, cut, now=now)

    def finish(self, job: Job, ending: Ending | None = None) -> None:
        """Let the job succeed."""
        finished = Finished(job.handle, Outcome.SUCCEEDED, b"done", NOW + 9)
        self.life.finish(job, finished, ending or Ending(NewsKind.COMPLETE, (b"done",)))


class QueueRig(EffectList):
    """A queue and the hands of its peers, at a time that a test turns on by hand."""

    def __init__(self, rules: QueueRules | None = None) -> None:
        super().__init__()
        self.queue = JobQueue(rules or QueueRules(recall_after_s=RECALL_AFTER_S))
        self.effects = self.queue.effects
        self.now = NOW
        self._peers = 0
        self._jobs = 0

    def client(self, *, wants_exceptions: bool = False) -> ConnectionId:
        """Connect a peer."""
        self._peers += 1
        connection = ConnectionId(self._peers)
        self.queue.connect(connection, address=f"10.0.0.{connection}:5000")
        if wants_exceptions:
            self.queue.want_exceptions(connection)
        return connection

    def heedful_worker(self, *functions: FunctionName) -> ConnectionId:
        """Connect a worker that knows the extension packets."""
        worker = self.worker(*functions)
        self.queue.use_extensions(worker)
        return worker

    def worker(self, *functions: FunctionName, timeout_s: float = 0.0) -> ConnectionId:
        """Connect a worker that registers the functions in this order, `resize` if none is named."""
        connection = self.client()
        for function in functions or (RESIZE,):
            self.queue.can_do(connection, function, timeout_s=timeout_s, now=self.now)
        return connection

    def sleeper(self, *functions: FunctionName) -> ConnectionId:
        """Connect a worker that has gone to sleep."""
        connection = self.worker(*functions)
        self.queue.pre_sleep(connection, now=self.now)
        return connection

    def receipt(self, client: ConnectionId, submission: Submission, *, handle: bytes = b"") -> Receipt:
        """Submit and return the whole answer; without a handle the rig makes one."""
        self._jobs += 1
        name = JobHandle(handle or b"H:%d" % self._jobs)
        return self.queue.submit_job(client, submission, handle=name, now=self.now)

    def submit(
        self,
        client: ConnectionId,
        function: FunctionName = RESIZE,
        *,
        unique: bytes = b"",
        payload: bytes = b"photo",
        priority: int = 0,
    ) -> JobHandle:
        """Submit a foreground job."""
        return self.receipt(client, foreground(function, unique=unique, payload=payload, priority=priority)).handle

    def submit_background(
        self,
        client: ConnectionId | None = None,
        function: FunctionName = RESIZE,
        *,
        unique: bytes = b"",
        run_at: float = 0.0,
        terms: JobTerms = NO_TERMS,
    ) -> JobHandle:
        """Submit a background job and commit everything recorded so far."""
        submission = background(function, unique=unique, run_at=run_at, terms=terms)
        handle = self.receipt(client or self.client(), submission).handle
        self.commit()
        return handle

    def grab(self, worker: ConnectionId, *, is_resumable: bool = False) -> JobHandle | None:
        """Let the worker ask for a job; return what it got."""
        job = self.queue.grab_job(worker, is_resumable=is_resumable, now=self.now)
        return job.handle if job is not None else None

    def drain(self, worker: ConnectionId) -> list[JobHandle]:
        """Let the worker ask until nothing is left; return what it got."""
        return list(iter(lambda: self.grab(worker), None))

    def start(self, worker: ConnectionId, *, is_resumable: bool = False) -> JobHandle:
        """Let the worker ask for a job that must be there."""
        handle = self.grab(worker, is_resumable=is_resumable)
        assert handle is not None
        return handle

    def resume(self, worker: ConnectionId, handle: JobHandle, attempt: int = 1) -> ResumeVerdict:
        """Let the worker ask to go on with a run; return the answer."""
        return self.queue.resume_job(worker, handle, attempt, now=self.now)

    def complete(self, worker: ConnectionId, handle: JobHandle, result: bytes = b"done") -> None:
        """Let the worker report success."""
        self.queue.work_complete(worker, handle, result, now=self.now)

    def fail(self, worker: ConnectionId, handle: JobHandle) -> None:
        """Let the worker report WORK_FAIL."""
        self.queue.work_fail(worker, handle, now=self.now)

    def raise_exception(self, worker: ConnectionId, handle: JobHandle) -> None:
        """Let the worker report WORK_EXCEPTION."""
        self.queue.work_exception(worker, handle, b"out of paper", failure=FAILURE, now=self.now)

    def fail_ext(
        self,
        worker: ConnectionId,
        handle: JobHandle,
        *,
        retry_in_s: float | None = None,
        outcome: Outcome = Outcome.FAILED,
    ) -> None:
        """Let the worker report WORK_FAIL_EXT."""
        run = FailedRun(FAILURE, b"out of paper", outcome, retry_in_s)
        self.queue.work_fail_ext(worker, handle, run, now=self.now)

    def report_progress(self, worker: ConnectionId, handle: JobHandle, *, message: str = "") -> None:
        """Let the worker report that three of ten parts are done."""
        self.queue.work_status(worker, handle, (b"3", b"10"), numbers=(3.0, 10.0), message=message, now=self.now)

    def disconnect(self, peer: ConnectionId, *, was_cut: bool = False) -> None:
        """Let the peer be gone."""
        self.queue.disconnect(peer, now=self.now, was_cut=was_cut)

    def pass_time(self, seconds: float) -> None:
        """Let time pass and do what is due then."""
        self.now += seconds
        self.queue.tick(self.now)

    def commit(self) -> None:
        """Play a store that commits everything recorded so far."""
        for change in self.take_changes():
            self.queue.committed(change, now=self.now)

    def refuse(self) -> None:
        """Play a store that refuses every acceptance recorded so far."""
        for change in self.take_changes():
            if isinstance(change, Accepted):
                self.queue.refused(change, now=self.now)
