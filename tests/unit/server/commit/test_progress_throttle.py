"""How often progress is written: once an interval and a job, and the last one always."""

from __future__ import annotations

from gearjobs.core.changes import Progressed
from gearjobs.core.jobs import JobHandle
from gearjobs.server.commit.progress_throttle import ProgressThrottle

NOW = 1_000.0
JOB = JobHandle(b"H:1")


def progressed(numerator: float, handle: JobHandle = JOB) -> Progressed:
    return Progressed(handle, numerator, 10, "", NOW)


def test_first_progress_is_written_at_once():
    assert ProgressThrottle(1.0).admit(progressed(1), now=NOW)


def test_progress_within_the_interval_is_held_back():
    throttle = ProgressThrottle(1.0)
    throttle.admit(progressed(1), now=NOW)

    assert not throttle.admit(progressed(2), now=NOW + 0.5)
    assert throttle.next_due() == NOW + 1


def test_only_the_last_progress_of_an_interval_is_written():
    throttle = ProgressThrottle(1.0)
    for numerator in (1, 2, 3):
        throttle.admit(progressed(numerator), now=NOW)

    assert throttle.take_due(NOW + 0.9) == []
    assert throttle.take_due(NOW + 1) == [progressed(3)]
    assert throttle.take_due(NOW + 9) == []
    assert throttle.next_due() is None


def test_written_progress_begins_a_new_interval():
    throttle = ProgressThrottle(1.0)
    for numerator in (1, 2):
        throttle.admit(progressed(numerator), now=NOW)
    throttle.take_due(NOW + 1)

    assert not throttle.admit(progressed(3), now=NOW + 1.5)
    assert throttle.admit(progressed(4), now=NOW + 2)
    assert throttle.take_due(NOW + 9) == []


def test_jobs_do_not_hold_back_each_other():
    throttle = ProgressThrottle(1.0)
    throttle.admit(progressed(1), now=NOW)

    assert throttle.admit(progressed(1, JobHandle(b"H:2")), now=NOW)


def test_end_of_a_run_gives_back_its_last_progress():
    throttle = ProgressThrottle(1.0)
    for numerator in (1, 2):
        throttle.admit(progressed(numerator), now=NOW)

    assert throttle.end(JOB) == progressed(2)
    assert throttle.end(JOB) is None
    assert throttle.take_due(NOW + 9) == []


def test_next_run_of_a_job_is_written_at_once():
    throttle = ProgressThrottle(1.0)
    throttle.admit(progressed(9), now=NOW)
    throttle.end(JOB)

    assert throttle.admit(progressed(1), now=NOW + 0.1)


def test_nothing_is_left_behind_at_the_end_of_the_server():
    throttle = ProgressThrottle(1.0)
    for numerator in (1, 2):
        throttle.admit(progressed(numerator), now=NOW)

    assert throttle.take_all() == [progressed(2)]
    assert throttle.take_all() == []
    assert throttle.next_due() is None


def test_interval_of_none_holds_nothing_back():
    throttle = ProgressThrottle(0.0)

    assert [throttle.admit(progressed(numerator), now=NOW) for numerator in (1, 2, 3)] == [True] * 3
