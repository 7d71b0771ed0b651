"""Retries, timeouts and failures of tasks at a stock gearmand, which knows nothing of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.gearmand import running_gearmand
from tests.support.running_site import JOB_TIMEOUT_S, RunningSite

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory):
    directory = tmp_path_factory.mktemp("site")
    with RunningSite(directory) as site, running_gearmand(directory / "gearmand.log") as gearmand:
        site.environment["WORKER_SITE_SERVER"] = str(gearmand)
        site.start_workers()
        yield site


def call(site: RunningSite, task: str, method: str, *args: object) -> None:
    code = f"from tests.support.worker_site.tasks import {task}\n{task}.{method}(*{args!r})\n"
    site.manage(["shell"], code=code)


def runs(directory: Path) -> int:
    file = directory / "runs"
    return len(file.read_text(encoding="ascii").splitlines()) if file.exists() else 0


def await_runs(site: RunningSite, directory: Path, count: int) -> None:
    """Wait until the task has run so many times, and that it was run no more by another job's end."""
    eventually(lambda: runs(directory) >= count, JOB_TIMEOUT_S, f"{count} runs; there were {runs(directory)}")
    call(site, "add", "do", 1, 2)
    assert runs(directory) == count


def test_task_that_fails_at_first_is_submitted_again_until_it_does_not(site, tmp_path):
    call(site, "fail_at_first", "enqueue", str(tmp_path), 2)

    await_runs(site, tmp_path, 3)


def test_task_that_fails_each_time_is_run_as_often_as_it_says(site, tmp_path):
    call(site, "fail_at_first", "enqueue", str(tmp_path), 99)

    await_runs(site, tmp_path, 4)


def test_caller_who_waits_gets_the_first_failure(site, tmp_path):
    call(site, "fail_at_first", "do", str(tmp_path), 99)

    await_runs(site, tmp_path, 1)


def test_hanging_task_is_ended_and_submitted_again(site, tmp_path):
    call(site, "hang", "enqueue", str(tmp_path))

    await_runs(site, tmp_path, 2)
