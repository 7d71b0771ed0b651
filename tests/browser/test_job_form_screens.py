"""Forms that enqueue, copy and move jobs, and the screens of groups, as a person sees them in Debian's Chromium.

Each is looked at full and empty, or with what was wrong, light and dark, wide and narrow, and by axe; pictures are
kept. What is typed goes through a real form under a strict policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.admin.utils import quote
from django.utils import timezone
from playwright.sync_api import Browser, Page, ViewportSize, expect
from pytest_django.live_server_helper import LiveServer

from gearjobs import chord
from gearjobs.admin.screen_links import group_link, job_link
from gearjobs.models import Job
from tests.support.chromium import (
    CHROMIUM,
    NARROW,
    WIDE,
    keep_screenshot,
    overflows,
)
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.few_tasks import add
from tests.support.job_rows import make_job

ROOT = "/admin/gearjobs"
NEW = f"{ROOT}/job/new/"
FORM = f"{NEW}?function={add.function_name}"
GROUPS = f"{ROOT}/jobgroup/"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture
def site(browser: Browser, live_server: LiveServer, settings: Any) -> Iterator[str]:
    """Yield the address of the site; no job server answers, so jobs are rows without an owner."""
    settings.GEARJOBS = {"SERVERS": ["127.0.0.1:1"], "ADMIN": {"REFRESH_S": 60}}
    with client_in_place(FakeClient(is_down=True)):
        yield live_server.url


def call_job(state: str, **fields: Any) -> Job:
    payload = b'{"args":[1],"kwargs":{"b":2}}'
    return make_job(state, task=add.module_path, function=add.function_name, payload=payload, owner="", **fields)


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
        assert not found, [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]
        context.close()


def test_forms_are_good_to_look_at(browser: Browser, site: str, cookies: list[Any]) -> None:
    waiting = call_job("scheduled", run_at=timezone.now() + timedelta(hours=1))

    look_at(browser, cookies, f"{site}{NEW}", "task-choice")
    look_at(browser, cookies, f"{site}{FORM}", "job-form-empty")
    look_at(browser, cookies, f"{site}{ROOT}/job/{quote(waiting.pk)}/duplicate/", "job-form-copy")
    look_at(browser, cookies, f"{site}{ROOT}/job/{quote(waiting.pk)}/edit/", "job-form-change")


def test_groups_are_good_to_look_at(browser: Browser, site: str, cookies: list[Any]) -> None:
    look_at(browser, cookies, f"{site}{GROUPS}", "groups-empty")
    whole = chord([add.s(1, 1), add.s(2, 2)], add.s()).enqueue()
    failing = Job.objects.filter(membership__stage__root=whole.id, status_detail="waiting").values_list("pk")[:1]
    Job.objects.filter(pk__in=list(failing)).update(
        status="FAILED", status_detail="failed", error_message="closed", finished_at=timezone.now()
    )

    look_at(browser, cookies, f"{site}{GROUPS}", "groups-full")
    look_at(browser, cookies, f"{site}{group_link(whole.id)}", "group-failing")


def test_job_is_enqueued_by_hand_with_what_was_wrong_put_right(page: Page, site: str) -> None:
    page.goto(f"{site}{NEW}")
    page.get_by_role("link", name=add.module_path).click()
    page.get_by_label("a:", exact=True).fill("1")
    page.get_by_label("b:", exact=True).fill("2")
    page.get_by_label("Priority").fill("7")
    page.evaluate("document.querySelector('.gearjobs-form').noValidate = true")
    page.get_by_label("a:", exact=True).fill("")
    page.get_by_role("button", name="Enqueue").click()
    expect(page.get_by_text("This field is required.")).to_be_visible()
    keep_screenshot(page, "job-form-wrong")

    page.get_by_label("a:", exact=True).fill("1")
    page.get_by_role("button", name="Enqueue").click()

    expect(page.get_by_text("The job was enqueued.")).to_be_visible()
    assert bytes(Job.objects.get().payload) == b'{"args":[],"kwargs":{"a":1,"b":2}}'


def test_job_is_copied_with_another_argument(page: Page, site: str) -> None:
    job = call_job("failed")
    page.goto(f"{site}{job_link(job.pk)}")
    page.get_by_role("link", name="Copy with changes").click()
    page.get_by_label("b:", exact=True).fill("20")
    page.get_by_role("button", name="Enqueue").click()

    expect(page.get_by_text("The copy was enqueued, as this job.")).to_be_visible()
    assert bytes(Job.objects.exclude(pk=job.pk).get().payload) == b'{"args":[1],"kwargs":{"b":20}}'


def test_ticked_jobs_are_moved(page: Page, site: str) -> None:
    job = call_job("waiting")
    page.goto(f"{site}{ROOT}/job/")
    page.get_by_role("checkbox", name=f"Choose {job.pk}").check()
    page.get_by_role("button", name="Move or change").click()
    page.get_by_label("Queue").fill("slow")
    page.get_by_role("button", name="Change 1").click()

    expect(page.get_by_text("1 job was changed.")).to_be_visible()
    job.refresh_from_db()
    assert (job.queue, job.function) == ("slow", f"{add.function_name}@slow")
