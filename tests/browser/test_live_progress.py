"""docs/frontend.md by the letter: its project, served under ASGI, so that jobs are streamed, and looked at in Chromium.

A strict Content-Security-Policy holds on every page. Waiting for news instead, under WSGI, is what the album demo's
tests see; sites of other kinds are gearjobs_js.mjs's. Screenshots are kept under `var/screenshots`.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from gearjobs.protocol.attributes import SubmitAttributes
from tests.support.chromium import CHROMIUM, NARROW, WIDE, keep_screenshot, overflows, running_chromium
from tests.support.documented_shop import Page as Document
from tests.support.documented_shop import ShopSite, running_shop
from tests.support.eventually import eventually
from tests.support.running_site import PROCESS_TIMEOUT_S, ROOT

pytest.importorskip("uvicorn")
pytest.importorskip("django_htmx")

TIMEOUT_MS = 30_000
UNDER_WAY = re.compile(r"^[1-9]\d?%$")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]

TEXT = (ROOT / "docs" / "frontend.md").read_text(encoding="utf-8")
FILES = {
    name: code
    for opening in (r"# (\S+)", r"// (\S+)", r"\{# (\S+) #\}")
    for name, code in re.findall(rf"```\w+\n{opening}\n(.*?)```", TEXT, re.DOTALL)
}
SITE = """
from shop_settings_before import *

ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "shop_board"
LOGIN_URL = "/login/"
STATIC_URL = "/static/"
INSTALLED_APPS = [
    *INSTALLED_APPS, "django.contrib.sessions", "django.contrib.staticfiles", "rest_framework", "django_htmx",
]
MIDDLEWARE = [
    "shop_board.keep_strict",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "gearjobs.middleware.SubmitterMiddleware",
]
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "APP_DIRS": True,
    "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
}]
LOGGING = {"version": 1, "disable_existing_loggers": False, "loggers": {"django": {"level": "WARNING"}}}
"""
#: What the page leaves to the project: a policy, and a page that uses htmx.
BOARD = '''
from django.http import HttpResponse
from django.template import engines
from django.urls import include, path

PAGE = """
{% load gear_progress static %}
<!doctype html>
<meta name="htmx-config" content='{"includeIndicatorStyles": false, "allowEval": false}'>
<title>Board</title>
<script src="{% static script %}" defer></script>
{% gear_progress_script %}
<div hx-get="{% url 'report_row' handle %}" hx-trigger="load" hx-swap="outerHTML"></div>
"""


def keep_strict(answer):
    def middleware(request):
        response = answer(request)
        response.headers["Content-Security-Policy"] = "default-src 'self'"
        return response

    return middleware


def board(request, handle, version):
    context = {"handle": handle, "script": f"django_htmx/htmx-{version}.min.js"}
    return HttpResponse(engines["django"].from_string(PAGE).render(context, request))


def login(request):
    return HttpResponse("<form>")


urlpatterns = [
    path("board/<str:handle>/<int:version>/", board),
    path("login/", login),
    path("", include("shop.urls")),
]
'''
ASGI = """
import os

