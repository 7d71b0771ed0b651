"""Failures, jobs, workers, servers and the audit as a person sees them: Debian's Chromium, a site, a real job server.

Each screen is looked at full, empty and failing, light and dark, wide and narrow, and by axe; pictures are kept. What
an operator does at night is done here under a strict policy, with clicks alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize, expect
from pytest_django.live_server_helper import LiveServer

from gearjobs.admin.screen_links import job_link
from gearjobs.models import BulkOperation, FailureGroup, Job, JobServer, OperatorAction
from gearjobs.protocol.packets import PacketType
from tests.support.chromium import (
    CHROMIUM,
    NARROW,
    WIDE,
    keep_screenshot,
    overflows,
)
from tests.support.job_rows import make_attempt, make_job
from tests.support.job_server import MemoryServer, running_memory_server

T = PacketType
ROOT = "/admin/gearjobs"
FAILURES, JOBS = f"{ROOT}/failuregroup/", f"{ROOT}/job/"
WORKERS, SERVERS = f"{ROOT}/jobserver/workers/", f"{ROOT}/jobserver/"
AUDIT, OPERATIONS = f"{ROOT}/operatoraction/", f"{ROOT}/bulkoperation/"
TRACEBACK = """Traceback (most recent call last):
  File "/srv/venv/lib/python3.13/site-packages/requests/api.py", line 9, in get
    return call()
  File "/srv/shop/post.py", line 7, in deliver
    raise PostClosed("the post office is closed")
