"""The watch over a running job: what it does, and when it has nothing to do."""

from __future__ import annotations

import math
import threading

import pytest

from gearjobs.protocol.attributes import AssignAttributes
from gearjobs.worker.ending.run_limits import RunLimits, RunStep
from gearjobs.worker.ending.run_watch import RunWatch
from gearjobs.worker.grab_loop import Assignment
from gearjobs.worker.holding.lease_clock import lease_now
from gearjobs.worker.running_job import RunningJob
from tests.support.eventually import eventually

#: Seconds anything here may take.
SOON_S = 10.0


class Acts:
    """Notes what was done, and to which job."""

    def __init__(self) -> None:
        self.done: list[tuple[str, RunStep]] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def __call__(self, job: RunningJob, step: RunStep) -> None:
        self.done.append((job.handle, step))
        assert self.may_go_on.wait(SOON_S)


def job_of(handle: bytes = b"H:a:1") -> RunningJob:
    return RunningJob(Assignment(handle, b"f", b"", b"", AssignAttributes()), lambda _: None, has_extensions=True)


@pytest.fixture
def acts() -> Acts:
    return Acts()


@pytest.fixture
def watch(acts):
    watch = RunWatch(acts)
    yield watch
    watch.close()


def thread_count() -> int:
    return sum(thread.name == "gearjobs-watch" for thread in threading.enumerate())


def test_run_without_limits_needs_no_thread(watch):
    before = thread_count()

    watch.begin(job_of(), None)
    watch.end()

    assert thread_count() == before


def test_what_is_due_is_done_in_order(watch, acts):
    watch.begin(job_of(), RunLimits(lease_now(), timeout_s=0.02, soft_timeout_s=0.01))

    eventually(lambda: len(acts.done) == 2, SOON_S, "both limits")

    assert acts.done == [("H:a:1", RunStep.WARN), ("H:a:1", RunStep.TIME_OUT)]


def test_run_that_ended_is_left_alone(watch, acts):
    watch.begin(job_of(b"H:a:1"), RunLimits(lease_now(), timeout_s=0.03))
    watch.end()
    watch.begin(job_of(b"H:a:2"), RunLimits(lease_now(), timeout_s=0.06))

    eventually(lambda: acts.done, SOON_S, "the second job's limit")

    assert acts.done == [("H:a:2", RunStep.TIME_OUT)]


def test_nearer_limit_of_a_later_run_is_seen(watch, acts):
    watch.begin(job_of(b"H:a:1"), RunLimits(lease_now(), timeout_s=1000.0))
    watch.end()
    watch.begin(job_of(b"H:a:2"), RunLimits(lease_now(), timeout_s=0.01))

    eventually(lambda: acts.done == [("H:a:2", RunStep.TIME_OUT)], SOON_S, "the nearer limit")


def test_cancelled_run_is_noted_and_stopped_after_its_grace(watch, acts):
    job = job_of()
    watch.begin(job, None)

    end_at = watch.cancel(is_forced=False, grace_s=0.01)

    assert job.is_cancel_asked
    assert lease_now() < end_at < math.inf
    eventually(lambda: acts.done == [("H:a:1", RunStep.STOP)], SOON_S, "the exception")


def test_cancel_of_nothing_is_nothing(watch):
    assert watch.cancel(is_forced=True, grace_s=0.0) == math.inf


def test_end_by_force_is_noted_before_the_end_of_the_run(watch):
    # Noted behind it, it stood there for the next job, whose process the supervisor killed.
    told: list[str] = []

    def end() -> None:
        watch.end()
        told.append("ended")

    ender = threading.Thread(target=end)

    def note(_end_at: float) -> None:
        ender.start()
        ender.join(0.05)
        told.append("noted")

    watch.begin(job_of(), None)
    watch.cancel(is_forced=False, grace_s=1000.0, note=note)
    ender.join(5.0)

    assert told == ["noted", "ended"]


def test_cancel_adds_to_the_limits_a_run_has(watch, acts):
    job = job_of()
    watch.begin(job, RunLimits(lease_now(), timeout_s=0.2))

    assert watch.cancel(is_forced=False, grace_s=1000.0) < lease_now() + 1.0
    eventually(lambda: acts.done == [("H:a:1", RunStep.TIME_OUT)], SOON_S, "the limit")


def test_end_of_a_run_waits_while_it_is_being_ended(watch, acts):
    acts.may_go_on.clear()
    watch.begin(job_of(), RunLimits(lease_now(), timeout_s=0.01))
    eventually(lambda: acts.done, SOON_S, "the limit")
    ending = threading.Thread(target=watch.end)
    ending.start()

    ending.join(0.05)
    assert ending.is_alive()

    acts.may_go_on.set()
    ending.join(SOON_S)
    assert not ending.is_alive()
