"""The queue against what jobs' terms promise: retries, losses, expiry, time limits and cancels, through restarts.

The store commits some steps after the queue recorded, and a server that is killed loses what was not committed. Workers
die, fail with and without a retry, report that they stopped, come back. Whatever happens: no run of a job begins too
late, too early, twice at once, or after the job was to stop; losses and attempts are counted; each job ends once, as
something that happened to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gearjobs.core.changes import Change, Finished, JobDetails, JobFailure, Outcome, Requeued, Retried, Started
from gearjobs.core.effects import CancelNotice, OutcomeSettled, Record
from gearjobs.core.job_queue import JobQueue, QueueRules
from gearjobs.core.jobs import ConnectionId, FunctionName, JobHandle
from gearjobs.core.quarantine import BenchRules
from gearjobs.core.reattachment import ReattachRules, ResumeVerdict
from gearjobs.core.run_reports import FailedRun
from gearjobs.core.submission import CancelVerdict, Submission
from gearjobs.core.terms import JobTerms, OnLoss, write_terms
from gearjobs.errors import JobUnknown
from gearjobs.stores.memory import MemoryStore

REATTACH = ReattachRules(resumable_s=8.0, resume_s=6.0)
FUNCTION = FunctionName(b"resize")
WORKERS = 3
CLIENT = ConnectionId(99)
REASON = JobFailure(message="no paper")


@dataclass
class Told:
    """What somebody who watches knows of one job."""

    terms: JobTerms
    #: Unix seconds before which it must not start, as of its last retry.
    run_at: float = 0.0
    #: Whether the store knows it, and its submitter was told so.
    is_acknowledged: bool = False
    #: Whether a client heard that it is to stop, or has ended so.
    is_to_stop: bool = False
    #: Runs that began, failed for a retry, and were lost with their worker, as far as the store knows.
    retries: int = 0
    #: What could have ended it.
    may_end_as: set[Outcome] = field(default_factory=set)


@dataclass
class Run:
    """A run in a worker's process."""

    handle: JobHandle
    attempt: int
    connection: int
    #: What the server was told of its end, while that is not settled; None while it goes on.
    report: FailedRun | bytes | None = None


