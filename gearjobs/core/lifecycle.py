"""A job's way from acceptance to its end, step by step, with what each step records and tells.

Only this file, and `endings` for the last step, moves jobs between states, so each step's bookkeeping (the function's
counts, the unique index, the deadline, the effects in their order) stands in one place. Which verb leads to which step
is `job_queue`'s; every choice between steps is a policy file's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from gearjobs.core.abilities import Abilities
from gearjobs.core.changes import (
    Accepted,
    CancelAsked,
    Finished,
    JobDetails,
    JobFailure,
    Outcome,
    Requeued,
    Retried,
    StoredJob,
)
from gearjobs.core.deadlines import Deadlines
from gearjobs.core.delayed import DelayedJobs
from gearjobs.core.effects import CancelNotice, Effect, News, NewsKind, Record
from gearjobs.core.endings import FAILED, Ending, Endings
from gearjobs.core.expiry import Expiry, has_expired
from gearjobs.core.jobs import FunctionName, Job, JobHandle, JobState, move
from gearjobs.core.limited_line import LimitedLine
from gearjobs.core.limits import Throttles
from gearjobs.core.loss_causes import LossCauses
from gearjobs.core.peers import Ability, Peer
from gearjobs.core.reattachment import Orphans, ReattachRules
from gearjobs.core.redelivery import Cut, RetryLimits, attempt_outcome, count_cut, judge_cut, last_outcome
from gearjobs.core.tallies import JobObserver
from gearjobs.core.terms import NO_TERMS, UniqueSpan

_STORING: Final = JobState.STORING
_DELAYED: Final = JobState.DELAYED
_WAITING: Final = JobState.WAITING
_RUNNING: Final = JobState.RUNNING
_ORPHANED: Final = JobState.ORPHANED
_QUEUED: Final = UniqueSpan.QUEUED
#: States in which a job that ran before waits for its time; one that was only cut short does not.
_RETRYING: Final = frozenset({_STORING, _DELAYED})


class Lifecycle(Endings):
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
        super().__init__(effects, abilities, has_store=has_store, observer=observer)
        self.delayed = DelayedJobs()
        self.deadlines = Deadlines()
        self.orphans = Orphans()
        self.expiry = Expiry()
        self.throttles = Throttles()
        self.causes = LossCauses()
        self._limits = limits
        self._reattach = reattach

    def accept(self, job: Job, details: JobDetails | None, *, now: float) -> None:
        """Take in a new job: a durable one waits for its commit, any other is queued at once."""
        self.jobs[job.handle] = job
        self.uniques.add(job)
        if job.terms is not NO_TERMS:
            self.expiry.watch(job)
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
        self.expiry.watch(job)
        if self._has_store:
            self._record_acceptance(job, details)

    def enqueue(self, job: Job, *, now: float) -> None:
        """Let the job wait for a worker, or for its time."""
        if job.run_at > now:
            move(job, _DELAYED)
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
                # As with the upgrade: it may run already, or wait where jobs without limits do.
                known.terms = replace(stored.terms, limits=known.terms.limits, unique_for=known.terms.unique_for)
                self.expiry.watch(known)
                self.acceptance_kept(known.handle, now=now)
            return
        job = _job_of(stored)
        self.jobs[job.handle] = job
        if not (job.attempt and job.terms.unique_for is _QUEUED):
            self.uniques.add(job)
        self.expiry.watch(job)
        if not stored.was_running:
            self.enqueue(job, now=now)
            if job.is_cancel_asked:
                self.cancel(job, Finished(job.handle, Outcome.CANCELLED, b"", now))
            return
        job.is_resumable, job.started_at = stored.is_resumable, now
        wait_s = (self._reattach.resumable_s if job.is_resumable else self._reattach.stock_s) - stored.owner_gone_s
        self._orphan(job, now + wait_s)
        if job.terms.limits:
            self.throttles.begin(job.terms.limits, now=now)
        if wait_s <= 0:
            self.cut_short(job, Cut.NOT_RESUMED, now=now)

    def expire_due(self, now: float) -> None:
        """End the jobs that must not start any more."""
        for job in self.expiry.take_expired(now):
            self.cancel(job, Finished(job.handle, Outcome.EXPIRED, b"", now))

    def promote_due(self, now: float) -> None:
        """Queue the delayed jobs whose time has come."""
        for job in self.delayed.take_due(now):
            self._abilities.function(job.function).delayed -= 1
            self.enqueue(job, now=now)

    def open_limits(self, now: float) -> None:
        """Let jobs start whose limits allow it again by now."""
        self._call_for(self.throttles.open_due(now), now=now)
        self._abilities.open_controls(now)

    def acceptance_kept(self, handle: JobHandle, *, now: float) -> None:
        """The job's row is committed: it may run."""
        job = self.jobs.get(handle)
        if job is None:
            return
        job.is_kept = True
        if job.state is _STORING:
            self._abilities.function(job.function).storing -= 1
            self.enqueue(job, now=now)
        elif job.is_running:
            self._record_start(job)
            if job.is_cancel_asked:
                self._effects.append(Record(CancelAsked(handle, now)))

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
        if job.state is _STORING:
            # Whoever joined it meanwhile has not been told of it either and is told the same.
            for connection in job.clients:
                self._abilities.peers[connection].awaited.pop(handle, None)
                if into is not None:
                    self._effects.append(News(connection, NewsKind.FAIL, into))
            self._end(job)
            self._stop_counting(job, _STORING)
        elif job.state is JobState.ENDED:
            del self.jobs[handle]
        elif not job.clients and not job.is_running:
            self.drop(job)
        elif job.state is _WAITING:
            self._let_pass(job, now=now)

    def start(self, peer: Peer, job: Job, ability: Ability, *, is_resumable: bool = False, now: float) -> None:
        """Hand the job, just taken from its queue, to the worker.

        Args:
            peer: the worker.
            job: the job.
            ability: what the worker registered.
            is_resumable: whether the worker could come back to the run; it may where the job is stored.
            now: unix seconds.
        """
        move(job, _RUNNING)
        job.worker = peer.connection
        job.attempt += 1
        job.started_at = now
        is_recorded = self._has_store and job.is_background and job.is_kept
        job.is_resumable = is_resumable and is_recorded
        job.worker_ids += (peer.worker_id,)
        peer.held[job.handle] = job
        ability.queue.running += 1
        if self._observer is not None:
            self._observer.job_started(job, now)
        if ability.timeout_s > 0:
            self.deadlines.watch(job, now + ability.timeout_s)
        if is_recorded:
            self._record_start(job)
        if ability.queue.brake is not None:
            self._abilities.note_start(ability.queue, now=now)
        # Most have none, and are not to pay for them.
        if job.terms is not NO_TERMS:
            self._obey_terms(job, now=now)

    def orphan(self, job: Job, *, now: float) -> None:
        """Let a resumable job go on without a connection, until its worker comes back or too much time has passed."""
        self._release(job, ended_at=None)
        self._orphan(job, now + self._reattach.resumable_s)

    def reattach(self, peer: Peer, job: Job, *, now: float) -> None:
        """Give the worker the run that it goes on with, or let it report the end of it once more."""
        if job.state is _WAITING:
            queue = self._abilities.function(job.function)
            queue.pull(job)
            self.start(peer, job, self._ability(peer, job), is_resumable=True, now=now)
        elif not job.is_running:
            self.unsettled[job.handle] = peer.connection
            peer.passed_over[job.handle] = False
        else:
            self._release(job, ended_at=None)
            if job.state is _ORPHANED:
                move(job, _RUNNING)
            self._hand_to(peer, job)
            if not job.timeout_at:
                # It is not known when the run began: its server is gone.
                self.deadlines.watch_timeout(job, now)
            if job.is_cancel_asked:
                self.notify(job)

    def cut_short(self, job: Job, cut: Cut, *, now: float) -> None:
        """End the job's present run without an outcome: again, given up, or, where nobody waits for it, dropped."""
        cause = self.causes.take(job)
        self._release(job, ended_at=now)
        cut = judge_cut(job, cut, now=now)
        count_cut(job, cut)
        if not job.is_background and not job.clients:
            self._end(job)
            return
        outcome = last_outcome(job, cut, self._limits)
        if outcome is None and has_expired(job, now):
            outcome = Outcome.EXPIRED
        if outcome is None:
            self._requeue(job, cut, cause=cause, now=now)
            return
        last = JobFailure(message=_reason(job, cut, ", and no retry is left", cause=cause))
        self._conclude(job, Finished(job.handle, outcome, b"", now, last))
        self._tell_end(job, FAILED)

    def retry(self, job: Job, retried: Retried) -> None:
        """Let a running job run again whose run failed: it is handed out when its store says so, and when it is due."""
        if job.is_resumable and job.worker is not None:
            self.unsettled[job.handle] = job.worker
        self._release(job, ended_at=retried.retried_at)
        job.numerator = job.denominator = 0
        job.run_at = retried.run_at
        if self._observer is not None:
            self._observer.job_retried(job, retried.retried_at)
        if not self.is_recorded(job):
            self.enqueue(job, now=retried.retried_at)
            return
        move(job, _STORING)
        self._abilities.function(job.function).storing += 1
        retried.function = job.function
        self._effects.append(Record(retried))

    def retry_kept(self, handle: JobHandle, *, now: float) -> None:
        """How the job's last run failed is committed: it may run again."""
        self._settle(handle)
        job = self.jobs.get(handle)
        if job is not None and job.state is _STORING:
            self._abilities.function(job.function).storing -= 1
            self.enqueue(job, now=now)

    def move_retries(self, by_s: float) -> None:
        """Move the time of every job that is tried again, for the clock it is told by was set.

        That of one that has not run here was told by another clock, and stays.
        """
        for job in self.jobs.values():
            if job.started_at and job.state in _RETRYING:
                job.run_at += by_s
                if job.state is _DELAYED:
                    self.delayed.add(job)

    def ask_to_stop(self, job: Job, *, reason: str = "", now: float) -> bool:
        """Tell the worker of a running job that it is to stop, or let it be told when it comes back.

        Args:
            job: the job.
            reason: why, for its record; that of the first wish counts.
            now: unix seconds.

        Returns:
            Whether that is recorded, which it is once.
        """
        is_recorded = not job.is_cancel_asked and self.is_recorded(job)
        job.is_cancel_asked = True
        if is_recorded:
            self._effects.append(Record(CancelAsked(job.handle, now, reason)))
        self.notify(job)
        return is_recorded

    def notify(self, job: Job, *, is_forced: bool = False) -> None:
        """Tell the worker of a running job, if it is there and understands, that it is to stop, or that it is over."""
        if job.worker is not None and self._abilities.peers[job.worker].has_extensions:
            self._effects.append(CancelNotice(job.worker, job.handle, is_forced))

    def finish(self, job: Job, finished: Finished, ending: Ending) -> None:
        """End a running job with the outcome its worker reported: recorded first, then told."""
        if job.is_resumable and job.worker is not None:
            self.unsettled[job.handle] = job.worker
        self._release(job, ended_at=finished.finished_at)
        self._conclude(job, finished)
        self._tell_end(job, ending)

    def cancel(self, job: Job, finished: Finished) -> None:
        """End a job that did not end by itself: recorded first, then told; a worker that runs it loses it."""
        if job.is_running:
            self._release(job, ended_at=finished.finished_at)
        state = job.state
        self._conclude(job, finished)
        self._stop_counting(job, state)
        self._tell_end(job, FAILED, was_created=state is not _STORING or job.is_kept)

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
        move(job, _WAITING)
        job.queued_at = now
        if job.terms is not NO_TERMS and job.terms.limits and queue.limited is None:
            queue.limited = LimitedLine(queue.name, self.throttles)
        queue.push(job)
        self._abilities.announce(queue, now=now)

    def _obey_terms(self, job: Job, *, now: float) -> None:
        """Do what a job's terms want at its start."""
        if job.terms.timeout_s:
            self.deadlines.watch_timeout(job, now)
        if job.terms.unique_for is _QUEUED:
            self.uniques.remove(job)
        if job.terms.limits:
            self.throttles.begin(job.terms.limits, now=now)
            # Where they let one more of the function start, perhaps nobody was called for it.
            self._abilities.call_next(self._abilities.function(job.function), now=now)

    def _call_for(self, functions: Iterable[FunctionName], *, now: float) -> None:
        """Call a worker for each of the functions, if any of their jobs may start."""
        for name in functions:
            self._abilities.announce(self._abilities.function(name), now=now)

    def _orphan(self, job: Job, until: float) -> None:
        move(job, _ORPHANED)
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

    def _release(self, job: Job, *, ended_at: float | None) -> None:
        """Take a running job from whoever holds it; unless `ended_at` is None its run is over, and its slots free."""
        if job.worker is not None:
            del self._abilities.peers[job.worker].held[job.handle]
            job.worker = None
        elif job.state is _ORPHANED:
            self.orphans.remove(job)
        else:
            raise AssertionError(f"job {job.handle!r} is {job.state.value} and has no run to end")
        if self.causes:
            self.causes.take(job)
        queue = self._abilities.function(job.function)
        queue.running -= 1
        if ended_at is None:
            return
        if job.terms is not NO_TERMS and job.terms.limits:
            self._call_for(self.throttles.end(job.terms.limits), now=ended_at)
        if queue.brake is not None:
            self._abilities.call_next(queue, now=ended_at)

    def _ability(self, peer: Peer, job: Job) -> Ability:
        """Return what the worker registered, or, where it has not, that it may take its time."""
        queue = self._abilities.function(job.function)
        return self._abilities.ability(peer, queue) if peer.connection in queue.workers else Ability(queue)

    def _requeue(self, job: Job, cut: Cut, *, cause: str, now: float) -> None:
        job.numerator = job.denominator = 0
        if self._observer is not None:
            self._observer.job_requeued(job)
        if self.is_recorded(job):
            failure = JobFailure(message=_reason(job, cut, cause=cause))
            requeued = Requeued(job.handle, cut is Cut.WORKER_LOST, now, job.crashes, job.attempt, failure)
            requeued.function = job.function
            requeued.outcome, requeued.lost = attempt_outcome(cut), job.lost
            self._effects.append(Record(requeued))
        # Not `enqueue`: it was due once, and a clock that was set back does not undo that.
        self._line_up(job, now=now)


def _job_of(stored: StoredJob) -> Job:
    """Return the job that a store holds, in the state of a new one."""
    job = Job(
        stored.handle,
        stored.function,
        stored.unique,
        stored.payload,
        stored.priority,
        True,
        stored.accepted_at,
        stored.run_at,
        stored.reducer,
        stored.terms,
    )
    job.attempt, job.crashes, job.worker_ids = stored.attempt, stored.crashes, tuple(stored.worker_ids)
    # The store may not have counted them all.
    job.lost = max(stored.lost, stored.crashes)
    job.is_cancel_asked = stored.is_cancel_asked
    return job


def _reason(job: Job, cut: Cut, consequence: str = "", *, cause: str) -> str:
    return f"{cut.value} at attempt {job.attempt}{consequence}" + (f": {cause}" if cause else "")
