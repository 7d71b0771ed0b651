"""The album demo as a person sees it: the real job server, workers and gunicorn, and Debian's Chromium.

One demo serves all tests; each makes albums of its own. Screenshots are kept under `var/screenshots` for people to look
at. What is asserted is what the page shows, never what the rows say.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator

import pytest
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page, StorageState, expect

from tests.support.chromium import CHROMIUM, NARROW, WIDE, keep_screenshot, running_chromium
from tests.support.running_demo import RunningDemo

#: Milliseconds for an album of six: a second a picture and two workers, on a busy machine.
ALBUM_TIMEOUT_MS = 60_000

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    with RunningDemo(tmp_path_factory.mktemp("demo")) as demo:
        yield demo


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def session(browser: Browser, demo: RunningDemo) -> StorageState:
    """Return the cookies of `demo`, logged in by the login page."""
    context = browser.new_context(viewport=WIDE, color_scheme="light")
    page = context.new_page()
    page.goto(demo.site)
    page.get_by_label("Name").fill("demo")
    page.get_by_label("Password").fill(demo.password)
    keep_screenshot(page, "login-wide")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Six photographs, seven jobs")).to_be_visible()
    keep_screenshot(page, "albums-empty-wide")
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def page(browser: Browser, session: StorageState, demo: RunningDemo) -> Iterator[Page]:
    """Yield the page of the albums, open for `demo`; an error of a page's script fails the test."""
    context = browser.new_context(viewport=WIDE, color_scheme="light", storage_state=session)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(demo.site)
    yield page
    context.close()
    assert not errors


@pytest.fixture(scope="module")
def finished_album(browser: Browser, session: StorageState, demo: RunningDemo) -> str:
    """Return the address of an album that is ready, for tests that only look at it."""
    context = browser.new_context(storage_state=session)
    page = context.new_page()
    page.goto(demo.site)
    _make_sample_album(page)
    expect(page.locator('#sheet[data-state="ready"] img')).to_be_visible(timeout=ALBUM_TIMEOUT_MS)
    address = page.url
    context.close()
    return address


def test_pictures_show_progress_then_thumbnails_then_the_contact_sheet(page: Page):
    _make_sample_album(page)

    expect(page.locator('.picture[data-state="running"] progress').first).to_have_js_property("max", 100)
    page.wait_for_function(
        "[...document.querySelectorAll('.picture progress')].some(bar => bar.value > 0 && bar.value < 100)"
    )
    keep_screenshot(page, "album-running-wide")
    expect(page.locator('.picture[data-state="ready"]')).to_have_count(6, timeout=ALBUM_TIMEOUT_MS)
    expect(page.locator('#sheet[data-state="ready"] img')).to_be_visible(timeout=ALBUM_TIMEOUT_MS)
    expect(page.locator("#summary")).to_have_text("6 of 6 ready")
    assert _widths_of_images(page) == [400 * 3 + 28 * 4, 480, 480, 480, 451, 413, 360]
    keep_screenshot(page, "album-ready-wide")


def test_finished_album_is_shown_without_asking_for_its_jobs(page: Page, finished_album: str):
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.goto(finished_album, wait_until="networkidle")

    expect(page.locator('.picture[data-state="ready"]')).to_have_count(6)
    assert not [url for url in asked if "/api/" in url]


def test_more_pictures_join_the_album_and_its_sheet(page: Page):
    page.get_by_label("Title").fill("Evenings")
    _upload(page, _file("evening_sky.png", _png()))
    expect(page.locator('#sheet[data-state="ready"] img')).to_be_visible(timeout=ALBUM_TIMEOUT_MS)
    old_sheet = page.locator("#sheet img").get_attribute("src")

    _upload(page, _file("lake.png", _png()), _file("sea.png", _png()))

    expect(page.get_by_text("2 more on the way.")).to_be_visible()
    expect(page.locator(".picture strong")).to_have_text(["evening sky", "lake", "sea"])
    expect(page.locator('.picture[data-state="ready"]')).to_have_count(3, timeout=ALBUM_TIMEOUT_MS)
    expect(page.locator("#sheet img")).not_to_have_attribute("src", old_sheet or "", timeout=ALBUM_TIMEOUT_MS)


