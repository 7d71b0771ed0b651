"""The queue against a naive model: whatever clients and workers do, nothing is lost, run twice, or out of order.

The model is a list of jobs searched from one end to the other, as one would write it on a blackboard. The store is
played too: changes are committed or refused some steps after they were recorded, as the writer thread does, and while
it is in doubt the queue holds what is stored. What a restart does is played in test_restart_machine.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from gearjobs.core.changes import Accepted, Change, Finished, Forgotten, Started
from gearjobs.core.effects import News, NewsKind, OutcomeSettled, Record, Wake
from gearjobs.core.job_queue import JobQueue, QueueRules
from gearjobs.core.jobs import ConnectionId, FunctionName, JobHandle
from gearjobs.core.quarantine import BenchRules
from gearjobs.core.reattachment import ReattachRules, ResumeVerdict
from gearjobs.core.redelivery import MAX_CRASHES
from gearjobs.core.rescheduling import Wish
from gearjobs.core.submission import Submission
from gearjobs.errors import FunctionInUse, FunctionUnknown
from tests.support.queue_model import ModelJob

#: Two fast failures in a row put a worker on the bench, so that it happens often.
BENCH = BenchRules(failures=1, window_s=60.0, fast_s=1.0, interval_s=3.0)
#: Orphans are waited for so long that their workers may well be back in time.
REATTACH = ReattachRules(resumable_s=3.0)
FUNCTIONS = [b"reverse", b"resize", b"mail"]
PRIORITIES = [50, 0, -50, 7]
ENDS = {NewsKind.COMPLETE, NewsKind.FAIL, NewsKind.EXCEPTION}


class JobQueueMachine(RuleBasedStateMachine):
    """Random peers against the queue and the model at once."""

    connections = Bundle("connections")

    def __init__(self) -> None:
        super().__init__()
        self.queue = JobQueue(QueueRules(wakeup_limit=1, bench=BENCH, reattach=REATTACH))
        self.now = 1000.0
        self.moments = 0
        self.numbers = 0
        self.jobs: list[ModelJob] = []
        self.abilities: dict[int, list[bytes]] = {}
        self.asleep: set[int] = set()
        self.called: set[int] = set()
        self.recorded: list[Change] = []
        self.ended: dict[tuple[int, bytes], int] = {}
        self.finished: set[bytes] = set()
        #: Jobs whose end was recorded.
        self.concluded: set[bytes] = set()
        self.is_held = False
        #: Who keeps the outcome of a job until it is committed, and what workers were told to keep no longer.
        self.unsettled: dict[bytes, int] = {}
        self.settled: list[tuple[int, bytes]] = []
        #: Fast failures in a row of each worker at each function.
        self.failures: dict[tuple[int, bytes], list[float]] = {}
        #: Who is benched at what, and until when it pauses; 0 where its pause is over.
        self.benched: dict[tuple[int, bytes], float] = {}

    @initialize(target=connections, functions=st.lists(st.sampled_from(FUNCTIONS), min_size=4, max_size=4))
    def start_with_workers(self, functions):
        workers = [self.connect() for _ in range(3)]
        for worker, function in zip(workers + workers[:1], functions, strict=True):
            self.can_do(worker, function)
        return multiple(*workers)

    @rule(target=connections)
    def connect(self):
        self.numbers += 1
        self.queue.connect(ConnectionId(self.numbers), address=f"peer:{self.numbers}")
        self.abilities[self.numbers] = []
        return self.numbers

    @rule(connection=connections, function=st.sampled_from(FUNCTIONS))
    def can_do(self, connection, function):
        self.queue.can_do(ConnectionId(connection), FunctionName(function), now=self.tick())
        if function not in self.abilities[connection]:
            self.abilities[connection].insert(0, function)
        self.settle()

    @rule(connection=connections, function=st.sampled_from(FUNCTIONS))
    def cant_do(self, connection, function):
        self.queue.cant_do(ConnectionId(connection), FunctionName(function), now=self.tick())
        if function in self.abilities[connection]:
            self.abilities[connection].remove(function)
            self.forgive(connection, function)
            self.take_back([job for job in self.held(connection) if job.function == function])
        self.settle()

    @rule(
        connection=connections,
        function=st.sampled_from(FUNCTIONS),
        unique=st.sampled_from([b"", b"u1", b"u2"]),
        priority=st.sampled_from(PRIORITIES),
        is_background=st.booleans(),
    )
    def submit(self, connection, function, unique, priority, is_background):
        self.numbers += 1
        handle = b"H:%d" % self.numbers
        submission = Submission(FunctionName(function), unique, b"payload", priority, is_background)

        receipt = self.queue.submit_job(ConnectionId(connection), submission, handle=JobHandle(handle), now=self.tick())

        twin = next((job for job in self.live() if unique and (job.function, job.unique) == (function, unique)), None)
        if twin is None:
            twin = ModelJob(handle, function, unique, priority, is_background, self.moment(), is_kept=not is_background)
            self.jobs.append(twin)
        elif is_background:
            twin.is_background = True
        assert receipt.handle == twin.handle
        if not is_background:
            twin.clients.append(connection)
        self.settle()

    @precondition(lambda self: self.live())
    @rule(connection=connections, is_resumable=st.sampled_from([True, True, False]))
    def grab(self, connection, is_resumable):
        expected = self.next_job(connection)

        job = self.queue.grab_job(ConnectionId(connection), is_resumable=is_resumable, now=self.tick())

        self.asleep.discard(connection)
        self.called.discard(connection)
        assert (job.handle if job else None) == (expected.handle if expected else None)
        if expected is not None:
            self.begin_run(expected, connection, is_resumable=is_resumable)
            if (connection, expected.function) in self.benched:
                self.benched[connection, expected.function] = self.now + BENCH.interval_s
            functions = self.abilities[connection]
            functions.remove(expected.function)
            functions.append(expected.function)
        self.settle()

    @rule(connection=connections)
    def pre_sleep(self, connection):
        self.queue.pre_sleep(ConnectionId(connection), now=self.tick())
        self.asleep.add(connection)
        self.called.discard(connection)
        self.settle()

    @precondition(lambda self: self.running())
    @rule(ending=st.sampled_from(["complete", "fail"]), which=st.integers(0, 5))
    def end_a_job(self, ending, which):
        self.end(self.running()[which % len(self.running())], ending)

    @precondition(lambda self: self.live())
    @rule(connection=connections, count=st.integers(2, 4))
    def fail_fast(self, connection, count):
        for _ in range(count):
            job = self.next_job(connection)
            self.grab(connection, is_resumable=False)
            if job is not None:
                self.end(job, "fail")

    @precondition(lambda self: self.live())
    @rule(which=st.integers(0, 9))
    def cancel(self, which):
        job = self.live()[which % len(self.live())]
        worker = job.worker

        self.queue.cancel_job(JobHandle(job.handle), now=self.tick())

        job.is_over, job.worker, job.orphaned = True, None, None
        self.finished.add(job.handle)
        self.settle()
        self.told_once_each(job)
        if worker is not None:
            # Nobody told it; what it reports changes nothing.
            self.queue.work_complete(ConnectionId(worker), JobHandle(job.handle), b"late", now=self.tick())
            told = [OutcomeSettled(ConnectionId(worker), JobHandle(job.handle))] if job.is_resumable else []
            assert self.queue.effects == told
            self.queue.effects.clear()

    @precondition(lambda self: self.live())
    @rule(which=st.integers(0, 9), function=st.sampled_from(FUNCTIONS), priority=st.sampled_from(PRIORITIES))
    def change(self, which, function, priority):
        job = self.live()[which % len(self.live())]
        expected, wish = job.change(priority, function, self.moment()), Wish(priority, function=FunctionName(function))
        assert self.queue.change_job(JobHandle(job.handle), wish, now=self.tick()).verdict == expected
        self.settle()

    @rule(function=st.sampled_from(FUNCTIONS))
    def drop(self, function):
        jobs = [job for job in self.live() if job.function == function]
        able = [worker for worker, functions in self.abilities.items() if function in functions]
        try:
            self.queue.drop_function(FunctionName(function))
        except FunctionUnknown:
            assert not jobs
            assert not able
        except FunctionInUse:
            assert able or any(job.is_running() for job in jobs)
        else:
            for job in jobs:
                job.is_over = True
            self.finished.update(job.handle for job in jobs)
            self.settle()
            for job in jobs:
                self.told_once_each(job)

    @rule(connection=consumes(connections), was_cut=st.booleans())
    def disconnect(self, connection, was_cut):
        held = self.held(connection)
        self.queue.disconnect(ConnectionId(connection), now=self.tick(), was_cut=was_cut)
        for function in self.abilities.pop(connection):
            self.forgive(connection, function)
        self.asleep.discard(connection)
        self.called.discard(connection)
        for job in sorted(held, key=lambda job: job.started, reverse=True):
            if was_cut and job.is_resumable:
                job.worker, job.orphaned = None, (self.now + REATTACH.resumable_s, self.moment())
            else:
                self.take_back([job], is_crash=True)
        for job in self.live():
            job.clients = [client for client in job.clients if client != connection]
            if not job.clients and not job.is_background and job.worker is None:
                job.is_over = True
        self.settle()

    @precondition(lambda self: self.jobs)
    @rule(connection=connections, which=st.integers(0, 99), later=st.sampled_from([0, 0, 1, -1]))
    def resume(self, connection, which, later):
        job = self.jobs[-1 - which % len(self.jobs)]
        attempt = job.attempt + later
        expected = self.verdict_on(job, attempt)

        verdict = self.queue.resume_job(ConnectionId(connection), JobHandle(job.handle), attempt, now=self.tick())

        assert verdict is expected
        if verdict is ResumeVerdict.ACCEPTED:
            if job.is_over:
                self.unsettled[job.handle] = connection
                self.queue.work_complete(ConnectionId(connection), JobHandle(job.handle), b"again", now=self.tick())
                assert not self.queue.effects
            elif job.is_running():
                job.worker, job.orphaned, job.started = connection, None, self.moment()
            else:
                self.begin_run(job, connection, is_resumable=True)
        self.settle()

    @rule(connection=connections, function=st.sampled_from(FUNCTIONS))
    def begin_resumable_run(self, connection, function):
        self.can_do(connection, function)
        self.submit(connection, function, b"", 0, is_background=True)
        while self.recorded:
            self.commit(5)
        self.grab(connection, is_resumable=True)

    @precondition(lambda self: self.running())
    @rule(which=st.integers(0, 5))
    def cut_off_and_let_in_again(self, which):
        connection = self.running()[which % len(self.running())].worker
        self.disconnect(connection, was_cut=True)
        # The number of a connection is used again here, so that whoever comes back may be the same or another.
        self.queue.connect(ConnectionId(connection), address=f"peer:{connection}")
        self.abilities[connection] = []

    @precondition(lambda self: any(job.orphaned for job in self.jobs))
    @rule(connection=connections)
    def come_back(self, connection):
        orphans = [number for number, job in enumerate(reversed(self.jobs)) if job.orphaned]
        self.resume(connection, orphans[0], later=0)

    @precondition(lambda self: self.unsettled)
    @rule(connection=connections)
    def report_again(self, connection):
        ended = [number for number, job in enumerate(reversed(self.jobs)) if job.handle in self.unsettled]
        self.resume(connection, ended[0], later=0)

    @rule(connection=connections)
    def grab_while_held(self, connection):
        if not self.is_held:
            self.hold_or_release()
        self.grab(connection, is_resumable=True)
        self.hold_or_release()

    @rule()
    def hold_or_release(self):
        if self.is_held:
            self.queue.release_stored(self.tick())
        else:
            self.queue.hold_stored()
        self.is_held = not self.is_held
        self.settle()

    @precondition(lambda self: self.recorded)
    @rule(count=st.integers(1, 5))
    def commit(self, count):
        batch, self.recorded = self.recorded[:count], self.recorded[count:]
        for change in batch:
            self.queue.committed(change, now=self.tick())
            if isinstance(change, Accepted):
                job = self.named(change.handle)
                job.is_stored = True
                if not job.is_kept:
                    job.is_kept, job.queued = True, self.moment()
        self.settle()
        ended = [change.handle for change in batch if isinstance(change, Finished)]
        expected = [(self.unsettled.pop(handle), handle) for handle in ended if handle in self.unsettled]
        assert self.settled == expected
        self.settled.clear()

    @precondition(lambda self: any(isinstance(change, Accepted) for change in self.recorded))
    @rule()
    def refuse(self):
        accepted = next(change for change in self.recorded if isinstance(change, Accepted))
        self.recorded = [change for change in self.recorded if change.handle != accepted.handle]

        self.queue.refused(accepted, now=self.tick())

        job = self.named(accepted.handle)
        if not job.is_kept or not (job.clients or job.is_running()):
            job.is_over = True
        job.is_background = False
        self.settle()

    @rule(seconds=st.sampled_from([1.0, 1.5, 3.0]))
    def let_time_pass(self, seconds):
        self.now += seconds
        self.queue.tick(self.now)
        self.benched = {key: until if until > self.now else 0.0 for key, until in self.benched.items()}
        orphans = [job for job in self.live() if job.orphaned is not None and job.orphaned[0] <= self.now]
        for job in sorted(orphans, key=lambda job: job.orphaned):
            job.orphaned, job.queued = None, self.moment()
        self.settle()

    @invariant()
    def a_waiting_job_never_overlooks_a_sleeper(self):
        for job in self.live():
            if not self.may_be_taken(job):
                continue
            able = [worker for worker in self.abilities if job.function in self.open_functions(worker)]
            sleeping = [worker for worker in able if worker in self.asleep]
            assert not sleeping or any(worker in self.called for worker in able), job

    @invariant()
    def counts_are_those_of_the_model(self):
        for view in self.queue.functions():
            waiting = [job for job in self.live() if job.function == view.name and job.may_run()]
            running = [job for job in self.jobs if job.function == view.name and job.is_running()]
            assert (view.high + view.normal + view.low, view.running) == (len(waiting), len(running))

    @invariant()
    def every_background_outcome_is_recorded_once(self):
        recorded = [change.handle for change in self.recorded if isinstance(change, Finished | Forgotten)]
        assert len(recorded) == len(set(recorded))

    def teardown(self):
        """Let the commits happen and one last worker drain the queue: nothing may be left, nothing come twice."""
        while self.recorded:
            self.commit(5)
        if self.is_held:
            self.hold_or_release()
        while any(job.orphaned for job in self.live()):
            self.let_time_pass(1.0)
        self.connect()
        worker = self.numbers
        for function in FUNCTIONS:
            self.can_do(worker, function)
        expected = {job.handle for job in self.live() if job.worker is None}
        drained = []
        while (job := self.queue.grab_job(ConnectionId(worker), now=self.tick())) is not None:
            drained.append(job.handle)
        assert sorted(drained) == sorted(expected)

    def end(self, job, ending):
        connection = job.worker
        if ending == "complete":
            self.queue.work_complete(ConnectionId(connection), JobHandle(job.handle), b"done", now=self.tick())
            self.forgive(connection, job.function)
        else:
            self.queue.work_fail(ConnectionId(connection), JobHandle(job.handle), now=self.tick())
            self.note_failure(connection, job)
        if job.is_resumable:
            self.unsettled[job.handle] = connection
        job.is_over, job.worker = True, None
        self.finished.add(job.handle)
        self.settle()
        self.told_once_each(job)

    def begin_run(self, job, connection, *, is_resumable):
        job.worker, job.started, job.started_at = connection, self.moment(), self.now
        job.attempt += 1
        job.is_resumable = is_resumable and job.is_background and job.is_stored

    def verdict_on(self, job, attempt):
        is_known = not job.is_over or any(
            isinstance(change, Finished) and change.handle == job.handle for change in self.recorded
        )
        if not is_known:
            return ResumeVerdict.UNKNOWN
        is_its = job.may_be_resumed(attempt, is_reported=job.handle in self.unsettled)
        return ResumeVerdict.ACCEPTED if is_its else ResumeVerdict.REFUSED

    def told_once_each(self, job):
        """Every client of a job that is over heard so, once for each time it submitted it."""
        told = {client: self.ended.pop((client, job.handle), 0) for client in set(job.clients)}
        assert told == {client: job.clients.count(client) for client in job.clients}

    def tick(self):
        self.now += 0.001
        return self.now

    def moment(self):
        self.moments += 1
        return self.moments

    def live(self):
        return [job for job in self.jobs if not job.is_over]

    def running(self):
        return [job for job in self.live() if job.worker is not None]

    def held(self, connection):
        return [job for job in self.live() if job.worker == connection]

    def named(self, handle):
        return next(job for job in self.jobs if job.handle == handle)

    def next_job(self, connection):
        functions = self.abilities[connection]
        able = self.open_functions(connection)
        candidates = [job for job in self.live() if self.may_be_taken(job) and job.function in able]
        return min(
            candidates,
            key=lambda job: (-job.priority, functions.index(job.function), job.queued),
            default=None,
        )

    def may_be_taken(self, job):
        return job.may_run() and not (self.is_held and job.is_background)

    def open_functions(self, connection):
        """What the worker can do and does not pause at."""
        return [name for name in self.abilities[connection] if not self.benched.get((connection, name))]

    def forgive(self, connection, function):
        self.failures.pop((connection, function), None)
        self.benched.pop((connection, function), None)

    def note_failure(self, connection, job):
        key = (connection, job.function)
        if self.now - job.started_at >= BENCH.fast_s:
            self.forgive(*key)
        elif key not in self.benched and (job.is_background or self.somebody_else_can_do(job.function)):
            recent = [time for time in self.failures.get(key, []) if self.now - time < BENCH.window_s]
            self.failures[key] = [*recent, self.now]
            if len(self.failures[key]) > BENCH.failures:
                self.benched[key] = self.now + BENCH.interval_s

    def somebody_else_can_do(self, function):
        able = [worker for worker, functions in self.abilities.items() if function in functions]
        return sum((worker, function) not in self.benched for worker in able) > 1

    def take_back(self, jobs, *, is_crash=False):
        for job in sorted(jobs, key=lambda job: job.started, reverse=True):
            job.worker = None
            job.queued = self.moment()
            job.crashes += is_crash
            if job.is_background:
                job.is_over = job.crashes == MAX_CRASHES
            elif not job.clients:
                job.is_over = True

    def settle(self):
        """Take in the effects as the server would."""
        for effect in self.queue.effects:
            if isinstance(effect, Record):
                self.recorded.append(effect.change)
                if isinstance(effect.change, Started):
                    # The start of a job whose acceptance is not committed is recorded with its end.
                    assert effect.change.handle not in self.concluded
                elif isinstance(effect.change, Finished):
                    self.concluded.add(effect.change.handle)
            elif isinstance(effect, OutcomeSettled):
                self.settled.append((effect.connection, effect.handle))
            elif isinstance(effect, Wake):
                self.asleep.discard(effect.connection)
                self.called.add(effect.connection)
            elif isinstance(effect, News) and effect.kind in ENDS:
                key = (effect.connection, effect.handle)
                self.ended[key] = self.ended.get(key, 0) + 1
        self.queue.effects.clear()


TestJobQueueMachine = JobQueueMachine.TestCase
TestJobQueueMachine.settings = settings(max_examples=150, stateful_step_count=80, deadline=None)
