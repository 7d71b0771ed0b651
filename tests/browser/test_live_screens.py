"""Overview and queues as a person sees them: Debian's Chromium, a site, and a real job server with a worker.

Each screen is looked at full, empty and failing, light and dark, wide and narrow, under a strict policy, and by axe;
pictures are kept. What refreshes itself is watched with the browser's clock in the test's hand.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, ViewportSize, expect
from pytest_django.live_server_helper import LiveServer

from gearjobs.models import FailureGroup, FunctionRollup
from gearjobs.protocol.packets import PacketType
from gearjobs.records.rows.function_keys import function_key
from tests.support.chromium import (
    CHROMIUM,
    NARROW,
    WIDE,
    keep_screenshot,
    overflows,
    serve_strictly,
)
from tests.support.job_rows import make_job
from tests.support.job_server import MemoryServer, running_memory_server

T = PacketType
OVERVIEW = "/admin/gearjobs/"
LIST = "/admin/gearjobs/queuecontrol/"
QUEUE = f"{LIST}queue/?name=resize"
LIMITS = f"{LIST}queue/limits/?name=resize"
#: Milliseconds between two refreshes.
REFRESH_MS = 1_000

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture(scope="module")
def job_server() -> Iterator[MemoryServer]:
    """A job server with a worker for `resize`, and five jobs of `mail` that nobody can do."""
    with running_memory_server() as server, server.peer() as worker, server.peer() as client:
        worker.say(T.SET_CLIENT_ID, b"box-1")
        worker.say(T.CAN_DO, b"resize")
        for number in range(5):
            client.say(T.SUBMIT_JOB_BG, b"mail", b"%d" % number, b"{}")
            client.expect(T.JOB_CREATED)
        yield server


@pytest.fixture
def site(browser: Browser, live_server: LiveServer, settings: Any, job_server: MemoryServer) -> str:
    """Return the address of the site."""
    settings.GEARJOBS = {"SERVERS": [str(job_server.address)], "ADMIN": {"REFRESH_S": REFRESH_MS / 1000}}
    return live_server.url


@pytest.fixture
def page(browser: Browser, cookies: list[Any]) -> Iterator[Page]:
    """Yield a page whose errors, a broken policy among them, fail the test."""
    context = browser.new_context(viewport=WIDE, color_scheme="light")
    context.add_cookies(cookies)
    page = context.new_page()
    errors = watch_errors(page)
    serve_strictly(page)
    yield page
    page.unroute_all(behavior="ignoreErrors")
    context.close()
    assert not errors


def watch_errors(page: Page) -> list[str]:
    """Return the list that errors of the page come into; that the site has no icon is none."""
    errors: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.location["url"].endswith("/favicon.ico"):
            errors.append(message.text)

    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", hear)
    return errors


def fill_the_past() -> None:
    """Write figures of a day, failures, and jobs."""
    now_s = int(time.time() // 60) * 60
    rows = []
    for minute in range(1440):
        succeeded = round(40 + 30 * math.sin(minute / 90))
        failed = 12 if minute < 20 else minute % 60 == 7
        runs = [0] * 6 + [succeeded, 0, failed]
        figures = {"enqueued": succeeded + failed, "succeeded": succeeded, "failed": failed, "run_counts": runs}
        for name in ("", "resize"):
            key = function_key(name.encode()) if name else ""
            rows.append(
                FunctionRollup(
                    starts_s=now_s - 60 * minute, width_s=60, function=name, function_key=key, server="s", **figures
                )
            )
    FunctionRollup.objects.bulk_create(rows)
    for number, error in enumerate(["smtplib.SMTPServerDisconnected", "KeyError", ""]):
        FailureGroup.objects.create(
            fingerprint=f"f{number}", function="resize", error_class=error, sample_message="<b>no</b> " * 20, count=99
        )
    for detail in ("waiting", "failed", "retrying", "succeeded"):
        make_job(detail)


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
        errors = watch_errors(page)
        page.goto(address)
        keep_screenshot(page, f"{name}-{colours}-{size}")
        assert not overflows(page), f"{name} is wider than a {size} window"
        found = Axe().run(page).response["violations"]
        assert not [(one["id"], one["nodes"][0]["html"]) for one in found]
        context.close()
        assert not errors


@pytest.mark.parametrize(
    ("name", "path"), [("overview", OVERVIEW), ("queues", LIST), ("queue", QUEUE), ("queue-limits", LIMITS)]
)
def test_full_screens_are_in_order(browser: Browser, site: str, cookies: list[Any], name: str, path: str):
    fill_the_past()

    look_at(browser, cookies, site + path, f"{name}-full")


@pytest.mark.parametrize(("name", "path"), [("overview", OVERVIEW), ("queues", LIST), ("queue", QUEUE)])
def test_screens_without_a_server_are_in_order(
    browser: Browser, site: str, cookies: list[Any], settings: Any, name: str, path: str
):
    settings.GEARJOBS = {"SERVERS": ["127.0.0.1:1"]}

    look_at(browser, cookies, site + path, f"{name}-failing")


def test_empty_screens_are_in_order(browser: Browser, site: str, cookies: list[Any], settings: Any):
    with running_memory_server() as empty:
        settings.GEARJOBS = {"SERVERS": [str(empty.address)]}

        look_at(browser, cookies, site + OVERVIEW, "overview-empty")
        look_at(browser, cookies, site + LIST, "queues-empty")


def test_figures_change_by_themselves_and_the_focus_stays(page: Page, site: str, job_server: MemoryServer):
    page.goto(site + OVERVIEW)
    link = page.locator(".gearjobs-cards a").first
    link.focus()
    before = link.inner_text()

    with job_server.peer() as client:
        client.say(T.SUBMIT_JOB_BG, b"mail", b"one more", b"{}")
        client.expect(T.JOB_CREATED)

    expect(link).not_to_have_text(before)
    expect(link).to_be_focused()


def test_news_are_told_to_screen_readers_and_nothing_else(page: Page, site: str, job_server: MemoryServer):
    page.goto(site + OVERVIEW)
    told = page.locator("#gearjobs-refresh [role=status]")
    expect(told).to_have_text("")

    with job_server.peer() as worker:
        worker.say(T.CAN_DO, b"something")

        expect(told).to_contain_text("2 workers")


def test_ticks_stay_and_queues_are_paused_together(page: Page, site: str):
    page.clock.install()
    page.goto(site + LIST)
    page.get_by_role("checkbox", name="Choose resize").check()
    page.get_by_role("checkbox", name="Choose mail").check()

    page.get_by_role("heading", name="Queues").click()
    with page.expect_response(f"**{LIST}"):
        page.clock.run_for(REFRESH_MS)
    expect(page.get_by_role("checkbox", name="Choose resize")).to_be_checked()
    page.get_by_role("button", name="Pause").click()

    expect(page.get_by_text("2 queues were paused.")).to_be_visible()
    expect(page.locator("tr", has_text="resize").locator(".gearjobs-badge")).to_have_text("paused")


def test_clearing_is_asked_with_the_number(page: Page, site: str):
    page.goto(site + QUEUE.replace("resize", "mail"))

    page.get_by_role("button", name="Clear …").click()

    expect(page.get_by_text("of mail that wait?")).to_be_visible()
    keep_screenshot(page, "queue-clear-light-wide")
    page.get_by_role("link", name="No, take me back").click()
    expect(page.get_by_role("heading", name="mail")).to_be_visible()


def test_hidden_tabs_rest_and_are_brought_up_to_date_when_seen(page: Page, site: str):
    page.clock.install()
    page.goto(site + OVERVIEW)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.evaluate("Object.defineProperty(document, 'hidden', { configurable: true, get: () => true })")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.clock.run_for(60 * REFRESH_MS)
    assert not asked

    with page.expect_response(f"**{OVERVIEW}"):
        page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")


def test_whoever_types_is_not_disturbed(page: Page, site: str):
    page.clock.install()
    page.goto(site + QUEUE)
    note = page.get_by_label("Why")
    note.fill("disk full")
    page.get_by_role("heading", name="resize").first.click()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.clock.run_for(10 * REFRESH_MS)

    assert not asked
    expect(note).to_have_value("disk full")


def test_site_that_is_gone_is_said_to_be(page: Page, site: str):
    page.goto(site + OVERVIEW)
    page.unroute_all(behavior="ignoreErrors")

    page.route("**/admin/gearjobs/", lambda route: route.fulfill(status=200, body="please log in"))

    expect(page.locator("#gearjobs-refresh")).to_contain_text("The site does not answer.")
    expect(page.locator(".gearjobs-cards")).to_be_visible()


def test_everything_works_without_scripts(browser: Browser, site: str, cookies: list[Any]):
    context = browser.new_context(viewport=WIDE, java_script_enabled=False)
    context.add_cookies(cookies)
    page = context.new_page()
    page.goto(site + QUEUE)

    expect(page.get_by_role("link", name="Reload")).to_be_visible()
    keep_screenshot(page, "queue-without-scripts")
    page.get_by_label("Why").fill("disk full")
    page.get_by_role("button", name="Pause").click()

    expect(page.get_by_text("1 queue was paused.")).to_be_visible()
    expect(page.locator(".gearjobs-health")).to_contain_text("disk full")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("1 queue goes on.")).to_be_visible()
    context.close()


def test_screens_can_be_read_from_right_to_left(page: Page, site: str, settings: Any):
    settings.LANGUAGE_CODE = "ar"
    fill_the_past()

    page.goto(site + OVERVIEW)

    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    keep_screenshot(page, "overview-right-to-left")
    assert not overflows(page)
