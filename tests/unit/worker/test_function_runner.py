"""The functions of a worker at work: results, failures, limits, cancels."""

from __future__ import annotations

import math
import threading
import time

import pytest

from gearjobs.errors import JobCancelled, SoftTimeout, UsageError
from gearjobs.protocol.attributes import AssignAttributes
from gearjobs.worker.ending.end_deadline import LATE_S
from gearjobs.worker.function_runner import FunctionRunner
from gearjobs.worker.grab_loop import Assignment
from gearjobs.worker.holding.lease_clock import lease_now
from gearjobs.worker.running_job import RunningJob

#: Seconds a function waits in vain.
PATIENCE_S = 10.0


class Stage:
    """A runner of one function, which does what the test says."""

    def __init__(self, act=lambda job: b"done", **options) -> None:
        self.seen: list[str] = []
        self.forced_ends: list[float] = []
        self.overruns: list[str] = []
        self.runner = FunctionRunner(
            before_job=lambda job: self.seen.append(f"before {job.handle}"),
            after_job=lambda job, error: self.seen.append(f"after {job.handle} {error!r}"),
            note_forced_end=self.forced_ends.append,
        )
        limits = {"reclaim_s": 0.0, "timeout_s": 0.0, "soft_timeout_s": 0.0} | options
        self.runner.register("f", act, **limits)

    def end_by_force(self) -> None:
        self.runner.on_overrun = lambda job: self.overruns.append(job.handle)


@pytest.fixture
def stages():
    made: list[Stage] = []

    def make(act=lambda job: b"done", **options) -> Stage:
        made.append(Stage(act, **options))
        return made[-1]

    yield make
    for stage in made:
        stage.runner.close()


def job_of(**attributes) -> RunningJob:
    assignment = Assignment(b"H:a:1", b"f", b"", b"p", AssignAttributes(**attributes))
    return RunningJob(assignment, lambda _: None, has_extensions=True)


def test_function_gives_the_result(stages):
    stage = stages(lambda job: job.payload)

    assert stage.runner.outcome(job_of()) == (b"p", None)
    assert stage.seen == ["before H:a:1"]


def test_end_is_told_to_the_hook(stages):
    stage = stages()

    stage.runner.tell_end(job_of(), None)

    assert stage.seen == ["after H:a:1 None"]


def test_failure_is_logged_once(stages, caplog):
    def fail(job: RunningJob) -> bytes:
        job.is_failure_logged = job.attempt == 2
        raise ValueError("bad")

    stage = stages(fail)

    errors = [stage.runner.outcome(job_of(attempt=attempt))[1] for attempt in (1, 2)]

    assert [str(error) for error in errors] == ["bad", "bad"]
    assert caplog.text.count("ValueError: bad") == 1


@pytest.mark.parametrize("leaving", [KeyboardInterrupt, SystemExit])
def test_what_means_the_worker_passes(stages, leaving):
    def leave(_job: RunningJob) -> bytes:
        raise leaving

    with pytest.raises(leaving):
        stages(leave).runner.outcome(job_of())


@pytest.mark.parametrize("name", ["", "a\0b", "f"])
def test_function_that_cannot_be_is_refused(stages, name):
    with pytest.raises(UsageError):
        stages().runner.register(name, lambda _: b"", reclaim_s=0.0, timeout_s=0.0, soft_timeout_s=0.0)


def test_job_cancelled_before_it_begins_is_not_run(stages):
    stage, job = stages(), job_of()
    job.is_cancel_asked = True

    result, error = stage.runner.outcome(job)

    assert (result, type(error), stage.seen) == (b"", JobCancelled, [])


def test_job_cancelled_as_it_begins_is_not_run(stages):
    class JustCancelled(RunningJob):
        """Cancelled between the first look at it and the start of its watch."""

        @property
        def soft_timeout_s(self):
            self.is_cancel_asked = True
            return 0.0

        @soft_timeout_s.setter
        def soft_timeout_s(self, _seconds):
            pass

    stage = stages()
    job = JustCancelled(Assignment(b"H:a:1", b"f", b"", b"p", AssignAttributes()), lambda _: None, has_extensions=True)

    assert isinstance(stage.runner.outcome(job)[1], JobCancelled)


def wait_interruptibly(job: RunningJob) -> bytes:
    def spin() -> bytes:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            pass
        return b"in vain"

    return job.interruption.run(spin)


@pytest.mark.parametrize("said_by", ["job", "function"])
def test_soft_limit_raises_in_the_function(stages, said_by):
    stage = stages(wait_interruptibly, soft_timeout_s=0.02 if said_by == "function" else 0.0)
    job = job_of(soft_timeout_s=0.02 if said_by == "job" else 0.0)

    _, error = stage.runner.outcome(job)

    assert isinstance(error, SoftTimeout)
    assert job.is_warned


def test_cancel_raises_in_the_function_after_its_grace(stages):
    def be_cancelled(job: RunningJob) -> bytes:
        stage.runner.cancel(is_forced=False)
        return wait_interruptibly(job)

    stage, job = stages(be_cancelled), job_of()
    stage.runner.cancel_grace_s = 0.02

    _, error = stage.runner.outcome(job)

    assert isinstance(error, JobCancelled)
    assert job.is_cancel_asked


def test_limit_ends_the_run_by_force(stages):
    ended = threading.Event()

    def stand_still(_job: RunningJob) -> bytes:
        assert ended.wait(PATIENCE_S)
        return b"too late"

    stage, job = stages(stand_still), job_of(timeout_s=0.02)
    stage.runner.on_overrun = lambda _job: ended.set()
    before, now = time.time(), lease_now()

    stage.runner.outcome(job)

    assert job.is_ended_by_force
    assert before + 0.02 <= job.ends_at <= time.time() + 0.02
    first, last = stage.forced_ends
    assert now + 0.02 <= first < now + LATE_S + PATIENCE_S
    assert last == math.inf


def test_nobodys_process_is_ended_unasked(stages):
    stage, job = stages(timeout_s=0.01), job_of(timeout_s=0.01)

    stage.runner.outcome(job)

    assert (job.timeout_s, job.ends_at, stage.forced_ends) == (0.0, 0.0, [])


def test_cancel_that_is_not_heeded_ends_the_run_by_force(stages):
    ended = threading.Event()

    def stand_still(_job: RunningJob) -> bytes:
        stage.runner.cancel(is_forced=True)
        assert ended.wait(PATIENCE_S)
        return b"too late"

    stage, job = stages(stand_still), job_of()
    stage.runner.on_overrun = lambda _job: ended.set()

    stage.runner.outcome(job)

    assert job.is_ended_by_force
    assert stage.forced_ends[-1] == math.inf
