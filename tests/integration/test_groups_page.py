"""docs/groups.md by the letter: its tasks are a project's, its sessions are run, its promises compared."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.documented_shop import Page, ShopSite, running_shop

pytestmark = pytest.mark.slow

PAGE = Page("groups.md")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopSite]:
    with running_shop(tmp_path_factory.mktemp("shop"), PAGE) as site:
        yield site


@pytest.mark.parametrize("number", range(len(PAGE.sessions)))
def test_session_gives_what_the_page_promises(site: ShopSite, number: int) -> None:
    site.check_session(PAGE.sessions[number])


def test_page_has_sessions() -> None:
    assert len(PAGE.sessions) >= 5
