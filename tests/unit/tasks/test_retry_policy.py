"""Retry rules applied to errors: who runs again, and after which pause."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from gearjobs.errors import Discard, JobCancelled, JobTimedOut, Retry, UsageError
from gearjobs.protocol.attributes import MAX_RETRY_S
from gearjobs.tasks.retry_policy import decide, exponential, linear


@dataclass
class Result:
    """As much of a result as a backoff looks at."""

    id: str = "H:test:1"
    attempts: int = 1


@dataclass
class Rules:
    max_attempts: int = 3
    backoff: Any = field(default_factory=lambda: lambda error, result: 7.0)
    retry_on: tuple[type[BaseException], ...] = (Exception,)
    give_up_on: tuple[type[BaseException], ...] = ()


def pause(error: BaseException, *, attempts: int = 1, **rules: Any) -> float | None:
    result: Any = Result()
    decision = decide(Rules(**rules), error, task_result=result, attempts=attempts)
    assert decision.reason
    return decision.retry_in_s


def steady(backoff: Any, attempts: int) -> float:
    return float(backoff(ValueError(), Result(attempts=attempts)))


def test_failed_run_is_followed_by_another():
    assert pause(ValueError()) == 7.0
    assert pause(ValueError(), attempts=2) == 7.0


def test_last_attempt_is_followed_by_none():
    assert pause(ValueError(), attempts=3) is None
    assert pause(ValueError(), attempts=1, max_attempts=1) is None


def test_only_errors_of_retry_on_are_tried_again():
    assert pause(KeyError(), retry_on=(LookupError,)) == 7.0
    assert pause(ValueError(), retry_on=(LookupError,)) is None


def test_errors_of_give_up_on_are_not():
    assert pause(KeyError(), give_up_on=(LookupError,)) is None
    assert pause(ValueError(), give_up_on=(LookupError,)) == 7.0


def test_errors_that_are_no_exceptions_are_tried_again_only_by_name():
    class Odd(BaseException): ...

    assert pause(Odd()) is None
    assert pause(Odd(), retry_on=(Odd,)) == 7.0


def test_time_limit_is_an_error_like_any_other():
    assert pause(JobTimedOut()) == 7.0
    assert pause(JobTimedOut(), give_up_on=(TimeoutError,)) is None


def test_cancelled_run_is_not_tried_again():
    assert pause(JobCancelled(), retry_on=(JobCancelled,)) is None


def test_discard_ends_the_job():
    assert pause(Discard("no such user"), retry_on=(Discard,)) is None


def test_retry_says_its_own_pause_whatever_the_rules_say():
    assert pause(Retry(2.5), retry_on=(), give_up_on=(Exception,)) == 2.5
    assert pause(Retry(0)) == 0.0


def test_retry_without_a_pause_takes_the_backoffs():
    assert pause(Retry(), retry_on=()) == 7.0


def test_retry_counts_as_an_attempt():
    assert pause(Retry(2.5), attempts=3) is None


def test_backoff_ends_the_job_by_none():
    assert pause(ValueError(), backoff=lambda error, result: None) is None


def test_backoff_sees_the_error_and_the_result():
    seen = []

    pause(error := ValueError(), backoff=lambda *given: seen.append(given))

    assert seen == [(error, Result())]


def test_backoff_may_say_a_timedelta():
    assert pause(ValueError(), backoff=lambda error, result: timedelta(minutes=2)) == 120.0


def test_pause_is_cut_to_what_the_wire_can_say():
    assert pause(ValueError(), backoff=lambda error, result: float("inf")) == MAX_RETRY_S


@pytest.mark.parametrize("made", [-1, "5", True, float("nan")])
def test_backoff_that_says_no_seconds_is_a_mistake(made):
    with pytest.raises(UsageError, match="backoff"):
        pause(ValueError(), backoff=lambda error, result: made)


def test_exponential_pauses_grow_by_a_factor_up_to_a_maximum():
    backoff = exponential(2, 3, maximum_s=50, jitter=0)

    assert [steady(backoff, number) for number in (1, 2, 3, 4, 40_000)] == [2, 6, 18, 50, 50]


def test_linear_pauses_grow_by_a_step_up_to_a_maximum():
    backoff = linear(2, 3, maximum_s=10, jitter=0)

    assert [steady(backoff, number) for number in (1, 2, 3, 4)] == [2, 5, 8, 10]


@pytest.mark.parametrize("make", [exponential, linear])
def test_jitter_spreads_jobs_that_failed_together(make):
    backoff = make(100, jitter=0.5)

    pauses = [backoff(ValueError(), Result(id=f"H:test:{number}")) for number in range(1000)]

    assert 50 <= min(pauses) < 51
    assert 99 < max(pauses) <= 100
    assert 73 < sum(pauses) / 1000 < 77


def test_pause_of_one_attempt_is_always_the_same():
    assert steady(exponential(), 2) == steady(exponential(), 2) != steady(exponential(), 3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: exponential(-1),
        lambda: exponential(float("nan")),
        lambda: exponential(1, 0.5),
        lambda: exponential(1, 2, maximum_s=-1),
        lambda: exponential(jitter=1.5),
        lambda: linear(-1),
        lambda: linear(1, -1),
        lambda: linear(1, 1, maximum_s=float("inf")),
        lambda: linear(jitter=-0.1),
    ],
)
def test_backoffs_refuse_numbers_that_cannot_be(make):
    with pytest.raises(UsageError, match="got"):
        make()
