"""docs/tasks.md by the letter: its modules are a project's, its sessions and commands are run and compared."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest

from tests.support.documented_shop import Page, ShopSite, running_shop

pytestmark = pytest.mark.slow

PAGE = Page("tasks.md")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopSite]:
    with running_shop(tmp_path_factory.mktemp("shop"), PAGE) as site:
        yield site


@pytest.mark.parametrize("number", range(len(PAGE.sessions)))
def test_session_gives_what_the_page_promises(site: ShopSite, number: int) -> None:
    site.check_session(PAGE.sessions[number])


@pytest.mark.parametrize("line", PAGE.commands)
def test_command_ends_well(site: ShopSite, line: str) -> None:
    _python, _manage, *arguments = shlex.split(line)
    done = site.manage(arguments)

    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


def test_page_has_sessions_and_commands() -> None:
    assert len(PAGE.sessions) >= 6
    assert len(PAGE.commands) >= 5
