"""System checks of tasks and their options."""

from __future__ import annotations

import pytest
from django.core import checks
from django.test import override_settings

from gearjobs import Rate, UsageError, gear_task
from gearjobs.checks import TAG
from gearjobs.tasks import option_checks, registry
from gearjobs.tasks.django_tasks import BaseTaskBackend
from gearjobs.tasks.option_checks import check_task_options
from tests.support.task_settings import DUMMY, GEARMAN, IMMEDIATE


class ForeignBackend(BaseTaskBackend):
    """Any backend that is not ours."""

    supports_priority = supports_async_task = True

    def enqueue(self, task, args, kwargs):
        raise NotImplementedError


FOREIGN = {"default": {"BACKEND": f"{__name__}.ForeignBackend", "QUEUES": []}}


def plain() -> None: ...


async def coroutine() -> None: ...


@pytest.fixture
def declare(monkeypatch):
    """Declare a task, and let it be the only one that is checked."""
    monkeypatch.setattr(registry, "_tasks", dict(registry._tasks))
    monkeypatch.setattr(registry, "_owners", dict(registry._owners))

    def make(function=plain, **options):
        task = gear_task(name="tests.checked", **options)(function)
        monkeypatch.setattr(option_checks, "registered_tasks", lambda: [task])
        return task

    return make


def found() -> list[str | None]:
    return [report.id for report in check_task_options()]


def test_check_runs_with_the_others():
    ours = [check for check in checks.registry.registry.get_checks() if TAG in getattr(check, "tags", ())]

    assert "check_task_options" in [getattr(check, "__name__", "") for check in ours]


@pytest.mark.parametrize("settings", [GEARMAN, DUMMY, IMMEDIATE])
def test_options_are_nothing_new_to_our_backend_nor_to_those_for_tests(declare, settings):
    declare(max_attempts=3)

    with override_settings(TASKS=settings):
        assert found() == []


def test_options_are_an_error_under_a_backend_that_does_not_know_them(declare):
    declare(max_attempts=3)

    with override_settings(TASKS=FOREIGN):
        (report,) = check_task_options()

    assert report.id == "gearjobs.E112"
    assert "plain has options that ForeignBackend does not know" in report.msg


def test_task_without_options_runs_under_any_backend(declare):
    declare()

    with override_settings(TASKS=FOREIGN):
        assert found() == []


def test_backend_that_is_not_there_is_djangos_business(declare):
    declare(max_attempts=3)

    with override_settings(TASKS={"other": GEARMAN["default"]}):
        assert found() == []


def test_tasks_that_cannot_be_declared_together_are_an_error(monkeypatch):
    def discover():
        raise UsageError("a.b cannot be called 'resize', which is c.d; give one of them another name=")

    monkeypatch.setattr(option_checks, "discover_tasks", discover)
    (report,) = check_task_options()

    assert (report.id, "'resize', which is c.d" in report.msg) == ("gearjobs.E111", True)


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({"retry_on": OSError}, ["gearjobs.W111"]),
        ({"give_up_on": OSError}, ["gearjobs.W111"]),
        ({"backoff": lambda error, result: 1.0}, ["gearjobs.W111"]),
        ({"retry_on": OSError, "max_attempts": 2}, []),
        ({"on_conflict": "raise"}, ["gearjobs.W112"]),
        ({"unique_for": "queued"}, ["gearjobs.W112"]),
        ({"unique_for": "queued", "unique": True}, []),
        ({"executor": "async"}, ["gearjobs.W113"]),
        ({"executor": "thread"}, []),
        ({"rate": "1/h", "expires": 60}, ["gearjobs.W114"]),
        ({"rate": [Rate(100, 60), "1/h"], "expires": 60}, ["gearjobs.W114"]),
        ({"rate": "100/h", "expires": 60}, []),
        ({"concurrency": 1, "expires": 60}, []),
    ],
)
def test_options_that_mean_nothing_together_are_a_warning(declare, options, ids):
    declare(**options)

    assert found() == ids
    assert all(report.hint for report in check_task_options())


def test_coroutine_function_may_have_its_executor(declare):
    declare(coroutine, executor="async")

    assert found() == []
