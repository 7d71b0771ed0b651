"""Limits, pauses and conflicts against a naive model: never too many at once or in a time, in order, nothing left over.

Time goes from one `next_due` to the next, as the server's timer does, so that a limit that opened unnoticed is a job
that the model expects and the queue does not give. The store commits at once; what it commits late is played in
test_job_queue_machine.
"""

from __future__ import annotations

from operator import itemgetter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gearjobs.core.changes import JobDetails, JobFailure
from gearjobs.core.effects import Record, Wake
from gearjobs.core.function_brake import NO_CONTROL, QueueControl
from gearjobs.core.job_queue import JobQueue, QueueRules
from gearjobs.core.jobs import ConnectionId, FunctionName, JobHandle
from gearjobs.core.quarantine import BenchRules
from gearjobs.core.reattachment import ReattachRules, ResumeVerdict
from gearjobs.core.run_reports import FailedRun
from gearjobs.core.submission import Submission
from gearjobs.core.terms import JobTerms, Limit, OnConflict, UniqueSpan, write_terms
from gearjobs.errors import UniqueTaken
from gearjobs.stores.memory import MemoryStore
from tests.support.limits_model import LimitedJob, LimitsModel

REATTACH = ReattachRules(resumable_s=4.0, stock_s=2.0)
FUNCTIONS = [b"reverse", b"resize"]
WORKERS = [1, 2, 3, 4]
CLIENT = ConnectionId(99)
ONE, TWO = Limit("desk", concurrency=1), Limit("desk", concurrency=2)
SLOW, LESS_SLOW = Limit("site", rate=2, per_s=3.0), Limit("site", rate=3, per_s=3.0)
BOTH = Limit("press", concurrency=2, rate=3, per_s=5.0)
LIMITS = [(), (ONE,), (TWO,), (SLOW,), (BOTH,), (TWO, SLOW), (LESS_SLOW, BOTH), (BOTH, ONE), (SLOW, ONE, BOTH)]
#: Of one length in time, for a window forgets what is out of it.
CONTROLS = [
    NO_CONTROL,
    NO_CONTROL,
    QueueControl(is_paused=True),
    QueueControl(concurrency=1),
    QueueControl(concurrency=2, rate=2, per_s=3.0),
    QueueControl(rate=1, per_s=3.0),
    QueueControl(rate=3, per_s=3.0),
]


