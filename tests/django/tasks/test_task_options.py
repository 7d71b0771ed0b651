"""Options of tasks: how they are given, what is refused, and that a task with them is still a task."""

from __future__ import annotations

import copy
import dataclasses
import logging
import pickle
from datetime import UTC, datetime, timedelta

import django
import pytest
from django.test import override_settings

from gearjobs import GearTask, Limit, Rate, UsageError, gear_task, linear
from gearjobs.core.terms import OnConflict, OnLoss, UniqueSpan
from gearjobs.tasks.django_tasks import task
from gearjobs.tasks.retry_policy import ExponentialBackoff
from gearjobs.tasks.task import options_of
from gearjobs.tasks.task_options import NO_OPTIONS
from tests.support.sample_tasks import add, careful, double
from tests.support.task_settings import GEARMAN, IMMEDIATE


def module_level(user_id: int = 0) -> None: ...


def declared(**options):
    return gear_task(name="tests.options.module_level", **options)(module_level).options


def test_task_without_options_has_the_defaults():
    options = add.options

    assert options == NO_OPTIONS
    assert (options.unique, options.max_attempts, options.on_worker_lost, options.max_lost) == (
        False,
        1,
        OnLoss.RETRY,
        0,
    )
    assert (options.timeout_s, options.soft_timeout_s, options.expires_s, options.limits) == (0, 0, 0, ())
    assert isinstance(options.backoff, ExponentialBackoff)


def test_options_are_read():
    backoff = linear()

    options = declared(
        unique="user:{user_id}",
        unique_for="queued",
        on_conflict="raise",
        max_attempts=4,
        backoff=backoff,
        retry_on=OSError,
        give_up_on=[FileNotFoundError, KeyError],
        on_worker_lost="fail",
        max_lost=5,
        timeout=timedelta(minutes=2),
        soft_timeout=90,
        expires=3600,
        concurrency=2,
        rate=["10/m", Rate(100, 3600)],
        limit_key="{user_id}",
        capture_logs="warning",
        executor="thread",
        metadata={"team": "billing", "when": (1, 2)},
        api=True,
        mask=["user_*"],
    )

    assert (options.unique, options.unique_for, options.on_conflict) == (
        "user:{user_id}",
        UniqueSpan.QUEUED,
        OnConflict.RAISE,
    )
    assert (options.max_attempts, options.backoff, options.retry_on) == (4, backoff, (OSError,))
    assert options.give_up_on == (FileNotFoundError, KeyError)
    assert (options.on_worker_lost, options.max_lost) == (OnLoss.FAIL, 5)
    assert (options.timeout_s, options.soft_timeout_s, options.expires_s) == (120.0, 90.0, 3600.0)
    assert options.limits == (Limit(2, "{user_id}"), Rate(10, 60.0, "{user_id}"), Rate(100, 3600, "{user_id}"))
    assert (options.capture_logs, options.executor) == (logging.WARNING, "thread")
    assert options.metadata == {"team": "billing", "when": [1, 2]}
    assert (options.api, options.mask) == (True, ("user_*",))


def test_none_is_as_good_as_nothing():
    nothing = dict.fromkeys(
        ["unique", "max_lost", "timeout", "soft_timeout", "expires", "concurrency", "rate", "executor", "metadata"]
    )

    assert declared(**nothing, limit_key=None, capture_logs=False) == NO_OPTIONS
    assert declared(capture_logs=True).capture_logs == logging.INFO


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"unique": 7}, "unique must be a template such as 'user:{user_id}' or a callable, got 7"),
        ({"unique": ""}, "unique must be a template"),
        (
            {"unique": "user:{usr_id}"},
            "unique 'user:{usr_id}' names 'usr_id', which is no parameter; there are: user_id",
        ),
        ({"unique_for": "ever"}, "unique_for must be one of 'unfinished', 'queued', got 'ever'"),
        ({"on_conflict": "panic"}, "on_conflict must be one of 'coalesce', 'skip', 'replace', 'raise', got 'panic'"),
        ({"max_attempts": 0}, "max_attempts must be a whole number from 1 up, got 0"),
        ({"max_attempts": True}, "got True"),
        ({"backoff": 5}, "backoff must be exponential(), linear() or another callable, got 5"),
        ({"retry_on": "OSError"}, "retry_on must be exception classes, got 'OSError'"),
        ({"give_up_on": [int]}, "give_up_on must be exception classes, got <class 'int'>"),
        ({"on_worker_lost": "cry"}, "on_worker_lost must be one of 'retry', 'fail', got 'cry'"),
        ({"max_lost": 0}, "max_lost must be a whole number from 1 up, got 0"),
        ({"timeout": 0}, "timeout must be more than 0"),
        ({"timeout": "5"}, "timeout must be seconds or a timedelta, got '5'"),
        ({"timeout": float("nan")}, "timeout must be more than 0"),
        ({"soft_timeout": timedelta(0)}, "soft_timeout must be more than 0"),
        ({"soft_timeout": 30, "timeout": 30}, "soft_timeout must be less than timeout"),
        ({"expires": -1}, "expires must be more than 0"),
        ({"expires": datetime(2030, 1, 1, tzinfo=UTC)}, "expires must be seconds or a timedelta"),
        ({"concurrency": 0}, "concurrency must be a whole number from 1 up, got 0"),
        ({"rate": "many"}, "rate must be like '10/m'"),
        ({"limit_key": "crm"}, "limit_key must come with concurrency or rate"),
        ({"concurrency": 1, "limit_key": "{customer}"}, "limit_key '{customer}' names 'customer'"),
        ({"concurrency": 1, "limit_key": 7}, "limit_key must be a template"),
        ({"capture_logs": "loud"}, "capture_logs must be True, False or the name of a level, got 'loud'"),
        ({"api": "yes"}, "api must be True, False or a serializer class, got 'yes'"),
        ({"mask": ""}, "mask must be names of parameters, got ''"),
        ({"mask": [1]}, "mask must be names of parameters, got [1]"),
        ({"executor": "gpu"}, "executor must be one of 'process', 'thread', 'async' or None, got 'gpu'"),
        ({"metadata": [1]}, "metadata must be a mapping"),
        ({"metadata": {1: 2}}, "metadata must be a mapping with strings as keys"),
        ({"metadata": {"a": object()}}, "metadata must be JSON"),
    ],
)
def test_option_that_cannot_be_is_refused_when_it_is_declared(options, words):
    with pytest.raises(UsageError) as refusal:
        declared(**options)

    assert words in str(refusal.value)


