"""The queue through restarts: workers go on with their runs, come back to them, or give up when their time is over.

The store commits some steps after the queue recorded, and a server that is killed loses what was not committed. The
workers keep their law (`core/reattachment`): a run that lost its server ends `resume_s` later, an outcome is kept until
it is settled. Whatever happens: what was acknowledged is never lost, no job that is surely running is handed out a
second time, and each job ends once.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gearjobs.core.changes import Accepted, Change, Started
from gearjobs.core.effects import OutcomeSettled, Record
from gearjobs.core.job_queue import JobQueue, QueueRules
from gearjobs.core.jobs import ConnectionId, FunctionName, JobHandle
from gearjobs.core.reattachment import ReattachRules, ResumeVerdict
from gearjobs.core.submission import Submission
from gearjobs.stores.memory import MemoryStore

#: Small, so that time is often over.
REATTACH = ReattachRules(resumable_s=8.0, resume_s=6.0)
FUNCTION = FunctionName(b"resize")
WORKERS = 4
CLIENT = ConnectionId(99)


@dataclass
class Run:
    """A run in the worker's process, whatever the server knows of it."""

    handle: JobHandle
    attempt: int
    #: Its worker process.
    worker_id: str
    #: Where its worker is connected; None while it is not.
    connection: int | None
    #: Whether the store knows of it.
    is_recorded: bool = False
    #: When it must be over, while it has no connection.
    until: float = 0.0
    #: Whether it is over, and its outcome kept until that is settled.
    is_done: bool = False

    def is_told_of_by(self, started):
        told = (started.handle, started.attempt, started.worker_ids[-1])
        return (self.handle, self.attempt, self.worker_id) == told


