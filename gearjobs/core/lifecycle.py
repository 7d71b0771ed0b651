"""A job's way from acceptance to its end, step by step, with what each step records and tells.

Only this file moves jobs between states, so each step's bookkeeping (the function's counts, the unique index, the
deadline, the effects in their order) stands in one place. Which verb leads to which step is `job_queue`'s; every choice
between steps is a policy file's.
"""

from __future__ import annotations

from dataclasses import dataclass

from gearjobs.core.abilities import Abilities
from gearjobs.core.changes import (
    Accepted,
    Finished,
    Forgotten,
    JobDetails,
    JobFailure,
    Outcome,
    Requeued,
    Started,
    StoredJob,
)
from gearjobs.core.coalescing import UniqueIndex
from gearjobs.core.deadlines import Deadlines
from gearjobs.core.delayed import DelayedJobs
from gearjobs.core.effects import Effect, News, NewsKind, OutcomeSettled, Record
from gearjobs.core.jobs import ConnectionId, Job, JobHandle, JobState, move
from gearjobs.core.peers import Ability, Peer
from gearjobs.core.reattachment import Orphans, ReattachRules
from gearjobs.core.redelivery import Cut, RetryLimits, last_outcome
from gearjobs.core.tallies import JobObserver


@dataclass(slots=True)
class Ending:
    """What the clients that wait for a job are told of its end."""

    kind: NewsKind
    #: The packet's arguments after the handle.
    arguments: tuple[bytes, ...] = ()


_FAILED = Ending(NewsKind.FAIL)


