"""Jobs that are not due yet."""

from __future__ import annotations

from gearjobs.core.delayed import DelayedJobs
from gearjobs.core.jobs import JobState, move
from tests.support.core_builders import make_delayed


def delayed_jobs(*jobs):
    delayed = DelayedJobs()
    for job in jobs:
        delayed.add(job)
    return delayed


def handles(jobs):
    return [job.handle for job in jobs]


def test_due_jobs_come_earliest_first():
    delayed = delayed_jobs(make_delayed(b"later", run_at=20.0), make_delayed(b"sooner", run_at=10.0))

    assert handles(delayed.take_due(30.0)) == [b"sooner", b"later"]


def test_job_is_due_on_its_second():
    assert delayed_jobs(make_delayed(run_at=10.0)).take_due(10.0)


def test_job_is_not_due_before_its_time():
    assert not delayed_jobs(make_delayed(run_at=10.0)).take_due(9.999)


def test_equal_times_keep_the_order_of_arrival():
    delayed = delayed_jobs(*(make_delayed(b"%d" % number, run_at=10.0) for number in range(5)))

    assert handles(delayed.take_due(10.0)) == [b"0", b"1", b"2", b"3", b"4"]


def test_due_job_is_taken_once():
    delayed = delayed_jobs(make_delayed(run_at=10.0))
    delayed.take_due(10.0)

    assert not delayed.take_due(10.0)


def test_job_that_ended_meanwhile_is_passed_over():
    ended = make_delayed(b"ended", run_at=10.0)
    delayed = delayed_jobs(ended, make_delayed(b"alive", run_at=10.0))

    move(ended, JobState.ENDED)

    assert handles(delayed.take_due(10.0)) == [b"alive"]


def test_ended_job_in_front_goes_before_its_time():
    ended = make_delayed(b"ended", run_at=10.0)
    delayed = delayed_jobs(ended, make_delayed(b"alive", run_at=20.0))
    move(ended, JobState.ENDED)

    delayed.take_due(5.0)

    assert delayed.next_due() == 20.0


def test_next_due_is_the_earliest_time():
    delayed = delayed_jobs(make_delayed(b"later", run_at=20.0), make_delayed(b"sooner", run_at=10.0))

    assert delayed.next_due() == 10.0


def test_nothing_is_due_where_nothing_is():
    assert delayed_jobs().next_due() is None
