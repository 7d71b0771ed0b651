"""Which groups of worker processes there are, and what each serves."""

from __future__ import annotations

import pytest
from django.core.management.base import CommandError, CommandParser

from gearjobs.errors import UsageError
from gearjobs.management.worker_flags import add_worker_flags, given_flags
from gearjobs.settings import gearjobs_settings
from gearjobs.tasks.task import GearTask
from gearjobs.tasks.task_options import TaskOptions
from gearjobs.tasks.worker_groups import WorkerGroup, make_worker_groups, unserved_tasks
from tests.support.sample_tasks import add


@pytest.fixture
def groups_of(settings):
    def make(workers: dict[str, object], *words: str) -> list[WorkerGroup]:
        settings.GEARJOBS = {"WORKERS": workers}
        parser = CommandParser()
        add_worker_flags(parser, gearjobs_settings().workers)
        options = vars(parser.parse_args(list(words)))
        return make_worker_groups(gearjobs_settings().workers, options["groups"], flags=given_flags(options))

    return make


def test_without_groups_there_is_one_that_is_as_the_settings_say(groups_of):
    [group] = groups_of({"PROCESSES": 3, "MAX_PROCESSES": 5, "THREADS": 4, "MAX_MEMORY_MIB": 2, "MAX_TASKS": 9})

    given = group.pool_group
    assert (group.name, group.executor, given.lanes) == ("default", "thread", 4)
    assert (given.scale.least, given.scale.most) == (3, 5)
    assert (given.recycle.jobs, given.recycle.rss_bytes) == (9, 2 * 1024 * 1024)


def test_group_has_what_it_does_not_say_from_all(groups_of):
    one, two = groups_of({"PROCESSES": 3, "MAX_TASKS": 9, "GROUPS": {"one": {"PROCESSES": 1}, "two": {}}})

    assert (one.settings.processes, one.settings.max_tasks) == (1, 9)
    assert (two.settings.processes, two.settings.max_tasks) == (3, 9)


def test_groups_are_chosen_by_name(groups_of):
    workers: dict[str, object] = {"GROUPS": {"one": {}, "two": {}}}

    assert [group.name for group in groups_of(workers, "two")] == ["two"]
    assert [group.name for group in groups_of(workers, "default")] == ["default"]
    with pytest.raises(UsageError, match="no group of workers is called 'tow'; did you mean two"):
        groups_of(workers, "tow")


def test_flags_win_over_every_group(groups_of):
    workers = {"PROCESSES": 3, "GROUPS": {"one": {"PROCESSES": 1}, "two": {}}}

    groups = groups_of(workers, "--autoscale", "2,6", "--max-lifetime", "60")

    assert {(one.settings.processes, one.settings.max_processes) for one in groups} == {(2, 6)}
    assert {one.settings.max_lifetime_s for one in groups} == {60.0}


def test_threads_and_coroutines_at_once_are_refused(groups_of):
    with pytest.raises(UsageError, match="threads or asynchronous jobs"):
        groups_of({"THREADS": 2, "ASYNC_CONCURRENCY": 10})


@pytest.mark.parametrize(
    "words", [["--autoscale", "3"], ["--autoscale", "3,2"], ["--threads", "0"], ["--max-tasks", "many"]]
)
def test_flag_that_says_nothing_sensible_is_refused(groups_of, words):
    with pytest.raises(CommandError):
        groups_of({}, *words)


@pytest.fixture
def add_runs_in(monkeypatch):
    """Let the task `add` say where it is to run."""

    def choose(executor: str) -> None:
        monkeypatch.setattr("gearjobs.tasks.worker_groups.options_of", lambda task: _options(task, executor))

    return choose


def _options(task: object, executor: str) -> TaskOptions:
    return TaskOptions(executor=executor if isinstance(task, GearTask) and task.func is add.func else "")


ADD = "tests.support.sample_tasks.add"
ONE_OF_EACH: dict[str, object] = {"GROUPS": {"p": {}, "t": {"THREADS": 2}, "a": {"ASYNC_CONCURRENCY": 2}}}


@pytest.mark.parametrize(
    ("executor", "serving"), [("", ["p", "t", "a"]), ("process", ["p"]), ("thread", ["t"]), ("async", ["a"])]
)
def test_task_is_served_by_groups_of_its_executor(groups_of, add_runs_in, executor, serving):
    add_runs_in(executor)

    groups = groups_of(ONE_OF_EACH)

    assert [group.name for group in groups if ADD in group.plan.tasks] == serving
    assert unserved_tasks(groups) == []


def test_task_that_wants_threads_is_served_without_where_there_are_none(groups_of, add_runs_in):
    add_runs_in("thread")

    [group] = groups_of({})

    assert ADD in group.plan.tasks


def test_task_that_wants_a_process_of_its_own_is_not_served_by_threads(groups_of, add_runs_in):
    add_runs_in("process")

    groups = groups_of({"THREADS": 2})

    assert ADD not in groups[0].plan.tasks
    assert ADD in unserved_tasks(groups)


def test_group_that_is_left_nothing_is_refused(groups_of, add_runs_in):
    add_runs_in("process")

    with pytest.raises(UsageError, match="the group default has nothing to do"):
        groups_of({"THREADS": 2}, "--functions", ADD)