def test_file_that_is_no_picture_is_refused_in_a_sentence(page: Page):
    page.get_by_label("Title").fill("Mixed")

    _upload(page, _file("notes.txt", b"milk, bread"), _file("sky.png", _png()))

    expect(page.get_by_role("alert")).to_have_text(
        "“notes.txt” is not a picture we can read: choose a JPEG, PNG or WebP file."
    )
    keep_screenshot(page, "upload-refused-wide")


def test_picture_that_cannot_be_drawn_says_why_and_can_be_tried_again(page: Page):
    page.get_by_label("Title").fill("Torn")
    _upload(page, _file("torn.png", _png()[:2000]))
    card = page.locator('.picture[data-state="failed"]')

    expect(card.locator('[data-part="message"]')).to_contain_text("OSError", timeout=ALBUM_TIMEOUT_MS)
    expect(page.locator("#summary")).to_have_text("0 of 1 ready, 1 failed")
    first_job = card.locator(".job").inner_text()
    keep_screenshot(page, "album-failed-wide")
    card.get_by_role("button", name="Try again").click()
    expect(card.locator('[data-part="message"]')).to_contain_text("OSError", timeout=ALBUM_TIMEOUT_MS)
    assert card.locator(".job").inner_text() != first_job


def test_stranger_sees_neither_album_nor_jobs(page: Page, finished_album: str, browser: Browser, demo: RunningDemo):
    page.goto(finished_album)
    job_address = page.locator(".picture .job").first.get_attribute("href") or ""
    stranger = browser.new_context()

    answer = stranger.request.get(demo.site.rstrip("/") + job_address)

    assert answer.status in {401, 403}
    assert stranger.request.get(finished_album).url.startswith(f"{demo.site}accounts/login/")
    stranger.close()


def test_page_asks_nothing_while_its_tab_is_hidden(page: Page):
    page.add_init_script("Object.defineProperty(document, 'hidden', { get: () => !window.isShown });")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    _make_sample_album(page)
    page.wait_for_load_state("networkidle")

    asked_while_hidden = [url for url in asked if "/api/" in url]
    page.evaluate("window.isShown = true; document.dispatchEvent(new Event('visibilitychange'))")

    assert not asked_while_hidden
    expect(page.locator('.picture[data-state="ready"]')).to_have_count(6, timeout=ALBUM_TIMEOUT_MS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", ["wide", "narrow"])
def test_pages_fit_the_window(page: Page, finished_album: str, scheme: str, width: str):
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size(WIDE if width == "wide" else NARROW)

    page.goto(finished_album, wait_until="networkidle")
    keep_screenshot(page, f"album-{scheme}-{width}")
    overflow_of_album = _overflow(page)
    page.get_by_role("link", name="Albums").click()
    keep_screenshot(page, f"albums-{scheme}-{width}")

    assert (overflow_of_album, _overflow(page)) == (0, 0)


def test_pages_have_no_inline_script_or_style(page: Page, finished_album: str, demo: RunningDemo):
    addresses = [demo.site, finished_album, f"{demo.site}accounts/login/"]

    bodies = [page.request.get(address).text() for address in addresses]

    assert not [body for body in bodies if re.search(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=", body)]


def _make_sample_album(page: Page) -> None:
    page.get_by_role("button", name=re.compile("Make the album|Six photographs again")).click()
    expect(page.locator(".picture")).to_have_count(6)


def _upload(page: Page, *files: FilePayload) -> None:
    page.get_by_label("Pictures", exact=True).set_input_files(files)
    page.get_by_role("button", name="Upload").click()


def _widths_of_images(page: Page) -> list[int]:
    widths = page.eval_on_selector_all("main img", "images => images.map(image => image.naturalWidth)")
    return sorted(widths, reverse=True)


def _overflow(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def _png() -> bytes:
    """Return a picture of noise: one that does not become a few bytes."""
    body = io.BytesIO()
    Image.frombytes("RGB", (120, 90), os.urandom(120 * 90 * 3)).save(body, "PNG")
    return body.getvalue()


def _file(name: str, body: bytes) -> FilePayload:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": body}