from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "shop_settings"
application = ASGIStaticFilesHandler(get_asgi_application())
"""
#: The key of the first user.
ANNA = "1"
#: Prints the session of that user.
LOG_IN = """
from importlib import import_module
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
user = User.objects.create_user("anna")
session = import_module(settings.SESSION_ENGINE).SessionStore()
session[SESSION_KEY], session[BACKEND_SESSION_KEY] = str(user.pk), settings.AUTHENTICATION_BACKENDS[0]
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.save()
print("session", session.session_key)
"""


class ReportShop:
    """The project of the page, served, with a browser in which `anna` is logged in."""

    def __init__(self, site: ShopSite, address: str, browser: Browser) -> None:
        self.site = site
        self.address = address
        self.browser = browser
        done = self.site.manage(["shell"], code=LOG_IN)
        found = re.search(r"session (\S+)", done.stdout)
        assert found, done.stdout + done.stderr
        self._session = found[1]

    def job(self, months: object, *, of: str = ANNA, run_at: float = 0.0) -> str:
        """Enqueue a report for a user; return its id."""
        attributes = SubmitAttributes(task="shop.tasks.make_report", enqueued_by=of)
        payload = json.dumps({"args": [months]}).encode()
        # A client that chooses the handle may say whose the job is.
        handle = f"H:browser:{uuid4().hex[:20]}"
        function = "shop.tasks.make_report"
        return self.site.client.submit_background(
            function, payload, run_at=run_at, handle=handle, attributes=attributes
        )

    def visitor(self, **options: object) -> BrowserContext:
        """Return a browser of anna's."""
        context = self.browser.new_context(viewport=WIDE, **options)  # type: ignore[arg-type]  # its own options
        context.set_default_timeout(TIMEOUT_MS)
        context.add_cookies([{"name": "sessionid", "value": self._session, "url": self.address}])
        return context


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReportShop]:
    directory = tmp_path_factory.mktemp("shop")
    with running_shop(directory, Document("frontend.md")) as site, running_chromium() as browser:
        _write_project(directory)
        assert site.manage(["migrate", "-v0"]).returncode == 0
        with _served(site) as address:
            yield ReportShop(site, address, browser)


@pytest.fixture
def page(shop: ReportShop) -> Iterator[Page]:
    """Yield a page of anna's; an error of a script, or of the policy, fails the test."""
    context = shop.visitor()
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if "Content Security Policy" in said.text else None)
    yield page
    context.close()
    assert not errors


