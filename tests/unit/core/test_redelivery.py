"""Whether a job whose run was cut short is handed out again: gearmand 2.0's --job-retries, and the bound on crashes."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import Outcome
from gearjobs.core.redelivery import Cut, RetryLimits, last_outcome
from tests.support.core_builders import make_running


def outcome_of(*, attempt=1, crashes=0, is_background=True, cut=Cut.WORKER_LOST, job_retries=-1, max_crashes=0):
    job = make_running(attempt=attempt)
    job.crashes, job.is_background = crashes, is_background
    return last_outcome(job, cut, RetryLimits(job_retries, max_crashes))


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
