"""What a scrape shows of the queue."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from typing import cast

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gearjobs.core.changes import JobFailure
from gearjobs.core.job_queue import JobQueue, QueueRules
from gearjobs.core.jobs import ConnectionId, FunctionName, JobHandle
from gearjobs.core.run_reports import FailedRun
from gearjobs.core.snapshot import FunctionLoad
from gearjobs.core.tallies import JobTallies
from gearjobs.server.commit.durability import Durability
from gearjobs.server.http import metrics_page as module
from gearjobs.server.http.guard_metrics import take_guard_figures
from gearjobs.server.http.metrics_page import Figures, MetricsPage, StoreFigures, render_page
from tests.support.core_builders import RESIZE, background, make_job
from tests.support.guards import make_guards

WORKER, CLIENT = ConnectionId(1), ConnectionId(2)


class FakeStoreSide:
    """As much of Durability as metrics ask for."""

    is_store_down = False
    is_lease_held = True
    pending_changes = 0
    dropped_changes = 0


class Scene:
    """A queue with a worker and a client, and the page about them."""

    def __init__(self, tallies: JobTallies | None = None) -> None:
        self.tallies = tallies or JobTallies()
        self.queue = JobQueue(QueueRules(has_store=False), self.tallies)
        self.store_side = FakeStoreSide()
        guards = make_guards(self.queue)
        self.page = MetricsPage(self.queue, self.tallies, cast("Durability", self.store_side), guards=guards)
        self.now = time.time()
        self._handles = 0
        for connection in (WORKER, CLIENT):
            self.queue.connect(connection, address="10.0.0.7:1")
        self.queue.can_do(WORKER, RESIZE, now=self.now)

    def submit(self, *, function: FunctionName = RESIZE, age_s: float = 0.0, run_at: float = 0.0) -> JobHandle:
        self._handles += 1
        handle = JobHandle(b"H:%d" % self._handles)
        self.queue.submit_job(CLIENT, background(function, run_at=run_at), handle=handle, now=self.now - age_s)
        return handle

    def scrape(self, accept: str = "") -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Return every sample by its name and labels."""
        body = asyncio.run(self.page.response(accept)).body.decode()
        families = text_string_to_metric_families(body)
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }


@pytest.fixture
def scene():
    return Scene()


def key(name, **labels):
    return name, frozenset(labels.items())


def test_moment_is_shown_per_function(scene):
    scene.submit(age_s=60.0)
    scene.submit(age_s=30.0)
    scene.submit(run_at=scene.now + 3600)
    scene.queue.grab_job(WORKER, now=scene.now)

    samples = scene.scrape()

    assert samples[key("gearjobs_jobs_waiting", function="resize", priority="normal")] == 1
    assert samples[key("gearjobs_jobs_waiting", function="resize", priority="high")] == 0
    assert samples[key("gearjobs_jobs_delayed", function="resize")] == 1
    assert samples[key("gearjobs_jobs_running", function="resize")] == 1
    assert samples[key("gearjobs_workers", function="resize")] == 1
    assert 30 <= samples[key("gearjobs_oldest_waiting_seconds", function="resize")] < 45
    assert samples[key("gearjobs_connections")] == 2


def test_function_that_has_nothing_to_do_has_no_oldest_job(scene):
    assert scene.scrape()[key("gearjobs_oldest_waiting_seconds", function="resize")] == 0


def test_past_is_counted_per_function(scene):
    scene.submit(age_s=7.0)
    job = scene.queue.grab_job(WORKER, now=scene.now)
    scene.queue.work_complete(WORKER, job.handle, b"", now=scene.now + 0.2)

    samples = scene.scrape()

    assert samples[key("gearjobs_jobs_submitted_total", function="resize")] == 1
    assert samples[key("gearjobs_jobs_ended_total", function="resize", outcome="succeeded")] == 1
    assert samples[key("gearjobs_jobs_requeued_total", function="resize")] == 0
    assert samples[key("gearjobs_job_wait_seconds_bucket", function="resize", le="5")] == 0
    assert samples[key("gearjobs_job_wait_seconds_bucket", function="resize", le="10")] == 1
    assert samples[key("gearjobs_job_wait_seconds_bucket", function="resize", le="+Inf")] == 1
    assert samples[key("gearjobs_job_wait_seconds_sum", function="resize")] == pytest.approx(7.0)
    assert samples[key("gearjobs_job_run_seconds_count", function="resize")] == 1
    assert samples[key("gearjobs_job_run_seconds_sum", function="resize")] == pytest.approx(0.2, abs=1e-6)


def test_run_that_was_cut_short_is_counted(scene):
    scene.submit()
    scene.queue.grab_job(WORKER, now=scene.now)
    scene.queue.disconnect(WORKER, now=scene.now)

    assert scene.scrape()[key("gearjobs_jobs_requeued_total", function="resize")] == 1


def test_run_that_is_tried_again_is_counted(scene):
    scene.submit()
    job = scene.queue.grab_job(WORKER, now=scene.now)
    scene.queue.work_fail_ext(WORKER, job.handle, FailedRun(JobFailure(), b"", retry_in_s=5.0), now=scene.now)

    assert scene.scrape()[key("gearjobs_jobs_retried_total", function="resize")] == 1


