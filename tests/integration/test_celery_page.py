"""docs/migrate-from-celery.md by the letter: what becomes of Celery's code is run and compared."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

import pytest

from tests.support.documented_shop import Page, ShopSite, running_shop
from tests.support.running_site import ROOT

pytestmark = pytest.mark.slow

PAGE = Page("migrate-from-celery.md")
#: Celery's own code, which is not run: Celery is no dependency of the tests.
CELERYS = re.compile(r"^( *)```py\n(.*?)^\1```", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopSite]:
    with running_shop(tmp_path_factory.mktemp("shop"), PAGE) as site:
        yield site


@pytest.mark.parametrize("number", range(len(PAGE.sessions)))
def test_session_gives_what_the_page_promises(site: ShopSite, number: int) -> None:
    site.check_session(PAGE.sessions[number])


def test_page_has_sessions() -> None:
    assert len(PAGE.sessions) >= 3


def test_code_of_celery_is_python() -> None:
    text = (ROOT / "docs" / "migrate-from-celery.md").read_text(encoding="utf-8")
    blocks = [textwrap.dedent(found[2]) for found in CELERYS.finditer(text)]

    for block in blocks:
        compile(block, "migrate-from-celery.md", "exec")
    assert len(blocks) >= 4
