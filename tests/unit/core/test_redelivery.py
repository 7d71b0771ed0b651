"""Whether a job whose run was cut short is handed out again: by gearmand 2.0's --job-retries, the bounds, its terms."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import Outcome
from gearjobs.core.redelivery import Cut, RetryLimits, attempt_outcome, count_cut, judge_cut, last_outcome, may_retry
from gearjobs.core.terms import NO_TERMS, JobTerms, OnLoss
from tests.support.core_builders import make_running


def outcome_of(*, cut=Cut.WORKER_LOST, job_retries=-1, max_crashes=0, **said):
    return last_outcome(run_of(**said), cut, RetryLimits(job_retries, max_crashes))


def run_of(*, attempt=1, crashes=0, lost=0, is_background=True, terms=NO_TERMS, is_cancel_asked=False):
    job = make_running(attempt=attempt)
    job.crashes, job.lost, job.is_background = crashes, lost, is_background
    job.terms, job.is_cancel_asked = terms, is_cancel_asked
    return job


@pytest.mark.parametrize("attempt", [1, 2, 255, 100_000])
def test_minus_one_hands_out_without_end(attempt):
    assert outcome_of(attempt=attempt, job_retries=-1) is None


def test_zero_never_hands_out_a_second_time():
    assert outcome_of(attempt=1, job_retries=0) is Outcome.LOST


@pytest.mark.parametrize("attempt", [1, 2])
def test_attempts_before_the_nth_are_followed_by_another(attempt):
    assert outcome_of(attempt=attempt, job_retries=3) is None


@pytest.mark.parametrize("attempt", [3, 4])
def test_nth_attempt_is_the_last(attempt):
    assert outcome_of(attempt=attempt, job_retries=3) is Outcome.LOST


def test_last_attempt_that_timed_out_says_so():
    assert outcome_of(cut=Cut.TIMED_OUT, job_retries=0) is Outcome.TIMED_OUT


@pytest.mark.parametrize("crashes, outcome", [(1, None), (2, None), (3, Outcome.DEAD), (4, Outcome.DEAD)])
def test_job_that_lost_its_worker_three_times_is_dead(crashes, outcome):
    # A task that ended its process was handed to one worker after the other until none was left.
    assert outcome_of(attempt=9, crashes=crashes, max_crashes=3) is outcome


@pytest.mark.parametrize("cut", [Cut.GIVEN_BACK, Cut.TIMED_OUT, Cut.NOT_RESUMED])
def test_job_is_dead_by_a_crash_only(cut):
    # With a bound that was lowered meanwhile, a restart of the server ended jobs that had crashed twice long ago.
    assert outcome_of(attempt=9, crashes=3, max_crashes=3, cut=cut) is None


def test_no_bound_on_crashes_hands_out_without_end():
    assert outcome_of(crashes=100, max_crashes=0) is None


def test_foreground_job_is_its_clients_to_give_up():
    assert outcome_of(crashes=100, is_background=False, max_crashes=3) is None


# What the job's own terms say.


@pytest.mark.parametrize("cut", [Cut.WORKER_LOST, Cut.NOT_RESUMED])
def test_job_that_must_not_run_twice_is_lost_with_its_worker(cut):
    assert outcome_of(terms=JobTerms(on_lost=OnLoss.FAIL), cut=cut) is Outcome.LOST


@pytest.mark.parametrize("cut", [Cut.GIVEN_BACK, Cut.TIMED_OUT])
def test_job_that_must_not_run_twice_runs_again_when_its_worker_gave_it_back(cut):
    assert outcome_of(terms=JobTerms(on_lost=OnLoss.FAIL), cut=cut) is None


@pytest.mark.parametrize(("crashes", "outcome"), [(4, None), (5, Outcome.DEAD)])
def test_jobs_own_bound_of_lost_workers_comes_before_the_servers(crashes, outcome):
    assert outcome_of(crashes=crashes, terms=JobTerms(max_lost=5), max_crashes=3) is outcome


def test_operators_bound_on_runs_comes_before_the_jobs_terms():
    assert outcome_of(attempt=2, job_retries=2, terms=JobTerms(max_lost=9)) is Outcome.LOST


@pytest.mark.parametrize(
    ("attempt", "lost", "outcome"),
    [(1, 0, None), (2, 0, None), (3, 0, Outcome.TIMED_OUT), (3, 1, None), (5, 2, Outcome.TIMED_OUT)],
)
def test_run_that_took_too_long_counts_as_an_attempt_and_lost_ones_do_not(attempt, lost, outcome):
    said = {"attempt": attempt, "lost": lost, "terms": JobTerms(timeout_s=5.0, max_attempts=3)}

    assert outcome_of(cut=Cut.OUT_OF_TIME, **said) is outcome


def test_run_that_took_too_long_is_the_last_where_nothing_is_said_of_attempts():
    assert outcome_of(cut=Cut.OUT_OF_TIME, terms=JobTerms(timeout_s=5.0)) is Outcome.TIMED_OUT


@pytest.mark.parametrize("cut", list(Cut))
def test_job_that_was_told_to_stop_is_cancelled_however_its_run_ends(cut):
    assert outcome_of(cut=cut, is_cancel_asked=True) is Outcome.CANCELLED


@pytest.mark.parametrize(
    ("cut", "timeout_at", "judged"),
    [
        (Cut.WORKER_LOST, 0.0, Cut.WORKER_LOST),
        (Cut.WORKER_LOST, 100.1, Cut.WORKER_LOST),
        (Cut.WORKER_LOST, 100.0, Cut.OUT_OF_TIME),
        (Cut.NOT_RESUMED, 100.0, Cut.NOT_RESUMED),
    ],
)
def test_worker_that_is_lost_at_the_end_of_the_runs_time_ended_it_by_force(cut, timeout_at, judged):
    job = run_of()
    job.timeout_at = timeout_at

    assert judge_cut(job, cut, now=100.0) is judged


@pytest.mark.parametrize(
    ("cut", "crashes", "lost"),
    [
        (Cut.WORKER_LOST, 1, 1),
        (Cut.NOT_RESUMED, 0, 1),
        (Cut.GIVEN_BACK, 0, 1),
        (Cut.TIMED_OUT, 0, 0),
        (Cut.OUT_OF_TIME, 0, 0),
    ],
)
def test_cut_runs_are_counted_by_what_they_say_of_the_job(cut, crashes, lost):
    job = run_of()

    count_cut(job, cut)

    assert (job.crashes, job.lost) == (crashes, lost)


def test_attempt_that_was_cut_short_is_listed_as_lost_or_timed_out():
    listed = {cut: attempt_outcome(cut) for cut in Cut}

    assert {cut for cut, outcome in listed.items() if outcome is Outcome.TIMED_OUT} == {Cut.TIMED_OUT, Cut.OUT_OF_TIME}
    assert set(listed.values()) == {Outcome.TIMED_OUT, Outcome.LOST}


@pytest.mark.parametrize(
    ("said", "is_allowed"),
    [
        ({}, True),
        ({"is_background": False}, False),
        ({"is_cancel_asked": True}, False),
        ({"terms": JobTerms(expires_at=60.0)}, False),
        ({"terms": JobTerms(expires_at=60.1)}, True),
    ],
)
def test_failed_job_runs_again_unless_it_is_a_clients_or_would_come_too_late(said, is_allowed):
    assert may_retry(run_of(**said), 60.0) is is_allowed
