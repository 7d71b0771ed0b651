"""Debian's Chromium, with a page of a site open to an administrator. A test's module says what the site is (`site`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Page

from tests.support.chromium import WIDE, running_chromium, serve_strictly


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with pytest.MonkeyPatch.context() as environment, running_chromium() as browser:
        # Playwright's event loop runs in the thread of the tests; Django must not mind.
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield browser


@pytest.fixture
def cookies(site: str) -> list[Any]:
    """Return the cookies of an administrator who is logged in."""
    client = Client()
    client.force_login(User.objects.create_superuser("admin", password="secret"))
    return [{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": site}]


@pytest.fixture
def page(browser: Browser, cookies: list[Any]) -> Iterator[Page]:
    """Yield a page whose scripts must not fail."""
    context = browser.new_context(viewport=WIDE, color_scheme="light")
    context.add_cookies(cookies)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    serve_strictly(page)
    yield page
    page.unroute_all(behavior="ignoreErrors")
    context.close()
    assert not errors