class Lifecycle:
    """All live jobs and the steps they take.

    Args:
        effects: the queue's list; what a step records and tells is appended to it.
        abilities: the functions and workers.
        has_store: False keeps background jobs in memory only: nothing is recorded, nothing waits for a commit.
        limits: how often a job may be handed out.
        reattach: how long jobs that run without their server are waited for.
        observer: who is told of each step; None where nobody counts.
    """

    def __init__(
        self,
        effects: list[Effect],
        abilities: Abilities,
        *,
        has_store: bool,
        limits: RetryLimits,
        reattach: ReattachRules,
        observer: JobObserver | None = None,
    ) -> None:
        #: Every job that can still be asked for, by handle.
        self.jobs: dict[JobHandle, Job] = {}
        self.uniques = UniqueIndex()
        self.delayed = DelayedJobs()
        self.deadlines = Deadlines()
        self.orphans = Orphans()
        #: Who reported the end of a resumable job whose outcome is not committed yet, and keeps it until then.
        self.unsettled: dict[JobHandle, ConnectionId] = {}
        self._effects = effects
        self._abilities = abilities
        self._has_store = has_store
        self._limits = limits
        self._reattach = reattach
        self._observer = observer

    def accept(self, job: Job, details: JobDetails | None, *, now: float) -> None:
        """Take in a new job: a durable one waits for its commit, any other is queued at once."""
        self.jobs[job.handle] = job
        self.uniques.add(job)
        if self._observer is not None:
            self._observer.job_submitted(job)
        if job.is_background and self._has_store:
            self._abilities.function(job.function).storing += 1
            self._record_acceptance(job, details)
        else:
            self.enqueue(job, now=now)

    def make_durable(self, job: Job, details: JobDetails | None) -> None:
        """Let a foreground job that a background submit joined outlive its clients, from its next commit on.

        Before that nothing but its end is recorded: a row that may have to be taken back must say nothing more.
        """
        job.is_background = True
        if self._has_store:
            self._record_acceptance(job, details)

    def enqueue(self, job: Job, *, now: float) -> None:
        """Let the job wait for a worker, or for its time."""
        if job.run_at > now:
            move(job, JobState.DELAYED)
            self._abilities.function(job.function).delayed += 1
            self.delayed.add(job)
        else:
            self._line_up(job, now=now)

    def restore(self, stored: StoredJob, *, now: float) -> None:
        """Take in a job that the store holds already; a known one is passed over, but for a foreground job.

        That one's upgrade was refused, and others came to rely on its row meanwhile: it has the row again. A job that
        was running when its server ended is waited for as long as its worker may come back.
        """
        if (known := self.jobs.get(stored.handle)) is not None:
            if not known.is_background:
                known.is_background = True
                self.acceptance_kept(known.handle, now=now)
            return
        job = Job(
            stored.handle,
            stored.function,
            stored.unique,
            stored.payload,
            stored.priority,
            True,
            stored.accepted_at,
            run_at=stored.run_at,
            reducer=stored.reducer,
            attempt=stored.attempt,
            crashes=stored.crashes,
            worker_ids=list(stored.worker_ids),
        )
        self.jobs[job.handle] = job
        self.uniques.add(job)
        if not stored.was_running:
            self.enqueue(job, now=now)
            return
        job.is_resumable, job.started_at = stored.is_resumable, now
        wait_s = (self._reattach.resumable_s if job.is_resumable else self._reattach.stock_s) - stored.owner_gone_s
        self._orphan(job, now + wait_s)
        if wait_s <= 0:
            self.cut_short(job, Cut.NOT_RESUMED, now=now)

    def promote_due(self, now: float) -> None:
        """Queue the delayed jobs whose time has come."""
        for job in self.delayed.take_due(now):
            self._abilities.function(job.function).delayed -= 1
            self.enqueue(job, now=now)

    def acceptance_kept(self, handle: JobHandle, *, now: float) -> None:
        """The job's row is committed: it may run."""
        job = self.jobs.get(handle)
        if job is None:
            return
        job.is_kept = True
        if job.state is JobState.STORING:
            self._abilities.function(job.function).storing -= 1
            self.enqueue(job, now=now)
        elif job.is_running:
            self._record_start(job)

    def acceptance_void(self, handle: JobHandle, *, into: JobHandle | None = None, now: float) -> None:
        """The job has no row: it never was, or goes on for the clients that waited for it before it was to have one.

        Args:
            handle: the job.
            into: the stored job that does its work, whose handle its submitters are told; None where the store refused
                it and they hear ERROR.
            now: unix seconds.
        """
        job = self.jobs.get(handle)
        if job is None:
            return
        job.is_background, job.is_kept = False, True
        if job.state is JobState.STORING:
            # Whoever joined it meanwhile has not been told of it either and is told the same.
            for connection in job.clients:
                self._abilities.peers[connection].awaited.pop(handle, None)
                if into is not None:
                    self._effects.append(News(connection, NewsKind.FAIL, into))
            self._end(job)
            self._stop_counting(job, JobState.STORING)
        elif job.state is JobState.ENDED:
            del self.jobs[handle]
        elif not job.clients and not job.is_running:
            self.drop(job)
        elif job.state is JobState.WAITING:
            self._let_pass(job, now=now)

    def outcome_kept(self, handle: JobHandle) -> None:
        """The job's outcome is committed: the queue may forget it."""
        self.jobs.pop(handle, None)
        connection = self.unsettled.pop(handle, None) if self.unsettled else None
        if connection is not None:
            self._effects.append(OutcomeSettled(connection, handle))

    def start(self, peer: Peer, job: Job, ability: Ability, *, is_resumable: bool = False, now: float) -> None:
        """Hand the job, just taken from its queue, to the worker.

        Args:
            peer: the worker.
            job: the job.
            ability: what the worker registered.
            is_resumable: whether the worker could come back to the run; it may where the job is stored.
            now: unix seconds.
        """
        move(job, JobState.RUNNING)
        job.worker = peer.connection
        job.attempt += 1
        job.started_at = now
        is_recorded = job.is_background and self.is_recorded(job)
        job.is_resumable = is_resumable and is_recorded
        job.worker_ids.append(peer.worker_id)
        peer.held[job.handle] = job
        ability.queue.running += 1
        if self._observer is not None:
            self._observer.job_started(job, now)
        if ability.timeout_s > 0:
            self.deadlines.watch(job, now + ability.timeout_s)
        if is_recorded:
            self._record_start(job)

    def is_recorded(self, job: Job) -> bool:
        """Whether what becomes of the job is recorded, beside its end: it has a row."""
        return job.is_background and job.is_kept and self._has_store

    def orphan(self, job: Job, *, now: float) -> None:
        """Let a resumable job go on without a connection, until its worker comes back or too much time has passed."""
        self._release(job)
        self._orphan(job, now + self._reattach.resumable_s)

    def reattach(self, peer: Peer, job: Job, *, now: float) -> None:
        """Give the worker the run that it goes on with, or let it report the end of it once more."""
        if job.state is JobState.WAITING:
            queue = self._abilities.function(job.function)
            queue.pull(job)
            self.start(peer, job, self._ability(peer, job), is_resumable=True, now=now)
        elif job.state is JobState.ENDED:
            self.unsettled[job.handle] = peer.connection
            peer.passed_over[job.handle] = False
        else:
            self._release(job)
            if job.state is JobState.ORPHANED:
                move(job, JobState.RUNNING)
            self._hand_to(peer, job)

    def cut_short(self, job: Job, cut: Cut, *, now: float) -> None:
        """End the job's present run without an outcome: again, given up, or, where nobody waits for it, dropped."""
        self._release(job)
        if cut is Cut.WORKER_LOST:
            job.crashes += 1
        if not job.is_background and not job.clients:
            self._end(job)
            return
        outcome = last_outcome(job, cut, self._limits)
        if outcome is None:
            self._requeue(job, is_crash=cut is Cut.WORKER_LOST, now=now)
            return
        self._give_up(job, outcome, cut=cut, now=now)

    def finish(self, job: Job, finished: Finished, ending: Ending) -> None:
        """End a running job with the outcome its worker reported: recorded first, then told."""
        if job.is_resumable and job.worker is not None:
            self.unsettled[job.handle] = job.worker
        self._release(job)
        self._conclude(job, finished)
        self._tell_end(job, ending)

    def cancel(self, job: Job, finished: Finished) -> None:
        """End a job that did not end by itself: recorded first, then told; a worker that runs it loses it."""
        if job.is_running:
            self._release(job)
        state = job.state
        self._conclude(job, finished)
        self._stop_counting(job, state)
        self._tell_end(job, _FAILED, was_created=state is not JobState.STORING)

    def drop(self, job: Job) -> None:
        """Remove a job that does not run, without an outcome or a row left of it; who waits for it hears WORK_FAIL."""
        state = job.state
        self._end(job)
        self._stop_counting(job, state)
        if job.is_background and self._has_store:
            self._effects.append(Record(Forgotten(job.handle)))
        self._tell_end(job, _FAILED, was_created=state is not JobState.STORING)

    def _record_acceptance(self, job: Job, details: JobDetails | None) -> None:
        job.is_kept = False
        self._effects.append(
            Record(
                Accepted(
                    job.handle,
                    job.function,
                    job.unique,
                    job.payload,
                    job.priority,
                    job.run_at,
                    job.accepted_at,
                    details,
                    job.reducer,
                )
            )
        )

    def _record_start(self, job: Job) -> None:
        started = Started(job.handle, job.attempt, list(job.worker_ids), job.started_at, job.is_resumable)
        self._effects.append(Record(started))

    def _line_up(self, job: Job, *, now: float) -> None:
        queue = self._abilities.function(job.function)
        move(job, JobState.WAITING)
        job.queued_at = now
        queue.push(job)
        self._abilities.announce(queue, now=now)

    def _stop_counting(self, job: Job, state: JobState) -> None:
        """Let the counts forget a job that has just left this state without being run."""
        queue = self._abilities.function(job.function)
        if state is JobState.WAITING:
            queue.withdraw(job)
        elif state is JobState.DELAYED:
            queue.delayed -= 1
        elif state is JobState.STORING:
            queue.storing -= 1

    def _orphan(self, job: Job, until: float) -> None:
        move(job, JobState.ORPHANED)
        self._abilities.function(job.function).running += 1
        self.orphans.add(job, until)

    def _hand_to(self, peer: Peer, job: Job) -> None:
        job.worker = peer.connection
        peer.held[job.handle] = job
        self._abilities.function(job.function).running += 1

    def _let_pass(self, job: Job, *, now: float) -> None:
        """Let a waiting job that is a background one no more be taken while those are held."""
        queue = self._abilities.function(job.function)
        if queue.is_held:
            queue.put_back()
            self._abilities.announce(queue, now=now)

    def _release(self, job: Job) -> None:
        if job.worker is not None:
            del self._abilities.peers[job.worker].held[job.handle]
            job.worker = None
        elif job.state is JobState.ORPHANED:
            self.orphans.remove(job)
        else:
            raise AssertionError(f"job {job.handle!r} is {job.state.value} and has no run to end")
        self._abilities.function(job.function).running -= 1

    def _ability(self, peer: Peer, job: Job) -> Ability:
        """Return what the worker registered, or, where it has not, that it may take its time."""
        queue = self._abilities.function(job.function)
        return self._abilities.ability(peer, queue) if peer.connection in queue.workers else Ability(queue)

    def _requeue(self, job: Job, *, is_crash: bool, now: float) -> None:
        job.numerator = job.denominator = 0
        if self._observer is not None:
            self._observer.job_requeued(job)
        if self.is_recorded(job):
            self._effects.append(Record(Requeued(job.handle, is_crash, now, job.crashes)))
        # Not `enqueue`: it was due once, and a clock that was set back does not undo that.
        self._line_up(job, now=now)

    def _give_up(self, job: Job, outcome: Outcome, *, cut: Cut, now: float) -> None:
        failure = JobFailure(message=f"{cut.value} at attempt {job.attempt}, and no retry is left")
        self._conclude(job, Finished(job.handle, outcome, b"", now, failure))
        self._tell_end(job, _FAILED)

    def _conclude(self, job: Job, finished: Finished) -> None:
        if self._observer is not None:
            self._observer.job_ended(job, finished.outcome, finished.finished_at)
        if job.is_background and self._has_store:
            if not job.is_kept and job.attempt:
                self._record_start(job)
            self.uniques.remove(job)
            move(job, JobState.ENDED)
            job.payload = b""
            self._effects.append(Record(finished))
        else:
            self._end(job)

    def _end(self, job: Job) -> None:
        self.uniques.remove(job)
        move(job, JobState.ENDED)
        del self.jobs[job.handle]
        job.payload = b""

    def _tell_end(self, job: Job, ending: Ending, *, was_created: bool = True) -> None:
        awaits_store = job.is_background and self._has_store
        clients, job.clients = job.clients, ()
        for connection in clients:
            peer = self._abilities.peers[connection]
            peer.awaited.pop(job.handle, None)
            told = _FAILED if ending.kind is NewsKind.EXCEPTION and not peer.wants_exceptions else ending
            self._effects.append(News(connection, told.kind, job.handle, told.arguments, awaits_store, not was_created))