class LimitsMachine(RuleBasedStateMachine):
    """Workers of two functions, whose jobs share limits."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.model = LimitsModel()
        self.now = 1000.0
        self.handles = 0
        self.begin()

    def begin(self):
        rules = QueueRules(reattach=REATTACH, bench=BenchRules(failures=0), max_crashes=0)
        self.queue = JobQueue(rules)
        # As the table says when a server starts.
        self.queue.control_functions(
            {FunctionName(function): control for function, control in self.model.controls.items()}, now=self.now
        )
        self.queue.connect(CLIENT, address="client")
        self.abilities: dict[int, list[bytes]] = {}
        self.asleep: set[int] = set()
        self.called: set[int] = set()
        for worker in WORKERS:
            self.let_in(worker)

    def let_in(self, worker):
        self.queue.connect(ConnectionId(worker), address=f"worker:{worker}")
        # One that can do everything, one that prefers the other function, two that can do one each.
        functions = [FUNCTIONS, FUNCTIONS[::-1], FUNCTIONS[:1], FUNCTIONS[1:]][worker - 1]
        self.abilities[worker] = []
        for function in functions:
            self.queue.can_do(ConnectionId(worker), FunctionName(function), now=self.now)
            self.abilities[worker].insert(0, function)
        self.asleep.discard(worker)
        self.called.discard(worker)

    @rule(
        function=st.sampled_from(FUNCTIONS),
        limits=st.sampled_from(LIMITS),
        unique=st.sampled_from([b"", b"", b"u1", b"u2"]),
        on_conflict=st.sampled_from(OnConflict),
        unique_for=st.sampled_from(UniqueSpan),
        priority=st.sampled_from([0, 0, 50, -50]),
        delay_s=st.sampled_from([0.0, 0.0, 0.0, 2.0]),
    )
    def submit(self, function, limits, unique, on_conflict, unique_for, priority, delay_s):
        terms = JobTerms(limits=limits, on_conflict=on_conflict, unique_for=unique_for)
        run_at = self.now + delay_s if delay_s else 0.0
        self.handles += 1
        handle = JobHandle(b"H:%d" % self.handles)
        submission = Submission(
            FunctionName(function), unique, b"photo", priority, True, run_at, b"", JobDetails(terms=write_terms(terms))
        )
        submission.terms = terms
        holder = self.model.holder(function, unique)

        if holder is not None and on_conflict is OnConflict.RAISE:
            with pytest.raises(UniqueTaken) as taken:
                self.queue.submit_job(CLIENT, submission, handle=handle, now=self.now)
            assert taken.value.handle == holder.handle
            assert not self.queue.effects
            return
        receipt = self.queue.submit_job(CLIENT, submission, handle=handle, now=self.now)
        if holder is not None and on_conflict is OnConflict.REPLACE and not holder.is_running:
            self.model.end(holder)
            holder = None
        if holder is None:
            holder = LimitedJob(handle, function, unique, priority, terms, run_at, self.model.moment())
            self.model.jobs.append(holder)
            self.model.line_up(holder, now=self.now)
        elif on_conflict is OnConflict.COALESCE and not holder.is_running:
            self.hasten(holder, priority, run_at)
        assert receipt.handle == holder.handle
        self.settle()

    def hasten(self, job, priority, run_at):
        is_sooner = job.is_delayed and not job.attempt and run_at < job.run_at
        if is_sooner:
            job.run_at = run_at
            self.model.line_up(job, now=self.now)
        elif priority > job.priority and job.is_waiting:
            self.model.line_up_again(job)
        job.priority = max(priority, job.priority)

    @rule(function=st.sampled_from(FUNCTIONS), control=st.sampled_from(CONTROLS))
    def control(self, function, control):
        self.model.say(function, control)
        self.queue.control_functions(
            {FunctionName(function): control for function, control in self.model.controls.items()}, now=self.now
        )
        self.settle()

    @precondition(lambda self: any(job.is_waiting for job in self.model.jobs))
    @rule(function=st.sampled_from(FUNCTIONS))
    def clear(self, function):
        waiting = [job for job in self.model.jobs if job.is_waiting and job.function == function]
        handles = self.queue.waiting_jobs(FunctionName(function))
        assert sorted(handles) == sorted(job.handle for job in waiting)
        assert self.queue.clear_jobs(handles, reason="wrong", now=self.now) == len(waiting)
        for job in waiting:
            self.model.end(job)
        self.settle()

    @rule(function=st.sampled_from(FUNCTIONS), limits=st.sampled_from(LIMITS), count=st.integers(2, 6))
    def submit_many(self, function, limits, count):
        for _ in range(count):
            self.submit(function, limits, b"", OnConflict.COALESCE, UniqueSpan.UNFINISHED, 0, 0.0)

    @rule(worker=st.sampled_from(WORKERS), is_resumable=st.booleans())
    def grab(self, worker, is_resumable):
        self.take(worker, is_resumable=is_resumable)

    def take(self, worker, *, is_resumable=True):
        functions = self.abilities[worker]
        expected = min(
            (job for job in self.model.jobs if job.function in functions and self.model.may_start(job, self.now)),
            key=lambda job: (-job.priority, functions.index(job.function), job.queued),
            default=None,
        )

        job = self.queue.grab_job(ConnectionId(worker), is_resumable=is_resumable, now=self.now)

        self.asleep.discard(worker)
        self.called.discard(worker)
        assert (job and job.handle) == (expected and expected.handle)
        if expected is not None:
            self.model.begin(expected, worker=worker, now=self.now)
            functions.remove(expected.function)
            functions.append(expected.function)
        self.settle()
        return expected

    @rule(worker=st.sampled_from(WORKERS))
    def grab_all_and_sleep(self, worker):
        while self.take(worker):
            pass
        self.pre_sleep(worker)

    @rule(worker=st.sampled_from(WORKERS))
    def pre_sleep(self, worker):
        self.queue.pre_sleep(ConnectionId(worker), now=self.now)
        self.asleep.add(worker)
        self.called.discard(worker)
        self.settle()

    @precondition(lambda self: not self.held())
    @rule()
    def let_all_sleep(self):
        for worker in WORKERS:
            self.grab_all_and_sleep(worker)

    @precondition(lambda self: self.called)
    @rule()
    def answer_a_call(self):
        self.take(min(self.called))

    @precondition(lambda self: self.held())
    @rule()
    def complete_all(self):
        while self.held():
            self.complete(0)

    @precondition(lambda self: self.held())
    @rule(which=st.integers(0, 9))
    def complete(self, which):
        job = self.held()[which % len(self.held())]
        worker = job.worker
        self.queue.work_complete(ConnectionId(worker), JobHandle(job.handle), b"done", now=self.now)
        self.model.end(job)
        self.settle()

    @precondition(lambda self: self.held())
    @rule(which=st.integers(0, 9), retry_in_s=st.sampled_from([0.0, 1.5]))
    def fail_and_retry(self, which, retry_in_s):
        job = self.held()[which % len(self.held())]
        run = FailedRun(JobFailure(message="no paper"), b"{}", retry_in_s=retry_in_s)
        self.queue.work_fail_ext(ConnectionId(job.worker), JobHandle(job.handle), run, now=self.now)
        job.run_at = self.now + retry_in_s
        self.model.line_up(job, now=self.now)
        self.settle()

    @precondition(lambda self: self.model.live())
    @rule(which=st.integers(0, 9))
    def cancel(self, which):
        job = self.model.live()[which % len(self.model.live())]
        self.queue.cancel_job(JobHandle(job.handle), is_forced=True, now=self.now)
        self.model.end(job)
        self.settle()

    @rule(worker=st.sampled_from(WORKERS), was_cut=st.booleans())
    def lose(self, worker, was_cut):
        held = [job for job in self.held() if job.worker == worker]
        resumable = {job.handle for job in held if self.queue._life.jobs[JobHandle(job.handle)].is_resumable}
        self.queue.disconnect(ConnectionId(worker), now=self.now, was_cut=was_cut)
        for job in sorted(held, key=lambda job: job.held, reverse=True):
            if was_cut and job.handle in resumable:
                job.worker, job.orphaned = None, (self.now + REATTACH.resumable_s, self.model.moment())
            else:
                self.model.line_up_again(job)
        self.let_in(worker)
        self.settle()

    @precondition(lambda self: any(job.orphaned for job in self.model.jobs))
    @rule(worker=st.sampled_from(WORKERS), which=st.integers(0, 9))
    def come_back(self, worker, which):
        orphans = [job for job in self.model.jobs if job.orphaned]
        job = orphans[which % len(orphans)]
        verdict = self.queue.resume_job(ConnectionId(worker), JobHandle(job.handle), job.attempt, now=self.now)
        if verdict is ResumeVerdict.ACCEPTED:
            job.worker, job.orphaned, job.held = worker, None, self.model.moment()
        self.settle()

    @precondition(lambda self: any(job.is_waiting for job in self.model.jobs))
    @rule(worker=st.sampled_from(WORKERS), which=st.integers(0, 9))
    def come_back_with_a_start_that_was_lost(self, worker, which):
        waiting = [job for job in self.model.jobs if job.is_waiting]
        job = waiting[which % len(waiting)]
        verdict = self.queue.resume_job(ConnectionId(worker), JobHandle(job.handle), job.attempt + 1, now=self.now)
        assert verdict is ResumeVerdict.ACCEPTED
        self.model.begin(job, worker=worker, now=self.now)
        job.is_forced = True
        self.settle()

    @rule()
    def restart(self):
        self.begin()
        stored = self.store.load()
        self.queue.restore(stored, now=self.now)
        self.model.starts.clear()
        self.model.controlled_starts = {function: [] for function in FUNCTIONS}
        for row in stored:
            job = next(job for job in self.model.jobs if job.handle == row.handle)
            if job.is_running:
                wait_s = REATTACH.resumable_s if row.is_resumable else REATTACH.stock_s
                job.worker, job.orphaned = None, (self.now + wait_s, self.model.moment())
                self.model.note_start(job, self.now)
            else:
                # The row has the time of before the clock was set.
                job.has_run_here, job.run_at = False, row.run_at
                self.model.line_up(job, now=self.now)
        self.settle()

    @rule(seconds=st.sampled_from([0.5, 1.5, 3.0, 6.0]))
    def let_time_pass(self, seconds):
        until = self.now + seconds
        while (due_at := self.queue.next_due()) is not None and due_at <= until:
            self.now = max(self.now, due_at)
            self.tick()
        self.now = until

    @rule(by_s=st.sampled_from([-100.0, -3.0, 3.0, 1000.0]))
    def set_the_clock(self, by_s):
        self.queue.clock_set(by_s)
        self.now += by_s
        for starts in (*self.model.starts.values(), *self.model.controlled_starts.values()):
            starts[:] = [at + by_s for at in starts]
        for job in self.model.jobs:
            if job.orphaned:
                job.orphaned = (job.orphaned[0] + by_s, job.orphaned[1])
            elif job.is_delayed and job.has_run_here:
                # A retry is to come after a while, not at a time.
                job.run_at, job.queued = job.run_at + by_s, self.model.moment()
        # Nothing else is told when jobs become due that wait for a time of the clock.
        self.tick()

    def tick(self):
        self.queue.tick(self.now)
        due = [job for job in self.model.jobs if job.is_delayed and job.run_at <= self.now]
        for job in sorted(due, key=lambda job: (job.run_at, job.queued)):
            self.model.line_up(job, now=self.now)
        orphans = [(job.orphaned, job) for job in self.model.jobs if job.orphaned]
        for (until, _), job in sorted(orphans, key=itemgetter(0)):
            if until > self.now:
                break
            self.model.line_up_again(job)
        self.settle()

    @invariant()
    def no_key_has_too_many_runs(self):
        running = [job for job in self.model.running() if not job.is_forced]
        for limit in (ONE, TWO, BOTH):
            assert sum(limit in job.terms.limits for job in running) <= limit.concurrency

    @invariant()
    def counts_are_those_of_the_model(self):
        loads = {load.name: load for load in self.queue.loads()}
        for function in FUNCTIONS:
            jobs = [job for job in self.model.live() if job.function == function]
            load = loads[FunctionName(function)]
            assert sum(load.waiting) == sum(job.is_waiting for job in jobs)
            assert load.running == sum(job.is_running for job in jobs)
            assert load.delayed == sum(job.is_delayed for job in jobs)
            assert load.throttled <= sum(job.is_waiting and not self.model.may_start(job, self.now) for job in jobs)

    @invariant()
    def no_sleeper_is_overlooked(self):
        for job in self.model.jobs:
            if self.model.may_start(job, self.now):
                able = [worker for worker in WORKERS if job.function in self.abilities[worker]]
                assert not self.asleep.intersection(able) or self.called.intersection(able), job

    def teardown(self):
        """Nothing starves and nothing is lost: with time and workers, and no pause, every job ends, once."""
        for function in FUNCTIONS:
            self.control(function, NO_CONTROL)
        for _ in range(1000):
            if not self.model.live():
                break
            for worker in WORKERS:
                self.grab_all_and_sleep(worker)
            while self.held():
                self.complete(0)
            self.let_time_pass(1.0)
        assert not self.model.live()
        assert self.store.finished.keys() == {job.handle for job in self.model.jobs}
        assert not self.store.unfinished

    def held(self):
        return [job for job in self.model.jobs if job.worker is not None]

    def settle(self):
        """Take in the effects as the server would; the store commits at once."""
        while self.queue.effects:
            effects = self.queue.effects.copy()
            self.queue.effects.clear()
            for effect in effects:
                if isinstance(effect, Wake):
                    self.asleep.discard(effect.connection)
                    self.called.add(effect.connection)
                    self.is_called_for_something(effect.connection)
                elif isinstance(effect, Record):
                    self.store.commit([effect.change])
                    self.queue.committed(effect.change, now=self.now)

    def is_called_for_something(self, worker):
        able = self.abilities[worker]
        assert any(job.function in able and self.model.may_start(job, self.now) for job in self.model.jobs)


TestLimitsMachine = LimitsMachine.TestCase
TestLimitsMachine.settings = settings(max_examples=80, stateful_step_count=60, deadline=None)
