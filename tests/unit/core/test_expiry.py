"""Jobs that must not start after a certain time."""

from __future__ import annotations

import pytest

from gearjobs.core.expiry import Expiry, has_expired
from gearjobs.core.jobs import JobState, move
from gearjobs.core.terms import JobTerms
from tests.support.core_builders import make_delayed, make_job, make_waiting


def expiring(job, expires_at):
    job.terms = JobTerms(expires_at=expires_at)
    return job


def expiry_of(*jobs):
    expiry = Expiry()
    for job in jobs:
        expiry.watch(job)
    return expiry


def handles(jobs):
    return [job.handle for job in jobs]


def test_jobs_expire_in_the_order_of_their_times():
    expiry = expiry_of(expiring(make_waiting(b"later"), 20.0), expiring(make_waiting(b"sooner"), 10.0))

    assert handles(expiry.take_expired(30.0)) == [b"sooner", b"later"]


def test_equal_times_keep_the_order_of_arrival():
    expiry = expiry_of(*(expiring(make_waiting(b"%d" % number), 10.0) for number in range(5)))

    assert handles(expiry.take_expired(10.0)) == [b"0", b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize(("now", "is_over"), [(9.999, False), (10.0, True), (11.0, True)])
def test_job_expires_on_its_second(now, is_over):
    job = expiring(make_waiting(), 10.0)

    assert (has_expired(job, now), bool(expiry_of(job).take_expired(now))) == (is_over, is_over)


def test_job_expires_once():
    expiry = expiry_of(expiring(make_waiting(), 10.0))
    expiry.take_expired(10.0)

    assert not expiry.take_expired(11.0)


def test_job_that_is_watched_twice_expires_once():
    job = expiring(make_waiting(), 10.0)

    assert handles(expiry_of(job, job).take_expired(10.0)) == [job.handle]


def test_job_whose_terms_were_told_anew_expires_by_the_new_ones():
    job = expiring(make_waiting(), 10.0)
    expiry = expiry_of(job)
    expiry.watch(expiring(job, 20.0))

    assert [bool(expiry.take_expired(now)) for now in (10.0, 20.0)] == [False, True]


@pytest.mark.parametrize("make", [make_job, make_waiting, lambda: make_delayed(run_at=99.0)])
def test_job_that_has_not_started_expires_whatever_it_waits_for(make):
    assert expiry_of(expiring(make(), 10.0)).take_expired(10.0)


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.ENDED])
def test_job_that_runs_or_ended_does_not_expire(state):
    job = expiring(make_waiting(), 10.0)
    expiry = expiry_of(job)

    move(job, state)

    assert not expiry.take_expired(10.0)


def test_job_without_a_time_never_expires():
    job = make_waiting()

    assert (expiry_of(job).next_due(), has_expired(job, 1e12)) == (None, False)


def test_next_due_is_the_first_time():
    assert expiry_of(expiring(make_waiting(), 20.0), expiring(make_waiting(), 10.0)).next_due() == 10.0


def test_nothing_is_due_of_nothing():
    assert Expiry().next_due() is None


def test_job_whose_time_is_to_come_again_is_watched_again():
    # The clock was set back while it ran.
    job = expiring(make_waiting(), 10.0)
    expiry = expiry_of(job)
    expiry.take_expired(11.0)

    expiry.watch_anew([job])

    assert expiry.take_expired(11.0) == [job]


def test_jobs_that_ended_do_not_pile_up():
    # Clients that let their jobs expire in a year and have them done in a second.
    expiry, kept = Expiry(), expiring(make_waiting(b"kept"), 99.0)
    expiry.watch(kept)
    for _ in range(10_000):
        job = expiring(make_waiting(), 100.0)
        expiry.watch(job)
        move(job, JobState.ENDED)

    assert len(expiry._heap) < 2_000
    assert expiry.take_expired(99.0) == [kept]
