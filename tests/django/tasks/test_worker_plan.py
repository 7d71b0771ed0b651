"""Which functions worker processes serve, for which tasks, at which servers."""

from __future__ import annotations

from typing import Any

import pytest

from gearjobs import UsageError
from gearjobs.tasks.django_tasks import Task
from gearjobs.tasks.function_names import function_of, function_table
from gearjobs.tasks.rebuilt_task import on_queue
from gearjobs.tasks.worker_plan import ALL_QUEUES, make_worker_plan
from tests.support.sample_tasks import add, double, resize_picture
from tests.support.task_settings import GEARMAN

ADD = "tests.support.sample_tasks.add"


def test_worker_of_a_queue_serves_its_tasks_by_name_and_others_by_queue():
    table = function_table([add, resize_picture], queues={"default"})

    assert sorted(table) == ["resize@default", "shrink@default", ADD]


def test_task_of_a_function_is_on_the_queue_the_function_says():
    table = function_table([add, resize_picture], queues={"default", "images"})

    assert table["resize"] == resize_picture
    assert table["resize@default"] == resize_picture.using(queue_name="default")
    assert table["shrink"].func is resize_picture.func


def test_every_call_has_a_function_that_a_worker_of_its_queue_serves():
    tasks: list[Task[..., Any]] = [add, resize_picture, double]

    for task in tasks:
        for queue in ("default", "images", "other"):
            moved = task if queue == task.queue_name else on_queue(task, queue)
            assert function_table(tasks, queues=[queue])[function_of(moved)].func is task.func


def test_plan_without_settings_serves_every_declared_queue():
    plan = make_worker_plan(queue_names=[ALL_QUEUES])

    assert plan.servers == ("127.0.0.1:4730",)
    assert {ADD, f"{ADD}@images", "resize", "resize@default"} <= plan.tasks.keys()
    assert double.module_path not in plan.tasks


def test_plan_serves_the_queues_and_servers_of_tasks_setting(settings):
    settings.TASKS = {
        "default": GEARMAN["default"] | {"QUEUES": ["default", "nightly"]},
        "far": GEARMAN["default"] | {"OPTIONS": {"SERVERS": ["far.test", "jobs.test:4730"]}},
    }

    plan = make_worker_plan(queue_names=[ALL_QUEUES])

    assert plan.servers == ("jobs.test:4730", "far.test")
    assert f"{ADD}@nightly" in plan.tasks


@pytest.mark.parametrize("queue_names", [["imagse"], []])
def test_queue_that_tasks_setting_does_not_allow_is_refused(settings, queue_names):
    settings.TASKS = GEARMAN

    with pytest.raises(UsageError, match=r"one of default, images, or \* for all; got ('imagse'|none)"):
        make_worker_plan(queue_names=queue_names)


def test_any_queue_may_be_served_where_any_is_allowed():
    assert f"{ADD}@seldom" in make_worker_plan(queue_names=["seldom"]).tasks


def test_patterns_choose_functions():
    plan = make_worker_plan(queue_names=["images"], patterns=["resize", "*.sample_tasks.add@*"])

    assert sorted(plan.tasks) == ["resize", f"{ADD}@images"]


def test_pattern_that_matches_nothing_is_refused():
    with pytest.raises(UsageError, match=r"'resise'; did you mean resize\?"):
        make_worker_plan(queue_names=["images"], patterns=["resise"])


def test_two_tasks_under_one_function_are_refused():
    impostor = on_queue(add, "default")
    object.__setattr__(impostor, "function_name", "resize")
    object.__setattr__(impostor, "home_queue", "images")

    with pytest.raises(UsageError, match="both claim the function 'resize'"):
        function_table([resize_picture, impostor], queues=["images"])