class TermsMachine(RuleBasedStateMachine):
    """A server that is killed now and then, its store, its workers, and clients that change their minds."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.now = 1000.0
        self.handles = 0
        self.told: dict[JobHandle, Told] = {}
        self.runs: list[Run] = []
        self.begin()

    def begin(self):
        self.queue = JobQueue(QueueRules(reattach=REATTACH, bench=BenchRules(failures=0)))
        self.recorded: list[Change] = []
        self.queue.connect(CLIENT, address="client")
        for number in range(WORKERS):
            self.let_in(number)

    def let_in(self, number):
        self.queue.connect(ConnectionId(number), address=f"worker:{number}")
        self.queue.use_extensions(ConnectionId(number))
        self.queue.can_do(ConnectionId(number), FUNCTION, now=self.now)

    @rule(
        expires_in_s=st.sampled_from([0.0, 0.0, 3.0, 12.0]),
        timeout_s=st.sampled_from([0.0, 0.0, 4.0]),
        max_attempts=st.integers(0, 3),
        on_lost=st.sampled_from(OnLoss),
        max_lost=st.integers(0, 2),
    )
    def submit(self, expires_in_s, timeout_s, max_attempts, on_lost, max_lost):
        self.handles += 1
        handle = JobHandle(b"H:%d" % self.handles)
        expires_at = self.now + expires_in_s if expires_in_s else 0.0
        terms = JobTerms(expires_at, timeout_s, max_attempts=max_attempts, on_lost=on_lost, max_lost=max_lost)
        details = JobDetails(terms=write_terms(terms))
        submission = Submission(FUNCTION, b"", b"photo", 0, is_background=True, details=details, terms=terms)
        self.queue.submit_job(CLIENT, submission, handle=handle, now=self.now)
        self.told[handle] = Told(terms)
        self.settle()

    @rule(count=st.integers(1, 6))
    def commit(self, count):
        batch, self.recorded = self.recorded[:count], self.recorded[count:]
        self.store.commit(batch)
        for change in batch:
            self.told[change.handle].is_acknowledged = True
            self.queue.committed(change, now=self.now)
        self.settle()

    @rule(number=st.integers(0, WORKERS - 1))
    def grab(self, number):
        job = self.queue.grab_job(ConnectionId(number), is_resumable=True, now=self.now)
        if job is not None:
            told = self.told[job.handle]
            assert not 0 < told.terms.expires_at <= self.now
            assert told.run_at <= self.now
            assert not told.is_to_stop
            assert job.handle not in self.store.finished
            assert not [run for run in self.runs if run.handle == job.handle and run.report is None]
            assert not any(isinstance(change, Retried) and change.handle == job.handle for change in self.recorded)
            self.runs.append(Run(job.handle, job.attempt, number))
        self.settle()

    @rule(number=st.integers(0, WORKERS - 1))
    def begin_run(self, number):
        self.submit(0.0, 0.0, 3, OnLoss.RETRY, 2)
        self.commit_all()
        self.grab(number)
        self.commit_all()

    @precondition(lambda self: self.going_on())
    @rule(which=st.integers(0, 9))
    def complete(self, which):
        self.report(self.pick(which), b"done")

    @precondition(lambda self: self.going_on())
    @rule(
        which=st.integers(0, 9),
        outcome=st.sampled_from([Outcome.FAILED, Outcome.FAILED, Outcome.TIMED_OUT]),
        retry_in_s=st.sampled_from([None, 0.0, 2.0, 20.0]),
    )
    def fail(self, which, outcome, retry_in_s):
        self.report(self.pick(which), FailedRun(REASON, b"", outcome, retry_in_s))

    @rule(number=st.integers(0, WORKERS - 1), retry_in_s=st.sampled_from([0.0, 2.0]), commits=st.booleans())
    def fail_and_ask_for_the_next_job(self, number, retry_in_s, commits):
        self.begin_run(number)
        mine = [run for run in self.going_on() if run.connection == number]
        if mine:
            self.report(mine[-1], FailedRun(REASON, b"", Outcome.FAILED, retry_in_s))
            if commits:
                self.commit_all()
            self.grab(number)

    @precondition(lambda self: self.going_on())
    @rule(which=st.integers(0, 9))
    def stop_as_told(self, which):
        run = self.pick(which)
        if self.told[run.handle].is_to_stop:
            self.report(run, FailedRun(REASON, b"", Outcome.CANCELLED))

    @precondition(lambda self: self.told)
    @rule(which=st.integers(0, 20), is_forced=st.booleans())
    def cancel(self, which, is_forced):
        handle = list(self.told)[which % len(self.told)]
        told = self.told[handle]
        try:
            receipt = self.queue.cancel_job(handle, is_forced=is_forced, now=self.now)
        except JobUnknown:
            return
        told.may_end_as.add(Outcome.CANCELLED)
        notices = [effect for effect in self.queue.effects if isinstance(effect, CancelNotice)]
        held = [run for run in self.going_on() if run.handle == handle]
        assert [(notice.connection, notice.is_forced) for notice in notices] == [
            (run.connection, is_forced) for run in held
        ]
        self.settle()
        # The answer leaves after the commit.
        self.commit_all()
        told.is_to_stop = True
        if receipt.verdict is CancelVerdict.CANCELLED:
            assert self.store.finished[handle].outcome is Outcome.CANCELLED
            self.runs = [run for run in self.runs if run.handle != handle]
        else:
            assert self.store.unfinished[handle].is_cancel_asked

    @rule(number=st.integers(0, WORKERS - 1))
    def lose_worker(self, number):
        for run in self.runs:
            if run.connection == number and run.report is None:
                told = self.told[run.handle]
                told.may_end_as |= {Outcome.LOST, Outcome.DEAD, Outcome.TIMED_OUT, Outcome.EXPIRED}
        self.queue.disconnect(ConnectionId(number), now=self.now)
        self.runs = [run for run in self.runs if run.connection != number]
        self.let_in(number)
        self.settle()

    @rule()
    def restart(self):
        """Every worker comes back with what it has; the server has forgotten what was not committed."""
        self.begin()
        self.queue.restore(self.store.load(), now=self.now)
        for run in list(self.runs):
            verdict = self.queue.resume_job(ConnectionId(run.connection), run.handle, run.attempt, now=self.now)
            if verdict is not ResumeVerdict.ACCEPTED:
                # It was committed that it is over, or never that it began.
                self.runs.remove(run)
            elif run.report is not None:
                self.tell(run)
            else:
                notice = CancelNotice(ConnectionId(run.connection), run.handle, is_forced=False)
                assert (notice in self.queue.effects) is self.store.unfinished[run.handle].is_cancel_asked
        for handle in self.told.keys() - self.store.unfinished.keys() - self.store.finished.keys():
            del self.told[handle]
        for handle, told in self.told.items():
            told.run_at = self.store.unfinished[handle].run_at if handle in self.store.unfinished else told.run_at
        self.settle()

    @rule(seconds=st.sampled_from([0.5, 2.0, 5.0]))
    def let_time_pass(self, seconds):
        self.now += seconds
        for run in self.going_on():
            if self.told[run.handle].terms.timeout_s:
                self.told[run.handle].may_end_as |= {Outcome.TIMED_OUT, Outcome.EXPIRED}
        self.queue.tick(self.now)
        self.settle()

    @invariant()
    def nothing_acknowledged_is_lost(self):
        kept = self.store.unfinished.keys() | self.store.finished.keys()
        assert {handle for handle, told in self.told.items() if told.is_acknowledged} <= kept

    @invariant()
    def jobs_ended_as_something_that_happened(self):
        for handle, end in self.store.finished.items():
            told = self.told[handle]
            if 0 < told.terms.expires_at <= end.finished_at:
                told.may_end_as.add(Outcome.EXPIRED)
            assert end.outcome in told.may_end_as, (handle, end, told)

    @invariant()
    def losses_are_bounded(self):
        for handle, attempts in self.store.attempts.items():
            lost = [one for one in attempts if isinstance(one, Requeued) and one.is_crash]
            terms = self.told[handle].terms
            assert len(lost) < (terms.max_lost or 3)
            assert not (lost and terms.on_lost is OnLoss.FAIL)

    def teardown(self):
        """Let all workers be lost and one run what is left: each job has ended then, once."""
        self.commit_all()
        for number in range(WORKERS):
            self.lose_worker(number)
        for _ in range(200):
            self.commit_all()
            self.let_time_pass(5.0)
            self.commit_all()
            self.grab(0)
            for _ in self.going_on():
                self.complete(0)
            if not self.store.unfinished and not self.recorded:
                break
        assert not self.store.unfinished
        assert not self.queue.jobs()
        # Every worker has heard that it may forget what it reported.
        assert not self.runs

    def commit_all(self):
        while self.recorded:
            self.commit(9)

    def going_on(self):
        return [run for run in self.runs if run.report is None]

    def pick(self, which):
        return self.going_on()[which % len(self.going_on())]

    def report(self, run, report):
        run.report = report
        told = self.told[run.handle]
        if isinstance(report, bytes):
            told.may_end_as.add(Outcome.SUCCEEDED)
        else:
            told.may_end_as.add(report.outcome)
            if told.is_to_stop:
                told.may_end_as.add(Outcome.CANCELLED)
        self.tell(run)
        self.settle()

    def tell(self, run):
        if isinstance(run.report, bytes):
            self.queue.work_complete(ConnectionId(run.connection), run.handle, run.report, now=self.now)
        else:
            self.queue.work_fail_ext(ConnectionId(run.connection), run.handle, run.report, now=self.now)

    def settle(self):
        """Take in the effects as the server and the workers would."""
        for effect in self.queue.effects:
            if isinstance(effect, Record):
                self.recorded.append(effect.change)
                self.note(effect.change)
            elif isinstance(effect, OutcomeSettled):
                settled = (effect.connection, effect.handle)
                self.runs = [run for run in self.runs if (run.connection, run.handle) != settled or run.report is None]
            elif isinstance(effect, CancelNotice) and effect.is_forced:
                # Its process is killed.
                gone = (effect.connection, effect.handle)
                self.runs = [run for run in self.runs if (run.connection, run.handle) != gone]
        self.queue.effects.clear()

    def note(self, change):
        told = self.told[change.handle]
        if isinstance(change, Retried):
            told.run_at = change.run_at
            assert not told.is_to_stop
            assert not 0 < told.terms.expires_at <= change.run_at
        elif isinstance(change, Started):
            assert not told.is_to_stop
        elif isinstance(change, Finished):
            self.runs = [run for run in self.runs if run.handle != change.handle or run.report is not None]


TestTermsMachine = TermsMachine.TestCase
TestTermsMachine.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)