class RestartMachine(RuleBasedStateMachine):
    """A server that is killed again and again, its store and its workers."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.now = 1000.0
        self.handles = 0
        self.processes = 0
        self.acknowledged: set[bytes] = set()
        self.runs: list[Run] = []
        self.begin()

    def begin(self):
        self.queue = JobQueue(QueueRules(reattach=REATTACH))
        self.recorded: list[Change] = []
        self.queue.connect(CLIENT, address="client")
        for number in range(WORKERS):
            self.let_in(number)

    def let_in(self, number):
        self.queue.connect(ConnectionId(number), address=f"worker:{number}")
        self.queue.can_do(ConnectionId(number), FUNCTION, now=self.now)
        self.rename(number)

    def rename(self, number, worker_id=""):
        self.processes += 1
        self.queue.set_client_id(ConnectionId(number), worker_id or f"process-{self.processes}")

    @rule()
    def submit(self):
        self.handles += 1
        submission = Submission(FUNCTION, b"", b"photo", 0, is_background=True)
        self.queue.submit_job(CLIENT, submission, handle=JobHandle(b"H:%d" % self.handles), now=self.now)
        self.settle()

    @rule(count=st.integers(1, 6))
    def commit(self, count):
        batch, self.recorded = self.recorded[:count], self.recorded[count:]
        self.store.commit(batch)
        for change in batch:
            if isinstance(change, Accepted):
                self.acknowledged.add(change.handle)
            for run in self.runs:
                if isinstance(change, Started) and run.is_told_of_by(change):
                    run.is_recorded = True
            self.queue.committed(change, now=self.now)
        self.settle()

    @rule(number=st.integers(0, WORKERS - 1))
    def grab(self, number):
        job = self.queue.grab_job(ConnectionId(number), is_resumable=True, now=self.now)
        if job is not None:
            # A start that was not committed when its server died is the one way to run twice at once, for a moment.
            assert not [run for run in self.runs if run.handle == job.handle and run.is_recorded and not run.is_done]
            assert job.handle not in self.store.finished
            self.runs.append(Run(job.handle, job.attempt, job.worker_ids[-1], number))
            # The next job it asks for is another process's.
            self.rename(number)
        self.settle()

    @rule(number=st.integers(0, WORKERS - 1))
    def put_to_work(self, number):
        self.submit()
        self.commit_all()
        self.grab(number)
        self.commit_all()

    @precondition(lambda self: self.going_on())
    @rule(which=st.integers(0, 9))
    def complete(self, which):
        run = self.going_on()[which % len(self.going_on())]
        run.is_done = True
        self.report(run)

    @rule(number=st.integers(0, WORKERS - 1))
    def cut_off(self, number):
        self.queue.disconnect(ConnectionId(number), now=self.now, was_cut=True)
        self.leave([run for run in self.runs if run.connection == number])
        self.let_in(number)
        self.settle()

    @rule(number=st.integers(0, WORKERS - 1))
    def end_a_worker(self, number):
        self.queue.disconnect(ConnectionId(number), now=self.now)
        self.runs = [run for run in self.runs if run.connection != number]
        self.let_in(number)
        self.settle()

    @rule(down_s=st.sampled_from([0.0, 1.0, 5.0, 9.0]))
    def restart(self, down_s):
        self.leave(self.runs)
        self.pass_by(down_s)
        self.begin()
        stored = self.store.load()
        for job in stored:
            job.owner_gone_s = down_s
        self.queue.restore(stored, now=self.now)
        self.settle()

    @precondition(lambda self: self.without_server())
    @rule(which=st.integers(0, 9), number=st.integers(0, WORKERS - 1))
    def come_back(self, which, number):
        run = self.without_server()[which % len(self.without_server())]

        self.rename(number, run.worker_id)
        verdict = self.queue.resume_job(ConnectionId(number), run.handle, run.attempt, now=self.now)
        self.rename(number)

        if run.is_recorded:
            # Nobody else can have it; what was reported and committed is not known any more.
            assert verdict is ResumeVerdict.ACCEPTED or (run.is_done and verdict is ResumeVerdict.UNKNOWN)
        if verdict is ResumeVerdict.REFUSED:
            self.runs.remove(run)
        elif verdict is ResumeVerdict.ACCEPTED:
            run.connection = number
            if run.is_done:
                self.report(run)
        self.settle()

    @rule(seconds=st.sampled_from([0.5, 2.0, 5.0]))
    def let_time_pass(self, seconds):
        self.pass_by(seconds)
        self.queue.tick(self.now)
        self.settle()

    @invariant()
    def nothing_acknowledged_is_lost(self):
        kept = self.store.unfinished.keys() | self.store.finished.keys()
        assert self.acknowledged <= kept

    def teardown(self):
        """Let every worker end and one last of them run what is left: each job has ended then, once."""
        self.commit_all()
        for number in range(WORKERS):
            self.end_a_worker(number)
        self.let_time_pass(60.0)
        while True:
            self.grab(0)
            if not self.going_on():
                break
            self.complete(0)
        self.commit_all()
        assert self.acknowledged == self.store.finished.keys()
        assert not self.store.unfinished
        assert not self.runs

    def commit_all(self):
        while self.recorded:
            self.commit(9)

    def report(self, run):
        self.queue.work_complete(ConnectionId(run.connection), run.handle, b"done", now=self.now)
        self.settle()

    def leave(self, runs):
        for run in runs:
            if run.connection is not None:
                run.connection, run.until = None, self.now + REATTACH.resume_s

    def pass_by(self, seconds):
        self.now += seconds
        self.runs = [run for run in self.runs if run.connection is not None or run.until > self.now]

    def going_on(self):
        return [run for run in self.runs if run.connection is not None and not run.is_done]

    def without_server(self):
        return [run for run in self.runs if run.connection is None]

    def settle(self):
        """Take in the effects as the server would."""
        for effect in self.queue.effects:
            if isinstance(effect, Record):
                self.recorded.append(effect.change)
            elif isinstance(effect, OutcomeSettled):
                told = (effect.connection, effect.handle)
                self.runs = [run for run in self.runs if not (run.is_done and (run.connection, run.handle) == told)]
        self.queue.effects.clear()


TestRestartMachine = RestartMachine.TestCase
TestRestartMachine.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)
