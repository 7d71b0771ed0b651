"""`@gear_task`: what it makes of a function, under whatever backend."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from datetime import timedelta

import django
import pytest
from django.utils import timezone

from gearjobs import GearContext, GearResult, GearTask, UsageError, gear_task
from gearjobs.tasks.django_tasks import InvalidTask, Task, TaskResultMismatch, TaskResultStatus, task_backends
from tests.support import sample_tasks
from tests.support.event_loop import in_event_loop
from tests.support.sample_results import running_result
from tests.support.sample_tasks import add, count, echo, fail, remember, resize_picture, wait_and_add
from tests.support.task_settings import DUMMY, GEARMAN, IMMEDIATE


def module_level(context: object) -> None: ...


def test_gear_task_is_a_task():
    assert isinstance(add, Task)
    assert (add.priority, add.queue_name, add.backend, add.takes_context) == (0, "default", "default", False)
    assert (add.name, add.module_path) == ("add", "tests.support.sample_tasks.add")


def test_function_is_the_dotted_path_unless_named():
    assert add.function_name == "tests.support.sample_tasks.add"
    assert (resize_picture.function_name, resize_picture.name) == ("resize", "resize")


def test_gear_task_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        add.priority = 3  # type: ignore[misc]  # mypy knows, too


def test_calling_a_gear_task_runs_the_function_here():
    assert add(2, b=3) == 5


def test_direct_call_of_a_context_task_needs_no_context():
    assert count(3) == [1, 3]


@in_event_loop
async def test_direct_call_of_a_coroutine_task_gives_its_coroutine():
    assert await wait_and_add(2, 3) == 5
    assert await wait_and_add.acall(2, 3) == 5
    assert await add.acall(2, 3) == 5


def test_coroutine_task_can_be_called_from_synchronous_code():
    assert wait_and_add.call(2, 3) == 5


def test_signature_is_the_functions():
    assert inspect.signature(add) == inspect.signature(add.func)
    # Tools look at the class, too.
    assert "func" in inspect.signature(GearTask).parameters


def test_using_changes_a_copy():
    changed = add.using(priority=7, queue_name="images")

    assert (changed.priority, changed.queue_name, changed.home_queue) == (7, "images", "default")
    assert (add.priority, add.queue_name) == (0, "default")
    assert type(wait_and_add.using(priority=1)) is type(wait_and_add)


def test_using_takes_a_delay_for_a_time():
    before = timezone.now()

    delayed = add.using(run_after=timedelta(minutes=5))

    assert delayed.run_after is not None
    assert before + timedelta(minutes=5) <= delayed.run_after <= timezone.now() + timedelta(minutes=5)


def test_gear_tasks_are_hashable_and_equal_by_value():
    assert add.using(priority=0) == add
    assert len({add, add.using(priority=0), add.using(priority=1)}) == 2


def test_deep_copy_of_a_task_is_the_task():
    assert copy.deepcopy(add) is add


if django.VERSION >= (6, 1):  # Before, Django does not pickle tasks.

    def test_pickled_task_is_the_task_of_its_module():
        changed = resize_picture.using(priority=1)

        assert pickle.loads(pickle.dumps(changed)) == changed


def test_function_inside_a_function_is_refused():
    with pytest.raises(InvalidTask, match="module level"):
        gear_task(lambda: None)


def test_context_parameter_must_be_called_context():
    with pytest.raises(InvalidTask, match="context"):
        gear_task(takes_context=True)(sample_tasks.add.func)


@pytest.mark.parametrize("name", ["with space", "line\nbreak", "x" * 513, "\x7f"])
def test_name_that_cannot_go_over_the_wire_is_refused(name):
    with pytest.raises(UsageError, match="function name must"):
        gear_task(name=name)(module_level)


def test_second_task_of_one_name_is_refused():
    with pytest.raises(UsageError, match=r"'resize'.*resize_picture"):
        gear_task(name="resize")(module_level)


def test_alias_of_another_task_is_refused():
    with pytest.raises(UsageError, match="'shrink'"):
        gear_task(aliases=["shrink"])(module_level)


def test_unknown_option_is_refused():
    with pytest.raises(TypeError, match="prioritty"):
        gear_task(prioritty=3)  # type: ignore[call-overload]  # mypy knows, too


def test_priority_is_checked_by_the_backend():
    with pytest.raises(InvalidTask, match="priority"):
        add.using(priority=101)


def test_immediate_backend_runs_it_at_once(settings):
    settings.TASKS = IMMEDIATE

    result = add.enqueue(2, b=3)

    assert isinstance(result, GearResult)
    assert (result.status, result.return_value, result.status_detail) == (TaskResultStatus.SUCCESSFUL, 5, "succeeded")


def test_immediate_backend_gives_a_context_that_takes_progress(settings):
    settings.TASKS = IMMEDIATE

    assert count.enqueue(2).return_value == [1, 2]


def test_immediate_backend_runs_coroutine_tasks(settings):
    settings.TASKS = IMMEDIATE

    assert wait_and_add.enqueue(2, 3).return_value == 5


def test_immediate_backend_reports_the_failure(settings):
    settings.TASKS = IMMEDIATE

    result = fail.enqueue("too bad")

    assert (result.status, result.status_detail) == (TaskResultStatus.FAILED, "failed")
    assert result.errors[0].exception_class is ValueError


def test_dummy_backend_keeps_it(settings, remembered):
    settings.TASKS = DUMMY

    result = remember.enqueue("x")

    assert not remembered
    assert (result.status, result.status_detail, result.progress) == (TaskResultStatus.READY, "waiting", None)
    kept = task_backends["default"].get_result(result.id)
    assert result == kept
    assert kept == result


def test_dummy_backend_finds_the_result_again(settings):
    settings.TASKS = DUMMY
    result = add.enqueue(1)

    result.refresh()

    assert add.get_result(result.id) == result
    with pytest.raises(TaskResultMismatch):
        fail.get_result(result.id)


@in_event_loop
async def test_async_twins_work_under_the_dummy_backend(settings):
    settings.TASKS = DUMMY

    result = await add.aenqueue(1)
    await result.arefresh()

    assert await add.aget_result(result.id) == result


def test_foreground_call_runs_here_under_a_foreign_backend(settings):
    settings.TASKS = DUMMY

    assert add.do(2, b=3) == 5
    assert echo.do((1, b"b"), key={"x": 2}) == [[[1, "b"]], {"key": {"x": 2}}]


@in_event_loop
async def test_foreground_call_of_a_coroutine_gives_its_value(settings):
    settings.TASKS = DUMMY

    assert await wait_and_add.ado(2, 3) == 5


def test_foreground_call_cannot_be_delayed():
    with pytest.raises(UsageError, match="run_after"):
        add.using(run_after=timedelta(seconds=1)).do(1)


@pytest.mark.parametrize("tasks", [IMMEDIATE, DUMMY, GEARMAN], ids=["immediate", "dummy", "gearman"])
def test_decorating_works_under_any_backend(settings, tasks):
    settings.TASKS = tasks

    task = gear_task(queue_name="images")(module_level)

    assert type(task) is GearTask


def test_context_counts_progress_without_anybody_listening():
    result = running_result(count)

    GearContext(task_result=result).progress(3, 4, "almost")

    assert result.progress is not None
    assert result.progress.percent == 75.0


@pytest.mark.parametrize("numbers", [(-1, 2), (1, float("nan")), (float("inf"), None)])
def test_progress_must_be_told_in_numbers(numbers):
    with pytest.raises(UsageError, match="finite numbers"):
        GearContext(task_result=running_result(count)).progress(*numbers)