def test_dropped_function_is_shown_no_more(scene):
    function = FunctionName(b"old")
    scene.submit(function=function)
    assert key("gearjobs_jobs_submitted_total", function="old") in scene.scrape()

    scene.queue.drop_function(function)

    assert not any(dict(labels).get("function") == "old" for _, labels in scene.scrape())


def test_job_that_is_not_committed_yet_is_counted_and_stays_counted(scene):
    scene.tallies.job_submitted(make_job(function=FunctionName(b"new")))

    for _ in range(2):
        assert scene.scrape()[key("gearjobs_jobs_submitted_total", function="new")] == 1


def test_store_is_shown(scene):
    assert scene.scrape()[key("gearjobs_store_up")] == 1

    scene.store_side.is_store_down, scene.store_side.is_lease_held = True, False
    scene.store_side.pending_changes, scene.store_side.dropped_changes = 7, 3
    samples = scene.scrape()

    assert (samples[key("gearjobs_store_up")], samples[key("gearjobs_store_lease_held")]) == (0, 0)
    assert samples[key("gearjobs_store_pending_changes")] == 7
    assert samples[key("gearjobs_store_dropped_changes_total")] == 3


def test_process_and_version_are_shown(scene):
    samples = scene.scrape()

    assert samples[key("process_resident_memory_bytes")] > 0
    assert any(name == "gearjobs_build_info" for name, _ in samples)


def test_no_name_can_forge_a_sample(scene):
    scene.submit(function=FunctionName(b'a"} 1\ngearjobs_store_up 0\n#\xff'))

    samples = scene.scrape()

    assert samples[key("gearjobs_store_up")] == 1
    name = 'a"} 1\\x0agearjobs_store_up 0\\x0a#\\xff'
    assert samples[key("gearjobs_jobs_submitted_total", function=name)] == 1


def test_form_is_the_one_that_is_accepted(scene):
    plain = asyncio.run(scene.page.response(""))
    open_metrics = asyncio.run(scene.page.response("application/openmetrics-text; version=1.0.0"))

    assert dict(plain.headers)["Content-Type"].startswith("text/plain")
    assert dict(open_metrics.headers)["Content-Type"].startswith("application/openmetrics-text")
    assert open_metrics.body.endswith(b"# EOF\n")


def test_functions_beyond_the_limit_are_shown_together(monkeypatch):
    monkeypatch.setattr(module, "FUNCTION_LIMIT", 1)
    scene = Scene(JobTallies(function_limit=1))
    for function in (RESIZE, FunctionName(b"b"), FunctionName(b"c")):
        scene.submit(function=function, age_s=60.0)

    samples = scene.scrape()

    assert samples[key("gearjobs_jobs_waiting", function="(others)", priority="normal")] == 2
    assert samples[key("gearjobs_jobs_submitted_total", function="(others)")] == 2
    assert samples[key("gearjobs_oldest_waiting_seconds", function="(others)")] >= 60
    assert {dict(labels).get("function") for _, labels in samples} == {None, "resize", "(others)"}


def test_scrapes_that_come_together_share_a_page(scene, monkeypatch):
    made = []

    def render(figures: Figures, accept: str):
        made.append(accept)
        return render_page(figures, accept)

    monkeypatch.setattr(module, "render_page", render)

    async def scrape_together():
        return await asyncio.gather(*(scene.page.response(accept) for accept in ("a", "a", "b")))

    first, second, third = asyncio.run(scrape_together())
    asyncio.run(scene.page.response("a"))

    assert first is second
    assert first is not third
    assert sorted(made) == ["a", "a", "b"]


def test_scraper_that_leaves_does_not_take_the_page_along(scene):
    async def leave_one():
        leaver = asyncio.ensure_future(scene.page.response(""))
        stayer = asyncio.ensure_future(scene.page.response(""))
        await asyncio.sleep(0)
        leaver.cancel()
        return await stayer

    assert asyncio.run(leave_one()).status == 200


def figures_of(load: FunctionLoad) -> Figures:
    guards = take_guard_figures(make_guards(JobQueue(QueueRules())))
    return Figures([load], {}, connections=3, store=StoreFigures(), guards=guards, taken_at=0.0)


def test_refused_packets_are_shown(scene):
    assert scene.scrape()[key("gearjobs_requests_refused_total", reason="not_allowed", verb="admin")] == 0


def test_benched_workers_are_shown():
    load = FunctionLoad(RESIZE, (0, 0, 0), 0, 0, 3, None, benched=2)
    figures = figures_of(load)

    assert b'gearjobs_workers_benched{function="resize"} 2.0' in render_page(figures, "").body


def test_function_without_a_wait_is_no_reason_to_fail():
    idle = FunctionLoad(RESIZE, (0, 0, 0), 0, 0, 0, None)
    figures = figures_of(idle)

    assert b'gearjobs_oldest_waiting_seconds{function="resize"} 0.0' in render_page(figures, "").body


def test_every_metric_is_documented(scene):
    page = (Path(__file__).parents[4] / "docs" / "http.md").read_text()
    documented = set(re.findall(r"^\| `(gearjobs_\w+)`", page, re.MULTILINE))
    # What no job did yet is not shown.
    scene.submit()
    job = scene.queue.grab_job(WORKER, now=scene.now)
    scene.queue.work_complete(WORKER, job.handle, b"", now=scene.now)

    shown = {re.sub(r"_(bucket|count|sum)$", "", name) for name, _ in scene.scrape()}

    assert {name for name in shown if name.startswith("gearjobs_")} == documented
