"""`jobs_cancel` and `jobs_retry` on jobs that wait, run and failed, at a job server at work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.running_site import RunningSite

pytestmark = pytest.mark.slow


@pytest.fixture
def site(tmp_path: Path) -> Iterator[RunningSite]:
    with RunningSite(tmp_path) as site:
        yield site


def said(site: RunningSite, *arguments: str) -> str:
    done = site.manage(arguments)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout.strip()


def test_waiting_jobs_are_cancelled_by_what_is_known_of_them(site):
    handles = [site.submit("add", number, 1) for number in range(20)]
    other = site.submit("fail", "words")

    output = said(site, "jobs_cancel", "--function", "tests.support.worker_site.tasks.add")

    assert output == "20 cancelled"
    assert {site.row(handle)["status_detail"] for handle in handles} == {"cancelled"}
    assert site.row(other)["status_detail"] == "waiting"


def test_running_job_is_ended_by_force_and_its_worker_is_free(site, tmp_path):
    site.start_workers()
    handle = site.submit("hold", str(tmp_path))
    site.await_row(handle, status_detail="running")

    assert said(site, "jobs_cancel", handle, "--force") == "1 cancelled"

    assert site.await_row(handle, status_detail="cancelled")["error_class"] == "gearjobs.errors.JobCancelled"
    site.await_row(site.submit("add", 1, 1), status_detail="succeeded")


def test_failed_jobs_run_again_with_their_arguments(site):
    site.start_workers()
    failed = [site.submit("fail", f"words {number}") for number in range(3)]
    for handle in failed:
        site.await_row(handle, status_detail="failed")

    output = said(site, "jobs_retry", "--status", "failed", "--enqueued-after", "1h")

    again = [line.partition(" -> ")[2] for line in output.splitlines() if " -> " in line]
    assert len(again) == 3
    for number, handle in enumerate(again):
        assert site.await_row(handle, status_detail="failed")["error_message"] == f"words {number}"
    assert {site.row(handle)["attempt"] for handle in failed} == {1}


def test_jobs_of_a_server_that_is_down_are_not_said_to_be_cancelled(site):
    handle = site.submit("add", 1, 1)
    site.server.stop()

    done = site.manage(["jobs_cancel", handle])

    assert done.returncode == 1
    assert "1 at a job server that did not answer" in done.stderr
