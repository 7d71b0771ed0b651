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


def test_white_box_cancelled_jobs_do_not_pile_up_until_their_time():
    # A site that puts a reminder off again and again left every cancelled one in memory until it would have been due.
    delayed = delayed_jobs(make_delayed(b"kept", run_at=7200.0))
    for _ in range(10_000):
        cancelled = make_delayed(b"cancelled", run_at=3600.0)
        delayed.add(cancelled)
        move(cancelled, JobState.ENDED)

    assert len(delayed._heap) < 2_000


def test_sweep_of_cancelled_jobs_keeps_the_others_in_order():
    jobs = [make_delayed(b"%d" % number, run_at=float(5_000 - number)) for number in range(5_000)]
    delayed = DelayedJobs()
    for number, job in enumerate(jobs):
        delayed.add(job)
        if number % 10:
            move(job, JobState.ENDED)

    alive = [job.handle for job in reversed(jobs) if job.state is JobState.DELAYED]
    assert handles(delayed.take_due(5_000.0)) == alive


def test_job_that_was_brought_forward_is_due_earlier_and_once():
    job = make_delayed(run_at=20.0)
    delayed = delayed_jobs(job)
    job.run_at = 10.0
    delayed.add(job)

    assert handles(delayed.take_due(15.0)) == [b"H:1"]
    move(job, JobState.WAITING)

    assert not delayed.take_due(20.0)


def test_job_that_is_due_again_at_its_old_time_is_due_once():
    job = make_delayed(run_at=20.0)
    delayed = delayed_jobs(job)
    delayed.add(job)

    assert handles(delayed.take_due(20.0)) == [b"H:1"]
