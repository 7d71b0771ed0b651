"""A job's way from acceptance to its end, step by step, with what each step records and tells.

Only this file moves jobs between states, so each step's bookkeeping (the function's counts, the unique index, the
deadline, the effects in their order) stands in one place. Which verb leads to which step is `job_queue`'s; every choice
between steps is a policy file's.
"""

from __future__ import annotations

from dataclasses import dataclass

from gearjobs.core.abilities import Abilities
from gearjobs.core.changes import Accepted, Finished, Forgotten, JobDetails, JobFailure, Requeued, Started, StoredJob
from gearjobs.core.coalescing import UniqueIndex
from gearjobs.core.deadlines import Deadlines
from gearjobs.core.delayed import DelayedJobs
from gearjobs.core.effects import Effect, News, NewsKind, Record
from gearjobs.core.jobs import Job, JobHandle, JobState, move
from gearjobs.core.peers import Ability, Peer
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
        observer: who is told of each step; None where nobody counts.
    """

    def __init__(
        self,
        effects: list[Effect],
        abilities: Abilities,
        *,
        has_store: bool,
        limits: RetryLimits,
        observer: JobObserver | None = None,
    ) -> None:
        #: Every job that can still be asked for, by handle.
        self.jobs: dict[JobHandle, Job] = {}
        self.uniques = UniqueIndex()
        self.delayed = DelayedJobs()
        self.deadlines = Deadlines()
        self._effects = effects
        self._abilities = abilities
        self._has_store = has_store
        self._limits = limits
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
        """Let a foreground job that a background submit joined outlive its clients, from its next commit on."""
        job.is_background = True
        if self._has_store:
            self._record_acceptance(job, details)
            if job.is_running:
                self._effects.append(Record(Started(job.handle, job.attempt, list(job.worker_ids), job.started_at)))

    def enqueue(self, job: Job, *, now: float) -> None:
        """Let the job wait for a worker, or for its time."""
        if job.run_at > now:
            move(job, JobState.DELAYED)
            self._abilities.function(job.function).delayed += 1
            self.delayed.add(job)
        else:
            self._line_up(job, now=now)

    def restore(self, stored: StoredJob, *, now: float) -> None:
        """Take in a job that the store holds already; a known handle is passed over.

        A job that was running when its server ended runs again, for its worker's connection is gone; that is no crash.
        """
        if stored.handle in self.jobs:
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
        if stored.was_running:
            self._effects.append(Record(Requeued(job.handle, is_crash=False, requeued_at=now)))
        self.enqueue(job, now=now)

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

    def acceptance_refused(self, handle: JobHandle, *, now: float) -> None:
        """The job's row could not be committed: its submitter hears ERROR, and it never was."""
        job = self.jobs.get(handle)
        if job is None:
            return
        job.is_background, job.is_kept = False, True
        if job.state is JobState.STORING:
            # Whoever joined it meanwhile has not been told of it either and hears the same ERROR.
            for connection in job.clients:
                self._abilities.peers[connection].awaited.pop(handle, None)
            self._end(job)
            self._stop_counting(job, JobState.STORING)
        elif job.state is JobState.ENDED:
            del self.jobs[handle]
        elif not job.clients and not job.is_running:
            self.drop(job)

    def outcome_kept(self, handle: JobHandle) -> None:
        """The job's outcome is committed: the queue may forget it."""
        self.jobs.pop(handle, None)

    def start(self, peer: Peer, job: Job, ability: Ability, *, now: float) -> None:
        """Hand the job, just taken from its queue, to the worker."""
        move(job, JobState.RUNNING)
        job.worker = peer.connection
        job.attempt += 1
        job.started_at = now
        job.worker_ids.append(peer.worker_id)
        peer.held[job.handle] = job
        ability.queue.running += 1
        if self._observer is not None:
            self._observer.job_started(job, now)
        if ability.timeout_s > 0:
            self.deadlines.watch(job, now + ability.timeout_s)
        if job.is_background and self._has_store:
            self._effects.append(Record(Started(job.handle, job.attempt, list(job.worker_ids), now)))

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
        failure = JobFailure(message=f"{cut.value} at attempt {job.attempt}, and no retry is left")
        self._conclude(job, Finished(job.handle, outcome, b"", now, failure))
        self._tell_end(job, _FAILED)

    def finish(self, job: Job, finished: Finished, ending: Ending) -> None:
        """End a running job with the outcome its worker reported: recorded first, then told."""
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
        self._tell_end(job, _FAILED)

    def drop(self, job: Job) -> None:
        """Remove a job that does not run, without an outcome or a row left of it; who waits for it hears WORK_FAIL."""
        state = job.state
        self._end(job)
        self._stop_counting(job, state)
        if job.is_background and self._has_store:
            self._effects.append(Record(Forgotten(job.handle)))
        self._tell_end(job, _FAILED)

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

    def _release(self, job: Job) -> None:
        if job.worker is None:
            raise AssertionError(f"job {job.handle!r} is {job.state.value} and has no run to end")
        del self._abilities.peers[job.worker].held[job.handle]
        job.worker = None
        self._abilities.function(job.function).running -= 1

    def _requeue(self, job: Job, *, is_crash: bool, now: float) -> None:
        job.numerator = job.denominator = 0
        if self._observer is not None:
            self._observer.job_requeued(job)
        if job.is_background and self._has_store:
            self._effects.append(Record(Requeued(job.handle, is_crash, now)))
        # Not `enqueue`: it was due once, and a clock that was set back does not undo that.
        self._line_up(job, now=now)

    def _conclude(self, job: Job, finished: Finished) -> None:
        if self._observer is not None:
            self._observer.job_ended(job, finished.outcome, finished.finished_at)
        if job.is_background and self._has_store:
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

    def _tell_end(self, job: Job, ending: Ending) -> None:
        awaits_store = job.is_background and self._has_store
        clients, job.clients = job.clients, ()
        for connection in clients:
            peer = self._abilities.peers[connection]
            peer.awaited.pop(job.handle, None)
            told = _FAILED if ending.kind is NewsKind.EXCEPTION and not peer.wants_exceptions else ending
            self._effects.append(News(connection, told.kind, job.handle, told.arguments, awaits_store))