def test_bar_moves_to_its_end_over_one_stream(shop: ReportShop, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/api/" in request.url else None)
    page.goto(shop.address)

    page.get_by_label("Months").fill("8")
    page.get_by_role("button", name="Make a report").click()

    bar = page.locator("gear-progress").first
    expect(bar).to_have_attribute("data-state", "running")
    expect(bar.locator('[data-part="percent"]')).to_have_text(UNDER_WAY)
    expect(bar.locator('[data-part="message"]')).to_contain_text("month")
    expect(bar).to_have_attribute("data-state", "succeeded")
    expect(bar.locator('[data-part="percent"]')).to_have_text("100%")
    expect(bar.get_by_role("status")).to_have_text("succeeded")
    # How it stands, the stream, and the whole of the ended job.
    assert [url.rpartition("/api/jobs/")[2].partition("/")[2] for url in asked] == ["", "events/", ""]


def test_bar_of_a_failed_job_says_why(shop: ReportShop, page: Page) -> None:
    page.goto(f"{shop.address}reports/{shop.job(1)}/")
    page.add_script_tag(type="module", url="/static/gearjobs/gear_progress.js")

    page.evaluate(_PUT_BAR, f"/api/jobs/{shop.job('six')}/")

    bar = page.locator("gear-progress")
    expect(bar).to_have_attribute("data-state", "failed")
    expect(bar.locator('[data-part="message"]')).to_contain_text("TypeError")


def test_bar_of_anothers_job_says_that_nothing_is_known(shop: ReportShop, page: Page) -> None:
    page.goto(f"{shop.address}reports/{shop.job(1)}/")
    page.add_script_tag(type="module", url="/static/gearjobs/gear_progress.js")

    page.evaluate(_PUT_BAR, f"/api/jobs/{shop.job(1, of='2')}/")

    expect(page.locator("gear-progress")).to_have_attribute("data-state", "unknown")


def test_bar_shows_how_its_job_stands_without_scripts(shop: ReportShop) -> None:
    shop.site.await_row(shop.job(3), status="SUCCESSFUL")
    context = shop.visitor(java_script_enabled=False)
    page = context.new_page()

    page.goto(shop.address)

    bar = page.locator("gear-progress").first
    expect(bar.locator("progress")).to_have_attribute("value", "100")
    expect(bar.get_by_role("status")).to_have_text("succeeded")
    context.close()


def test_page_gets_what_the_task_sends_while_it_runs(shop: ReportShop, page: Page) -> None:
    page.goto(f"{shop.address}reports/{shop.job(6)}/")

    expect(page.locator("#rows li")).to_have_text([f"{number}: {number}00" for number in range(1, 7)])
    expect(page).to_have_title("24 pages")


@pytest.mark.parametrize("version", [2, 4])
def test_row_of_htmx_becomes_its_result(shop: ReportShop, page: Page, version: int) -> None:
    page.goto(f"{shop.address}board/{shop.job(6)}/{version}/")

    expect(page.locator(".report gear-progress")).to_have_attribute("data-state", "running")
    expect(page.locator("p.report")).to_have_text("succeeded")
    expect(page.locator("gear-progress")).to_have_count(0)


def test_bar_that_is_taken_out_asks_no_more(shop: ReportShop, page: Page) -> None:
    # How far it is stands there from the beginning; the stream is opened later.
    with page.expect_response(lambda answer: answer.url.endswith("/events/")):
        page.goto(f"{shop.address}board/{shop.job(50)}/2/")

    with page.expect_event("requestfailed") as ended:
        page.locator("gear-progress").evaluate("bar => bar.remove()")

    assert ended.value.url.endswith("/events/")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_bars_of_every_state_fit_the_page(shop: ReportShop, page: Page, scheme: str) -> None:
    shop.site.await_row(shop.job(1), status="SUCCESSFUL")
    shop.site.await_row(shop.job("six"), status="FAILED")
    shop.job(1, run_at=time.time() + 3600)
    shop.job(20)
    shop.site.client.submit_background(
        "nobody.does.this", b"{}", handle=f"H:browser:waits-{scheme}", attributes=SubmitAttributes(enqueued_by=ANNA)
    )
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(shop.address)
    page.evaluate("document.documentElement.style.setProperty('color-scheme', 'light dark')")
    expect(page.locator('[data-part="percent"]').nth(1)).to_have_text(UNDER_WAY)

    # One that says nothing of how far it is.
    page.evaluate("document.querySelector('gear-progress progress').removeAttribute('value')")

    keep_screenshot(page, f"live-progress-{scheme}-wide")
    page.set_viewport_size(NARROW)
    keep_screenshot(page, f"live-progress-{scheme}-narrow")

    assert not overflows(page)


_PUT_BAR = """src => {
    const bar = document.createElement("gear-progress");
    bar.src = src;
    document.body.append(bar);
}"""


def _write_project(directory: Path) -> None:
    for name, code in FILES.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, encoding="utf-8")
    settings = directory / "shop_settings.py"
    settings.rename(directory / "shop_settings_before.py")
    settings.write_text(SITE, encoding="utf-8")
    (directory / "shop_board.py").write_text(BOARD, encoding="utf-8")
    (directory / "shop_asgi.py").write_text(ASGI, encoding="utf-8")


@contextmanager
def _served(site: ShopSite) -> Iterator[str]:
    """Serve the project under ASGI; give its address."""
    log = site.directory / "web.log"
    with socket.create_server(("127.0.0.1", 0)) as listener, log.open("wb") as output:
        command = [sys.executable, "-m", "uvicorn", "shop_asgi:application", "--fd", str(listener.fileno())]
        web = subprocess.Popen(
            [*command, "--app-dir", str(site.directory), "--no-access-log", "--timeout-graceful-shutdown", "1"],
            cwd=ROOT, env=site.environment, stdout=output, stderr=output, pass_fds=[listener.fileno()],
        )  # fmt: skip
        try:
            eventually(lambda: "startup complete" in _text(log, web), PROCESS_TIMEOUT_S, "the web server")
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            web.terminate()
            web.wait(PROCESS_TIMEOUT_S)


def _text(log: Path, web: subprocess.Popen[bytes]) -> str:
    assert web.poll() is None, log.read_text()
    return log.read_text()