def test_misspelt_option_is_refused_with_a_guess():
    with pytest.raises(TypeError, match="no option 'max_attempt'; did you mean 'max_attempts'"):
        gear_task(max_attempt=3)  # type: ignore[call-overload]  # mypy knows, too


def test_task_with_options_stays_a_value():
    assert careful == careful.using(priority=0)
    assert hash(careful) == hash(careful.using(priority=0))
    assert copy.deepcopy(careful) is careful
    with pytest.raises(dataclasses.FrozenInstanceError):
        careful.options.timeout_s = 1.0  # type: ignore[misc]  # mypy knows, too


@pytest.mark.skipif(django.VERSION < (6, 1), reason="tasks cannot be pickled before Django 6.1")
def test_task_with_options_can_be_pickled():
    assert pickle.loads(pickle.dumps(careful)) == careful


def test_using_changes_what_a_call_may_have_otherwise():
    changed = careful.using(unique=False, expires=5, timeout=timedelta(minutes=1), metadata={"trace": "7"})

    assert (changed.options.unique, changed.options.expires_s, changed.options.timeout_s) == (False, 5.0, 60.0)
    assert changed.options.metadata == {"team": "billing", "trace": "7"}
    assert changed.options.max_attempts == careful.options.max_attempts == 3
    assert careful.options.metadata == {"team": "billing"}


def test_using_nothing_keeps_the_options():
    assert careful.using(unique=None, expires=None, timeout=None, metadata=None).options is careful.options


def test_using_takes_a_moment_for_expires():
    moment = datetime(2030, 1, 1, tzinfo=UTC)

    fixed = careful.using(expires=moment)

    assert (fixed.options.expires_at, fixed.options.expires_s) == (moment.timestamp(), 0.0)
    assert fixed.using(expires=5).options.expires_at == 0.0
    # In the project's zone, Berlin.
    assert careful.using(expires=datetime(2030, 1, 1)).options.expires_at == moment.timestamp() - 3600  # noqa: DTZ001 - the naive case


def test_using_cannot_change_what_the_declaration_promises():
    with pytest.raises(TypeError, match="cannot change 'max_attempts'"):
        careful.using(max_attempts=9)  # type: ignore[call-arg]  # mypy knows, too
    with pytest.raises(UsageError, match="soft_timeout must be less than timeout"):
        careful.using(timeout=1)
    with pytest.raises(UsageError, match="no parameter"):
        careful.using(unique="{colour}")


def test_plain_task_says_nothing():
    assert options_of(double) is NO_OPTIONS


@override_settings(TASKS=GEARMAN)
def test_djangos_own_decorator_takes_the_options_under_our_backend():
    if django.VERSION[:2] == (6, 0):
        pytest.skip("Django 6.0 passes no options on")

    made = task(max_attempts=3, timeout=5)(module_level)  # type: ignore[call-overload]  # Django 6.1 takes them

    assert isinstance(made, GearTask)
    assert (made.options.max_attempts, made.options.timeout_s) == (3, 5.0)


@override_settings(TASKS=IMMEDIATE)
def test_other_backends_carry_the_options_and_pass_them_over():
    result = careful.enqueue(7)

    assert (result.return_value, result.task) == ("dear 7", careful)
