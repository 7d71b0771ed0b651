"""docs/rest.md by the letter: its modules are a project's, its sessions are typed into a shell and compared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.api_rows import endpoints
from tests.support.documented_shop import Page, ShopSite, running_shop
from tests.support.running_site import ROOT

pytestmark = pytest.mark.slow

_SITE = """
from shop_settings_before import *

ROOT_URLCONF = "shop.urls"
ALLOWED_HOSTS = ["testserver"]
INSTALLED_APPS = [*INSTALLED_APPS, "django.contrib.sessions", "rest_framework"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "gearjobs.middleware.SubmitterMiddleware",
]
"""
TEXT = (ROOT / "docs" / "rest.md").read_text(encoding="utf-8")
PAGE = Page("rest.md")
MODULES = dict(re.findall(r"```python\n# shop/(urls|views)\.py\n(.*?)```", TEXT, re.DOTALL))
SESSIONS = [session for session in PAGE.sessions if not session.startswith("# shop/")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopSite]:
    directory: Path = tmp_path_factory.mktemp("shop")
    with running_shop(directory, PAGE) as site:
        for name, code in MODULES.items():
            (directory / "shop" / f"{name}.py").write_text(code, encoding="utf-8")
        settings = directory / "shop_settings.py"
        settings.rename(directory / "shop_settings_before.py")
        settings.write_text(_SITE, encoding="utf-8")
        assert site.manage(["migrate", "-v0"]).returncode == 0
        yield site


@pytest.mark.parametrize("number", range(len(SESSIONS)))
def test_session_gives_what_the_page_promises(site: ShopSite, number: int) -> None:
    site.check_session(SESSIONS[number])


def test_view_of_ones_own_can_be_imported(site: ShopSite) -> None:
    site.check_session("from shop.views import ShipOrder\nShipOrder.gearjobs_namespace  # -> 'gearjobs'")


def test_page_has_all_its_parts() -> None:
    assert len(SESSIONS) >= 2
    assert set(MODULES) == {"urls", "views"}


def test_page_names_every_kind_of_endpoint() -> None:
    kinds = {name.partition("-")[0] for name in endpoints()}

    plurals = {"job": "jobs/", "stat": "stats/", "health": "health/", "signed": "signed/", "stats": "stats/"}
    assert not [kind for kind in kinds if plurals.get(kind, kind) not in TEXT]
