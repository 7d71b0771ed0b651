"""Limits as they are written, and as terms of a call."""

from __future__ import annotations

import pytest

from gearjobs import Limit, Rate, UsageError, gear_task
from gearjobs.core.terms import Limit as LimitTerm
from gearjobs.tasks.flow_limits import limits_of_call, read_limits, read_rate


@gear_task
def sync(customer: str) -> None: ...


def terms(*args, concurrency=None, rate=None, key=None):
    limits = read_limits(concurrency, rate, key=key)
    return limits_of_call(sync, args, kwargs={}, limits=limits, own_key="sync")


@pytest.mark.parametrize(
    ("text", "count", "per_s"),
    [("10/m", 10, 60), ("1/s", 1, 1), ("5000/h", 5000, 3600), ("3/d", 3, 86400), (" 100 / 15 m ", 100, 900)],
)
def test_rate_is_read_from_text(text, count, per_s):
    assert read_rate(text) == Rate(count, per_s)


@pytest.mark.parametrize("text", ["", "10", "10/", "10/x", "0/m", "1/0m", "-1/m", "1.5/m", "10/min"])
def test_text_that_is_no_rate_is_refused(text):
    with pytest.raises(UsageError, match="rate"):
        read_rate(text)


def test_limits_count_all_jobs_of_the_task_unless_told_otherwise():
    assert terms("acme", concurrency=2, rate="10/m") == (
        LimitTerm("sync", concurrency=2),
        LimitTerm("sync", rate=10, per_s=60),
    )


def test_limits_may_count_by_a_key():
    assert terms("acme", concurrency=2, key="customer:{customer}") == (LimitTerm("customer:acme", concurrency=2),)


def test_several_limits_hold_at_once_each_with_its_own_key():
    assert terms("acme", concurrency=[10, Limit(1, "{customer}")], rate=["5/s", Rate(100, 3600, "crm")]) == (
        LimitTerm("sync", concurrency=10),
        LimitTerm("acme", concurrency=1),
        LimitTerm("sync", rate=5, per_s=1),
        LimitTerm("crm", rate=100, per_s=3600),
    )


def test_limit_without_a_key_for_a_call_does_not_hold_it():
    assert terms("acme", concurrency=2, key=lambda customer: None if customer == "acme" else customer) == ()
    assert terms("other", concurrency=2, key=lambda customer: None if customer == "acme" else customer) != ()


@pytest.mark.parametrize(
    ("concurrency", "rate", "words"),
    [
        (0, None, "concurrency must be a whole number from 1 up, got 0"),
        (True, None, "got True"),
        ("2", None, "concurrency must be a whole number, a Limit or several"),
        (None, 10, "rate must be like '10/m'"),
        ([1] * 9, None, "at most 8 limits, got 9"),
    ],
)
def test_limits_that_cannot_be_are_refused(concurrency, rate, words):
    with pytest.raises(UsageError) as refusal:
        read_limits(concurrency, rate, key=None)

    assert words in str(refusal.value)


def test_key_without_a_limit_is_a_mistake():
    with pytest.raises(UsageError, match="must come with concurrency or rate"):
        read_limits(None, None, key="crm")


def test_rate_without_a_time_is_refused():
    with pytest.raises(UsageError, match="per_s"):
        Rate(1, 0)
