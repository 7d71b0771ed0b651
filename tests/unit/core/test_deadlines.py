"""Runs that may time out."""

from __future__ import annotations

from gearjobs.core.deadlines import Deadlines
from gearjobs.core.jobs import JobState, move
from gearjobs.core.terms import JobTerms
from tests.support.core_builders import make_running


def deadlines_of(*runs):
    deadlines = Deadlines()
    for job, due_at in runs:
        deadlines.watch(job, due_at)
    return deadlines


def handles(jobs):
    return [job.handle for job in jobs]


def test_overdue_runs_come_earliest_first():
    deadlines = deadlines_of((make_running(b"later"), 20.0), (make_running(b"sooner"), 10.0))

    assert handles(deadlines.take_overdue(30.0)) == [b"sooner", b"later"]


def test_run_is_overdue_on_its_second():
    assert deadlines_of((make_running(), 10.0)).take_overdue(10.0)


def test_run_is_not_overdue_before():
    assert not deadlines_of((make_running(), 10.0)).take_overdue(9.999)


def test_equal_deadlines_keep_the_order_of_the_starts():
    deadlines = deadlines_of(*((make_running(b"%d" % number), 10.0) for number in range(5)))

    assert handles(deadlines.take_overdue(10.0)) == [b"0", b"1", b"2", b"3", b"4"]


def test_overdue_run_is_taken_once():
    deadlines = deadlines_of((make_running(), 10.0))
    deadlines.take_overdue(10.0)

    assert not deadlines.take_overdue(10.0)


def test_run_that_ended_in_time_is_passed_over():
    job = make_running()
    deadlines = deadlines_of((job, 10.0))

    move(job, JobState.ENDED)

    assert not deadlines.take_overdue(10.0)


def test_deadline_of_an_earlier_attempt_does_not_end_the_present_one():
    job = make_running(attempt=1)
    deadlines = deadlines_of((job, 10.0))

    job.attempt = 2

    assert not deadlines.take_overdue(10.0)


def test_run_that_was_let_off_is_told_of_at_its_time():
    job = make_running()
    deadlines = deadlines_of((job, 10.0))

    deadlines.let_off([job])

    assert deadlines.take_overdue(10.0) == [job]
    assert job.is_let_off


def test_next_run_of_a_job_that_was_let_off_is_not():
    job = make_running()
    deadlines = deadlines_of((job, 10.0))
    deadlines.let_off([job])
    job.attempt = 2

    deadlines.watch(job, 20.0)

    assert not job.is_let_off


def test_ended_run_in_front_goes_before_its_time():
    ended = make_running(b"ended")
    deadlines = deadlines_of((ended, 10.0), (make_running(b"alive"), 20.0))
    move(ended, JobState.ENDED)

    deadlines.take_overdue(5.0)

    assert deadlines.next_due() == 20.0


def test_next_due_is_the_earliest_deadline():
    assert deadlines_of((make_running(b"later"), 20.0), (make_running(b"sooner"), 10.0)).next_due() == 10.0


def test_nothing_is_due_where_nothing_runs():
    assert Deadlines().next_due() is None


def test_white_box_ended_runs_do_not_pile_up_until_their_time():
    # A worker with a timeout of an hour left an hour's worth of ended jobs behind, each with its Job.
    deadlines = deadlines_of((make_running(b"long"), 10.0))
    for _ in range(10_000):
        ended = make_running(b"short")
        deadlines.watch(ended, 3600.0)
        move(ended, JobState.ENDED)

    assert len(deadlines._heap) < 2_000


def test_sweep_of_ended_runs_keeps_the_others_in_order():
    runs = [(make_running(b"%d" % number), float(5_000 - number)) for number in range(5_000)]
    deadlines = Deadlines()
    for number, (job, due_at) in enumerate(runs):
        deadlines.watch(job, due_at)
        if number % 10:
            move(job, JobState.ENDED)

    alive = [job.handle for job, _ in reversed(runs) if job.is_running]
    assert handles(deadlines.take_overdue(5_000.0)) == alive


def test_deadlines_follow_a_clock_that_was_set():
    deadlines = deadlines_of((make_running(), 5000.0))

    deadlines.move(-3600.0)

    assert deadlines.next_due() == 1400.0
    assert handles(deadlines.take_overdue(1400.0)) == [b"H:1"]


# The time that a job's own terms allow.


def timed(job, timeout_s):
    job.terms = JobTerms(timeout_s=timeout_s)
    return job


def test_run_is_taken_from_a_worker_that_does_not_end_it_in_time():
    deadlines, job = Deadlines(), timed(make_running(), 60.0)

    deadlines.watch_timeout(job, 100.0)

    assert (deadlines.take_overdue(169.9), deadlines.take_overdue(170.0), job.timeout_at) == ([], [job], 160.0)


def test_run_of_a_job_without_a_timeout_is_not_watched():
    deadlines, job = Deadlines(), make_running()

    deadlines.watch_timeout(job, 100.0)

    assert (deadlines.next_due(), job.timeout_at) == (None, 0.0)


def test_time_of_a_run_is_moved_with_the_clock_once():
    # A worker that was lost after the clock was put forward counted as one that had ended its job by force.
    deadlines, job = Deadlines(), timed(make_running(), 60.0)
    deadlines.watch(job, 130.0)
    deadlines.watch_timeout(job, 100.0)

    deadlines.move(1000.0)

    assert (job.timeout_at, deadlines.next_due()) == (1160.0, 1130.0)


def test_times_of_runs_that_are_over_or_have_no_end_are_not_moved():
    deadlines, over, endless = Deadlines(), timed(make_running(b"over"), 60.0), make_running(b"endless")
    deadlines.watch_timeout(over, 100.0)
    deadlines.watch(endless, 130.0)
    move(over, JobState.ENDED)

    deadlines.move(1000.0)

    assert (over.timeout_at, endless.timeout_at) == (160.0, 0.0)
