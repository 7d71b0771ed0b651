"""Whether a job whose run was cut short is handed out again: gearmand 2.0's --job-retries."""

from __future__ import annotations

import pytest

from gearjobs.core.redelivery import may_run_again
from tests.support.core_builders import make_running


@pytest.mark.parametrize("attempt", [1, 2, 255, 100_000])
def test_minus_one_hands_out_without_end(attempt):
    assert may_run_again(make_running(attempt=attempt), job_retries=-1)


def test_zero_never_hands_out_a_second_time():
    assert not may_run_again(make_running(attempt=1), job_retries=0)


@pytest.mark.parametrize("attempt", [1, 2])
def test_attempts_before_the_nth_are_followed_by_another(attempt):
    assert may_run_again(make_running(attempt=attempt), job_retries=3)


@pytest.mark.parametrize("attempt", [3, 4])
def test_nth_attempt_is_the_last(attempt):
    assert not may_run_again(make_running(attempt=attempt), job_retries=3)