shop.errors.PostClosed: the post office is closed
"""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture(scope="module")
def job_server() -> Iterator[MemoryServer]:
    """A job server with a worker of another program."""
    with running_memory_server() as server, server.peer() as worker:
        worker.say(T.SET_CLIENT_ID, b"box-1")
        worker.say(T.CAN_DO, b"shop.tasks.send")
        yield server


@pytest.fixture
def site(browser: Browser, live_server: LiveServer, settings: Any, job_server: MemoryServer) -> str:
    """Return the address of the site."""
    settings.GEARJOBS = {"SERVERS": [str(job_server.address)], "ADMIN": {"REFRESH_S": 1}}
    return live_server.url


@pytest.fixture
def night() -> Job:
    """A table with a task that fails; returns a job of it."""
    FailureGroup.objects.create(
        fingerprint="f1", function="shop.tasks.send", task="shop.tasks.send", error_class="shop.errors.PostClosed",
        culprit="shop/post.py in deliver", sample_message="the post office is closed", count=7, ended=3,
    )  # fmt: skip
    values = {
        "function": "shop.tasks.send", "task": "shop.tasks.send", "fingerprint": "f1", "queue": "mail",
        "error_class": "shop.errors.PostClosed", "error_message": "the post office is closed",
        "error_traceback": TRACEBACK, "payload": b'{"args": [17], "kwargs": {"to": {"street": ["a", {"b": null}]}}}',
    }  # fmt: skip
    jobs = [make_job("failed", attempt=2, **values) for _ in range(3)]
    make_attempt(jobs[0], error_traceback=TRACEBACK)
    FailureGroup.objects.update(last_job=jobs[0].handle)
    make_job("running", progress_numerator=1, progress_denominator=4, progress_message="one")
    make_job("succeeded", result=b'{"sizes": [1, {"deep": [1, {"x": 2}]}]}')
    BulkOperation.objects.create(pk="H:bulk:1", verb="retry", filter={"fingerprint": "f1"}, state="running",
                                 expected=40, done=10)  # fmt: skip
    OperatorAction.objects.create(verb="pause_queue", actor_name="berta", target_kind="queue", target="resize")
    JobServer.objects.create(incarnation="web-1:7", host="web-1", pid=7, lease_until_us=2, renewed_at_us=10**15)
    return jobs[0]


def look_at(browser: Browser, cookies: list[Any], address: str, name: str) -> None:
    """Look at a page in both colours and both sizes, by eye (pictures) and by axe."""
    looks: list[tuple[Literal["light", "dark"], str, ViewportSize]] = [
        ("light", "wide", WIDE),
        ("dark", "narrow", NARROW),
    ]
    for colours, size, viewport in looks:
        context = browser.new_context(viewport=viewport, color_scheme=colours)
        context.add_cookies(cookies)
        page = context.new_page()
        page.goto(address)
        keep_screenshot(page, f"{name}-{colours}-{size}")
        assert not overflows(page), f"{name} is wider than a {size} window"
        # The crumbs of a form's page are Django's own.
        found = Axe().run(page, context={"exclude": [[".breadcrumbs"]]}).response["violations"]
        assert not [(one["id"], one["nodes"][0]["html"]) for one in found]
        context.close()


SCREENS = {
    "failures": FAILURES,
    "failure": f"{FAILURES}f1/",
    "jobs": f"{JOBS}?function=shop.tasks.send",
    "workers": WORKERS,
    "servers": SERVERS,
    "audit": AUDIT,
    "operations": OPERATIONS,
    "operation": f"{OPERATIONS}H:bulk:1/",
}


@pytest.mark.parametrize("name", SCREENS)
@pytest.mark.usefixtures("night")
def test_full_screens_are_in_order(browser: Browser, site: str, cookies: list[Any], name: str):
    look_at(browser, cookies, site + SCREENS[name], f"{name}-full")


def test_page_of_a_job_is_in_order(browser: Browser, site: str, cookies: list[Any], night: Job):
    look_at(browser, cookies, site + job_link(night.handle), "job-failing")


@pytest.mark.parametrize("name", ["failures", "jobs", "audit", "operations"])
def test_empty_screens_are_in_order(browser: Browser, site: str, cookies: list[Any], name: str):
    look_at(browser, cookies, site + SCREENS[name], f"{name}-empty")


@pytest.mark.parametrize("name", ["workers", "servers"])
def test_screens_without_a_server_are_in_order(
    browser: Browser, site: str, cookies: list[Any], settings: Any, name: str
):
    settings.GEARJOBS = {"SERVERS": ["127.0.0.1:1"]}

    look_at(browser, cookies, site + SCREENS[name], f"{name}-failing")


@pytest.mark.usefixtures("night")
def test_from_the_overview_to_a_retry_of_all_takes_three_clicks(page: Page, site: str):
    page.goto(f"{site}{ROOT}/")
    page.get_by_role("link", name="PostClosed").first.click()
    expect(page.get_by_text("/srv/shop/post.py:7")).to_be_visible()

    page.get_by_role("button", name="Retry all its jobs …").click()
    expect(page.get_by_text("Retry failed jobs of PostClosed (shop.tasks.send): 3?")).to_be_visible()
    keep_screenshot(page, "failure-question-light-wide")
    page.get_by_role("button", name="Retry 3").click()

    expect(page.get_by_role("heading", name="Retry of many jobs")).to_be_visible()
    BulkOperation.objects.exclude(pk="H:bulk:1").update(state="done", done=3)
    expect(page.get_by_text("done", exact=True).first).to_be_visible()


@pytest.mark.usefixtures("night")
def test_ticked_jobs_stay_ticked_while_the_list_refreshes_and_are_deleted(page: Page, site: str):
    page.goto(f"{site}{JOBS}?status=succeeded")
    page.get_by_role("checkbox", name="Choose H:").check()
    make_job("succeeded", handle="H:later", function="later")
    expect(page.get_by_text("later", exact=True)).to_be_visible()

    page.get_by_role("button", name="Delete …").click()
    page.get_by_role("button", name="Delete 1").click()

    expect(page.get_by_text("1 job was deleted.")).to_be_visible()
    expect(page.get_by_role("checkbox", name="Choose H:later")).not_to_be_checked()


def test_note_that_is_typed_is_kept_while_the_page_refreshes(page: Page, site: str, night: Job):
    page.goto(f"{site}{FAILURES}f1/")
    page.get_by_label("What is known of it").fill("ask Berta")
    FailureGroup.objects.update(count=4711)
    expect(page.get_by_text("4711")).to_be_visible()

    page.get_by_role("button", name="Write it down").click()

    expect(page.get_by_label("What is known of it")).to_have_value("ask Berta")


@pytest.mark.usefixtures("night")
def test_branches_stay_closed_while_a_job_refreshes(page: Page, site: str):
    job = make_job("running", payload=b'{"args": [{"deep": [1, [2, {"x": 3}]]}], "kwargs": {}}')
    page.goto(site + job_link(job.handle))
    page.locator("#tree-payload > summary").click()

    Job.objects.filter(pk=job.pk).update(progress_numerator=3, progress_denominator=4)
    expect(page.get_by_text("75 %").last).to_be_visible()

    expect(page.locator("#tree-payload")).not_to_have_attribute("open", "")
